/**
 * Listens on a socket that systemd passed. Deno has no API of its own for a
 * descriptor that is open already; `node:http` takes one.
 *
 * @module
 */
import { delay } from "@std/async";
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type Log, STANDARD_ERROR } from "../log.ts";
import { watchHearing } from "./hearing.ts";
import { type Listener, ListenError } from "./listener.ts";
import type { PluginHandler, PluginRequest } from "./plugin.ts";
import { PLUGIN_CONTENT_TYPE } from "./wire.ts";

/**
 * How long a stop goes on taking messages, in milliseconds: at least, so that
 * an engine gives up its idle connections, and at most.
 *
 * An engine whose connection breaks before the answer asks again, but with an
 * empty message (moby's pkg/plugins/client.go: the first try has used it up),
 * and its client's call fails. And while we ask the engine something, it asks
 * us about that, on a new connection. So a stop ends each connection with its
 * next answer, and waits for a moment in which there is none.
 */
const LAST_CALLS = { least: 300, most: 3000 };

/**
 * Listens on a descriptor.
 *
 * @param handler Answers the requests.
 * @param fd The descriptor of a listening unix socket.
 * @param path The socket's file, as far as we know; systemd does not tell.
 * @param log Is told if the socket is lost.
 * @returns The server, ready to answer.
 * @throws {ListenError} If it can't be taken over.
 */
export async function listenOnDescriptor(
  handler: PluginHandler,
  fd: number,
  path: string,
  log: Log,
): Promise<Listener> {
  const connections = new Set<Socket>();
  const busy = new Set<Socket>();
  let onLast = () => {};
  let stopping = false;
  const server = createServer(async (request, response) => {
    const { socket } = request;
    busy.add(socket);
    try {
      const { status, body } = await handler(pluginRequest(request));
      response.writeHead(status, {
        "Content-Type": PLUGIN_CONTENT_TYPE,
        // Without it the answer is chunked, which takes longer than all the
        // rest.
        "Content-Length": Buffer.byteLength(body),
        ...(stopping && { "Connection": "close" }),
      });
      response.end(body);
    } catch {
      response.destroy();
    } finally {
      busy.delete(socket);
    }
  });
  server.on("connection", (connection: Socket) => {
    connections.add(connection);
    connection.once("close", () => {
      connections.delete(connection);
      if (connections.size === 0) onLast();
    });
  });
  // The engine keeps its connections: one that we close while it is about to be
  // used again fails a call.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new ListenError(`can't take over systemd's socket: ${error.message}`),
      ));
    server.listen({ fd }, resolve);
  });
  const address = server.address();
  if (typeof address === "object" && address?.port !== undefined) {
    server.close();
    throw new ListenError(
      `systemd's socket turned out to be TCP port ${address.port}: ` +
        "ListenStream= must be a path",
    );
  }
  // A descriptor can be taken over once. But systemd keeps the socket, and who
  // has connected waits.
  const stopWatching = watchHearing(path, () => {
    log.error(
      "the socket that systemd passed accepts no connections any more: ending, " +
        "so that systemd passes it again",
    );
    STANDARD_ERROR.written().then(() => Deno.exit(1));
  });
  return {
    where: "the socket that systemd passed",
    problem: () => stopping ? "stopping" : undefined,
    async close() {
      stopping = true;
      stopWatching();
      const idle = connections.difference(busy);
      await delay(LAST_CALLS.least);
      // Whoever has used one since then has closed it, or is about to.
      for (const connection of idle.difference(busy)) connection.end();
      // No connection is lost between the last one's end and server.close().
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          onLast = () => {};
          server.close(() => resolve());
        };
        const timer = setTimeout(end, LAST_CALLS.most - LAST_CALLS.least);
        onLast = end;
        if (connections.size === 0) end();
      });
    },
  };
}

function pluginRequest(request: IncomingMessage): PluginRequest {
  return {
    method: request.method ?? "",
    path: request.url ?? "",
    header: (name) => request.headers[name]?.toString(),
    text: () => readText(request),
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}
