/**
 * The plugin as a process: started as `deno task start` starts it, with its log kept.
 *
 * `DPP_PLUGIN` names another program to test, as `DPP_PLUGIN=dist/docker-policy-plugin`.
 */

import { sleep } from "../helpers/programs.ts";
import { exchange, request } from "./raw_http.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** How the plugin is to be started. */
export interface PluginOptions {
  /** The socket it listens on; the engine's name for it is this file's name. */
  socket: string;
  /** The engine that it asks, as `unix:///path`. */
  host: string;
  /** A folder for its log, its configuration and a note of its process. */
  dir: string;
  /** The text of its configuration file; null for no `--config` at all. Default: the volume policy alone. */
  config?: string | null;
  /** More arguments. */
  args?: string[];
  /** More environment variables. */
  env?: Record<string, string>;
  /** A command that runs the plugin's own, which follows it: among other users, or on a socket that systemd passes. */
  wrap?: string[];
}

/** One running plugin. */
export class Plugin {
  /** The socket it listens on. */
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
   * Starts the plugin and waits until it listens.
   *
   * @throws Error with its log if it ends first, or does not listen within 20 s
   */
  static async start(options: PluginOptions): Promise<Plugin> {
    const plugin = await Plugin.launch(options);
    await plugin.#listens();
    return plugin;
  }

  /** Starts the plugin, and does not wait for anything. */
  static async launch(options: PluginOptions): Promise<Plugin> {
    const { dir, socket, host, wrap = [] } = options;
    const logFile = await Deno.makeTempFile({
      dir,
      prefix: "plugin-",
      suffix: ".log",
    });
    const args = ["--socket", socket];
    if (!options.args?.includes("--host")) args.push("--host", host);
    // Tests run side by side, and its port is one for all.
    if (!options.args?.includes("--addr")) args.push("--addr", "off");
    const config = options.config === undefined
      ? "[volumes]\n"
      : options.config;
    if (config !== null) {
      const file = logFile.replace(/log$/, "toml");
      await Deno.writeTextFile(file, config);
      args.push("--config", file);
    }
    args.push(...options.args ?? []);

    // The shell puts the log into a file, so that no stream is left to be read, and makes way.
    const process = new Deno.Command("sh", {
      args: [
        ...["-c", 'exec "$@" 2>>"$0"', logFile],
        ...wrap,
        ...await startCommand(),
        ...args,
      ],
      env: { NO_COLOR: "1", ...options.env },
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    // dockerd.sh ends the processes noted here when the tests can't.
    await Deno.mkdir(`${dir}/plugins`, { recursive: true });
    const note = `${dir}/plugins/${process.pid}`;
    await Deno.writeTextFile(note, "");
    return new Plugin(socket, process, logFile, note);
  }

  /** What it logged so far. */
  log(): Promise<string> {
    return Deno.readTextFile(this.#logFile);
  }

  /** How it ended, once it has. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /** The process's number; the wrapping command's, if that does not make way. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Gives it other settings, and has it read them. */
  async reload(config: string): Promise<void> {
    await Deno.writeTextFile(this.#logFile.replace(/log$/, "toml"), config);
    const times = async () => (await this.log()).split("settings read").length;
    const before = await times();
    this.#signal("SIGHUP");
    const end = Date.now() + 20_000;
    while (await times() === before) {
      if (Date.now() > end) throw new Error(`no reload:\n${await this.log()}`);
      await sleep(30);
    }
  }

  /**
   * Stops it as systemd does.
   *
   * @throws Error when it did not end with status 0 within 5 s
   */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const status = await this.#ended(5000);
    if (!status) {
      await this.kill();
      throw new Error(
        `the plugin did not stop within 5 s; its log:\n${await this.log()}`,
      );
    }
    if (status.code !== 0) {
      throw new Error(
        `the plugin ended with ${
          status.signal ?? status.code
        }; its log:\n${await this.log()}`,
      );
    }
  }

  /** Ends it as a crash does: no farewell, and the socket's file stays. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#process.status;
    await Deno.remove(this.#note).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #signal(name: Deno.Signal): void {
    try {
      this.#process.kill(name);
    } catch {
      // It ended by itself; its status says how.
    }
  }

  async #ended(milliseconds: number): Promise<Deno.CommandStatus | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) =>
      timer = setTimeout(() => resolve(undefined), milliseconds)
    );
    const status = await Promise.race([this.#process.status, late]);
    clearTimeout(timer);
    if (status) await Deno.remove(this.#note).catch(() => {});
    return status;
  }

  async #listens(): Promise<void> {
    const end = Date.now() + 20_000;
    for (;;) {
      const connection = await Deno.connect({
        transport: "unix",
        path: this.socket,
      }).catch(() => undefined);
      connection?.close();
      if (connection) return;
      const ended = await this.#ended(30);
      if (ended || Date.now() > end) {
        await this.kill();
        throw new Error(
          `the plugin does not listen on ${this.socket}; its log:\n${await this
            .log()}`,
        );
      }
      await sleep(20);
    }
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

/** The program and its first arguments: those of the task `start`, so that the tests use its permissions. */
export async function startCommand(): Promise<string[]> {
  const other = Deno.env.get("DPP_PLUGIN");
  return other ? other.split(" ") : await startTask();
}

/** The command of the task `start`. */
export async function startTask(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as {
    tasks: { start: string };
  };
  const [, ...rest] = tasks.start.split(" ");
  return [Deno.execPath(), ...rest.slice(0, -1), `${ROOT}main.ts`];
}
