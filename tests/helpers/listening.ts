/**
 * The plugin as a process that listens, from source and as the executable, on a
 * socket of its own or on one that is passed as systemd does.
 */

import { startTask } from "../engine/plugin.ts";
import { assert } from "@std/assert";
import { whyNoExecutable } from "./executable.ts";
import { run, sleep, whyNo } from "./programs.ts";

export const LINUX = Deno.build.os === "linux";

/** The plugin as a command line. */
export interface PluginKind {
  kind: "source" | "executable";
  command: string[];
  /** Why there is none. */
  skip?: string;
}

/** Why no socket can be passed here as systemd does. */
export const noActivate = LINUX
  ? await whyNo({ "systemd-socket-activate": "systemd" })
  : "systemd runs on Linux only";
const executable = await makeTemporary();
/** Both kinds. */
export const plugins: PluginKind[] = [
  { kind: "source", command: await startTask() },
  {
    kind: "executable",
    command: [executable.file],
    skip: executable.failure,
  },
];
/** Makes the executable, or tells why it can't be made. */
async function makeTemporary(): Promise<{ file: string; failure?: string }> {
  const dir = await Deno.makeTempDir({ prefix: "dpp-compile-" });
  globalThis.addEventListener(
    "unload",
    () => Deno.removeSync(dir, { recursive: true }),
  );
  const file = `${dir}/docker-policy-plugin`;
  return { file, failure: await whyNoExecutable(file) };
}

/** A plugin that was started, whatever becomes of it. */
export class Process {
  readonly pid: number;
  #child: Deno.ChildProcess;
  #log = "";
  #logged: Promise<void>;

  /**
   * @param command program and arguments
   * @param env variables beside the test's own
   */
  constructor([program, ...args]: string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(program, {
      args,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#logged = this.#keepLog();
  }

  /** What it logged so far. */
  get log(): string {
    return this.#log;
  }

  /** Waits until a line of its log matches. */
  async says(text: string): Promise<void> {
    const end = Date.now() + 20_000;
    while (!this.#log.includes(text)) {
      assert(Date.now() < end, `it never said "${text}":\n${this.#log}`);
      await sleep(20);
    }
  }

  /** Sends a signal; to one that has ended it means nothing. */
  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch {
      // It has ended.
    }
  }

  /**
   * Waits for the end.
   *
   * @returns its status, and how long that took in milliseconds
   */
  async ended(): Promise<{ code: number; took: number }> {
    const begin = Date.now();
    const timer = setTimeout(() => this.signal("SIGKILL"), 20_000);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await this.#logged;
    return { code, took: Date.now() - begin };
  }

  async #keepLog(): Promise<void> {
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const part of text) this.#log += part;
  }
}

/** Arguments that keep a test's plugin away from the host. */
export function argsFor(
  socket: string,
  engine = "/nonexistent.sock",
): string[] {
  return ["--socket", socket, "--addr", "off", "--host", `unix://${engine}`];
}

/** The lines of `ss` on TCP ports that a process listens on. */
export async function tcpPorts(pid: number): Promise<string> {
  const { stdout } = await run(["ss", "-ltnpH"]);
  return stdout.split("\n").filter((line) => line.includes(`pid=${pid},`))
    .join("\n");
}

/**
 * The command that waits for a connection, then runs what follows and passes
 * the sockets, as systemd would.
 */
export function activated(sockets: string[]): string[] {
  const listens = sockets.flatMap((each) => ["--listen", each]);
  // It hands on no variable that is not named.
  return [
    "systemd-socket-activate",
    ...listens,
    ...["-E", "DENO_DIR", "-E", "NO_COLOR"],
  ];
}

/** Makes the first connection, once somebody listens. */
export async function connectTo(socket: string): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ transport: "unix", path: socket })).close();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await sleep(25);
    }
  }
}
