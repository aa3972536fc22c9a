/**
 * Users with settings of their own: what they may have stays, what only others
 * may have is not theirs, and what they may have is nobody else's.
 */

import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import {
  createService,
  replicasOf,
  scale,
  service,
  startOwnSwarm,
} from "./third_line/swarm.ts";
import { build, succeeded } from "./third_line/builds.ts";
import { hold } from "./third_line/held.ts";
import { assert, assertEquals, refused } from "../verdict.ts";

/**
 * `daemon` is of a group on every host, and so of `[for.ops]`; so is `olga`. `kim`
 * is named in both, of which the first decides. `eve` has what everybody has.
 */
const USERS = { users: ["daemon", "olga", "kim", "eve"] };

/** Settings with a place for everybody, and one for `[for.NAME]`. */
function settings({ dir }: Host["h"], ops = "ops"): string {
  return `
[volumes]
allow-bind = ["${dir}/shared/"]
allow-user = ["olga"]
[privileges]

[for.interns]
user = ["kim"]
[for.interns.volumes]
allow-bind = []
[for.interns.privileges]
require = ["memory"]

[for.${ops}]
user = ["olga", "kim"]
group = ["daemon"]
[for.${ops}.volumes]
allow-bind = ["${dir}/shared/", "${dir}/ops/"]
[for.${ops}.privileges]
allow-capabilities = ["NET_ADMIN"]
`;
}

/** The same, of which nothing is left for ops. */
function withoutOps(h: Host["h"]): string {
  return settings(h).split("[for.ops]")[0];
}

const isRunning = async (host: Host, name: string) =>
  (await host.listed(name))?.State === "running";

/** Watches that containers run, and that nothing is said against them. */
async function stay(host: Host, ...names: string[]): Promise<void> {
  for (const name of names) {
    await eventually(`${name} runs`, () => isRunning(host, name));
  }
  await always(`${names} run`, async () => {
    const { containers } = await host.things();
    return names.every((name) =>
      containers.some(({ Names, State }) =>
        Names.includes(`/${name}`) && State === "running"
      )
    );
  });
  for (const name of names) {
    const { Id } = (await host.listed(name))!;
    assertEquals(await host.alerts(Id.slice(0, 12)), []);
  }
}

/** What comes without a call is judged by what everybody may have. */
async function othersGo(host: Host): Promise<void> {
  for (const option of ["--cap-add=NET_ADMIN", `-v${host.h.dir}/ops:/x`]) {
    const id = await host.behindItsBack((h) =>
      h.must("create", option, "plain:1")
    );
    await eventually(
      `nobody's with ${option} is gone`,
      async () => !(await host.listed(id)),
    );
  }
}

/** Runs a container that stays. */
function runs(name: string, ...options: string[]): string[] {
  return ["run", "-d", `--name=${name}`, ...options, "plain:1"];
}

const NET = "--cap-add=NET_ADMIN";

hostTest("containers of users with other settings", async (t, host) => {
  const { h } = host;
  await Deno.mkdir(`${h.dir}/shared`);
  await Deno.mkdir(`${h.dir}/ops`);
  const ops = `-v${h.dir}/ops:/x`;
  const shared = `-v${h.dir}/shared:/x`;
  await host.image("plain:1");
  const old = await h.must("create", "--name=old", NET, "plain:1");
  await host.guard(settings(h));
  const [daemon, olga, kim, eve] = USERS.users.map((name) => host.as(name));

  await t.step("more for a group: made and run", async () => {
    await daemon.must(...runs("net", NET, "--restart=always"));
    await daemon.must(...runs("bind", ops));
    await daemon.must("create", "--name=idle", NET, "plain:1");
    await stay(host, "net", "bind");
    await othersGo(host);
  });
  await t.step("/health names them", async () => {
    const { body } = await host.monitor("/health");
    assert(body.includes("other settings in [for.interns], [for.ops]"), body);
  });
  await t.step("no more than that", async () => {
    const tries: [string[], RegExp][] = [
      [["--pid=host"], /--pid=host/],
      [["--cap-add=SYS_ADMIN"], /SYS_ADMIN/],
      [["-v/etc:/x"], /bind mount of/],
      [["-v", "data:/x"], /volumes are not allowed/],
    ];
    for (const [options, message] of tries) {
      await refused(h, () => daemon.docker(...runs("no", ...options)), message);
    }
  });
  await t.step("for a user, who is also exempt from [volumes]", async () => {
    await olga.must(...runs("olga", NET, "-v", "data:/x"));
    await stay(host, "olga");
  });
  await t.step("not for others", async () => {
    for (const user of [eve, host.stranger]) {
      await refused(h, () => user.docker(...runs("no", NET)), /NET_ADMIN/);
      await refused(h, () => user.docker(...runs("no", ops)), /bind mount of/);
    }
    await eve.must(...runs("eve", shared));
    await stay(host, "eve");
  });
  await t.step("nor by a container that is not theirs", async () => {
    for (const name of ["net", "bind", "olga"]) {
      for (
        const words of [
          ["exec", name, "true"],
          ["restart", name],
          ["rename", name, "mine"],
          ["cp", "/etc/hostname", `${name}:/`],
          ["cp", `${name}:/etc/hostname`, "-"],
          ["update", "--restart=always", name],
          ["run", "--rm", `--network=container:${name}`, "plain:1", "true"],
        ]
      ) {
        const { code } = await eve.docker(...words);
        assert(code !== 0, `eve could ${words.join(" ")}`);
      }
    }
    await refused(h, () => eve.docker("start", "idle"), /NET_ADMIN/);
    await stay(host, "net", "bind", "olga");
  });
  await t.step("the first that names a user decides, alone", async () => {
    const memory = "--memory=64m";
    await refused(h, () => kim.docker(...runs("no", NET, memory)), /NET_ADMIN/);
    await refused(
      h,
      () => kim.docker(...runs("no", ops, memory)),
      /bind mount of/,
    );
    await refused(
      h,
      () => kim.docker(...runs("no", shared, memory)),
      /bind mount of/,
    );
    await refused(h, () => kim.docker(...runs("no")), /memory/);
    await kim.must(...runs("kim", memory));
    await stay(host, "kim");
  });
  await t.step("who may have less takes nothing from others", async () => {
    await kim.docker("restart", "-t0", "eve");
    await kim.docker("update", "--memory=32m", "--memory-swap=64m", "eve");
    await kim.docker("start", "eve");
    // It is decided on by the name, and the name means it a moment later.
    const held = await hold(kim.socket, "POST", "/containers/qq/a/start");
    await host.behindItsBack((h) =>
      h.api("POST", "/containers/create?name=qq", {
        Image: "plain:1",
        HostConfig: { Links: ["eve:a"] },
      })
    );
    await held.finish();
    await stay(host, "eve", "net", "olga");
  });
  await t.step("who may have more starts what others can't", async () => {
    await host.behindItsBack((h) => h.must("rm", "-f", "-v", "qq"));
    await refused(h, () => eve.docker("start", old), /NET_ADMIN/);
    await daemon.must("start", "old");
    await eve.docker("stop", "-t0", "kim");
    await eve.must("start", "kim");
    await stay(host, "old", "kim");
  });
  await t.step("the log says whose settings decided", async () => {
    const log = (await host.log()).split("\n")
      .filter((line) => line.includes("denied"));
    const of = (user: string) =>
      log.filter((line) => line.includes(`user=${user} `));
    assert(of("daemon").length > 0 && of("kim").length > 0, log.join("\n"));
    assert(of("daemon").every((line) => line.includes(" for=ops ")));
    assert(of("kim").every((line) => line.includes(" for=interns ")));
    assert(of("eve").every((line) => !line.includes(" for=")));
  });
  const theirs = ["net", "bind", "olga", "eve", "kim", "old"];
  await t.step("after the plugin was started again, or killed", async () => {
    await host.restartPlugin();
    await stay(host, ...theirs);
    await othersGo(host);
    await host.crashPlugin();
    await stay(host, ...theirs);
  });
  await t.step("after a reboot", async () => {
    await host.reboot();
    await stay(host, "net");
    await othersGo(host);
    for (const name of ["bind", "olga", "old"]) await olga.must("start", name);
    await eve.must("start", "eve");
    await stay(host, "net", "bind", "olga", "eve", "old");
  });
  await t.step("without [for.ops], what runs is left alone", async () => {
    await host.reload(withoutOps(h));
    await eventually("the log says so", async () => {
      return (await host.log()).includes("[for.ops] is gone");
    });
    await refused(h, () => daemon.docker(...runs("no", NET)), /NET_ADMIN/);
    await refused(h, () => daemon.docker("start", "idle"), /NET_ADMIN/);
    await stay(host, "net", "bind", "olga", "eve");
    await eventually("the log names it", async () => {
      const { Id } = (await host.listed("net"))!;
      return (await host.log()).includes(
        `${Id.slice(0, 12)} ran before the plugin came, and is left alone`,
      );
    });
  });
  await t.step("and what stood still may not run", async () => {
    await host.behindItsBack((h) => h.must("start", "idle"));
    await eventually("it stops", async () => {
      return (await host.listed("idle"))?.State === "exited";
    });
    await eventually("an alert tells", async () => {
      return (await host.alerts("name=idle")).length === 1;
    });
  });
  await t.step("under another name they are others", async () => {
    await host.reload(settings(h, "admins"));
    await host.behindItsBack((h) => h.must("start", "idle"));
    await eventually("it stops", async () => {
      return (await host.listed("idle"))?.State === "exited";
    });
    await daemon.must(...runs("new", NET));
    await stay(host, "new", "net");
  });
  await t.step("under the old name they are theirs again", async () => {
    await host.reload(settings(h));
    await daemon.must("start", "idle");
    await always("it runs", () => isRunning(host, "idle"));
    await stay(host, "net", "bind");
    await othersGo(host);
  });
}, USERS);

hostTest("services of users with other settings", async (t, host) => {
  const { h } = host;
  for (const name of ["shared", "ops"]) await Deno.mkdir(`${h.dir}/${name}`);
  await host.image("plain:1");
  await startOwnSwarm(host);
  await host.guard(settings(h));
  const [daemon, olga, , eve] = USERS.users.map((name) => host.as(name));
  const mounts = [{ Type: "bind", Source: `${h.dir}/ops`, Target: "/x" }];
  const running = async (name: string) => {
    const { containers } = await host.things();
    return containers.filter(({ Labels, State }) =>
      Labels["com.docker.swarm.service.name"] === name && State === "running"
    ).length;
  };
  const goesOn = async () => {
    await eventually("its task runs", async () => await running("web") === 1);
    await always("and goes on", async () => await running("web") === 1);
    assertEquals(await replicasOf(host, "web"), 1);
    assertEquals(await host.alerts("web"), []);
  };

  await t.step("made", async () => {
    const body = service("web", "plain:1", { mounts });
    await refused(h, () => createService(eve, body), /bind mount of/);
    const answer = await createService(daemon, body);
    assertEquals(answer.status, 201, answer.body);
    await goesOn();
  });
  await t.step("not to be changed by others", async () => {
    await refused(h, () => scale(eve, "web", 2), /bind mount of/);
    await goesOn();
  });
  await t.step("changed by another of them", async () => {
    assertEquals((await scale(olga, "web", 0)).status, 200);
    await eventually("no task", async () => await running("web") === 0);
    assertEquals((await scale(olga, "web", 1)).status, 200);
    await goesOn();
  });
  await t.step("after the plugin was started again", async () => {
    await host.restartPlugin();
    await goesOn();
  });
  await t.step("and others' go", async () => {
    await host.behindItsBack((h) =>
      createService(h, service("theirs", "plain:1", { mounts }))
    );
    await eventually("it is scaled to 0", async () => {
      return await replicasOf(host, "theirs") === 0;
    });
    await goesOn();
  });
}, USERS);

hostTest("classic builds of users with other settings", async (t, host) => {
  await host.image("plain:1");
  await host.guard(`
[volumes]
allow-classic-build = false
[privileges]
[for.ops]
group = ["daemon"]
[for.ops.volumes]
allow-classic-build = true
[for.ops.privileges]
allow-classic-build = true
allow-host = ["network"]
`);
  const lines = [
    "FROM plain:1",
    "VOLUME /scratch",
    ...Array.from({ length: 4 }, (_, at) => `RUN sleep 1; echo ${at}`),
  ];
  const onHost = "networkmode=host";
  await t.step("are refused to others", async () => {
    const answer = await build(host, host.as("eve"), lines, onHost);
    assertEquals(answer.status, 403, answer.body);
  });
  await t.step("succeed, and leave nothing", async () => {
    const answer = await build(host, host.as("daemon"), lines, onHost);
    assert(succeeded(answer), answer.body);
    await eventually("no step and no volume is left", async () => {
      const { containers, volumes } = await host.things();
      return containers.length === 0 && volumes.length === 0;
    });
    assertEquals(await host.alerts(), []);
  });
}, USERS);
