/**
 * Connections to an engine, kept from one question to the next.
 *
 * Most calls that are judged hang on one question, so that its price is theirs.
 * An HTTP client at hand takes several times as long as all the rest, and twice the
 * memory; what an engine answers needs little of one.
 *
 * @module
 */
import type { Deadline } from "./deadlines.ts";
import type { EngineAnswer } from "./engine.ts";

/** How many connections wait for the next question. */
const IDLE_LIMIT = 16;

/**
 * How old a connection may be for another question, in milliseconds: who has taken
 * over the engine's address in the meantime is asked soon.
 */
const AGE_LIMIT = 10_000;

/** Longer answers are none to the questions asked here, in bytes. */
export const ANSWER_LIMIT = 16 * 1024 * 1024;

/** How long the lines in front of its body may be, in bytes. */
const HEAD_LIMIT = 64 * 1024;

/** How much is read at a time, in bytes. */
const PIECE = 16 * 1024;

/** Asks an engine over connections that are kept. */
export class EngineConnections {
  readonly #connect: () => Promise<Deno.Conn>;
  readonly #keeps: boolean;
  readonly #idle: Connection[] = [];

  /**
   * @param connect Opens a connection.
   * @param keeps Whether it is kept: on one to the engine itself nothing comes
   *   that was not asked for, but who knows what stands between.
   */
  constructor(connect: () => Promise<Deno.Conn>, keeps: boolean) {
    this.#connect = connect;
    this.#keeps = keeps;
  }

  /**
   * Asks a question without a body.
   *
   * @param head The request, to its empty line.
   * @param deadline When to give it up.
   * @returns The answer.
   * @throws {Error} where there is none, saying why.
   */
  async ask(head: string, deadline: Deadline): Promise<EngineAnswer> {
    const kept = this.#idle.pop();
    if (kept?.isOld) kept.close();
    else if (kept) {
      try {
        return await this.#askOn(kept, head, deadline);
      } catch (error) {
        if (kept.hasAnswered || deadline.isOver) throw error;
        // The engine has closed it since, and so the others: it was started
        // anew. None of the questions does harm when it is asked twice.
        this.close();
      }
    }
    return await this.#askOn(await this.#open(deadline), head, deadline);
  }

  /** Closes the connections that wait for the next question. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  /** A host that is not there can keep us waiting for minutes. */
  #open(deadline: Deadline): Promise<Connection> {
    return new Promise((resolve, reject) => {
      deadline.onOver = reject;
      this.#connect().then((connection) => {
        if (deadline.isOver) connection.close();
        else resolve(new Connection(connection));
      }, reject);
    });
  }

  async #askOn(
    connection: Connection,
    head: string,
    deadline: Deadline,
  ): Promise<EngineAnswer> {
    try {
      const answer = await new Promise<EngineAnswer>((resolve, reject) => {
        deadline.onOver = reject;
        connection.ask(head).then(resolve, reject);
      });
      const keep = this.#keeps && connection.canBeKept &&
        this.#idle.length < IDLE_LIMIT;
      if (keep) this.#idle.push(connection);
      else connection.close();
      return answer;
    } catch (error) {
      if (deadline.isOver) connection.abandon();
      connection.close();
      throw error;
    }
  }
}

/** One connection, and what was read from it ahead. */
class Connection {
  /** Whether any of the answer to the last question came. */
  hasAnswered = false;
  /** Whether another question can follow. */
  canBeKept = false;
  readonly #connection: Deno.Conn;
  readonly #body = new Pieces();
  readonly #opened = performance.now();
  #buffer = new Uint8Array(PIECE);
  #start = 0;
  #end = 0;
  #isClosed = false;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  get isOld(): boolean {
    return performance.now() - this.#opened > AGE_LIMIT;
  }

  close(): void {
    if (!this.#isClosed) this.#connection.close();
    this.#isClosed = true;
  }

  /**
   * Lets the engine know that nobody waits any more: up to Deno 2.8 a connection
   * is not closed while something is read from it.
   */
  abandon(): void {
    this.#connection.closeWrite().catch(() => {});
  }

  /** HTTP/1.1, as RFC 9112 frames it; Go answers plain HTTP at TLS in HTTP/1.0. */
  async ask(head: string): Promise<EngineAnswer> {
    this.hasAnswered = this.canBeKept = false;
    const bytes = new TextEncoder().encode(head);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }

    const [first, ...lines] = (await this.#until("\r\n\r\n")).split("\r\n");
    const [, minor, status] = /^HTTP\/1\.([01]) ([2-5]\d\d)( |$)/.exec(first) ??
      [];
    if (status === undefined) throw new Error("that is no HTTP/1.1 answer");
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      if (colon < 1) throw new Error("its answer has a header without a name");
      const name = line.slice(0, colon).toLowerCase();
      if (FRAMING.has(name) && headers.has(name)) {
        throw new Error(`its answer has ${name} twice`);
      }
      headers.set(name, line.slice(colon + 1).trim());
    }
    const body = await this.#readBody(Number(status), headers);
    this.canBeKept &&= minor === "1" && this.#start === this.#end;
    return {
      status: Number(status),
      apiVersion: headers.get("api-version") ?? "",
      body,
    };
  }

  async #readBody(
    status: number,
    headers: Map<string, string>,
  ): Promise<string> {
    const coding = headers.get("transfer-encoding");
    const length = headers.get("content-length");
    this.canBeKept = headers.get("connection")?.toLowerCase() !== "close";
    if (status === 204 || status === 304) return "";
    if (coding !== undefined) {
      if (coding.toLowerCase() !== "chunked") {
        throw new Error(`its answer is in transfer coding ${coding}`);
      }
      await this.#readChunks();
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) {
        throw new Error(`its answer has Content-Length ${length}`);
      }
      await this.#readBytes(Number(length));
    } else {
      this.canBeKept = false;
      await this.#readRest();
    }
    return this.#body.take();
  }

  async #readChunks(): Promise<void> {
    for (;;) {
      const [, size] = /^([0-9a-f]{1,8})[ \t]*(;|$)/i
        .exec(await this.#until("\r\n")) ?? [];
      if (size === undefined) throw new Error("its answer has a bad chunk");
      const length = parseInt(size, 16);
      if (length > 0) await this.#readBytes(length);
      // The engine sends no trailers.
      if (await this.#until("\r\n") !== "") {
        throw new Error(
          "its answer has a chunk of another length than it says",
        );
      }
      if (length === 0) return;
    }
  }

  async #readBytes(count: number): Promise<void> {
    while (count > 0) {
      if (this.#start === this.#end) await this.#more();
      const end = Math.min(this.#end, this.#start + count);
      this.#body.add(this.#buffer.subarray(this.#start, end));
      count -= end - this.#start;
      this.#start = end;
    }
  }

  async #readRest(): Promise<void> {
    do {
      this.#body.add(this.#buffer.subarray(this.#start, this.#end));
      this.#start = this.#end;
    } while (await this.#read());
  }

  /** The text up to a mark, which is read too. */
  async #until(mark: string): Promise<string> {
    for (;;) {
      const unread = this.#buffer.subarray(this.#start, this.#end);
      const text = latin1.decode(unread);
      const at = text.indexOf(mark);
      if (at >= 0) {
        this.#start += at + mark.length;
        return text.slice(0, at);
      }
      if (unread.length > HEAD_LIMIT) throw endless();
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (!await this.#read()) {
      throw new Error("the connection was closed before the answer's end");
    }
  }

  /** @returns Whether there was more. */
  async #read(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(2 * this.#buffer.length);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const count = await this.#connection.read(this.#buffer.subarray(this.#end));
    if (count === null) return false;
    this.hasAnswered = true;
    this.#end += count;
    return true;
  }
}

/** Headers that say where an answer ends. */
const FRAMING: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
]);

const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder();

/**
 * A text that arrives in pieces. It is decoded at once: a decoder that waits for the
 * rest of a character is not let go of before a full garbage collection.
 */
class Pieces {
  #bytes = new Uint8Array(PIECE);
  #length = 0;

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > ANSWER_LIMIT) throw endless();
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** The text so far; then begins another one. */
  take(): string {
    const text = utf8.decode(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    // What a long one took is not kept for short ones.
    if (this.#bytes.length > 4 * PIECE) this.#bytes = new Uint8Array(PIECE);
    return text;
  }
}

/** @returns What is wrong with an answer that goes on for too long. */
export function endless(): Error {
  return new Error("it answers without end");
}
