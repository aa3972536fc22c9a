/**
 * Listens for the engine: on a socket of our own, or on systemd's.
 *
 * @module
 */
import type { Log } from "../log.ts";
import { type Listener, ListenError } from "./listener.ts";
import { listenOnPath } from "./own_socket.ts";
import { listenOnDescriptor } from "./passed_socket.ts";
import type { PluginHandler } from "./plugin.ts";

export { type Listener, ListenError };

/** The first file descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_FD = 3;

/** Before it, `listen({ fd })` opens a TCP port, or fails. */
const FIRST_DENO_WITH_FD = [2, 8];

/**
 * Listens on the socket that systemd passes, if the environment says that it
 * does, or else on a socket file of our own.
 *
 * @param handler Answers the requests.
 * @param path The socket file, which is made if systemd passes none.
 * @param environment `LISTEN_FDS` and `LISTEN_PID`, as systemd sets them.
 * @param log Is told what goes wrong later on.
 * @returns The server, ready to answer.
 * @throws {ListenError} If the socket can't be had.
 */
export async function listen(
  handler: PluginHandler,
  path: string,
  environment: { fds?: string; pid?: string },
  log: Log,
): Promise<Listener> {
  const passed = environment.fds !== undefined &&
    environment.pid === String(Deno.pid);
  if (!passed) return await listenOnPath(handler, path, log);
  if (environment.fds !== "1") {
    throw new ListenError(
      `systemd passes ${environment.fds} sockets (LISTEN_FDS): ` +
        "give one ListenStream= in the .socket unit",
    );
  }
  const [major, minor] = Deno.version.deno.split(".").map(Number);
  const [needMajor, needMinor] = FIRST_DENO_WITH_FD;
  if (major < needMajor || (major === needMajor && minor < needMinor)) {
    throw new ListenError(
      `this executable is built on Deno ${Deno.version.deno}, which can't take ` +
        "over systemd's socket: build it on Deno 2.8 or later, or disable the " +
        ".socket unit, so that it listens on a socket of its own",
    );
  }
  return await listenOnDescriptor(handler, FIRST_FD, path, log);
}
