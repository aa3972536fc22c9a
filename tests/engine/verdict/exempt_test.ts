/**
 * What exempt users made or started stays, however it comes to run again; what
 * only looks like theirs does not. And what ran before the plugin came is left
 * alone.
 */

import { Door } from "./third_line/door.ts";
import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { LONG, longImage } from "./third_line/long_answers.ts";
import { hold } from "./third_line/held.ts";
import { LEFT_ALONE } from "./third_line/names.ts";
import { assert, assertEquals } from "../verdict.ts";

const EXEMPT = '[volumes]\nallow-user = ["dwalsh"]\n';
const USERS = { users: ["dwalsh", "eve"] };

const isRunning = async (host: Host, name: string) =>
  (await host.listed(name))?.State === "running";

/** Watches that some containers run, and that all volumes stay. */
async function stay(host: Host, names: string[]): Promise<void> {
  const { volumes } = await host.things();
  for (const name of names) {
    await eventually(`${name} runs`, () => isRunning(host, name));
  }
  await always(`${names} run, and all volumes stay`, async () => {
    const things = await host.things();
    return things.volumes.join() === volumes.join() &&
      names.every((name) =>
        things.containers.some(({ Names, State }) =>
          Names.includes(`/${name}`) && State === "running"
        )
      );
  });
  for (const name of names) {
    const { Id } = await host.listed(name) ?? {};
    assertEquals(await host.alerts(Id?.slice(0, 12) ?? name), []);
  }
}

/**
 * The hostile one next to them, so that "nothing happened" is not for want of a
 * third line.
 */
async function othersGo(host: Host): Promise<void> {
  const id = await host.behindItsBack((h) =>
    h.must("create", "-v", "/x", "plain:1")
  );
  await eventually("another's is gone", async () => !(await host.listed(id)));
}

hostTest("containers of an exempt user", async (t, host) => {
  await host.image("plain:1");
  // From before the plugin, stopped.
  await host.h.must(
    ...["create", "--name=old", "--restart=always", "-v", "old-data:/x"],
    "plain:1",
  );
  await host.h.must("create", "--name=old2", "-v", "/x", "plain:1");
  await host.guard(EXEMPT);
  const dwalsh = host.as("dwalsh");
  const theirs = ["made", "old"];

  await t.step("made, started and run by him", async () => {
    await dwalsh.must(
      ...["run", "-d", "--name=made", "--restart=always", "-v", "data:/x"],
      ...["-v", "/y", "plain:1"],
    );
    await dwalsh.must("start", "old");
    await stay(host, theirs);
    await othersGo(host);
  });
  await t.step("made by him and not started", async () => {
    const id = await dwalsh.must(
      "create",
      "--name=idle",
      "-v",
      "/i",
      "plain:1",
    );
    await always("it stays", async () => await host.listed(id) !== undefined);
  });
  await t.step("as long as it takes", async () => {
    const { code } = await dwalsh.docker(
      ...["run", "--rm", "-v", "/x", "plain:1", "sleep", "4"],
    );
    assertEquals(code, 0);
  });
  await t.step("when their restart policy starts them again", async () => {
    const before = await host.h.must("inspect", "-f", "{{.State.Pid}}", "made");
    Deno.kill(await hostPid(host, Number(before)), "SIGKILL");
    await eventually("it is another process", async () => {
      const now = await host.h.must("inspect", "-f", "{{.State.Pid}}", "made");
      return now !== before && now !== "0";
    });
    await stay(host, theirs);
  });
  await t.step("renamed, stopped and started by him", async () => {
    await dwalsh.must("restart", "-t", "0", "made");
    await dwalsh.must("stop", "-t", "0", "made");
    await dwalsh.must("rename", "made", "renamed");
    await dwalsh.must("start", "renamed");
    await dwalsh.must("stop", "-t", "0", "renamed");
    await dwalsh.must("rename", "renamed", "made");
    await dwalsh.must("start", "made");
    await stay(host, theirs);
  });
  await t.step("after the plugin was started again", async () => {
    await host.restartPlugin();
    await stay(host, theirs);
    await othersGo(host);
  });
  await t.step("after the plugin was killed", async () => {
    await host.crashPlugin();
    await stay(host, theirs);
  });
  await t.step("after a reboot", async () => {
    await host.reboot();
    await stay(host, theirs);
    await othersGo(host);
  });
  await t.step("after a reboot of the whole host", async () => {
    await host.stopEngine();
    await host.restartPlugin();
    await host.reboot();
    await stay(host, theirs);
  });
  await t.step("what nobody started does not run", async () => {
    assertEquals((await host.listed("old2"))?.State, "created");
  });
  await t.step("what he did not start may not run", async () => {
    await dwalsh.must("rm", "-f", "-v", "idle");
    await host.behindItsBack((h) => h.must("start", "old2"));
    await eventually("it stops", async () => {
      return (await host.listed("old2"))?.State === "exited";
    });
    await stay(host, theirs);
  });
}, USERS);

hostTest("what only looks like an exempt user's", async (t, host) => {
  await host.image("plain:1");
  await host.image("vol:1", { changes: ["VOLUME /data"] });
  await longImage(host.h, "long:1", ["/data"]);
  const bad = await host.h.must(
    ...["create", "--name=bad", "--restart=always", "-v", "/x", "plain:1"],
  );
  await host.guard(EXEMPT);
  const dwalsh = host.as("dwalsh");

  await t.step("a user who isn't one", async () => {
    const { status, body } = await host.as("eve").api(
      "POST",
      "/containers/create",
      { Image: "vol:1" },
    );
    assertEquals(status, 403, body);
  });
  await t.step("made by others while he makes one", async () => {
    const [mine, theirs] = await Promise.all([
      dwalsh.must("run", "-d", "--name=mine", "-v", "/x", "plain:1"),
      host.behindItsBack((h) => h.must("create", "-v", "/x", "plain:1")),
    ]);
    await eventually(
      "theirs is gone",
      async () => !(await host.listed(theirs)),
    );
    await always("his runs", () => isRunning(host, mine), 3000);
  });
  await t.step("his start of what nobody had that name then", async () => {
    const held = await hold(
      dwalsh.socket,
      "POST",
      "/containers/qq/a/start",
    );
    const { status } = await host.stranger.api(
      "POST",
      "/containers/create?name=qq",
      { Image: "plain:1", HostConfig: { Links: ["bad:a"] } },
    );
    assertEquals(status, 201);
    assertEquals((await held.finish()).status, 204);
    await eventually("it does not run", async () => {
      const now = await host.h.container(bad);
      return now?.running === false && now.restart === "no";
    });
  });
  await t.step("his, by an answer that is too long", async () => {
    const answer = await dwalsh.api("POST", "/containers/create?name=long", {
      Image: "long:1",
    });
    assert(answer.body.length > LONG, answer.body);
    await eventually("it is gone", async () => !(await host.listed("long")));
  });
}, USERS);

hostTest("containers that ran before the plugin came", async (t, host) => {
  await host.image("plain:1");
  const { h } = host;
  const running: string[] = [];
  for (const name of ["ran1", "ran2"]) {
    running.push(
      await h.must(
        ...["run", "-d", `--name=${name}`, "--restart=always", "-v", "/x"],
        "plain:1",
      ),
    );
  }
  await h.must("run", "-d", "--name=plain", "plain:1");
  const stopped = await h.must("create", "--name=stood", "-v", "/x", "plain:1");
  const vanishing = await h.must(
    ...["create", "--rm", "--name=vanishing", "-v", "/x", "plain:1"],
  );
  let { volumes } = await host.things();
  await host.guard();

  const areLeftAlone = async () => {
    await stay(host, ["ran1", "ran2", "plain"]);
    assertEquals((await host.things()).volumes, volumes);
    await eventually("the gauge counts them", async () => {
      return await host.metric(LEFT_ALONE) === running.length;
    });
  };
  await t.step("are left alone, and counted", areLeftAlone);
  await t.step("are named in the log", async () => {
    const log = await host.log();
    for (const [at, id] of running.entries()) {
      assert(
        log.split("\n").some((line) =>
          line.includes(id.slice(0, 12)) && line.includes(`ran${at + 1}`)
        ),
        log,
      );
    }
  });
  await t.step("also when they start again by themselves", async () => {
    const before = await h.must("inspect", "-f", "{{.State.Pid}}", "ran1");
    Deno.kill(await hostPid(host, Number(before)), "SIGKILL");
    await eventually("it is another process", async () => {
      const now = await h.must("inspect", "-f", "{{.State.Pid}}", "ran1");
      return now !== before && now !== "0";
    });
    await areLeftAlone();
  });
  await t.step("one that removes itself does so", async () => {
    await host.behindItsBack((h) => h.must("start", "vanishing"));
    await eventually("it is gone", async () => !(await host.listed(vanishing)));
    // Its anonymous volume goes with it, as its maker asked.
    ({ volumes } = await host.things());
  });
  await t.step("also by another plugin process", async () => {
    await host.restartPlugin();
    await areLeftAlone();
  });
  await t.step("also after a reboot", async () => {
    await host.reboot();
    await eventually("ran1 runs", () => isRunning(host, "ran1"));
    await stay(host, ["ran1", "ran2"]);
  });
  await t.step("those that stood still stay, and may not run", async () => {
    assert(await host.listed(stopped));
    await host.behindItsBack((h) => h.must("start", "stood"));
    await eventually("it stops", async () => {
      return (await host.listed(stopped))?.State === "exited";
    });
    assert((await host.things()).volumes.length > 0);
    await eventually("an alert names it", async () => {
      return (await host.alerts(stopped.slice(0, 12))).length === 1;
    });
  });
});

hostTest("a plugin without a memory", async (t, host) => {
  await host.image("plain:1");
  await using door = new Door(
    `${host.h.dir}/door.sock`,
    host.h.dockerd.socket,
  );
  await host.guard(EXEMPT, { host: door.host });
  await host.as("dwalsh").must(
    ...["run", "-d", "--name=made", "-v", "/x", "plain:1"],
  );
  await always("it runs", () => isRunning(host, "made"), 2000);

  await t.step("leaves alone what runs when it comes", async () => {
    await Deno.remove(`${host.h.dir}/state`, { recursive: true });
    await host.crashPlugin();
    await stay(host, ["made"]);
  });
  await t.step("with a memory that is none it tells, and serves", async () => {
    await Deno.remove(`${host.h.dir}/state`, { recursive: true });
    await Deno.mkdir(`${host.h.dir}/state`);
    await host.crashPlugin();
    await eventually("there is a file", async () => {
      return (await filesIn(`${host.h.dir}/state`)).length > 0;
    });
    for (const file of await filesIn(`${host.h.dir}/state`)) {
      await Deno.writeTextFile(file, '{"half a fi');
    }
    await host.crashPlugin();
    await stay(host, ["made"]);
    await othersGo(host);
  });
}, USERS);

async function filesIn(dir: string): Promise<string[]> {
  const files = [];
  for await (const { name, isFile } of Deno.readDir(dir)) {
    if (isFile) files.push(`${dir}/${name}`);
  }
  return files;
}

/**
 * The number on this machine of a process that the engine knows by another: its
 * namespace is its own.
 */
async function hostPid(host: Host, inner: number): Promise<number> {
  const engine = `${await host.h.dockerd.pid()}`;
  const namespace = await Deno.readLink(`/proc/${engine}/ns/mnt`).catch(() =>
    ""
  );
  assert(namespace !== "");
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await Deno.readTextFile(`/proc/${name}/status`).catch(() =>
      ""
    );
    const numbers = /^NSpid:\s+(.*)$/m.exec(status)?.[1].split(/\s+/) ?? [];
    if (
      numbers[1] === `${inner}` && await isBelow(Number(name), Number(engine))
    ) return Number(name);
  }
  throw new Error(`no process ${inner} below dockerd's ${engine}`);
}

async function isBelow(pid: number, ancestor: number): Promise<boolean> {
  for (let at = pid; at > 1;) {
    if (at === ancestor) return true;
    const status = await Deno.readTextFile(`/proc/${at}/status`).catch(() =>
      ""
    );
    at = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
  }
  return false;
}
