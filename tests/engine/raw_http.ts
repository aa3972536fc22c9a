/**
 * HTTP/1.1 over a unix socket, byte by byte.
 *
 * `fetch` corrects what it is given: it normalises paths, merges headers and
 * picks the transfer coding. The tests of a reader need the opposite, requests
 * that no client would send, so these are written by hand.
 */

/** One answer, read to its end. */
export interface Answer {
  /** The status code, 200 and so on. */
  status: number;
  /** Headers by lower-case name; of a repeated one the last. */
  headers: Map<string, string>;
  /** The body with any transfer coding removed, as text. */
  body: string;
}

/** What `request` puts around a path. */
export interface RequestParts {
  /**
   * Header lines in this order, repeated ones included. `Host` and the body's
   * length are added.
   */
  headers?: [name: string, value: string][];
  /**
   * The body. An object or array is sent as JSON, with its `Content-Type`
   * unless `headers` has one.
   */
  body?: string | Uint8Array | Record<string, unknown> | unknown[];
  /** Send the body as chunks of this many bytes, without `Content-Length`. */
  chunk?: number;
  /**
   * Leave out `Content-Length`, for a test that writes its own framing into
   * `headers`.
   */
  bare?: boolean;
}

const encoder = new TextEncoder();

/**
 * The bytes of one request.
 *
 * @param method sent as it is
 * @param target the request target, sent as it is: escapes, absolute form and
 *   all
 * @param parts headers and body
 * @returns head and body
 */
export function request(
  method: string,
  target: string,
  parts: RequestParts = {},
): Uint8Array {
  const headers = parts.headers ?? [];
  const has = (name: string) =>
    headers.some(([each]) => each.toLowerCase() === name);
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!has("host")) lines.push("Host: docker");
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);

  let body: Uint8Array = new Uint8Array();
  if (parts.body instanceof Uint8Array) body = parts.body;
  else if (typeof parts.body === "string") body = encoder.encode(parts.body);
  else if (parts.body !== undefined) {
    body = encoder.encode(JSON.stringify(parts.body));
    if (!has("content-type")) lines.push("Content-Type: application/json");
  }
  if (parts.chunk !== undefined) {
    lines.push("Transfer-Encoding: chunked");
    body = chunked(body, { size: parts.chunk });
  } else if (
    !parts.bare &&
    (parts.body !== undefined || method === "POST" || method === "PUT")
  ) {
    lines.push(`Content-Length: ${body.length}`);
  }
  return join([encoder.encode(lines.join("\r\n") + "\r\n\r\n"), body]);
}

/**
 * Sends bytes and reads the answers.
 *
 * @param socket path of a unix socket
 * @param bytes one request, or several in a row
 * @param options `answers`: how many to wait for (1); `timeout`: milliseconds
 *   until it gives up (20 000)
 * @returns the answers, fewer than asked for if the other side closed in
 *   between
 * @throws Error when nothing came, or not in time
 */
export async function exchange(
  socket: string,
  bytes: Uint8Array,
  { answers = 1, timeout = 20_000 }: { answers?: number; timeout?: number } =
    {},
): Promise<Answer[]> {
  const connection = await Deno.connect({ transport: "unix", path: socket });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    connection.close();
  }, timeout);
  // The engine may answer and close before it has read all of a body that it
  // refuses.
  const sending = writeAll(connection, bytes).catch(() => {});
  try {
    const reader = new Reader(connection);
    const got: Answer[] = [];
    while (got.length < answers) {
      const answer = await reader.answer();
      if (answer === undefined) break;
      if (answer.status >= 200) got.push(answer);
    }
    if (got.length === 0) {
      throw new Error("the engine closed the connection without an answer");
    }
    return got;
  } catch (error) {
    if (late) throw new Error(`no answer from ${socket} within ${timeout} ms`);
    throw error;
  } finally {
    clearTimeout(timer);
    if (!late) connection.close();
    await sending;
  }
}

/** Several arrays as one. */
export function join(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * A body in chunks.
 *
 * @param body the body
 * @param coding bytes of a chunk, and what stands behind the size of each and
 *   behind the last
 */
export function chunked(
  body: Uint8Array,
  { size, extension = "", trailer = "" }: {
    size: number;
    extension?: string;
    trailer?: string;
  },
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    parts.push(
      encoder.encode(piece.length.toString(16) + extension + "\r\n"),
      piece,
      encoder.encode("\r\n"),
    );
  }
  parts.push(encoder.encode(`0\r\n${trailer}\r\n`));
  return join(parts);
}

/** Writes all of some bytes. */
export async function writeAll(
  connection: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}

/**
 * Reads answers off a connection; bytes are kept as Latin-1 text until a body
 * is whole.
 */
class Reader {
  #text = "";
  #ended = false;

  constructor(private readonly connection: Deno.Conn) {}

  /**
   * The next answer, or undefined when the other side closed before one began.
   */
  async answer(): Promise<Answer | undefined> {
    while (!this.#text.includes("\r\n\r\n")) {
      if (!(await this.#more())) return undefined;
    }
    const [first, ...lines] = this.#take(this.#text.indexOf("\r\n\r\n") + 4)
      .trimEnd().split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const status = Number(first.split(" ")[1]);
    const bytes = Uint8Array.from(
      await this.#body(status, headers),
      (c) => c.charCodeAt(0),
    );
    return { status, headers, body: new TextDecoder().decode(bytes) };
  }

  async #body(status: number, headers: Map<string, string>): Promise<string> {
    if (status < 200 || status === 204 || status === 304) return "";
    if (headers.get("transfer-encoding") === "chunked") {
      let body = "";
      for (;;) {
        const size = parseInt(await this.#line(), 16);
        body += await this.#exactly(size);
        await this.#line();
        if (size === 0) return body;
      }
    }
    const length = headers.get("content-length");
    if (length !== undefined) return this.#exactly(Number(length));
    while (await this.#more());
    return this.#take(this.#text.length);
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\r\n")) await this.#mustHaveMore();
    return this.#take(this.#text.indexOf("\r\n") + 2).trimEnd();
  }

  async #exactly(length: number): Promise<string> {
    while (this.#text.length < length) await this.#mustHaveMore();
    return this.#take(length);
  }

  #take(length: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return taken;
  }

  async #mustHaveMore(): Promise<void> {
    if (!(await this.#more())) throw new Error("the answer broke off");
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const buffer = new Uint8Array(65_536);
    const count = await this.connection.read(buffer);
    if (count === null) {
      this.#ended = true;
      return false;
    }
    let text = "";
    for (let at = 0; at < count; at += 8192) {
      text += String.fromCharCode(
        ...buffer.subarray(at, Math.min(at + 8192, count)),
      );
    }
    this.#text += text;
    return true;
  }
}
