/**
 * Listens on a socket file of our own.
 *
 * @module
 */
import { delay } from "@std/async";
import type { Log } from "../log.ts";
import { messageOf } from "../text.ts";
import { type Listener, ListenError } from "./listener.ts";
import type { PluginHandler } from "./plugin.ts";
import { makeWay, removeIfThere } from "./socket_file.ts";
import { PLUGIN_CONTENT_TYPE } from "./wire.ts";

/** How long to wait before the socket is made again, in milliseconds. */
const RETRY = 100;

/** How long nothing more is logged about it, in milliseconds. */
const QUIET_TIME = 10_000;

/**
 * Listens on a socket file, for its owner alone.
 *
 * @param handler Answers the requests.
 * @param path The socket file. Its directory is made; a socket file that nobody
 *   serves any more is replaced.
 * @param log Is told if the socket had to be made again.
 * @returns The server, ready to answer.
 * @throws {ListenError} If the socket can't be had.
 */
export async function listenOnPath(
  handler: PluginHandler,
  path: string,
  log: Log,
): Promise<Listener> {
  await makeWay(path);
  let served: Served;
  try {
    served = serve(handler, path);
  } catch (error) {
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  let stopping = false;
  let quietUntil = 0;

  /**
   * `Deno.serve` ends for good if a connection can't be accepted: out of files,
   * for one. It removes its socket file then, and goes on answering the
   * connections that it has.
   */
  async function keepServing(): Promise<void> {
    for (;;) {
      try {
        return await served.server.finished;
      } catch (error) {
        complain(`${path} failed, and is made again: ${messageOf(error)}`);
      }
      do {
        await delay(RETRY);
        if (stopping) return;
      } while (!await isServedAgain());
    }
  }

  async function isServedAgain(): Promise<boolean> {
    try {
      await makeWay(path);
      served = serve(handler, path);
      return true;
    } catch (error) {
      complain(`can't listen on ${path}: ${messageOf(error)}`);
      return false;
    }
  }

  /** What goes on and on is not logged each time. */
  function complain(message: string): void {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + QUIET_TIME;
    log.error(message);
  }
  keepServing();

  /** Why the socket file is not ours any more; undefined if it is. */
  function lost(): string | undefined {
    try {
      const there = Deno.lstatSync(path);
      if (there.dev === served.dev && there.ino === served.ino) {
        return undefined;
      }
      return `${path} is somebody else's socket`;
    } catch (error) {
      return `${path}: ${messageOf(error)}`;
    }
  }

  return {
    where: path,
    problem: () => stopping ? "stopping" : lost(),
    async close() {
      stopping = true;
      await served.server.shutdown();
      if (lost() === undefined) removeIfThere(path);
    },
  };
}

/** A server, and the socket file that it made. */
interface Served {
  server: Deno.HttpServer;
  dev: number;
  ino: number | null;
}

function serve(handler: PluginHandler, path: string): Served {
  const server = Deno.serve(
    { path, onListen() {} },
    (request) => answer(request, handler),
  );
  Deno.chmodSync(path, 0o600);
  const { dev, ino } = Deno.lstatSync(path);
  return { server, dev, ino };
}

async function answer(
  request: Request,
  handler: PluginHandler,
): Promise<Response> {
  const { method, url } = request;
  const { status, body } = await handler({
    method,
    // The engine sends no query. A hostile target need not even be a URL.
    path: url.slice(url.indexOf("/", url.indexOf("://") + 3)),
    header: (name) => request.headers.get(name) ?? undefined,
    text: () => request.text(),
  });
  const headers = { "Content-Type": PLUGIN_CONTENT_TYPE };
  return new Response(body, { status, headers });
}
