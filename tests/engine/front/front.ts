/** HAProxy in front of a test's engine, with the configuration that is shipped. */

import { exists, sleep, which } from "../../helpers/programs.ts";

export const CONFIG = new URL(
  "../../../packaging/haproxy/haproxy.cfg",
  import.meta.url,
).pathname;

/** One running HAProxy. */
export class Front {
  /** The socket that users have. */
  readonly socket: string;
  #process: Deno.ChildProcess;
  #logFile: string;
  #note: string;

  private constructor(
    socket: string,
    process: Deno.ChildProcess,
    logFile: string,
    note: string,
  ) {
    this.socket = socket;
    this.#process = process;
    this.#logFile = logFile;
    this.#note = note;
  }

  /**
   * Starts HAProxy and waits until it listens.
   *
   * @param dir the engine's folder, for the socket and a log
   * @param engine the engine's own socket
   * @param changes what else is other than in the shipped configuration, by the text it replaces
   * @throws Error with its log if it does not listen within 10 s
   */
  static async start(
    dir: string,
    engine: string,
    changes: Record<string, string> = {},
  ): Promise<Front> {
    const config = await shippedConfig({
      "/run/docker-engine/docker.sock": engine,
      // Not every machine of the tests has a group of this name.
      "group docker": "group root",
      ...changes,
    });
    const name = await Deno.makeTempFile({ dir, prefix: "front-" });
    await Deno.writeTextFile(`${name}.cfg`, config);
    const [socket, logFile] = [`${name}.sock`, `${name}.log`];
    const process = new Deno.Command("sh", {
      args: [
        ...["-c", 'exec "$@" >"$0" 2>&1', logFile],
        ...[await which("haproxy") ?? "", "-db", "-f", `${name}.cfg`],
      ],
      env: { DOCKER_FRONT: `unix@${socket}` },
      stdin: "null",
    }).spawn();
    // dockerd.sh ends the processes noted here when the tests can't.
    const note = `${dir}/plugins/${process.pid}`;
    await Deno.writeTextFile(note, "");
    const front = new Front(socket, process, logFile, note);
    for (let tries = 0; !await exists(socket); tries++) {
      if (tries === 200) {
        const log = await front.log();
        await front[Symbol.asyncDispose]();
        throw new Error(`HAProxy does not listen: ${log}`);
      }
      await sleep(50);
    }
    return front;
  }

  /** What it logged so far. */
  log(): Promise<string> {
    return Deno.readTextFile(this.#logFile);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await this.#process.status;
    await Deno.remove(this.#note).catch(() => {});
  }
}

/**
 * The shipped configuration, for another place.
 *
 * @param changes what stands there instead of what; all of it must be there
 */
export async function shippedConfig(
  changes: Record<string, string>,
): Promise<string> {
  let config = await Deno.readTextFile(CONFIG);
  for (const [from, to] of Object.entries(changes)) {
    if (!config.includes(from)) throw new Error(`no "${from}" in ${CONFIG}`);
    config = config.replaceAll(from, to);
  }
  return config;
}
