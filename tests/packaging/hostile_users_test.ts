/**
 * A machine with hostile users, on which systemd runs the plugin as it is
 * installed: two strangers, who may do nothing in particular, and a member of the
 * group `docker`, who may ask the engine. They do all they can, alone and at
 * once, beside full disks and a clock that jumps. Meanwhile somebody honest
 * asks the engine: what must be refused is, what may be is answered, and the
 * plugin stays the process that it was.
 *
 * `NEIGHBOURS` is how long that goes on, in seconds (20). How long calls took
 * is printed, and decides nothing.
 *
 * The clock that jumps is the plugin's alone (neighbours/clock.c): a machine in
 * namespaces has that of the host, which must not be touched.
 */

import { must, sleep, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { exchange, request } from "../engine/raw_http.ts";
import { eventually } from "../helpers/waiting.ts";
import { assert, assertEquals } from "../engine/verdict.ts";
import type { ATTACKS, Counts, Order } from "./neighbours/attacks.ts";
import {
  guards,
  install,
  Machine,
  mainPid,
  PLUGIN,
  putImage,
  putSources,
  setPlugins,
  SOCKET,
  whyNoMachine,
  WITH_BIND,
  WITH_VOLUME,
} from "./machine.ts";

const SECONDS = Number(Deno.env.get("NEIGHBOURS") ?? 20);

/** How long a round of all attacks lasts at most, in seconds. */
const ROUND = 600;

/** How long attackers wait between two steps, in milliseconds. */
const PAUSE = SECONDS > 100 ? 5 : 10;

/** How much memory the plugin may have at any time, in MiB. */
const MOST_MEMORY = 600;

/** How much more it may have in the end than after the first round, in MiB. */
const MORE_MEMORY = 100;

/** How many more files it may have open in the end than in the beginning. */
const MORE_FILES = 20;

const SERVICE = `${PLUGIN}.service`;
const MONITORS = `--addr unix:/run/${PLUGIN}/monitor.sock ` +
  "--addr 127.0.0.1:5006";
const AUDIT_LOG = `/var/log/${PLUGIN}/audit.log`;
const CLOCK = "/run/clock-offset";
const LIBRARY = "/usr/local/lib/clock.so";
const PROGRAM = "/usr/local/lib/attacks.ts";

/** Small disks of their own, which can be full. */
const DISKS = {
  state: { path: `/var/lib/${PLUGIN}`, options: "size=64k,mode=700" },
  logs: { path: `/var/log/${PLUGIN}`, options: "size=1m,mode=750" },
  journal: { path: "/var/log/journal", options: "size=16m,mode=2755" },
};

/** Jumps of the clock, in seconds off the right time. */
const JUMPS = [3600, -3600, 400 * 86_400, -400 * 86_400, 0];

type User = "stranger" | "hog" | "member";
const USERS: Record<User, (keyof typeof ATTACKS)[]> = {
  stranger: [
    ...["monitor-hold", "monitor-flood", "monitor-garbage", "squat"] as const,
    ...["signals", "doors", "journal", "journal-streams"] as const,
  ],
  // Who has no process left can do nothing else.
  hog: ["resources"],
  member: [
    ...["engine-calls", "engine-creates", "engine-long"] as const,
    ...["engine-hold", "signals", "doors"] as const,
  ],
};

/** A create that is refused, as the engine asks about it. */
const QUESTION = request("POST", "/AuthZPlugin.AuthZReq", {
  body: {
    RequestMethod: "POST",
    RequestUri: "/v1.41/containers/create",
    RequestHeaders: { "Content-Type": "application/json" },
    RequestBody: btoa(JSON.stringify(WITH_VOLUME)),
  },
});

/** Asks the engine over and over, as somebody who has nothing in mind. */
class Probe {
  /** What goes on beside it. */
  phase = "";
  /** What was answered wrongly. */
  readonly wrong: string[] = [];
  /** How long calls took, in milliseconds, by phase and call. */
  readonly #times = new Map<string, Map<string, number[]>>();
  readonly #machine: Machine;
  #on = true;
  #run: Promise<void> | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  begin(): void {
    this.#run ??= (async () => {
      while (this.#on) {
        await this.#ask();
        await sleep(200);
      }
    })();
  }

  async stop(): Promise<void> {
    this.#on = false;
    await this.#run;
  }

  async #ask(): Promise<void> {
    const machine = this.#machine;
    await this.#call("the plugin alone", 200, async () => {
      const [answer] = await exchange(machine.dir + SOCKET, QUESTION);
      assert(answer.body.includes('"Allow":false'), answer.body);
      return answer;
    });
    await this.#call(
      "refused create",
      403,
      () => machine.api("POST", "/containers/create", WITH_VOLUME),
    );
    await this.#call("list", 200, () => machine.api("GET", "/containers/json"));
    const created = await this.#call(
      "allowed create",
      201,
      () => machine.api("POST", "/containers/create", WITH_BIND),
    );
    if (created === undefined) return;
    const { Id } = JSON.parse(created) as { Id: string };
    await this.#call(
      "delete",
      204,
      () => machine.api("DELETE", `/containers/${Id}`),
    );
  }

  async #call(
    name: string,
    status: number,
    call: () => Promise<{ status: number; body: string }>,
  ): Promise<string | undefined> {
    const { phase } = this;
    const note = (what: string) =>
      void this.wrong.push(
        `${new Date().toISOString()} ${phase}: ${name}: ${what.slice(0, 300)}`,
      );
    const begin = performance.now();
    try {
      const answer = await call();
      let times = this.#times.get(phase);
      if (!times) this.#times.set(phase, times = new Map());
      let known = times.get(name);
      if (!known) times.set(name, known = []);
      known.push(performance.now() - begin);
      if (answer.status === status) return answer.body;
      note(`${answer.status} ${answer.body}`);
    } catch (error) {
      note(String(error));
    }
  }

  /** Prints how long calls took. */
  report(): void {
    for (const [phase, calls] of this.#times) {
      const texts = [...calls].map(([name, times]) => {
        times.sort((a, b) => a - b);
        const at = (part: number) =>
          times[Math.floor((times.length - 1) * part)].toFixed(1);
        return `${name} ${at(0.5)}/${at(0.95)}/${at(1)} (${times.length})`;
      });
      console.log(`  ${phase}: ${texts.join(", ")}`);
    }
  }
}

/** What the plugin's process has. */
interface Sample {
  /** In MiB. */
  memory: number;
  files: number;
}

const noCompiler = await whyNo({ gcc: "gcc" });

Deno.test(unless(await whyNoMachine() ?? noCompiler, {
  name: `systemd: hostile users for ${SECONDS} s`,
  // nsenter and the like live on from step to step.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    const machine = await Machine.make();
    const probe = new Probe(machine);
    try {
      await putSources(machine);
      await putAttacks(machine);
      await machine.boot();
      await prepare(machine);
      await new Siege(t, machine, probe).run();
    } finally {
      await probe.stop();
      await machine.remove();
    }
  },
}));

/** Puts the attackers' program, and the clock, into a machine that is off. */
async function putAttacks(machine: Machine): Promise<void> {
  const here = new URL("./neighbours/", import.meta.url).pathname;
  const upper = `${machine.dir}/upper`;
  await Deno.copyFile(`${here}attacks.ts`, upper + PROGRAM);
  await must([
    ...["gcc", "-shared", "-fPIC", "-O", "-o", upper + LIBRARY],
    `${here}clock.c`,
  ]);
  await Deno.writeTextFile(`${upper}/etc/ld.so.preload`, `${LIBRARY}\n`);
}

/** Installs the plugin, on disks that can be full, and lets it guard. */
async function prepare(machine: Machine): Promise<void> {
  for (const [at, name] of Object.keys(USERS).entries()) {
    // Not one of the host's: limits are for all processes of a number.
    const uid = String(61_001 + at);
    await machine.must("useradd", "--uid", uid, "--no-create-home", name);
  }
  await machine.must("usermod", "-aG", "docker", "member");
  for (const { path, options } of Object.values(DISKS)) {
    await machine.must("mkdir", "-p", path);
    await machine.must("mount", "-t", "tmpfs", "-o", options, "disk", path);
  }
  await machine.must("systemctl", "restart", "systemd-journald");
  await putImage(machine);
  await install(machine);
  await machine.write(
    `/etc/sysconfig/${PLUGIN}`,
    `OPTIONS="${MONITORS} --audit-log ${AUDIT_LOG}"\n`,
  );
  await machine.write(
    `/etc/systemd/system/${SERVICE}.d/clock.conf`,
    `[Service]\nEnvironment=CLOCK_OFFSET=${CLOCK}\n`,
  );
  await machine.write(CLOCK, "0\n");
  await machine.must("systemctl", "daemon-reload");
  await machine.must("systemctl", "enable", "--now", `${PLUGIN}.socket`);
  await setPlugins(machine, [PLUGIN]);
  await machine.must("systemctl", "restart", "docker");
  await guards(machine);
}

/** The test, step by step. */
class Siege {
  readonly #t: Deno.TestContext;
  readonly #machine: Machine;
  readonly #probe: Probe;
  /** What attacks counted in all, by user and attack. */
  readonly #counts = new Map<string, Counts>();
  readonly #samples: Sample[] = [];
  /** At the end of each round. */
  readonly #rounds: Sample[] = [];
  #pids: string[] = [];

  constructor(t: Deno.TestContext, machine: Machine, probe: Probe) {
    this.#t = t;
    this.#machine = machine;
    this.#probe = probe;
  }

  async run(): Promise<void> {
    const machine = this.#machine;
    const probe = this.#probe;
    await this.#step(
      "who holds its port does not keep it from starting",
      () => this.#portIsHeld(),
    );
    await this.#step("nor does a full /run", () => this.#runIsFull());

    this.#pids = await this.#mainPids();
    await this.#step("before: nobody does anything", async () => {
      probe.phase = "before";
      probe.begin();
      await sleep(Math.max(5, SECONDS / 120) * 1000);
      this.#nothingWrong();
    });
    const before = await this.#sample();

    const rounds = Math.ceil(SECONDS / ROUND);
    for (let round = 1; round <= rounds; round++) {
      await this.#step(
        `round ${round} of ${rounds}`,
        () => this.#round(SECONDS / rounds),
      );
    }

    await this.#step("after: all is as it was", async () => {
      probe.phase = "after";
      await sleep(Math.max(5, SECONDS / 120) * 1000);
      this.#nothingWrong();
      await guards(machine);
      await this.#isHealthy();
    });
    await probe.stop();
    const after = await this.#sample();
    this.#report(before, after);
    await this.#step("it is the process that it was", async () => {
      assertEquals(await this.#mainPids(), this.#pids);
      assertEquals(await machine.property(SERVICE, "NRestarts"), "0");
    });
    await this.#step("it has neither memory nor files left over", () => {
      const peak = Math.max(...this.#samples.map(({ memory }) => memory));
      assert(peak < MOST_MEMORY, `${peak} MiB`);
      const [first] = this.#rounds;
      assert(first !== undefined, "no round was ended");
      assert(after.memory < first.memory + MORE_MEMORY, `${after.memory} MiB`);
      assert(after.files < before.files + MORE_FILES, `${after.files} files`);
    });
    await this.#step("no attack worked", () => {
      const worked = [...this.#counts].flatMap(([name, counts]) =>
        Object.keys(counts).filter((what) => what.startsWith("!"))
          .map((what) => `${name} ${what.slice(1)}: ${counts[what]}`)
      );
      assertEquals(worked, []);
      for (const [name, counts] of this.#counts) {
        const tries = Object.values(counts).reduce((sum, each) => sum + each);
        assert(tries > 10, `${name}: ${JSON.stringify(counts)}`);
      }
    });
    await this.#step("nothing is there that was refused", async () => {
      const { body } = await machine.api("GET", "/volumes");
      assertEquals(JSON.parse(body).Volumes ?? [], []);
    });
  }

  async #step(name: string, body: () => void | Promise<void>): Promise<void> {
    let why: unknown;
    const isPassed = await this.#t.step(name, async () => {
      try {
        await body();
      } catch (error) {
        why = error;
        throw error;
      }
    });
    if (isPassed) return;
    // Not only when all is over.
    console.error(why);
    const { stdout } = await this.#machine.run(
      ...["journalctl", "-n", "60", "-u", PLUGIN, "-u", "docker"],
    );
    console.error(`the journal after "${name}":\n${stdout}`);
  }

  async #portIsHeld(): Promise<void> {
    const machine = this.#machine;
    const units = [`${PLUGIN}.socket`, SERVICE];
    await machine.must("systemctl", "stop", ...units);
    const squatting = this.#attack("stranger", ["squat"], 5);
    await eventually(
      "the stranger has the port",
      async () => (await machine.must("ss", "-ltnH")).includes(":5006"),
    );
    await machine.must("systemctl", "start", ...units);
    await guards(machine);
    const health = await machine.monitor("/health");
    assert(
      health.includes("it is in use by a process of user stranger"),
      health,
    );
    const counts = (await squatting).squat;
    assert(counts["!taken"] === 1, JSON.stringify(counts));
    await this.#isHealthy();
  }

  /** Not so much as a socket file can be made there. */
  async #runIsFull(): Promise<void> {
    const machine = this.#machine;
    const path = `/run/${PLUGIN}`;
    await machine.must("systemctl", "stop", SERVICE);
    await machine.must("mkdir", "-p", path);
    await machine.must(
      ...["mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=755", "disk", path],
    );
    await machine.must("systemctl", "restart", SERVICE);
    await guards(machine);
    await eventually(
      "the log says so",
      async () => (await machine.journal()).includes("No space left on device"),
    );
    await machine.must("mount", "-o", "remount,nr_inodes=1k", path);
    // What is mounted there is not seen from outside.
    await eventually(
      "it is healthy",
      async () =>
        (await machine.run(PLUGIN, "health")).stdout.startsWith("HEALTHY ("),
      90_000,
    );
    await machine.must("systemctl", "stop", SERVICE);
    await machine.must("umount", path);
    await machine.must("systemctl", "restart", SERVICE);
    await guards(machine);
    await this.#isHealthy();
  }

  /** Each attack by itself, then all together on full disks. */
  async #round(seconds: number): Promise<void> {
    const probe = this.#probe;
    const machine = this.#machine;
    const alone = Object.values(USERS).flat().length;
    const turn = Math.max(1, seconds / 2 / alone);
    for (const [user, attacks] of Object.entries(USERS)) {
      for (const attack of attacks) {
        probe.phase = `${user}: ${attack}`;
        await this.#attackAndCount(user as User, [attack], turn);
      }
    }
    this.#nothingWrong();

    probe.phase = "all at once";
    const both = async () => {
      const end = Date.now() + seconds / 2 * 1000;
      for (let left; (left = (end - Date.now()) / 1000) > 1;) {
        await Promise.all(
          Object.entries(USERS).map(([user, attacks]) =>
            this.#attackAndCount(user as User, attacks, Math.min(left!, 60))
          ),
        );
      }
    };
    const attacking = both();
    // Its failure is told when it is waited for.
    attacking.catch(() => {});
    try {
      for (const offset of JUMPS) {
        await machine.write(CLOCK, `${offset}\n`);
        await sleep(seconds / 4 / JUMPS.length * 1000);
      }
      probe.phase = "all at once, disks full";
      await this.#fillDisks();
      await attacking;
      await eventually(
        "it says that it can't write what it keeps",
        async () =>
          (await machine.monitor("/health")).includes(
            "kept.json can't be written",
          ),
        60_000,
      );
      const lost = await machine.monitor("/metrics");
      assert(/^docker_policy_audit_lost_total [1-9]/m.test(lost), lost);
      await guards(machine);
    } finally {
      await attacking.catch(() => {});
      await this.#clearDisks();
    }
    this.#nothingWrong();

    probe.phase = "between";
    await this.#isHealthy();
    await guards(machine);
    await this.#auditIsWritten();
    // It may not read all: a full disk can damage the journal's files.
    const { stdout } = await machine.run(
      ...["journalctl", "-o", "cat", "-u", PLUGIN],
    );
    const bugs = stdout.split("\n")
      .filter((line) => /\bbug\b|Uncaught|panicked/.test(line));
    assertEquals(bugs, []);
    this.#nothingWrong();
    this.#rounds.push(await this.#sample());
  }

  /** @returns What came of it, by attack. */
  async #attack(
    user: User,
    attacks: string[],
    seconds: number,
  ): Promise<Record<string, Counts>> {
    const order: Order = { attacks, seconds, pause: PAUSE, pids: this.#pids };
    const sets = (properties: Record<string, string | number>) =>
      Object.entries(properties).map((pair) => `--property=${pair.join("=")}`);
    const said = await this.#machine.must(
      ...["systemd-run", "--quiet", "--collect", "--pipe", "--wait"],
      `--uid=${user}`,
      ...sets({
        Nice: 10,
        LimitNPROC: 300,
        LimitNOFILE: user === "member" ? 4096 : 1024,
      }),
      ...[`--setenv=DENO_DIR=/tmp/${user}`, "--setenv=NO_COLOR=1"],
      ...["/usr/local/bin/deno", "run", "-A", "--no-config", "--no-check"],
      ...[PROGRAM, JSON.stringify(order)],
    );
    return JSON.parse(said);
  }

  async #attackAndCount(
    user: User,
    attacks: string[],
    seconds: number,
  ): Promise<void> {
    const attacking = this.#attack(user, attacks, seconds);
    await sleep(seconds * 500);
    this.#samples.push(await this.#sample());
    for (const [attack, counts] of Object.entries(await attacking)) {
      const name = `${user}: ${attack}`;
      const all = this.#counts.get(name) ?? {};
      for (const [what, times] of Object.entries(counts)) {
        all[what] = (all[what] ?? 0) + times;
      }
      this.#counts.set(name, all);
    }
  }

  async #fillDisks(): Promise<void> {
    for (const { path } of Object.values(DISKS)) {
      await this.#machine.run("dd", "if=/dev/zero", `of=${path}/more`, "bs=1k");
    }
  }

  async #clearDisks(): Promise<void> {
    const paths = Object.values(DISKS).map(({ path }) => `${path}/more`);
    await this.#machine.must("rm", "-f", ...paths);
    // As logrotate does it.
    await this.#machine.must("truncate", "--size=0", AUDIT_LOG);
  }

  async #auditIsWritten(): Promise<void> {
    const lines = (await this.#machine.must("cat", AUDIT_LOG)).split("\n");
    const verdicts = lines.filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line).verdict);
    assert(verdicts.includes("deny"), lines.join("\n").slice(0, 1000));
  }

  async #isHealthy(): Promise<void> {
    let said = "";
    await eventually("it is healthy", async () => {
      said = await this.#machine.monitor("/health");
      return said.startsWith("HEALTHY (");
    }, 90_000).catch((error) => {
      throw new Error(`${error.message}: ${said}`);
    });
  }

  #nothingWrong(): void {
    assertEquals(this.#probe.wrong, []);
  }

  async #mainPids(): Promise<string[]> {
    const machine = this.#machine;
    return [
      await mainPid(machine),
      await machine.property("docker.service", "MainPID"),
    ];
  }

  async #sample(): Promise<Sample> {
    const said = await this.#machine.must(
      ...["sh", "-c", 'grep VmRSS "/proc/$1/status"; ls "/proc/$1/fd" | wc -l'],
      ...["sh", this.#pids[0]],
    );
    const [memory, files] = said.match(/\d+/g)!.map(Number);
    return { memory: Math.round(memory / 1024), files };
  }

  #report(before: Sample, after: Sample): void {
    console.log("milliseconds: half the calls, 95 of 100, all (how many)");
    this.#probe.report();
    for (const [name, counts] of this.#counts) {
      console.log(`  ${name}: ${JSON.stringify(counts)}`);
    }
    const most = (of: (sample: Sample) => number) =>
      Math.max(...this.#samples.map(of));
    console.log(
      `  memory ${before.memory}, ${most(({ memory }) => memory)} at most, ` +
        `${after.memory} MiB in the end; files ${before.files}, ` +
        `${most(({ files }) => files)} at most, ${after.files} in the end; ` +
        `after each round ${this.#rounds.map(({ memory }) => memory)} MiB`,
    );
  }
}
