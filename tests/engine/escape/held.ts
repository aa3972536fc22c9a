/**
 * Requests that the client draws out: the plugin has answered, and the engine
 * waits for bytes that come when it suits the client.
 *
 * @module
 */
import { sleep } from "../../helpers/programs.ts";
import { writeAll } from "../raw_http.ts";
import type { Host } from "./host.ts";

/**
 * Begins to start a container: the engine waits for the end of a form.
 *
 * @param host The engine's.
 * @param container Its name.
 * @returns Sends what is missing, and notes the answer.
 */
export function heldStart(
  host: Host,
  container: string,
): Promise<() => Promise<void>> {
  const form = new TextEncoder().encode("a=b");
  const head = `POST /containers/${container}/start HTTP/1.1\r\n` +
    "Content-Type: application/x-www-form-urlencoded\r\n";
  return held(host, head, form, 2);
}

/**
 * Begins a `docker cp` into a container: the engine waits for the archive.
 *
 * @param host The engine's.
 * @param container Its name.
 * @param path Where to, in the container.
 * @param archive What.
 * @returns Sends what is missing, and notes the answer.
 */
export function heldPut(
  host: Host,
  container: string,
  path: string,
  archive: Uint8Array,
): Promise<() => Promise<void>> {
  const head =
    `PUT /containers/${container}/archive?path=${path} HTTP/1.1\r\n` +
    "Content-Type: application/x-tar\r\n";
  return held(host, head, archive, 0);
}

async function held(
  host: Host,
  head: string,
  body: Uint8Array,
  first: number,
): Promise<() => Promise<void>> {
  const connection = await Deno.connect({
    transport: "unix",
    path: host.h.dockerd.socket,
  });
  const rest = `Host: docker\r\nContent-Length: ${body.length}\r\n\r\n`;
  await writeAll(connection, new TextEncoder().encode(head + rest));
  await writeAll(connection, body.subarray(0, first));
  await sleep(500);
  return async () => {
    await writeAll(connection, body.subarray(first)).catch(() => {});
    const buffer = new Uint8Array(65_536);
    const count = await connection.read(buffer).catch(() => null) ?? 0;
    host.note(new TextDecoder().decode(buffer.subarray(0, count)));
    connection.close();
  };
}
