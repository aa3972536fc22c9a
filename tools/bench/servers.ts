/**
 * The processes that are measured.
 *
 * @module
 */
import { sleepSync, UnixSocket } from "./libc.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SCRIPTS = new URL(".", import.meta.url).pathname;

/** How a server gets its socket: it opens one itself, or systemd hands it over. */
export type SocketKind = "own" | "passed";

/** A program that can be started as a server. */
export interface Program {
  /** @returns Program and arguments for a socket file; a passed socket is descriptor 3. */
  command(kind: SocketKind, socket: string): string[];
}

/** A program that serves. */
export class Server {
  readonly #child: Deno.ChildProcess;

  private constructor(readonly socket: string, child: Deno.ChildProcess) {
    this.#child = child;
  }

  /**
   * Starts a program as a server; it need not listen yet.
   *
   * @param program The program.
   * @param kind How it gets its socket.
   * @param socket The socket file.
   * @returns The process.
   */
  static start(program: Program, kind: SocketKind, socket: string): Server {
    const command = program.command(kind, socket);
    const [first, ...args] = kind === "own"
      ? command
      : ["systemd-socket-activate", "-l", socket, ...passedOn(), ...command];
    const child = new Deno.Command(first, {
      args,
      stdin: "null",
      stdout: "null",
      // What it has to complain about matters only where it does not serve.
      stderr: Deno.env.get("BENCH_LOG") ? "inherit" : "null",
    }).spawn();
    return new Server(socket, child);
  }

  /** The number of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Waits until it takes connections, and blocks everything else.
   *
   * @throws Error where it does not within 20 seconds.
   */
  waitUntilListening(): void {
    const end = performance.now() + 20_000;
    while (performance.now() < end) {
      const socket = UnixSocket.connect(this.socket);
      if (socket) return socket.close();
      sleepSync(0.2);
    }
    throw new Error(
      `nobody listens on ${this.socket}; BENCH_LOG=1 shows the servers' logs`,
    );
  }

  /** Waits until systemd-socket-activate has opened the socket, and blocks everything else. */
  waitUntilBound(): void {
    const end = performance.now() + 20_000;
    while (performance.now() < end) {
      try {
        Deno.statSync(this.socket);
        return sleepSync(20); // It listens as soon as it is bound.
      } catch {
        sleepSync(1);
      }
    }
    throw new Error(`there is no ${this.socket}`);
  }

  /** @returns The processor time it has used, in microseconds. */
  cpu(): number {
    return cpuOf(this.pid);
  }

  /** @returns Its resident memory, in MB. */
  memory(): number {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024 / 1e6;
  }

  /** Ends it. */
  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await Deno.remove(this.socket).catch(() => {});
  }
}

/**
 * @param pid The number of a process.
 * @returns The processor time it has used, in microseconds.
 */
export function cpuOf(pid: number): number {
  let nanoseconds = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      const file = `/proc/${pid}/task/${name}/schedstat`;
      nanoseconds += Number(Deno.readTextFileSync(file).split(" ")[0]);
    } catch {
      // That thread has just ended.
    }
  }
  return nanoseconds / 1000;
}

/** The variables that systemd-socket-activate is to leave where they are. */
function passedOn(): string[] {
  return ["DENO_DIR", "HOME", "PATH"]
    .filter((name) => Deno.env.has(name))
    .flatMap((name) => ["-E", `${name}=${Deno.env.get(name)}`]);
}

/** Whether a bare server reads what is posted, and whether an engine can take it for a plugin. */
export type Floor = "unread" | "read" | "plugin";

/**
 * @param how What it does beside answering.
 * @returns A bare server: `Deno.serve` on a path, `node:http` on a passed socket.
 */
export function floor(how: Floor): Program {
  return {
    command: (kind, socket) =>
      script("floor.ts", kind === "own" ? "path" : "fd", how, socket),
  };
}

/** The engine's stand-in. */
export const STUB: Program = {
  command: (_, socket) => script("stub_engine.ts", socket),
};

function script(file: string, ...args: string[]): string[] {
  // With the plugin's own permissions: to check them is no free ride.
  const [deno, run, ...flags] = startTask(ROOT).slice(0, -1);
  return [deno, run, ...flags, SCRIPTS + file, ...args];
}

/**
 * @param options `host`: the engine that it asks; `config`: the file of its settings; `root`: another checkout of it.
 * @returns The plugin, started as the task `start` does, or as `DPP_PLUGIN` says.
 */
export function plugin(
  { host, config, root }: { host: string; config: string; root?: string },
): Program {
  const other = root === undefined && Deno.env.get("DPP_PLUGIN");
  const command = other ? other.split(" ") : startTask(root ?? ROOT);
  return {
    command: (_, socket) => [
      ...command,
      ...["--host", host, "--config", config],
      ...["--socket", socket, "--addr", "off"],
    ],
  };
}

/** The command of a checkout's task `start`, which can run anywhere. */
function startTask(root: string): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`)) as {
    tasks: { start: string };
  };
  const [, ...rest] = tasks.start.split(" ");
  return [Deno.execPath(), ...rest.slice(0, -1), `${root}/main.ts`];
}
