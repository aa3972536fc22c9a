/**
 * A plugin that stands before ours, allows everything, and tells ours nothing but its own calls and those of users with
 * a name. So the third line gets work without a race that some engine closes one day, and the engine goes on asking.
 */

import { request } from "node:http";

/** The header by which ours knows its own calls. */
const MARK = '"Docker-Policy-Plugin-Call"';

/**
 * Serves it until the tests end.
 *
 * @param socket Where.
 * @param plugin The socket of ours.
 */
export function blinkers(socket: string, plugin: string): void {
  const server = Deno.serve({ path: socket, onListen() {} }, async (asked) => {
    const { pathname } = new URL(asked.url);
    const message = await asked.text();
    const isSeen = message.includes(MARK) || /^\{"User":"./.test(message);
    if (pathname !== "/Plugin.Activate" && !isSeen) {
      return Response.json({ Allow: true });
    }
    return await forward(plugin, pathname, message);
  });
  server.unref();
}

function forward(
  socketPath: string,
  path: string,
  message: string,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        socketPath,
        path,
        method: "POST",
        agent: false,
        headers: { "Content-Length": new TextEncoder().encode(message).length },
      },
      async (answer) => {
        let body = "";
        for await (const piece of answer.setEncoding("utf8")) body += piece;
        resolve(new Response(body, { status: answer.statusCode }));
      },
    );
    sent.on("error", reject).end(message);
  });
}
