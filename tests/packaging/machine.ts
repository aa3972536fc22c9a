/**
 * A machine that systemd runs, with Debian's Docker, for the tests of the units.
 *
 * The machine is a Debian 12 in namespaces of its own, whose process 1 is
 * systemd 252, which RHEL 9 has as well. debootstrap makes it once, under
 * `ENGINES` (default /var/tmp/engines); each test gets a copy on write. Its
 * plugin runs from source, with the Deno that runs the test: not every base of
 * the executable can take over systemd's socket.
 */

import { makeTree, STORE } from "../helpers/debian.ts";
import {
  exists,
  must,
  type Result,
  run,
  sleep,
  which,
} from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { rootFileSystem } from "../engine/images.ts";
import { type Answer, exchange, request } from "../engine/raw_http.ts";
import { assert, assertEquals } from "../engine/verdict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const TREE = `${STORE}/machine12`;
const PACKAGES = [
  ...["systemd", "systemd-sysv", "dbus", "procps", "iproute2"],
  ...["docker.io", "busybox-static"],
  // For Ansible's modules, and in front of the engine.
  ...["python3", "haproxy"],
];

export const PLUGIN = "docker-policy-plugin";
export const SOCKET = `/run/docker/plugins/${PLUGIN}.sock`;
export const EXECUTABLE = `/usr/libexec/docker/${PLUGIN}`;

const command = (...command: string[]) => run(command, { timeout: 300_000 });

/** Why no machine can be booted here, or undefined when one can. */
export async function whyNoMachine(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "systemd runs on Linux only";
  if (Deno.uid() !== 0) return "it needs root";
  for (const program of ["unshare", "nsenter", "setsid", "flock"]) {
    if (!await which(program)) return `no ${program}: install util-linux`;
  }
  if (!await exists(TREE) && !await which("debootstrap")) {
    return "no debootstrap to make a machine with: install it";
  }
  const { code, stderr } = await command(
    ...["unshare", "--mount", "--pid", "--net", "--cgroup", "--fork"] as const,
    ...["mount", "-t", "cgroup2", "cgroup2", "/mnt"],
  );
  if (code !== 0) {
    return `no namespaces, or no version 2 of control groups, to be had: ${stderr.trim()}`;
  }
}

const noMachine = await whyNoMachine();

/**
 * Boots the machine for each line on stdin, once the one before has ended;
 * removes it all when stdin ends, even when the tests were killed.
 *
 * Control groups: a mount of version 2 shows the whole hierarchy, wherever and
 * however the host has it mounted; a group of its own becomes the root of what
 * the machine sees. The host's /dev, /sys and /proc/sys are kept from its
 * hands.
 */
const MACHINE = `
set -u
dir=$1 tree=$2 name=\${1##*/} unshare=
inside='
  set -eu
  dir=$1 root=$1/root
  read -r pid _ </proc/self/stat # its number outside, since that is the proc that is mounted
  mount -t overlay -o "lowerdir=$2,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount --bind "$dir/run" "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755 dev "$root/dev"
  for each in null zero full random urandom tty; do
    : >"$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mkdir -p "$root/var/lib/docker" # the overlays of Docker can not stand on an overlay
  mount --bind "$dir/docker" "$root/var/lib/docker"
  cd "$root"
  pivot_root . .
  umount --lazy .
  echo "$pid" >/run/pid
  exec chroot . env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /sbin/init --log-target=journal
'
while read -r _; do
  [ -z "$unshare" ] || wait "$unshare"
  rm -rf "$dir/run"
  mkdir -p "$dir/upper" "$dir/work" "$dir/root" "$dir/run" "$dir/docker"
  setsid unshare --mount bash -c '
    set -eu
    dir=$1 tree=$2 name=$3 inside=$4
    mount -t cgroup2 cgroup2 "$dir/root"
    mkdir -p "$dir/root/$name"
    echo $$ >"$dir/root/$name/cgroup.procs"
    umount "$dir/root"
    exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child=KILL bash -c "$inside" sh "$dir" "$tree"
  ' sh "$dir" "$tree" "$name" "$inside" </dev/null >>"$dir/boot.log" 2>&1 &
  unshare=$!
done
[ -z "$unshare" ] || { kill -KILL "$unshare"; wait "$unshare"; } 2>/dev/null
unshare --mount sh -c '
  mount -t cgroup2 cgroup2 /mnt
  for _ in 1 2 3 4 5; do # until the kernel has ended all that was in there
    find "/mnt/$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "/mnt/$1" ] || break
    sleep 0.2
  done' sh "$name"
rm -rf --one-file-system "$dir"
`;

/** A machine that runs. */
export class Machine {
  /**
   * Its directory; below `upper` stands what it has beside the tree, while it
   * is not booted.
   */
  readonly dir: string;
  #process: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(dir: string) {
    this.dir = dir;
    // In a session of its own: what ends the tests, as ^C in a terminal, must
    // not reach what cleans up after them.
    this.#process = new Deno.Command("setsid", {
      args: ["bash", "-c", MACHINE, "machine", dir, TREE],
      stdin: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
  }

  /**
   * Makes a machine that is switched off, with an engine that has no need of a
   * network.
   */
  static async make(): Promise<Machine> {
    await makeTree(TREE, "bookworm", PACKAGES);
    // Not under /tmp, which can be an overlay, on which no other stands.
    const machine = new Machine(
      await Deno.makeTempDir({ dir: "/var/tmp", prefix: "dpp-machine-" }),
    );
    const units = `${machine.dir}/upper/etc/systemd/system`;
    await Deno.mkdir(units, { recursive: true });
    for (
      const unit of [
        ...["console-getty.service", "getty.target", "timers.target"],
        // Debian's own, which has nothing to do here.
        "haproxy.service",
      ]
    ) {
      await Deno.symlink("/dev/null", `${units}/${unit}`);
    }
    await Deno.symlink(
      "/lib/systemd/system/multi-user.target",
      `${units}/default.target`,
    );
    return machine;
  }

  /**
   * Switches it on, after it has ended if it was on, and waits until all that
   * is to start has started.
   *
   * @throws Error when that takes more than a minute
   */
  async boot(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("boot\n"));
    const end = Date.now() + 60_000;
    for (;;) {
      // "running" or "degraded"; systemctl fails until process 1 answers.
      const { stdout } = await this.run("systemctl", "is-system-running");
      if (/^(running|degraded)/.test(stdout)) return;
      if (Date.now() > end) {
        const log = await Deno.readTextFile(`${this.dir}/boot.log`);
        throw new Error(`the machine does not boot (${stdout.trim()}): ${log}`);
      }
      await sleep(100);
    }
  }

  /** Has systemd end everything in its order, and the machine with it. */
  async shutDown(): Promise<void> {
    const pid = await this.pid();
    await this.run("systemctl", "poweroff");
    for (let tries = 0; await exists(`/proc/${pid}`); tries++) {
      if (tries === 300) throw new Error("the machine does not shut down");
      await sleep(100);
    }
  }

  /** Runs a command in it. */
  async run(...args: string[]): Promise<Result> {
    return await command(
      ...["nsenter", `--target=${await this.pid()}`, "--mount", "--pid"],
      ...["--uts", "--ipc", "--net", "--cgroup", "--root", "--wd"],
      ...["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
      ...args,
    );
  }

  /**
   * Runs a command that has to succeed in it.
   *
   * @returns what it printed, without white space at its ends
   */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code === 0) return stdout.trim();
    throw new Error(`${args.join(" ")}: ${code} ${stdout}${stderr}`);
  }

  /**
   * Writes a file in it, as `install` does: beside, then in place of an old
   * one.
   */
  async write(path: string, text: string, mode = "644"): Promise<void> {
    const file = await Deno.makeTempFile({ dir: `${this.dir}/run` });
    await Deno.writeTextFile(file, text);
    const there = file.slice(this.dir.length);
    await this.must("install", "-D", "-m", mode, there, `${path}.new`);
    await this.must("mv", `${path}.new`, path);
    await Deno.remove(file);
  }

  /** One property of a unit, as systemd has it. */
  async property(unit: string, name: string): Promise<string> {
    return await this.must("systemctl", "show", "-P", name, unit);
  }

  /**
   * Asks its engine; the answer may take as long as the engine waits for a
   * plugin.
   */
  async api(
    method: string,
    path: string,
    body?: Uint8Array | Record<string, unknown>,
  ): Promise<Answer> {
    const [answer] = await exchange(
      `${this.dir}/run/docker.sock`,
      request(method, path, { body }),
      { timeout: 40_000 },
    );
    return answer;
  }

  /** The plugin's journal. */
  async journal(): Promise<string> {
    return await this.must("journalctl", "-o", "cat", "-u", PLUGIN);
  }

  /** What the monitor API says. */
  async monitor(path: string): Promise<string> {
    const socket = `${this.dir}/run/${PLUGIN}/monitor.sock`;
    for (let tries = 0;; tries++) {
      try {
        const [{ body }] = await exchange(socket, request("GET", path));
        return body;
      } catch (error) {
        // The engine's socket is up a moment earlier.
        if (tries === 50) throw error;
        await sleep(100);
      }
    }
  }

  /** Ends it, whatever it does, and removes it. */
  async remove(): Promise<void> {
    await this.#input.close();
    await this.#process.status;
  }

  /** Its process 1, as this machine counts it. */
  async pid(): Promise<string> {
    const text = await Deno.readTextFile(`${this.dir}/run/pid`)
      .catch(() => "");
    // No process has this one, so that what is done with it fails.
    return text.trim() || "2147483647";
  }
}

/** Where the sources of a version stand in the machine. */
const sourcesOf = (version: string) => `/usr/local/lib/${PLUGIN}/${version}`;

/**
 * Puts Deno and the plugin's sources into a machine that is switched off, as
 * the versions 1.0.0 and 2.0.0.
 */
export async function putSources(machine: Machine): Promise<void> {
  const upper = `${machine.dir}/upper`;
  const config = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  await must([Deno.execPath(), "cache", "--quiet", `${ROOT}main.ts`]);
  for (const version of ["1.0.0", "2.0.0"]) {
    const to = upper + sourcesOf(version);
    await Deno.mkdir(to, { recursive: true });
    await must(["cp", "-r", `${ROOT}main.ts`, `${ROOT}lib`, to]);
    await Deno.writeTextFile(
      `${to}/deno.json`,
      JSON.stringify({ ...config, version }),
    );
  }
  const { npmCache } = JSON.parse(
    await must([Deno.execPath(), "info", "--json"]),
  ) as { npmCache: string };
  await Deno.mkdir(`${upper}/usr/local/lib/deno`, { recursive: true });
  await must(["cp", "-r", npmCache, `${upper}/usr/local/lib/deno/npm`]);
  await Deno.mkdir(`${upper}/usr/local/bin`, { recursive: true });
  await must(["cp", Deno.execPath(), `${upper}/usr/local/bin/deno`]);
}

/**
 * What stands in for the executable: the sources, run as the task `start` runs
 * them, in the same process.
 */
export async function executable(version: string): Promise<string> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as {
    tasks: { start: string };
  };
  const [deno, run, ...flags] = tasks.start.split(" ").slice(0, -1);
  return [
    "#!/bin/sh",
    "export DENO_DIR=/usr/local/lib/deno",
    ...["NPM_CONFIG_REGISTRY"].flatMap((name) => {
      const value = Deno.env.get(name);
      return value ? [`export ${name}=${value}`] : [];
    }),
    `exec /usr/local/bin/${deno} ${run} --cached-only --no-lock ${
      flags.join(" ")
    } ${sourcesOf(version)}/main.ts "$@"`,
  ].join("\n") + "\n";
}

/** `install` as in the README, with the sources for the executable. */
export async function install(machine: Machine): Promise<void> {
  await machine.write(EXECUTABLE, await executable("1.0.0"), "755");
  for (const unit of [`${PLUGIN}.socket`, `${PLUGIN}.service`]) {
    await machine.write(
      `/usr/lib/systemd/system/${unit}`,
      await Deno.readTextFile(`${ROOT}systemd/${unit}`),
    );
  }
  await machine.must("ln", "-sf", EXECUTABLE, "/usr/bin/");
  await machine.must("systemctl", "daemon-reload");
}

/** Gives its engine the image `busybox:1`. */
export async function putImage(machine: Machine): Promise<void> {
  const files = await rootFileSystem(`${TREE}/bin/busybox`);
  for (let tries = 1;; tries++) {
    try {
      const target = "/images/create?fromSrc=-&repo=busybox&tag=1";
      const image = await machine.api("POST", target, files);
      assertEquals(image.status, 200, image.body);
      break;
    } catch (error) {
      // An engine that has just been booted may hang up once.
      if (tries === 3 || !(error instanceof Deno.errors.ConnectionReset)) {
        throw error;
      }
      await sleep(1000);
    }
  }
}

/** Writes the engine's settings. */
export async function setPlugins(
  machine: Machine,
  names: string[],
): Promise<void> {
  const settings = {
    "authorization-plugins": names,
    bridge: "none",
    iptables: false,
    "ip-forward": false,
  };
  await machine.write("/etc/docker/daemon.json", JSON.stringify(settings));
}

const DENIAL =
  `authorization denied by plugin ${PLUGIN}: volumes are not allowed: ` +
  "anonymous volume at /test";

/** The body of a create that the plugin refuses. */
export const WITH_VOLUME = {
  Image: "busybox:1",
  Cmd: ["true"],
  Volumes: { "/test": {} },
};

/** The body of a create that it lets pass. */
export const WITH_BIND = {
  Image: "busybox:1",
  Cmd: ["true"],
  HostConfig: { Binds: ["/srv:/test"], NetworkMode: "none" },
};

/** The plugin is in front of the engine, which works. */
export async function guards(machine: Machine): Promise<void> {
  const refused = await machine.api(
    "POST",
    "/containers/create",
    WITH_VOLUME,
  );
  assertEquals(refused.status, 403, refused.body);
  assert(refused.body.includes(DENIAL), refused.body);
  const created = await machine.api("POST", "/containers/create", WITH_BIND);
  assertEquals(created.status, 201, created.body);
  const { Id } = JSON.parse(created.body) as { Id: string };
  const started = await machine.api("POST", `/containers/${Id}/start`);
  assertEquals(started.status, 204, started.body);
  const waited = await machine.api("POST", `/containers/${Id}/wait`);
  assertEquals(JSON.parse(waited.body).StatusCode, 0);
  await machine.api("DELETE", `/containers/${Id}`);
}

/** How a create with a volume is answered; one that passes leaves nothing. */
export async function createStatus(machine: Machine): Promise<number> {
  const answer = await machine.api("POST", "/containers/create", WITH_VOLUME);
  if (answer.status === 201) {
    const { Id } = JSON.parse(answer.body) as { Id: string };
    await machine.api("DELETE", `/containers/${Id}?v=1`);
  }
  return answer.status;
}

/** A reload is under way when the command that asks for it returns. */
export async function createsBecome(
  machine: Machine,
  status: number,
): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if (await createStatus(machine) === status) return;
    await sleep(50);
  }
  throw new Error(`a create is not answered ${status}`);
}

/** The service's process; "0" if it does not run. */
export const mainPid = (machine: Machine) =>
  machine.property(`${PLUGIN}.service`, "MainPID");

/** Whether a unit runs, as systemd says it. */
export const isActive = (machine: Machine, unit: string) =>
  machine.property(unit, "ActiveState");

/**
 * A step of the test, with why it can't run here; the journal is shown if it
 * fails.
 */
export type Step = (
  name: string,
  body: () => void | Promise<void>,
  skip?: string,
) => Promise<void>;

/**
 * A test on a machine of its own, which has the plugin's sources and is booted.
 *
 * @param name The test's name.
 * @param body Its steps.
 * @param missing Why it can't run here; undefined if it can, as far as it needs
 *   more than the machine.
 */
export function machineTest(
  name: string,
  body: (step: Step, machine: Machine) => Promise<void>,
  missing?: string,
): void {
  Deno.test(unless(missing ?? noMachine, {
    name,
    // nsenter and the like live on from step to step.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async (t) => {
      const machine = await Machine.make();
      const step: Step = async (name, body, skip) => {
        if (await t.step(unless(skip, { name, fn: body })) || skip) return;
        const { stdout } = await machine.run("journalctl", "-n", "60");
        console.error(`the journal after "${name}":\n${stdout}`);
      };
      try {
        await putSources(machine);
        await machine.boot();
        await body(step, machine);
      } finally {
        await machine.remove();
      }
    },
  }));
}
