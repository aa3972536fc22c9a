/**
 * HAProxy in front of the engine, by the commands of docs/engine-29.md, on a
 * machine that systemd runs.
 */

import { must, sleep, whyNo } from "../helpers/programs.ts";
import { assert, assertEquals } from "../engine/verdict.ts";
import { eventually } from "../helpers/waiting.ts";
import {
  guards,
  install,
  isActive,
  type Machine,
  machineTest,
  PLUGIN,
  putImage,
  setPlugins,
  type Step,
} from "./machine.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PACKAGED = `/usr/share/doc/${PLUGIN}/haproxy`;
const ENGINE = "/run/docker-engine/docker.sock";

/** The commands of a chapter of docs/engine-29.md, a script each. */
const PAGE = await Deno.readTextFile(`${ROOT}docs/engine-29.md`);
const scripts = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)]
  .map(([, script]) => script);
const script = (word: string) => {
  const found = scripts.filter((each) => each.includes(word));
  assertEquals(found.length, 1, `${word} in docs/engine-29.md`);
  // What is installed already.
  return found[0].replace(/^dnf install .*\n/, "");
};
const CHECK = script("--http2-prior-knowledge");
const INSTALL = script("systemctl enable docker-front.socket");
const UNDO = script("systemctl disable --now docker-front.socket");

machineTest(
  "front: HAProxy as the documents put it there",
  runFront,
  await whyNo({ curl: "curl" }),
);

async function runFront(step: Step, machine: Machine): Promise<void> {
  const systemctl = (...args: string[]) => machine.must("systemctl", ...args);
  const sh = (commands: string) => machine.must("sh", "-euc", commands);
  /** A user who may use Docker, and nothing else. */
  const asUser = (...command: string[]) =>
    machine.run(
      ...["setpriv", "--reuid=65534", "--regid=65534", "--groups=docker"],
      ...command,
    );
  /** The documents' question, whether HTTP/2 is spoken on the users' socket. */
  const isOpen = async () => {
    // The machine has no curl; its /run is here.
    const here = CHECK.replace("/var/run", `${machine.dir}/run`);
    assert(here !== CHECK);
    return (await must(["sh", "-c", `${here.trim()} || true`])).trim();
  };
  /** Who listens where, as systemd and the kernel have it. */
  const listener = async (path: string) => {
    const lines = await machine.must("ss", "--no-header", "-xlp");
    const found = lines.split("\n").filter((line) =>
      line.split(/\s+/).includes(path)
    );
    return [...found.join("\n").matchAll(/\("([^"]+)"/g)]
      .map(([, name]) => name).sort();
  };

  await setPlugins(machine, []);
  await systemctl("restart", "docker");
  await putImage(machine);
  await install(machine);
  await systemctl("enable", "--now", `${PLUGIN}.socket`);
  await setPlugins(machine, [PLUGIN]);
  await systemctl("restart", "docker");
  await guards(machine);
  // As the RPM does.
  await machine.must("mkdir", "-p", PACKAGED);
  await must(["cp", "-r", `${ROOT}packaging/haproxy`, `${machine.dir}/run/`]);
  await sh(`cp -r /run/haproxy/. ${PACKAGED}`);

  /** All that has to be so while HAProxy is in front. */
  const works = async () => {
    await guards(machine);
    assertEquals(await isActive(machine, "docker-front.service"), "active");
    const users = await listener("/run/docker.sock");
    assert(
      users.includes("haproxy") && !users.includes("dockerd"),
      users.join(),
    );
    const engines = await listener(ENGINE);
    assert(
      engines.includes("dockerd") && !engines.includes("haproxy"),
      engines.join(),
    );
  };

  await step("by the commands of the documents", async () => {
    await sh(INSTALL);
    await works();
  });

  await step("a user reaches HAProxy, and not the engine", async () => {
    const docker = await asUser("docker", "version");
    assertEquals(docker.code, 0, docker.stderr);
    const past = await asUser("docker", "-H", `unix://${ENGINE}`, "ps");
    assertEquals(past.code, 1);
    assert(past.stderr.includes("permission denied"), past.stderr);
  });

  await step("the docker client works through it", async () => {
    const said = await asUser(
      ...["docker", "run", "--rm", "--network", "none", "-v", "/srv:/x"],
      ...["busybox:1", "echo", "hello"],
    );
    assertEquals([said.code, said.stdout], [0, "hello\n"], said.stderr);
    const refused = await asUser(
      ...["docker", "run", "--rm", "-v", "/x", "busybox:1"],
    );
    assert(
      refused.stderr.includes("anonymous volume at /x"),
      refused.stderr,
    );
  });

  await step("HTTP/2 is refused, and told in its journal", async () => {
    const refused = async () => {
      const log = await machine.must("journalctl", "-u", "docker-front");
      return log.split(" PR ").length;
    };
    // The plugin has been looking, too.
    const before = await refused();
    assertEquals(await isOpen(), "0");
    await eventually("it has", async () => await refused() > before);
  });

  await step("the plugin asks the engine past it", async () => {
    const socket = "unix:///run/docker-engine/docker.sock";
    const commands = await systemctl(
      ...["show", "-P", "ExecStart", PLUGIN],
    );
    assert(commands.includes(`--host ${socket}`), commands);
    await eventually("it follows the engine's events", async () => {
      const metrics = await machine.monitor("/metrics");
      return metrics.includes("docker_policy_following_events 1");
    });
    // And has its options from where it always had them.
    await machine.write(
      `/etc/sysconfig/${PLUGIN}`,
      'OPTIONS="--log-format json"\n',
    );
    await systemctl("restart", PLUGIN);
    await guards(machine);
    assert((await machine.journal()).includes('"rule":"volumes/anonymous"'));
  });

  await step("a call waits while the engine restarts", async () => {
    const restart = systemctl("restart", "docker");
    const answers: number[] = [];
    for (let calls = 0; calls < 20; calls++) {
      // One that is under way when the engine ends is cut by the engine.
      const answer = await machine.api("GET", "/version").catch(() => {});
      if (answer) answers.push(answer.status);
      await sleep(100);
    }
    await restart;
    assert(answers.length >= 15, `${answers.length} answers`);
    assertEquals([...new Set(answers)], [200]);
    await works();
  });

  await step("a restart and a reload of HAProxy go by", async () => {
    await systemctl("restart", "docker-front");
    await works();
    await systemctl("reload", "docker-front");
    await works();
  });

  await step("after a boot it is in front again", async () => {
    await machine.shutDown();
    await machine.boot();
    await works();
    assertEquals(await isOpen(), "0");
  });

  await step("undone by the commands of the documents", async () => {
    await sh(UNDO);
    await guards(machine);
    const users = await listener("/run/docker.sock");
    assert(
      users.includes("dockerd") && !users.includes("haproxy"),
      users.join(),
    );
    assertEquals(
      await machine.property("docker-front.service", "LoadState"),
      "not-found",
    );
  });
}
