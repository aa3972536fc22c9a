/**
 * Listens on a socket file of our own.
 *
 * @module
 */
import { type Listener, ListenError } from "./listener.ts";
import type { PluginHandler } from "./plugin.ts";
import { PLUGIN_CONTENT_TYPE } from "./wire.ts";

/**
 * Listens on a socket file, for its owner alone.
 *
 * @param handler Answers the requests.
 * @param path The socket file. Its directory is made; a socket file that nobody
 *   serves any more is replaced.
 * @returns The server, ready to answer.
 * @throws {ListenError} If the socket can't be had.
 */
export async function listenOnPath(
  handler: PluginHandler,
  path: string,
): Promise<Listener> {
  await makeWay(path);
  let server: Deno.HttpServer;
  try {
    server = Deno.serve(
      { path, onListen() {} },
      (request) => answer(request, handler),
    );
  } catch (error) {
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  Deno.chmodSync(path, 0o600);
  const { dev, ino } = Deno.lstatSync(path);
  let stopping = false;

  /** Why the socket file is not ours any more; undefined if it is. */
  function lost(): string | undefined {
    try {
      const there = Deno.lstatSync(path);
      if (there.dev === dev && there.ino === ino) return undefined;
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
      await server.shutdown();
      if (lost() === undefined) removeIfThere(path);
    },
  };
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

/** Makes the directory, and removes the socket file of somebody who is gone. */
async function makeWay(path: string): Promise<void> {
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) Deno.mkdirSync(path.slice(0, slash), { recursive: true });
    const there = Deno.lstatSync(path);
    if (!there.isSocket) {
      throw new ListenError(`${path} is not a socket: remove it`);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof ListenError) throw error;
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) {
      removeIfThere(path);
      return;
    }
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  throw new ListenError(
    `${path} is in use by ${await holderOf(path)}: stop that first`,
  );
}

/** Who listens on a socket file, as `ss` (iproute2) tells. */
async function holderOf(path: string): Promise<string> {
  try {
    const { stdout } = await new Deno.Command("ss", {
      args: ["-xlpH", "src", path],
      stderr: "null",
    }).output();
    const [, name, pid] = /users:\(\("([^"]*)",pid=(\d+)/
      .exec(new TextDecoder().decode(stdout)) ?? [];
    if (pid !== undefined) return `${name} (process ${pid})`;
  } catch {
    // Without ss the name is missing, not the refusal.
  }
  return "another process";
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
