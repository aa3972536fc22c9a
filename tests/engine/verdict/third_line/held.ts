/**
 * Requests that are sent, but for the end of their body, which the engine waits
 * for before it looks names up.
 */

import { sleep } from "../../../helpers/programs.ts";

/** A request whose last byte is held back. */
export interface Held {
  /** Sends the last byte. */
  finish(): Promise<{ status: number; text: string }>;
}

/**
 * How long the engine has to ask its plugin, in milliseconds; nothing outside
 * shows when it has.
 */
const ASKED = 700;

/**
 * Sends a request but for the last byte of its body, and gives the engine time
 * to ask its plugin.
 *
 * @param socket Where the API is.
 * @param method Of the request.
 * @param target Of the request.
 * @param options `type`: the Content-Type, none if it is null; `body`: at least
 *   a byte.
 * @returns The request, to be finished.
 */
export async function hold(
  socket: string,
  method: string,
  target: string,
  { type = "application/x-www-form-urlencoded", body = "a=bcdef" }: {
    type?: string | null;
    body?: string;
  } = {},
): Promise<Held> {
  const connection = await Deno.connect({ transport: "unix", path: socket });
  const encoder = new TextEncoder();
  const lines = [
    `${method} ${target} HTTP/1.1`,
    "Host: docker",
    ...type === null ? [] : [`Content-Type: ${type}`],
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  const head = lines.join("\r\n") + "\r\n\r\n";
  await write(connection, encoder.encode(head + body.slice(0, -1)));
  await sleep(ASKED);
  return {
    async finish() {
      // An engine that needs no body has answered, and hung up.
      await write(connection, encoder.encode(body.slice(-1))).catch(() => {});
      const text = await new Response(connection.readable).text();
      return { status: Number(text.split(" ")[1]), text };
    },
  };
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}
