/**
 * An HTTP server for short answers to strangers: one request a connection, so
 * many connections and no more, so much time for each.
 *
 * Deno's own servers have no such limits, and one that is out of files ends
 * (`Deno.serve`), or accepts nothing ever after (`node:http`).
 *
 * @module
 */
import { delay } from "@std/async";
import { STATUS_CODE, STATUS_TEXT } from "@std/http";

/** An answer. */
export interface Page {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Answers a request; it does not throw. */
export type Answer = (method: string, target: string) => Page;

/** Connections at a time; those beyond are closed at once. */
const CONNECTIONS = 32;

/** How long a connection may take in all, in milliseconds. */
const CONNECTION_TIME = 5000;

/** The longest head of a request, in bytes. */
const HEAD_LIMIT = 8192;

/**
 * How long to wait before the next connection is accepted, in milliseconds, if
 * there are too many, or no files left for another.
 */
const PAUSE = 2;

/**
 * Serves until the listener is closed.
 *
 * @param listener Where connections come from.
 * @param answer Answers a request.
 * @returns When the listener is closed, with all connections.
 */
export async function serveShort(
  listener: Deno.Listener,
  answer: Answer,
): Promise<void> {
  const connections = new Set<Deno.Conn>();
  for (;;) {
    let connection: Deno.Conn;
    try {
      connection = await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) break;
      await delay(PAUSE);
      continue;
    }
    if (connections.size >= CONNECTIONS) {
      close(connection);
      await delay(PAUSE);
      continue;
    }
    connections.add(connection);
    const deadline = setTimeout(() => close(connection), CONNECTION_TIME);
    serveOne(connection, answer)
      .catch(() => {
        // The client is gone, or was too slow.
      })
      .finally(() => {
        clearTimeout(deadline);
        connections.delete(connection);
        close(connection);
      });
  }
  connections.forEach(close);
}

async function serveOne(connection: Deno.Conn, answer: Answer): Promise<void> {
  const head = await readHead(connection);
  const [, method, target] =
    /^([A-Z]{1,20}) (\S+) HTTP\/1\.[01]\r?\n/.exec(head) ?? [];
  const page = method === undefined
    ? textPage(STATUS_CODE.BadRequest)
    : answer(method, target);
  const { status, headers, body } = page;
  const bytes = new TextEncoder().encode(body);
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${bytes.length}`,
    "Connection: close",
  ];
  await write(connection, new TextEncoder().encode(lines.join("\r\n") + END));
  if (method !== "HEAD") await write(connection, bytes);
}

const END = "\r\n\r\n";

/** The head of a request; empty if it is too long, or ends early. */
async function readHead(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(HEAD_LIMIT);
  let head = "";
  for (let length = 0; length < HEAD_LIMIT;) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
    head = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    if (/\r?\n\r?\n/.test(head)) return head;
  }
  return "";
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

const REASONS: Readonly<Record<number, string>> = STATUS_TEXT;

/**
 * Makes a page of plain text.
 *
 * @param status Its status.
 * @param body Its text; that of the status if it has none of its own.
 * @param headers More headers, or others.
 * @returns The page.
 */
export function textPage(
  status: number,
  body: string = REASONS[status],
  headers: Record<string, string> = {},
): Page {
  return {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...headers },
    body,
  };
}
