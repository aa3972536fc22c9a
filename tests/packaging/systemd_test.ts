/**
 * The units on a machine that systemd runs (machine.ts): installed and enabled
 * as the README says, with Debian's Docker beside them.
 */

import { exists, sleep } from "../helpers/programs.ts";
import { whyNoExecutable } from "../helpers/executable.ts";
import type { Answer } from "../engine/raw_http.ts";
import { blinkers } from "../engine/verdict/third_line/blinkers.ts";
import { always, eventually } from "../helpers/waiting.ts";
import { assert, assertEquals } from "../engine/verdict.ts";
import {
  createsBecome,
  createStatus,
  EXECUTABLE,
  executable,
  guards,
  install,
  isActive,
  type Machine,
  machineTest,
  mainPid,
  PLUGIN,
  putImage,
  setPlugins,
  SOCKET,
  type Step,
  WITH_BIND,
  WITH_VOLUME,
} from "./machine.ts";

/**
 * The worst that `systemd-analyze security` of systemd 252 may think of the
 * service; 10 is none of it sandboxed.
 */
const EXPOSURE = 2;

/** The engine's words for a plugin that did not answer. */
const BROKE = `plugin ${PLUGIN} failed with error`;

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
    await eventually(
      "calls are answered",
      () => Promise.resolve(this.answered >= goal),
      30_000,
    );
  }

  async stop(): Promise<void> {
    this.#on = false;
    await Promise.all(this.#callers);
  }
}

machineTest("systemd: the units on a machine that boots", runUnits);

async function runUnits(step: Step, machine: Machine): Promise<void> {
  const service = `${PLUGIN}.service`;
  const socket = `${PLUGIN}.socket`;
  const path = (unit: string) => `/usr/lib/systemd/system/${unit}`;
  const systemctl = (...args: string[]) => machine.must("systemctl", ...args);
  const version = await machine.must("systemctl", "--version");
  await step(version.split("\n")[0], () => {});

  // Its image is there before the plugin.
  await putImage(machine);
  await install(machine);
  // Compiles the sources once, into a place that is read-only for the service.
  const installed = await machine.must(EXECUTABLE, "--version");
  assert(installed.startsWith(`${PLUGIN} 1.0.0 (Deno `), installed);

  await step("systemd-analyze verify is content", async () => {
    const { code, stdout, stderr } = await machine.run(
      // The machine has no program to show man pages with.
      ...["systemd-analyze", "verify", "--man=no", path(service), path(socket)],
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
  const create = () => createStatus(machine);
  const becomes = (status: number) => createsBecome(machine, status);

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
