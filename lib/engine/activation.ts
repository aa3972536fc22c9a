import { messageOf } from "../text.ts";
import { EngineError } from "./error.ts";

/** Runs `systemctl` and returns what it prints; rejected if that fails. */
export type Systemctl = (...words: string[]) => Promise<string>;

/**
 * Asks systemd for the service behind a socket that it listens on, such as
 * `docker.socket`: a connection would start a service that somebody has
 * stopped.
 *
 * @param path The engine's socket.
 * @param systemctl Runs `systemctl`.
 * @returns Whether the service is up; unknown without systemd, or if it does
 *   not listen on that socket.
 * @throws {EngineError} If it listens there, but does not tell of the service.
 *   That is not unknown: who then connects may start the service.
 */
export async function serviceState(
  path: string,
  systemctl: Systemctl = runSystemctl,
): Promise<"up" | "down" | "unknown"> {
  let sockets: string;
  try {
    sockets = await systemctl(
      "list-sockets",
      "--full",
      "--plain",
      "--no-legend",
    );
  } catch {
    return "unknown"; // There is no systemd.
  }
  const wanted = realPath(path);
  for (const line of sockets.split("\n")) {
    const [listens, , service] = line.trim().split(/\s+/);
    if (service === undefined || realPath(listens) !== wanted) continue;
    // While it stops, a waiting connection would start it again.
    let state: string;
    try {
      state = await systemctl("show", "-p", "ActiveState", service);
    } catch (error) {
      throw new EngineError(
        `systemd does not tell whether ${service} is up: ${messageOf(error)}`,
      );
    }
    return /^ActiveState=(active|activating|reloading)$/m.test(state)
      ? "up"
      : "down";
  }
  return "unknown";
}

/** `/var/run` is a link to `/run`. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

/**
 * Runs the `systemctl` of this host.
 *
 * @param args Its arguments.
 * @returns What it prints on standard output.
 * @throws {Error} If there is none, or if it fails.
 */
export async function runSystemctl(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("systemctl", {
    args,
    stderr: "null",
  }).output();
  if (!success) throw new Error("systemctl failed");
  return new TextDecoder().decode(stdout);
}
