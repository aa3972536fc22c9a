/**
 * Stands between a client and an engine, changes nothing, and tells what went
 * by.
 */

/** A call with its answer. */
export interface Exchange {
  /** When its first byte came. */
  at: number;
  method: string;
  target: string;
  headers: [name: string, value: string][];
  framing: "length" | "chunked" | "none";
  body: Uint8Array;
  /** 0 if none came. */
  status: number;
  answer: Uint8Array;
}

/** Bytes of one direction, with the time at which each piece came. */
interface Tape {
  bytes: number[];
  pieces: { from: number; at: number }[];
}

/** A running proxy. */
export class Proxy {
  #listener: Deno.Listener;
  #connections: { up: Tape; down: Tape }[] = [];

  /**
   * Starts it.
   *
   * @param path where it listens
   * @param engine the engine's socket
   */
  constructor(readonly path: string, engine: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#serve(engine);
  }

  async #serve(engine: string): Promise<void> {
    for await (const client of this.#listener) {
      const tapes = {
        up: { bytes: [], pieces: [] },
        down: { bytes: [], pieces: [] },
      };
      this.#connections.push(tapes);
      const server = await Deno.connect({ transport: "unix", path: engine });
      pump(client, server, tapes.up);
      pump(server, client, tapes.down);
    }
  }

  /**
   * Ends it.
   *
   * @returns the calls in the order in which they came
   */
  stop(): Exchange[] {
    this.#listener.close();
    return this.#connections.flatMap(({ up, down }) => exchanges(up, down))
      .sort((a, b) => a.at - b.at);
  }
}

async function pump(
  from: Deno.Conn,
  to: Deno.Conn,
  tape: Tape,
): Promise<void> {
  const buffer = new Uint8Array(65536);
  try {
    for (;;) {
      const n = await from.read(buffer);
      if (n === null) break;
      tape.pieces.push({ from: tape.bytes.length, at: performance.now() });
      for (let i = 0; i < n; i++) tape.bytes.push(buffer[i]);
      for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
    }
    await to.closeWrite();
  } catch {
    // The other side is gone.
  }
}

function exchanges(up: Tape, down: Tape): Exchange[] {
  const requests = new Parser(Uint8Array.from(up.bytes));
  const answers = new Parser(Uint8Array.from(down.bytes));
  const found: Exchange[] = [];
  for (;;) {
    const from = requests.at;
    const request = requests.message(false);
    if (!request) return found;
    let answer = answers.message(true);
    while (answer && answer.status >= 100 && answer.status < 200) {
      if (answer.status === 101) break;
      answer = answers.message(true);
    }
    const [method, target] = request.first.split(" ");
    const at = up.pieces.findLast((piece) => piece.from <= from)?.at ?? 0;
    found.push({
      at,
      method,
      target,
      headers: request.headers,
      framing: request.framing,
      body: request.body,
      status: answer?.status ?? 0,
      answer: answer?.body ?? new Uint8Array(),
    });
    // What follows an upgrade is not HTTP.
    const upgraded = answer?.headers.some(([name, value]) =>
      /^content-type$/i.test(name) && /raw-stream|multiplexed/.test(value)
    );
    if (!answer || answer.status === 101 || upgraded) return found;
  }
}

interface Message {
  first: string;
  status: number;
  headers: [name: string, value: string][];
  framing: "length" | "chunked" | "none";
  body: Uint8Array;
}

class Parser {
  at = 0;
  #text: string;

  constructor(readonly bytes: Uint8Array) {
    this.#text = new TextDecoder("latin1").decode(bytes);
  }

  message(isAnswer: boolean): Message | undefined {
    const end = this.#text.indexOf("\r\n\r\n", this.at);
    if (end < 0) return undefined;
    const [first, ...lines] = this.#text.slice(this.at, end).split("\r\n");
    if (!first.includes("HTTP/1.1")) return undefined;
    this.at = end + 4;
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const value = (name: string) =>
      headers.find(([each]) => each.toLowerCase() === name)?.[1];
    const status = isAnswer ? Number(first.split(" ")[1]) : 0;
    const length = value("content-length");
    const chunked = value("transfer-encoding") === "chunked";
    const bare = isAnswer && (status < 200 || status === 204 || status === 304);
    const body = chunked ? this.#chunks() : this.#take(
      bare
        ? 0
        : length !== undefined
        ? Number(length)
        : isAnswer
        ? Infinity
        : 0,
    );
    const framing = chunked
      ? "chunked"
      : length === undefined
      ? "none"
      : "length";
    return { first, status, headers, framing, body };
  }

  #take(length: number): Uint8Array {
    const from = this.at;
    this.at = Math.min(this.at + length, this.bytes.length);
    return this.bytes.slice(from, this.at);
  }

  #chunks(): Uint8Array {
    const parts: number[] = [];
    for (;;) {
      const end = this.#text.indexOf("\r\n", this.at);
      if (end < 0) return Uint8Array.from(parts);
      const size = parseInt(this.#text.slice(this.at, end), 16);
      this.at = end + 2;
      for (const byte of this.#take(size)) parts.push(byte);
      this.at += 2;
      if (!(size > 0)) return Uint8Array.from(parts);
    }
  }
}
