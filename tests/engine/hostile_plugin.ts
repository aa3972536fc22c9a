/**
 * The plugin as a process that tests start in other ways than the harness does: among other users, on a socket that
 * systemd passes, or again and again.
 */

import { sleep } from "./dockerd.ts";
import { exchange, request } from "./raw_http.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** How a plugin is to be started. */
export interface PluginProcessOptions {
  /** The socket it listens on. */
  socket: string;
  /** The engine that it asks, as `unix:///path`. */
  host: string;
  /** A folder for its log and its configuration; an engine's, which ends what was started for it. */
  dir: string;
  /** The text of its configuration file. Default: the volume policy alone. */
  config?: string;
  /** A command that runs the plugin's own, which follows it. */
  wrap?: string[];
}

/** A plugin that was started. */
export class PluginProcess {
  /** Its number; the wrapping command's, where that does not make way. */
  readonly pid: number;
  #child: Deno.ChildProcess;
  #logFile: string;
  #note: string;

  private constructor(child: Deno.ChildProcess, dir: string, logFile: string) {
    this.#child = child;
    this.pid = child.pid;
    this.#logFile = logFile;
    this.#note = `${dir}/plugins/${child.pid}`;
  }

  /** Starts it, and does not wait for anything. */
  static async start(options: PluginProcessOptions): Promise<PluginProcess> {
    const { socket, host, dir, config = "[volumes]\n", wrap = [] } = options;
    const logFile = await Deno.makeTempFile({
      dir,
      prefix: "plugin-",
      suffix: ".log",
    });
    const configFile = logFile.replace(/log$/, "toml");
    await Deno.writeTextFile(configFile, config);
    const child = new Deno.Command("sh", {
      args: [
        ...["-c", 'exec "$@" 2>>"$0"', logFile],
        ...wrap,
        ...await command(),
        ...["--socket", socket, "--host", host, "--addr", "off"],
        ...["--config", configFile],
      ],
      env: { NO_COLOR: "1" },
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
    }).spawn();
    const started = new PluginProcess(child, dir, logFile);
    // dockerd.sh ends the processes noted here when the tests can't.
    await Deno.mkdir(`${dir}/plugins`, { recursive: true });
    await Deno.writeTextFile(started.#note, "");
    return started;
  }

  /** What it logged so far. */
  log(): Promise<string> {
    return Deno.readTextFile(this.#logFile);
  }

  /** How it ended, when it has. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended by itself.
    }
    await this.#child.status;
    await Deno.remove(this.#note).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/**
 * Waits until a plugin answers on a socket.
 *
 * @param socket where it listens
 * @param timeout milliseconds until it gives up
 * @returns how many milliseconds it took
 * @throws Error when it does not answer in time
 */
export async function answers(
  socket: string,
  timeout = 20_000,
): Promise<number> {
  const begin = performance.now();
  for (;;) {
    const took = performance.now() - begin;
    try {
      const bytes = request("POST", "/Plugin.Activate");
      const [{ body }] = await exchange(socket, bytes, { timeout });
      if (body.includes("authz")) return performance.now() - begin;
    } catch {
      // Nobody is there yet.
    }
    if (took > timeout) throw new Error(`no plugin answers on ${socket}`);
    await sleep(10);
  }
}

/** The program and its first arguments: those of the task `start`, so that it has its permissions. */
async function command(): Promise<string[]> {
  const other = Deno.env.get("DPP_PLUGIN");
  if (other) return other.split(" ");
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as {
    tasks: { start: string };
  };
  const [, ...rest] = tasks.start.split(" ");
  return [Deno.execPath(), ...rest];
}
