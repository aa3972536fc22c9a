/**
 * A dockerd of the tests' own: where it comes from, and its start, reload and stop.
 *
 * `ENGINE` names the generation. Unset, it is whatever `dockerd` is on the PATH. `20`, `26` and `28` are the
 * engines of Debian bookworm, trixie and sid: the one on the PATH if its version fits, else one in a root
 * file system that debootstrap makes once, under `ENGINES` (default /var/tmp/engines). Debian has no `29`: its
 * tests are skipped unless there is a root file system with it, `root29` in the same place.
 *
 * `ENGINE_STORE=containerd` has Docker 24 to 28 keep images in containerd's store, the default from 29 on, and
 * `ENGINE_STORE=classic` has Docker 29 keep them as those did.
 *
 * `dockerd.sh` does the part that needs a shell, and says how an engine is kept apart from the host's.
 */

import { makeTree, once, STORE } from "../helpers/debian.ts";
import { exists, must, sleep, which } from "../helpers/programs.ts";

export { sleep, which };

/** The generations, and the Debian suite that has each. */
const SUITES: Record<string, string | undefined> = {
  "20": "bookworm",
  "26": "trixie",
  "28": "sid",
  "29": undefined,
};

/** A dockerd to start, and the client that belongs to it. */
interface Program {
  /** Root file system that it lives in, or "-" for the host's own. */
  tree: string;
  /** The docker client: a path on the host, or in `tree`. */
  client: string;
}

/** The major version of the engine that the tests get; 0 if there is none. */
export async function engineMajor(): Promise<number> {
  return Number(Deno.env.get("ENGINE")) || parseInt(await versionOnPath()) || 0;
}

/** Whether that engine keeps several platforms' images behind a name, unless its test says otherwise. */
export async function keepsPlatforms(): Promise<boolean> {
  const store = Deno.env.get("ENGINE_STORE");
  return store === "containerd" ||
    (store !== "classic" && await engineMajor() >= 29);
}

/**
 * Why no engine can be started here, or undefined if one can.
 *
 * @returns A reason with the way out, for the name of a test that is skipped.
 * @throws {Error} If `ENGINE` asks for a generation that could be had: who names one wants its tests run, not skipped.
 */
export async function whyNoEngine(): Promise<string | undefined> {
  const wanted = Deno.env.get("ENGINE");
  const reason = await whyNot(wanted);
  if (reason && wanted && wanted !== "29") {
    throw new Error(`ENGINE=${wanted}: ${reason}`);
  }
  return reason;
}

async function whyNot(wanted: string | undefined): Promise<string | undefined> {
  if (wanted && !(wanted in SUITES)) {
    return `no such engine: use one of ${
      Object.keys(SUITES).join(", ")
    }, or leave ENGINE unset`;
  }
  if (Deno.build.os !== "linux") return "dockerd runs on Linux only";
  if (Deno.uid() !== 0) return "dockerd needs root: run the tests as root";
  if (!(await which("unshare"))) return "no unshare: install util-linux";
  if (!wanted) {
    return await which("dockerd") ? undefined : "no dockerd: install docker.io";
  }
  const tree = treeOf(wanted);
  if (await onPath(wanted) || await exists(`${tree}/usr/sbin/dockerd`)) {
    return undefined;
  }
  if (!SUITES[wanted]) return `no Docker ${wanted}: ${tree} has none`;
  return await which("debootstrap")
    ? undefined
    : "no such dockerd here, and no debootstrap to make one: install it";
}

/** How an engine is to be started. */
export interface DockerdOptions {
  /** More keys for its `daemon.json`. */
  config?: Record<string, unknown>;
  /** "private" (default): a loop-back of its own and nothing else. "host": the host's network. */
  network?: "private" | "host";
  /** More arguments, as `-H tcp://127.0.0.1:2376`. */
  args?: string[];
  /** A command that starts it: with a variable, or with a socket that systemd passes. */
  wrap?: string[];
}

/** One running dockerd with its own state. */
export class Dockerd {
  /** Its directory; the base name is its name on this machine. */
  readonly dir: string;
  /** The path of its API socket. */
  readonly socket: string;
  /** Whether it keeps several platforms' images behind one name: containerd's store does. */
  readonly keepsPlatforms: boolean;
  /** The path of a static busybox, for images and for what a root file system lacks. */
  readonly busybox: string;

  #program: Program;
  #options: DockerdOptions;
  #plugins: string[] = [];
  #process: Deno.ChildProcess | undefined;

  private constructor(
    dir: string,
    program: Program,
    busybox: string,
    keepsPlatforms: boolean,
    options: DockerdOptions,
  ) {
    this.keepsPlatforms = keepsPlatforms;
    this.dir = dir;
    this.socket = `${dir}/docker.sock`;
    this.busybox = busybox;
    this.#program = program;
    this.#options = options;
  }

  /**
   * Starts an engine in a new directory, with no plugin.
   *
   * @throws Error with the end of the engine's log when it does not answer within half a minute
   */
  static async start(options: DockerdOptions = {}): Promise<Dockerd> {
    const program = await findProgram();
    const busybox = await findBusybox();
    // Not under /tmp, which is often an overlay that dockerd can't put its own overlays on.
    const dir = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "dpp-" });
    const dockerd = new Dockerd(
      dir,
      program,
      busybox,
      await keepsPlatforms(),
      options,
    );
    await Deno.mkdir(`${dir}/plugins`);
    await Deno.mkdir(`${dir}/run`);
    await Deno.mkdir(`${dir}/client`);
    await dockerd.#start();
    return dockerd;
  }

  /** The engine's name on this machine, which its plugin sockets and cgroups carry. */
  get name(): string {
    return this.dir.slice(this.dir.lastIndexOf("/") + 1);
  }

  /** The number, on this machine, of dockerd's process. */
  async pid(): Promise<number> {
    return Number(await Deno.readTextFile(`${this.dir}/pid`));
  }

  /** What dockerd logged so far. */
  log(): Promise<string> {
    return Deno.readTextFile(`${this.dir}/dockerd.log`);
  }

  /**
   * The arguments that run this engine's own docker client, paths in `dir` being the same for it.
   *
   * In a tree it runs among dockerd's mounts, as its libraries are not the host's.
   */
  async client(): Promise<string[]> {
    const { tree, client } = this.#program;
    if (tree === "-") return [client];
    return [
      "nsenter",
      `--target=${await this.pid()}`,
      "--mount",
      "--root",
      "--wd",
      client,
    ];
  }

  /**
   * Has the running engine take other authorization plugins. They must be there: it ends itself otherwise.
   *
   * @param plugins names, in the order they are asked; none for an engine that asks nobody
   */
  async setPlugins(plugins: string[]): Promise<void> {
    const before = occurrences(await this.log(), "Reloaded configuration");
    this.#plugins = plugins;
    await this.#writeConfig();
    Deno.kill(await this.pid(), "SIGHUP");
    await this.#until("take its new configuration", async () => {
      return occurrences(await this.log(), "Reloaded configuration") > before;
    });
  }

  /** Stops the engine and starts it again on the same state, with the same plugins. */
  async restart(): Promise<void> {
    await this.#end("keep\n");
    await this.#start();
  }

  /** Stops the engine and removes all it had. */
  async stop(): Promise<void> {
    await this.#end("");
  }

  async #start(): Promise<void> {
    await this.#writeConfig();
    const { dir } = this;
    // In a session of its own: what ends the tests, as ^C in a terminal, must not reach what cleans up after them.
    this.#process = new Deno.Command("setsid", {
      args: [
        ...this.#options.wrap ?? [],
        "bash",
        new URL("dockerd.sh", import.meta.url).pathname,
        dir,
        this.#program.tree,
        this.#options.network ?? "private",
        this.busybox,
        ...[
          "--config-file",
          `${dir}/daemon.json`,
          "--pidfile",
          `${dir}/dockerd.pid`,
        ],
        ...[
          "--data-root",
          `${dir}/data`,
          "--exec-root",
          `${dir}/exec`,
          "--host",
          `unix://${this.socket}`,
        ],
        ...this.#options.args ?? [],
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    try {
      await this.#until("answer", async () => {
        const connection = await Deno.connect({
          transport: "unix",
          path: this.socket,
        }).catch(() => undefined);
        connection?.close();
        return connection !== undefined;
      });
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #end(last: string): Promise<void> {
    const process = this.#process;
    if (!process) return;
    this.#process = undefined;
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(last)).catch(() => {});
    await writer.close().catch(() => {});
    await process.status;
  }

  async #writeConfig(): Promise<void> {
    const config = {
      "authorization-plugins": this.#plugins,
      bridge: "none",
      iptables: false,
      ...await this.#isOld() ? {} : { ip6tables: false },
      // Its own cgroup, so that nothing of a container that was killed stays behind in the host's.
      "exec-opts": ["native.cgroupdriver=cgroupfs"],
      "cgroup-parent": `/${this.name}`,
      ...(this.keepsPlatforms || await engineMajor() >= 29) &&
        { features: { "containerd-snapshotter": this.keepsPlatforms } },
      ...this.#options.config,
    };
    await Deno.writeTextFile(`${this.dir}/daemon.json`, JSON.stringify(config));
  }

  /** Whether this is 20.10, which takes no `ip6tables` without its experimental mode. */
  async #isOld(): Promise<boolean> {
    return this.#program.tree === "-" &&
      (await versionOnPath()).startsWith("20.");
  }

  async #until(what: string, done: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 30_000;
    while (!(await done())) {
      const log = await this.log().catch(() => "");
      if (
        Date.now() > end || / level=fatal |failed to start daemon/.test(log)
      ) {
        throw new Error(
          `dockerd did not ${what}; its log ends:\n${
            log.split("\n").slice(-12).join("\n")
          }`,
        );
      }
      await sleep(50);
    }
  }
}

async function findProgram(): Promise<Program> {
  const wanted = Deno.env.get("ENGINE");
  if (!wanted || await onPath(wanted)) {
    // A client that came with this dockerd, rather than the first on the PATH: their versions belong together.
    const dockerd = await which("dockerd") ?? "";
    const beside = dockerd.replace(/s?bin\/dockerd$/, "bin/docker");
    const client = await exists(beside) ? beside : await which("docker");
    if (!client) {
      throw new Error(
        "no docker client on the PATH: install docker.io or docker-cli",
      );
    }
    return { tree: "-", client };
  }
  const tree = treeOf(wanted);
  await makeTree(tree, SUITES[wanted] ?? "", ["docker.io", "ca-certificates"]);
  // From trixie on the client is a package of its own.
  if (!(await exists(`${tree}/usr/bin/docker`))) {
    await once(tree, ADD_CLIENT);
  }
  return { tree, client: "/usr/bin/docker" };
}

/** The root file system of a generation. */
function treeOf(generation: string): string {
  return `${STORE}/root${generation}`;
}

const ADD_CLIENT = `
  [ -x "$1/usr/bin/docker" ] || chroot "$1" sh -c "
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq -o Acquire::Check-Valid-Until=false && # a mirror may lag behind
      apt-get install -qq --no-install-recommends docker-cli" >&2`;

async function findBusybox(): Promise<string> {
  const kept = `${STORE}/busybox`;
  for (const path of ["/bin/busybox", "/usr/bin/busybox", kept]) {
    if (await exists(path) && await isStatic(path)) return path;
  }
  // Debian's package, unpacked and not installed.
  const script = `
    set -eu
    [ -x "$1" ] && exit 0
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    cd "$dir"
    apt-get download -qq -o APT::Sandbox::User=root busybox-static >&2 ||
      { apt-get update -qq >&2; apt-get download -qq -o APT::Sandbox::User=root busybox-static >&2; }
    dpkg-deb -x busybox-static*.deb .
    find . -name busybox -type f -exec mv {} "$1" \\;`;
  try {
    await once(kept, script);
  } catch (error) {
    throw new Error(
      `the test images need a static busybox: install busybox-static (${error})`,
    );
  }
  return kept;
}

/** Whether a program needs no interpreter: a dynamic one names its ld.so near the start of the file. */
async function isStatic(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const head = new Uint8Array(4096);
  const length = await file.read(head) ?? 0;
  return !new TextDecoder("latin1").decode(head.subarray(0, length)).includes(
    "/ld-",
  );
}

async function onPath(generation: string): Promise<boolean> {
  return (await versionOnPath()).startsWith(`${generation}.`);
}

let version: Promise<string> | undefined;

/** The version of the dockerd on the PATH, as "20.10.24+dfsg1", or "" if there is none. */
function versionOnPath(): Promise<string> {
  return version ??= which("dockerd")
    .then((path) => path ? must([path, "--version"]) : "")
    .then((text) => text.match(/version ([^\s,]+)/)?.[1] ?? "");
}

function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}
