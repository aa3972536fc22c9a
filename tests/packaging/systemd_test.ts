/**
 * The units on a machine that systemd runs: installed and enabled as the README
 * says, with Debian's Docker beside them.
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
import { whyNoExecutable } from "../helpers/executable.ts";
import { rootFileSystem } from "../engine/images.ts";
import { type Answer, exchange, request } from "../engine/raw_http.ts";
import { blinkers } from "../engine/verdict/third_line/blinkers.ts";
import { always, eventually } from "../engine/verdict/third_line/host.ts";
import { assert, assertEquals } from "../engine/verdict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const TREE = `${STORE}/systemd12`;
const PACKAGES = [
  ...["systemd", "systemd-sysv", "dbus", "procps", "iproute2"],
  ...["docker.io", "busybox-static"],
];

const PLUGIN = "docker-policy-plugin";
const SOCKET = `/run/docker/plugins/${PLUGIN}.sock`;
const EXECUTABLE = `/usr/libexec/docker/${PLUGIN}`;

/**
 * The worst that `systemd-analyze security` of systemd 252 may think of the
 * service; 10 is none of it sandboxed.
 */
const EXPOSURE = 2;

const command = (...command: string[]) => run(command, { timeout: 300_000 });

/** Why no machine can be booted here, or undefined when one can. */
async function whyNoMachine(): Promise<string | undefined> {
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
class Machine {
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
      const unit of ["console-getty.service", "getty.target", "timers.target"]
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
   * @throws Error when that takes more than half a minute
   */
  async boot(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("boot\n"));
    const end = Date.now() + 30_000;
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
    const pid = await this.#pid();
    await this.run("systemctl", "poweroff");
    for (let tries = 0; await exists(`/proc/${pid}`); tries++) {
      if (tries === 300) throw new Error("the machine does not shut down");
      await sleep(100);
    }
  }

  /** Runs a command in it. */
  async run(...args: string[]): Promise<Result> {
    return await command(
      ...["nsenter", `--target=${await this.#pid()}`, "--mount", "--pid"],
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

  async #pid(): Promise<string> {
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
async function putSources(machine: Machine): Promise<void> {
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
async function executable(version: string): Promise<string> {
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
async function install(machine: Machine): Promise<void> {
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

/** Writes the engine's settings. */
async function setPlugins(machine: Machine, names: string[]): Promise<void> {
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
const WITH_VOLUME = {
  Image: "busybox:1",
  Cmd: ["true"],
  Volumes: { "/test": {} },
};

/** The body of a create that it lets pass. */
const WITH_BIND = {
  Image: "busybox:1",
  Cmd: ["true"],
  HostConfig: { Binds: ["/srv:/test"], NetworkMode: "none" },
};

/** The plugin is in front of the engine, which works. */
async function guards(machine: Machine): Promise<void> {
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

/** The service's process; "0" if it does not run. */
const mainPid = (machine: Machine) =>
  machine.property(`${PLUGIN}.service`, "MainPID");

/** The engine's words for a plugin that did not answer. */
const BROKE = `plugin ${PLUGIN} failed with error`;

const isActive = (machine: Machine, unit: string) =>
  machine.property(unit, "ActiveState");

/** Calls the engine until it is told to stop, several calls at a time. */
class Load {
  /** How many calls were answered as they should be. */
  answered = 0;
  /** The longest that one took, in milliseconds. */
  slowest = 0;
  /** What was answered wrongly. */
  readonly wrong: string[] = [];
  #on = true;
  #callers: Promise<void>[];

  constructor(machine: Machine) {
    const caller = async (call: () => Promise<string | undefined>) => {
      while (this.#on) {
        const begin = performance.now();
        const wrong = await call().catch((error: Error) => error.message);
        this.slowest = Math.max(this.slowest, performance.now() - begin);
        if (wrong === undefined) this.answered++;
        else this.wrong.push(wrong);
      }
    };
    const expect = async (status: number, answer: Promise<Answer>) => {
      const { status: got, body } = await answer;
      if (got !== status) return `${got} for ${status}: ${body}`;
    };
    const create = async () => {
      const answer = await machine.api(
        "POST",
        "/containers/create",
        WITH_BIND,
      );
      if (answer.status !== 201) return `create: ${answer.body}`;
      const { Id } = JSON.parse(answer.body) as { Id: string };
      return await expect(204, machine.api("DELETE", `/containers/${Id}`));
    };
    this.#callers = [
      caller(create),
      caller(create),
      caller(() => expect(200, machine.api("GET", "/containers/json"))),
      caller(() =>
        expect(403, machine.api("POST", "/containers/create", WITH_VOLUME))
      ),
    ];
  }

  /** Waits for that many more answers. */
  async more(count: number): Promise<void> {
    const goal = this.answered + count;
    const end = Date.now() + 30_000;
    while (this.answered < goal) {
      if (Date.now() > end) throw new Error("the load hangs");
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    this.#on = false;
    await Promise.all(this.#callers);
  }
}

Deno.test(unless(await whyNoMachine(), {
  name: "systemd: the units on a machine that boots",
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
      await runUnits(step, machine);
    } finally {
      await machine.remove();
    }
  },
}));

/**
 * A step of the test, with why it can't run here; the journal is shown if it
 * fails.
 */
type Step = (
  name: string,
  body: () => void | Promise<void>,
  skip?: string,
) => Promise<void>;

async function runUnits(step: Step, machine: Machine): Promise<void> {
  const service = `${PLUGIN}.service`;
  const socket = `${PLUGIN}.socket`;
  const path = (unit: string) => `/usr/lib/systemd/system/${unit}`;
  const systemctl = (...args: string[]) => machine.must("systemctl", ...args);
  const version = await machine.must("systemctl", "--version");
  await step(version.split("\n")[0], () => {});

  // Its image is there before the plugin.
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
  await install(machine);
  // Compiles the sources once, into a place that is read-only for the service.
  const installed = await machine.must(EXECUTABLE, "--version");
  assert(installed.startsWith(`${PLUGIN} 1.0.0 (Deno `), installed);

  await step("systemd-analyze verify is content", async () => {
    const { code, stdout, stderr } = await machine.run(
      ...["systemd-analyze", "verify", path(service), path(socket)],
    );
    assertEquals(`${code} ${stdout}${stderr}`, "0 ");
  });

  await step(`systemd-analyze security: at most ${EXPOSURE}`, async () => {
    const said = await machine.must(
      ...["systemd-analyze", "security", "--offline=yes", "--no-pager"],
      path(service),
    );
    const score = said.match(/exposure level for .*: ([\d.]+)/)?.[1];
    console.log(`exposure level ${score}`);
    assert(Number(score) <= EXPOSURE, said);
  });

  await step("enabled as the README says, it guards", async () => {
    await systemctl("enable", "--now", socket);
    assertEquals(await isActive(machine, service), "inactive");
    await setPlugins(machine, [PLUGIN]);
    await systemctl("restart", "docker");
    await guards(machine);
    assertEquals(await isActive(machine, service), "active");
    const { mode } = await Deno.lstat(machine.dir + SOCKET);
    assertEquals((mode ?? 0) & 0o7777, 0o600);
    assert(
      (await machine.journal()).includes(
        "listening on the socket that systemd passed",
      ),
    );
  });

  await step("after a boot, its socket is up before Docker", async () => {
    await machine.shutDown();
    await machine.boot();
    assertEquals(await isActive(machine, "docker.service"), "active");
    const at = async (unit: string, change: string) =>
      Number(await machine.property(unit, `${change}TimestampMonotonic`));
    const up = await at(socket, "ActiveEnter");
    const docker = await at("docker.service", "InactiveExit");
    const dockerSocket = await at("docker.socket", "InactiveExit");
    assert(up > 0 && up < docker, `socket ${up}, docker.service ${docker}`);
    assert(up < dockerSocket, `socket ${up}, docker.socket ${dockerSocket}`);
    await guards(machine);
  });

  await step("stopped, it is started by the first call", async () => {
    // The engine has a first one itself: to tell that the event stream is over.
    const before = await mainPid(machine);
    await systemctl("stop", service);
    assertEquals(await exists(machine.dir + SOCKET), true);
    await guards(machine);
    const after = await mainPid(machine);
    assert(after !== "0" && after !== before, `${before}, ${after}`);
  });

  await step("killed, it is back at the next call", async () => {
    const before = await mainPid(machine);
    await systemctl("kill", "--kill-who=main", "--signal=KILL", service);
    while (await mainPid(machine) === before) await sleep(10);
    await guards(machine);
    const after = await mainPid(machine);
    assert(after !== "0" && after !== before, `${before}, ${after}`);
  });

  await thirdLine(step, machine);

  await reload(step, machine);
  await neighbours(step, machine);

  await step("an upgrade under load refuses no call", async () => {
    const load = new Load(machine);
    try {
      await load.more(20);
      for (const version of ["2.0.0", "1.0.0", "2.0.0"]) {
        await machine.write(EXECUTABLE, await executable(version), "755");
        // As a package does it.
        await systemctl("try-restart", service);
        await load.more(20);
        assertEquals(load.wrong, []);
        const said = await machine.monitor("/version");
        assert(said.endsWith(version), said);
      }
    } finally {
      await load.stop();
    }
    console.log(
      `${load.answered} calls, the slowest ${Math.round(load.slowest)} ms`,
    );
  });

  await step("without the socket unit it has one of its own", async () => {
    await systemctl("disable", "--now", socket);
    await systemctl("stop", service);
    assertEquals(await exists(machine.dir + SOCKET), false);
    await systemctl("enable", "--now", service);
    await guards(machine);
    assert((await machine.journal()).includes(`listening on ${SOCKET}`));
  });

  const noExecutable = await whyNoExecutable(`${machine.dir}/run/compiled`);
  await step("the executable itself does it in its sandbox", async () => {
    await machine.must("install", "-m", "755", "/run/compiled", EXECUTABLE);
    await systemctl("restart", service);
    await guards(machine);
    await machine.write(EXECUTABLE, await executable("2.0.0"), "755");
    await systemctl("restart", service);
  }, noExecutable);

  // Such a restart can lose calls, as the engine loses the message of a call
  // whose connection breaks.
  await step("a restart of that under load lets nothing by", async () => {
    const load = new Load(machine);
    try {
      await load.more(20);
      await systemctl("try-restart", service);
      await load.more(20);
    } finally {
      await load.stop();
    }
    assertEquals(load.wrong.filter((each) => !each.includes(BROKE)), []);
  });

  await step("enabled so, it is up before Docker too", async () => {
    await machine.shutDown();
    await machine.boot();
    const at = async (unit: string, change: string) =>
      Number(await machine.property(unit, `${change}TimestampMonotonic`));
    const up = await at(service, "ActiveEnter");
    const docker = await at("docker.service", "InactiveExit");
    assert(up > 0 && up < docker, `service ${up}, docker.service ${docker}`);
    await guards(machine);
  });

  await step("disabled, it leaves nothing, and Docker closed", async () => {
    await systemctl("disable", "--now", service, socket);
    assertEquals(await exists(machine.dir + SOCKET), false);
    assertEquals(
      (await machine.run("systemctl", "is-enabled", service)).code,
      1,
    );
    const refused = await machine.api("GET", "/version");
    assert(refused.status >= 400, refused.body);
    assert(refused.body.includes(`plugin ${PLUGIN} failed`), refused.body);
    await setPlugins(machine, []);
    await systemctl("reload", "docker");
    const open = await machine.api("GET", "/version");
    assertEquals(open.status, 200, open.body);
  });
}

/** `systemctl reload`: another policy in the same process. */
async function reload(step: Step, machine: Machine): Promise<void> {
  const service = `${PLUGIN}.service`;
  assertEquals(await machine.property(service, "CanReload"), "yes");
  const write = (text: string) =>
    machine.write(`/etc/docker/${PLUGIN}.toml`, text);
  const create = async () => {
    const answer = await machine.api(
      "POST",
      "/containers/create",
      WITH_VOLUME,
    );
    if (answer.status === 201) {
      const { Id } = JSON.parse(answer.body) as { Id: string };
      await machine.api("DELETE", `/containers/${Id}?v=1`);
    }
    return answer.status;
  };
  /** SIGHUP is on its way when `systemctl reload` returns. */
  const becomes = async (status: number) => {
    for (let tries = 0; tries < 50; tries++) {
      if (await create() === status) return;
      await sleep(50);
    }
    throw new Error(`a create is not answered ${status}`);
  };

  await step("reload: a new policy in the same process", async () => {
    const pid = await mainPid(machine);
    await write("[volumes]\n  enforce = false\n");
    assertEquals(await create(), 403);
    await machine.must("systemctl", "reload", service);
    await becomes(201);
    assertEquals(await mainPid(machine), pid);
  });

  await step("reload: a bad file changes nothing, and is told", async () => {
    const pid = await mainPid(machine);
    await write("[volumes]\n  enforce = 1\n");
    await machine.run("systemctl", "reload", service);
    for (let tries = 0;; tries++) {
      const health = await machine.monitor("/health");
      if (health.includes(`${PLUGIN}.toml:2`)) break;
      assert(tries < 50, `/health does not tell: ${health}`);
      await sleep(50);
    }
    assertEquals(await create(), 201);
    assertEquals(await mainPid(machine), pid);
    assert((await machine.journal()).includes(`${PLUGIN}.toml:2`));
  });

  await step("reload: mended, it guards again", async () => {
    await machine.must("rm", `/etc/docker/${PLUGIN}.toml`);
    await machine.must("systemctl", "reload", service);
    await becomes(403);
  });
}

/** What other users of the machine can do to it, and what they can't read. */
async function neighbours(step: Step, machine: Machine): Promise<void> {
  const service = `${PLUGIN}.service`;
  const setOptions = async (options: string) => {
    await machine.write(
      `/etc/sysconfig/${PLUGIN}`,
      `OPTIONS="${options}"\n`,
      "644",
    );
    await machine.must("systemctl", "restart", service);
  };
  const nobody = (...command: string[]) =>
    machine.run(
      ...["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
      ...command,
    );

  await step(
    "its health can be asked by root, and by nobody else",
    async () => {
      assertEquals(
        await machine.must(PLUGIN, "health"),
        "HEALTHY (enforcing [volumes], [push])",
      );
      const { code, stdout, stderr } = await nobody(PLUGIN, "health");
      assertEquals([code, stdout], [2, ""], stderr);
      assert(stderr.includes("can't ask at unix:/run/"), stderr);
      const { mode } = await Deno.lstat(
        `${machine.dir}/run/${PLUGIN}/monitor.sock`,
      );
      assertEquals((mode ?? 0) & 0o7777, 0o660);
    },
  );

  await step(
    "a port that somebody holds is told, and missed no call",
    async () => {
      const squatter = "squatter.service";
      await machine.must(
        ...["systemd-run", "--quiet", `--unit=${squatter}`, "--uid=65534"],
        ...["systemd-socket-activate", "--listen=127.0.0.1:5006", "true"],
      );
      const socket = `unix:/run/${PLUGIN}/monitor.sock`;
      await setOptions(`--addr ${socket} --addr 127.0.0.1:5006`);
      await guards(machine);
      const health = await machine.monitor("/health");
      assert(
        health.startsWith(
          "HEALTHY, but the monitor API is not served on 127.0.0.1:5006: it is " +
            "in use by a process of user nobody (",
        ),
        health,
      );
      assertEquals(await machine.must(PLUGIN, "health"), health.trim());
      const served = 'monitor_served{address="127.0.0.1:5006"} ';
      assert((await machine.monitor("/metrics")).includes(`${served}0`));
      await machine.must("systemctl", "stop", squatter);
      for (let tries = 0;; tries++) {
        if ((await machine.monitor("/metrics")).includes(`${served}1`)) break;
        assert(tries < 300, "it is never served");
        await sleep(100);
      }
    },
  );

  await step(
    "the audit log: fields in the journal, and no secret",
    async () => {
      await setOptions("--audit-log journal");
      await guards(machine);
      await machine.api("POST", "/build?remote=https://u:secret@h/x&version=1");
      const find = async (...fields: string[]) =>
        (await machine.must("journalctl", "-o", "json", ...fields)).split("\n")
          .filter((line) => line !== "").map((line) => JSON.parse(line));
      const [denied] = await find(
        `_SYSTEMD_UNIT=${service}`,
        "DOCKER_POLICY_VERDICT=deny",
      );
      assertEquals(
        [denied.DOCKER_POLICY_RULE, denied.DOCKER_POLICY_CALL],
        ["volumes/anonymous", "container create"],
      );
      const [build] = await find("DOCKER_POLICY_CALL=build");
      assertEquals(build.DOCKER_POLICY_PATH, "/build?version=1");
      assertEquals((await machine.journal()).includes("secret"), false);
    },
  );

  await step("the audit log: a file, and a disk that is full", async () => {
    const dir = `/var/log/${PLUGIN}`;
    const file = `${dir}/audit.log`;
    await machine.must("mount", "-t", "tmpfs", "-o", "size=64k", "disk", dir);
    await setOptions(`--audit-log ${file}`);
    await guards(machine);
    const lines = (await machine.must("cat", file)).split("\n");
    assert(lines.some((line) => JSON.parse(line).verdict === "deny"));
    await machine.run("dd", "if=/dev/zero", `of=${dir}/more`, "bs=1k");
    for (let calls = 0; calls < 40; calls++) {
      await machine.api("POST", "/containers/create", WITH_VOLUME);
    }
    await guards(machine);
    const told = await machine.monitor("/metrics");
    assert(/\ndocker_policy_audit_lost_total [1-9]/.test(told), told);
    assert((await machine.journal()).includes("No space left on device"));
    await setOptions("");
    await guards(machine);
    await machine.must("umount", dir);
  });

  await step("an emptied settings file changes nothing", async () => {
    const file = `/etc/docker/${PLUGIN}.toml`;
    await machine.write(file, "");
    await machine.run("systemctl", "reload", service);
    for (let tries = 0;; tries++) {
      const health = await machine.monitor("/health");
      if (health.includes("has no section")) break;
      assert(tries < 100, health);
      await sleep(50);
    }
    await guards(machine);
    await machine.must("rm", file);
    await machine.must("systemctl", "reload", service);
  });
}

/** Containers that the plugin is not asked about. */
async function thirdLine(step: Step, machine: Machine): Promise<void> {
  const service = `${PLUGIN}.service`;
  const systemctl = (...args: string[]) => machine.must("systemctl", ...args);
  const state = `/var/lib/${PLUGIN}`;
  const name = `${PLUGIN}-blinkers`;
  blinkers(
    `${machine.dir}/run/docker/plugins/${name}.sock`,
    machine.dir + SOCKET,
  );

  const call = async (method: string, path: string, body?: Body) => {
    const answer = await machine.api(method, path, body);
    assert(answer.status < 400, `${method} ${path}: ${answer.body}`);
    return answer.body;
  };
  /** Has the engine ask a plugin; `systemctl reload` returns before it does. */
  const ask = async (plugin: string) => {
    const reloads = async () => {
      const journal = await machine.must("journalctl", "-u", "docker");
      return journal.split("Reloaded configuration").length;
    };
    const before = await reloads();
    await setPlugins(machine, [plugin]);
    await systemctl("reload", "docker");
    await eventually("it has", async () => await reloads() > before);
  };
  const behindItsBack = async <T>(work: () => Promise<T>): Promise<T> => {
    await ask(name);
    try {
      return await work();
    } finally {
      await ask(PLUGIN);
    }
  };
  const run = async () => {
    const body = await call("POST", "/containers/create", {
      Image: "busybox:1",
      Cmd: ["sleep", "600"],
      Volumes: { "/x": {} },
      HostConfig: { NetworkMode: "none" },
    });
    const { Id } = JSON.parse(body) as { Id: string };
    await machine.api("POST", `/containers/${Id}/start`); // It may be gone.
    return Id;
  };
  const containers = async () =>
    JSON.parse(await call("GET", "/containers/json?all=1")) as {
      Id: string;
      State: string;
    }[];
  const undoes = async () => {
    const id = await behindItsBack(run);
    await eventually("a container with a volume is gone", async () => {
      return (await containers()).every(({ Id }) => Id !== id);
    });
  };
  const isRunning = async (id: string) =>
    (await containers()).some(({ Id, State }) =>
      Id === id && State === "running"
    );
  const metric = async (name: string) =>
    new RegExp(`^${name} (\\d+)`, "m").exec(await machine.monitor("/metrics"))
      ?.[1];
  const follows = () =>
    eventually("the engine's events are followed", async () => {
      return await metric("docker_policy_following_events") === "1";
    });
  const restart = async () => {
    await systemctl("restart", service);
    // The monitor API is there before the first look.
    await machine.monitor("/version");
  };

  await step("what nobody asked it about does not stay", undoes);

  await step("a stopped engine stays stopped", async () => {
    await systemctl("stop", "docker.service");
    assertEquals(await isActive(machine, "docker.socket"), "active");
    const isStopped = async () =>
      await isActive(machine, "docker.service") === "inactive";
    await always("nobody starts it", isStopped, 15_000);
    const health = await machine.monitor("/health");
    assert(health.includes("the engine is stopped"), health);
    // Nor does a plugin that comes while it is stopped.
    await restart();
    await always("nobody starts it", isStopped, 8000);
  });

  await step("started by a call, it is followed again", async () => {
    await machine.must("docker", "ps");
    assertEquals(await isActive(machine, "docker.service"), "active");
    await follows();
    await undoes();
  });

  await step("a restart of the plugin follows without a call", async () => {
    await restart();
    await follows();
    await undoes();
  });

  await step("what it leaves alone outlives a restart", async () => {
    await setPlugins(machine, []);
    await systemctl("restart", "docker");
    await systemctl("stop", service);
    await machine.must("rm", "-rf", state);
    const id = await run();
    await ask(PLUGIN);
    const left = "docker_policy_containers_left_alone";
    await eventually("it is counted", async () => await metric(left) === "1");
    const said = await machine.must("stat", "-c", "%a %U", state);
    assertEquals(said, "700 root");
    const kept = await machine.must("cat", `${state}/kept.json`);
    assert(kept.includes(id), kept);

    await behindItsBack(() => call("POST", `/containers/${id}/stop?t=0`));
    await restart();
    await follows();
    await undoes();
    // Another that was there before could not run again.
    await behindItsBack(() => call("POST", `/containers/${id}/start`));
    await always("it runs", () => isRunning(id), 3000);
    assertEquals(await metric(left), "1");
    await call("DELETE", `/containers/${id}?force=1&v=1`);
    await eventually("it is forgotten", async () => await metric(left) === "0");
    assertEquals(JSON.parse(await call("GET", "/volumes")).Volumes ?? [], []);
  });
}

/** The body of a call, as JSON. */
type Body = Record<string, unknown>;
