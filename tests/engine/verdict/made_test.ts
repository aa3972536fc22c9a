/**
 * Containers that are made in the plugin's sight, against its policy, whoever
 * made them: they do not stay, and nor do the volumes that were made for them.
 * What is innocent is not touched.
 *
 * They are made while the engine asks no plugin, which goes on and follows the
 * engine's events. So it doesn't matter by which hole they came.
 */

import { sleep } from "../../helpers/programs.ts";
import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { UNDONE } from "./third_line/names.ts";
import type { Harness } from "../harness.ts";
import { assert, assertEquals } from "../verdict.ts";

/** Makes a container, and returns its ID. */
async function create(
  h: Harness,
  name: string,
  body: Record<string, unknown> = {},
): Promise<string> {
  const answer = await h.api("POST", `/containers/create?name=${name}`, {
    Image: "plain:1",
    ...body,
  });
  assertEquals(answer.status, 201, answer.body);
  return answer.json<{ Id: string }>().Id;
}

async function start(h: Harness, id: string): Promise<void> {
  const answer = await h.api("POST", `/containers/${id}/start`);
  assertEquals(answer.status, 204, answer.body);
}

const gone = (host: Host, id: string) =>
  eventually("the container is gone", async () => !(await host.listed(id)));

/** The labels of a task of swarm's, which anybody can write. */
const TASK_LABELS = {
  "com.docker.swarm.node.id": "vmcy7xyxrf45bno0fr8667ym2",
  "com.docker.swarm.service.id": "y9i6isoqrpng29cbw4xrzej6z",
  "com.docker.swarm.service.name": "db",
  "com.docker.swarm.task": "",
  "com.docker.swarm.task.id": "ir3zq35ojzlg8msvzkvrhvj5b",
  "com.docker.swarm.task.name": "db.1.ir3zq35ojzlg8msvzkvrhvj5b",
};

const HOSTILE: {
  name: string;
  body: Record<string, unknown>;
  /** A part of what its alert says beside ID, name and image. */
  mount: string;
}[] = [
  { name: "path", body: { Volumes: { "/x": {} } }, mount: "/x" },
  {
    name: "bind",
    body: { HostConfig: { Binds: ["new1:/y"] } },
    mount: "new1",
  },
  {
    name: "mount",
    body: {
      HostConfig: {
        Mounts: [{ Type: "volume", Source: "new2", Target: "/y" }],
      },
    },
    mount: "new2",
  },
  {
    name: "nameless",
    body: { HostConfig: { Mounts: [{ Type: "volume", Target: "/z" }] } },
    mount: "/z",
  },
  { name: "image", body: { Image: "vol:1" }, mount: "/data" },
  {
    name: "several",
    body: {
      Volumes: { "/x": {} },
      HostConfig: { Binds: ["new3:/y", "kept:/k", "/tmp:/b"] },
    },
    mount: "new3",
  },
  {
    name: "old",
    body: { HostConfig: { Binds: ["kept:/k"] } },
    mount: "kept",
  },
  {
    name: "from",
    body: { HostConfig: { VolumesFrom: ["before"] } },
    mount: "/o",
  },
  {
    name: "always",
    body: {
      Volumes: { "/x": {} },
      HostConfig: { RestartPolicy: { Name: "always" } },
    },
    mount: "/x",
  },
  {
    name: "vanishing",
    body: { Volumes: { "/x": {} }, HostConfig: { AutoRemove: true } },
    mount: "/x",
  },
  {
    name: "task",
    body: { Volumes: { "/x": {} }, Labels: TASK_LABELS },
    mount: "/x",
  },
  { name: "task2", body: { Image: "task:1" }, mount: "/data" },
];

const INNOCENT: Record<string, Record<string, unknown>> = {
  plain: {},
  binds: { HostConfig: { Binds: ["/tmp:/data"] } },
  covers: { Image: "vol:1", HostConfig: { Binds: ["/tmp:/data"] } },
  memory: { Image: "vol:1", HostConfig: { Tmpfs: { "/data": "" } } },
};

hostTest("containers that nobody was asked about", async (t, host) => {
  await host.image("plain:1");
  await host.image("vol:1", { changes: ["VOLUME /data"] });
  await host.image("task:1", {
    changes: [
      "VOLUME /data",
      ...Object.entries(TASK_LABELS).map(([key, value]) =>
        `LABEL ${key}=${value || '""'}`
      ),
    ],
  });
  const { h } = host;
  await h.must("volume", "create", "kept");
  await h.must(
    ...["run", "--name=before", "-v", "/o", "-v", "kept:/k", "plain:1", "sh"],
    ...["-c", "echo precious > /o/file; echo precious > /k/file"],
  );
  const { volumes } = await host.things();
  await host.guard();

  let expected = 0;
  for (const running of [false, true]) {
    for (const { name, body, mount } of HOSTILE) {
      const step = `${name}, ${running ? "running" : "made"}`;
      await t.step(step, async () => {
        const id = await host.behindItsBack(async (h) => {
          const id = await create(h, `${name}-${running}`, body);
          // It may be gone already.
          if (running) await h.api("POST", `/containers/${id}/start`);
          return id;
        });
        expected++;
        await gone(host, id);
        await eventually("no volume of its is left", async () => {
          return (await host.things()).volumes.join() === volumes.join();
        });
        await host.alert(id.slice(0, 12));
        const alerts = await host.alerts(id.slice(0, 12));
        assertEquals(alerts.length, 1, alerts.join("\n"));
        for (
          const part of [`${name}-${running}`, body.Image ?? "plain:1", mount]
        ) assert(alerts[0].includes(String(part)), alerts[0]);
      });
    }
  }
  await t.step("each is counted", async () => {
    assertEquals(await host.metric(UNDONE), expected);
  });

  await t.step("what is innocent stays", async () => {
    const ids = await host.behindItsBack(async (h) => {
      const ids = [];
      for (const [name, body] of Object.entries(INNOCENT)) {
        ids.push(await create(h, name, body));
        await start(h, name);
      }
      return ids;
    });
    await always("they all run", async () => {
      const { containers } = await host.things();
      return ids.every((id) =>
        containers.some(({ Id, State }) => Id === id && State === "running")
      );
    });
    for (const id of ids) {
      assertEquals(await host.alerts(id.slice(0, 12)), []);
    }
  });

  await t.step("two that share a new volume take it along", async () => {
    const ids = await host.behindItsBack(async (h) => {
      const one = await create(h, "one", {
        HostConfig: { Binds: ["shared:/s"] },
      });
      await sleep(1100); // The engine tells the second in which each was made.
      return [
        one,
        await create(h, "two", { HostConfig: { Binds: ["shared:/s"] } }),
      ];
    });
    for (const id of ids) await gone(host, id);
    await eventually("no volume of theirs is left", async () => {
      return (await host.things()).volumes.join() === volumes.join();
    });
  });

  await t.step("what stood in volumes from before is there", async () => {
    const text = await host.behindItsBack((h) =>
      h.must(
        ...["run", "--rm", "--volumes-from=before", "plain:1", "cat"],
        ...["/o/file", "/k/file"],
      ).catch((error) => String(error))
    ).then(() => Deno.readTextFile(`${h.dir}/data/volumes/kept/_data/file`));
    assertEquals(text, "precious\n");
    assert(await host.listed("before"), "the container from before is gone");
  });

  await t.step("a volume for itself is none of its business", async () => {
    await host.behindItsBack((h) => h.must("volume", "create", "alone"));
    await always("it stays", async () => {
      return (await host.things()).volumes.includes("alone");
    }, 3000);
  });
});

hostTest("a policy that is tried out", async (t, host) => {
  await host.image("plain:1");
  await host.guard("[volumes]\nenforce = false\n");
  await t.step("only tells of it", async () => {
    const id = await host.behindItsBack(async (h) => {
      const id = await create(h, "tried", { Volumes: { "/x": {} } });
      await start(h, id);
      return id;
    });
    await eventually("the log names it", async () => {
      return (await host.log()).split("\n").some((line) =>
        line.includes(id.slice(0, 12)) && line.includes("would")
      );
    });
    await always("it runs", async () => {
      return (await host.listed(id))?.State === "running";
    });
  });
});

hostTest("bind mounts that are not allowed", async (t, host) => {
  await host.image("plain:1");
  await host.guard('[volumes]\nallow-bind = ["/tmp"]\n');
  await t.step("go as volumes do", async () => {
    const [bad, good] = await host.behindItsBack(async (h) => [
      await create(h, "bad", { HostConfig: { Binds: ["/etc:/x"] } }),
      await create(h, "good", { HostConfig: { Binds: ["/tmp:/x"] } }),
    ]);
    await gone(host, bad);
    await always("the other one stays", async () => {
      return await host.listed(good) !== undefined;
    }, 2000);
  });
});
