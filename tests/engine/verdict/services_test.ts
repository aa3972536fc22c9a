/**
 * Services on a host whose swarm is its own: their tasks come without a call,
 * and swarm replaces one that is removed, without end.
 */

import { always, eventually } from "../../helpers/waiting.ts";
import { hasVolume, type Host, hostTest } from "./third_line/host.ts";
import {
  createService,
  replicasOf,
  scale,
  service,
  startOwnSwarm,
} from "./third_line/swarm.ts";
import { pushIndex } from "./third_line/index_images.ts";
import { Registry, registryTest } from "../registry.ts";
import { Host as HostOf } from "./third_line/host.ts";
import { UNDONE } from "./third_line/names.ts";
import { assertMatch } from "@std/assert";
import { assert, assertEquals, refused } from "../verdict.ts";

const EXEMPT = '[volumes]\nallow-user = ["dwalsh"]\n';
const USERS = { users: ["dwalsh", "eve"] };

/** The tasks of a service that run here. */
async function tasks(host: Host, name: string) {
  const { containers } = await host.things();
  return containers.filter(({ Labels, State }) =>
    Labels["com.docker.swarm.service.name"] === name && State === "running"
  );
}

/** A service comes to nothing: no task, no volume, no more attempts. */
async function comesToNothing(
  host: Host,
  name: string,
  volumes: string[],
): Promise<void> {
  await eventually("it is scaled to 0", async () => {
    return await replicasOf(host, name) === 0;
  });
  await eventually("no task with a volume is left", async () => {
    const things = await host.things();
    return !things.containers.some((each) =>
      hasVolume(each) && each.Names[0].startsWith(`/${name}.`)
    ) && things.volumes.join() === volumes.join();
  });
  // Swarm may have been about to make one more in the place of the first.
  await eventually("none comes back any more", async () => {
    return await always("none comes back", async () => {
      return (await host.things()).volumes.join() === volumes.join();
    }).then(() => true, () => false);
  });
  assertEquals((await host.alerts(name)).length, 1);
}

const volume = (Source: string) => ({ Type: "volume", Source, Target: "/x" });

hostTest("services that nobody was asked about", async (t, host) => {
  await host.image("plain:1");
  await host.image("vol:1", { changes: ["VOLUME /data"] });
  await startOwnSwarm(host);
  await host.guard();

  const bad: [string, Record<string, unknown>][] = [
    [
      "svc-named",
      service("svc-named", "plain:1", { mounts: [volume("data")] }),
    ],
    ["svc-declared", service("svc-declared", "vol:1", { replicas: 2 })],
    [
      "svc-many",
      service("svc-many", "plain:1", { mounts: [volume("many")], replicas: 5 }),
    ],
  ];
  for (const [name, body] of bad) {
    await t.step(`one with a volume: ${name}`, async () => {
      const undone = await host.metric(UNDONE) ?? 0;
      const { volumes } = await host.things();
      await host.behindItsBack((h) => createService(h, body));
      await comesToNothing(host, name, volumes);
      assert((await host.metric(UNDONE) ?? 0) > undone);
    });
  }
  await t.step("one that is scaled up again, by its maker", async () => {
    const { volumes } = await host.things();
    await host.behindItsBack((h) => scale(h, "svc-named", 1));
    await eventually("it is scaled to 0", async () => {
      return await replicasOf(host, "svc-named") === 0;
    });
    await eventually("no volume is left", async () => {
      return (await host.things()).volumes.join() === volumes.join();
    });
  });
  await t.step(
    "one on every node can't be scaled, and gives one alert",
    async () => {
      await host.behindItsBack((h) =>
        createService(
          h,
          service("svc-global", "vol:1", { isGlobal: true }),
        )
      );
      await eventually("an alert names it", async () => {
        return (await host.alerts("svc-global")).length > 0;
      });
      // Longer than swarm takes to make another.
      await always("no other does, though tasks come and go", async () => {
        return (await host.alerts("svc-global")).length === 1;
      }, 8000);
      await host.behindItsBack((h) => h.api("DELETE", "/services/svc-global"));
      await eventually("nothing is left", async () => {
        const things = await host.things();
        return things.volumes.length === 0 &&
          !things.containers.some(hasVolume);
      });
    },
  );
  await t.step("those without stay", async () => {
    await host.behindItsBack((h) =>
      createService(h, service("svc-good", "plain:1", { replicas: 2 }))
    );
    await eventually("they run", async () => {
      return (await tasks(host, "svc-good")).length === 2;
    });
    await always("and go on", async () => {
      return (await tasks(host, "svc-good")).length === 2;
    });
    assertEquals(await host.alerts("svc-good"), []);
  });
});

hostTest("services of exempt users", async (t, host) => {
  await host.image("plain:1");
  await startOwnSwarm(host);
  await host.guard(EXEMPT);
  const dwalsh = host.as("dwalsh");

  const runs = async () => {
    await eventually("its task runs", async () => {
      return (await tasks(host, "db")).length === 1;
    });
    const [{ Id }] = await tasks(host, "db");
    await always("and goes on, and its volume is there", async () => {
      const [task] = await tasks(host, "db");
      return task?.Id === Id &&
        (await host.things()).volumes.includes("db-data");
    });
    assertEquals(await replicasOf(host, "db"), 1);
    assertEquals(await host.alerts(), []);
  };
  await t.step("may have volumes", async () => {
    const answer = await createService(
      dwalsh,
      service("db", "plain:1", { mounts: [volume("db-data")] }),
    );
    assertEquals(answer.status, 201, answer.body);
    await runs();
  });
  await t.step("also a task that replaces another", async () => {
    const [{ Id }] = await tasks(host, "db");
    await dwalsh.must("kill", Id);
    await eventually("there is another", async () => {
      const now = await tasks(host, "db");
      return now.length === 1 && now[0].Id !== Id;
    });
    await runs();
  });
  await t.step("scaled by him", async () => {
    assertEquals((await scale(dwalsh, "db", 0)).status, 200);
    await eventually("no task runs", async () => {
      return (await tasks(host, "db")).length === 0;
    });
    assertEquals((await scale(dwalsh, "db", 1)).status, 200);
    await runs();
  });
  await t.step("after the plugin was started again", async () => {
    await host.restartPlugin();
    await runs();
  });
  await t.step("after a reboot", async () => {
    await host.reboot();
    await runs();
  });
  await t.step("but not somebody else's of that name", async () => {
    await dwalsh.must("service", "rm", "db");
    await eventually("its task is gone", async () => {
      return (await host.things()).containers.length === 0;
    });
    await host.behindItsBack((h) =>
      createService(
        h,
        service("db", "plain:1", { mounts: [volume("theirs")] }),
      )
    );
    await eventually(
      "it is scaled to 0, and no volume of its is left",
      async () => {
        const { volumes } = await host.things();
        return await replicasOf(host, "db") === 0 &&
          !volumes.includes("theirs");
      },
    );
    assert((await host.things()).volumes.includes("db-data"));
  });
  await t.step("nor a container that says it is a task of one", async () => {
    const answer = await createService(
      dwalsh,
      service("db2", "plain:1", { mounts: [volume("db-data")] }),
    );
    const { ID } = answer.json<{ ID: string }>();
    await eventually("its task runs", async () => {
      return (await tasks(host, "db2")).length === 1;
    });
    const [task] = await tasks(host, "db2");
    const fake = await host.behindItsBack((h) =>
      h.must(
        ...["create", "-v", "/x"],
        ...Object.entries(task.Labels).map(([key, value]) =>
          `--label=${key}=${value}`
        ),
        "plain:1",
      )
    );
    assert(task.Labels["com.docker.swarm.service.id"] === ID);
    await eventually("it is gone", async () => !(await host.listed(fake)));
    assertEquals((await tasks(host, "db2")).length, 1);
  });
}, USERS);

hostTest("services that an administrator names", async (t, host) => {
  await host.image("plain:1");
  await startOwnSwarm(host);
  // Made by whom nobody knows.
  for (const name of ["db", "db2"]) {
    const mounts = [volume(`${name}-data`)];
    await createService(
      host.h,
      service(name, "plain:1", { mounts, replicas: 0 }),
    );
  }
  await host.guard(
    '[volumes]\nallow-user = ["dwalsh"]\nallow-service = ["db", "cache"]\n',
  );
  const count = async (name: string) => (await tasks(host, name)).length;

  await t.step("may have volumes", async () => {
    await host.behindItsBack((h) => scale(h, "db", 1));
    await eventually("it runs", async () => await count("db") === 1);
    await always("and goes on", async () => await count("db") === 1);
    assertEquals(await host.alerts(), []);
  });
  await t.step("others not, though they begin like it", async () => {
    await host.behindItsBack((h) => scale(h, "db2", 1));
    await eventually("it is scaled to 0", async () => {
      return await replicasOf(host, "db2") === 0;
    });
    assertEquals(await count("db"), 1);
  });
  await t.step("their names are for exempt users", async () => {
    const body = service("cache", "plain:1");
    await refused(host.h, () => createService(host.h, body), /cache/);
    const { status, body: answer } = await createService(
      host.as("dwalsh"),
      service("cache", "plain:1", { mounts: [volume("cached")] }),
    );
    assertEquals(status, 201, answer);
    await eventually("it runs", async () => await count("cache") === 1);
    await refused(host.h, () => scale(host.h, "cache", 2), /cache/);
  });
}, USERS);

hostTest("services that mount no volume", async (t, host) => {
  const plain = await host.image("plain:1");
  await host.image("vol:1", { changes: ["VOLUME /data"] });
  await startOwnSwarm(host);
  await host.guard();

  /** As docker-py has it: a tag, and no Mode. */
  const python = {
    Name: "python",
    TaskTemplate: {
      ContainerSpec: { Image: "plain:1", Command: ["true"] },
    },
  };
  const good: [string, Record<string, unknown>][] = [
    ["docker-py's", python],
    ["by tag", service("tag", "plain:1", { replicas: 0 })],
    ["by name alone", service("bare", "plain", { replicas: 0 })],
    ["by ID", service("id", plain, { replicas: 0 })],
    ["of what is not here", service("far", "nowhere:1", { replicas: 0 })],
    [
      "of a digest that is not here",
      service("far2", `nowhere@sha256:${"0".repeat(64)}`, { replicas: 0 }),
    ],
    [
      "with a bind",
      service("bound", "plain:1", {
        mounts: [{ Type: "bind", Source: "/tmp", Target: "/x" }],
        replicas: 0,
      }),
    ],
    [
      "that covers the image's VOLUME",
      service("covers", "vol:1", {
        mounts: [{ Type: "tmpfs", Target: "/data" }],
      }),
    ],
  ];
  for (const [name, body] of good) {
    await t.step(`passes: ${name}`, async () => {
      const answer = await createService(host.stranger, body);
      assertEquals(answer.status, 201, answer.body);
    });
  }
  await t.step("can be changed and scaled", async () => {
    assertEquals((await scale(host.stranger, "tag", 2)).status, 200);
    await eventually("two run", async () => {
      return (await tasks(host, "tag")).length === 2;
    });
    await host.stranger.must(
      ...["service", "update", "-d", "--image=plain:1", "--env-add=a=b", "tag"],
    );
    await host.stranger.must("service", "create", "-d", "plain:1");
  });

  for (
    const [name, body, message] of [
      [
        "a volume",
        service("new", "plain:1", { mounts: [volume("data")] }),
        /named volume "data"/,
      ],
      [
        "an anonymous volume",
        service("new", "plain:1", {
          mounts: [{ Type: "volume", Target: "/x" }],
        }),
        /anonymous volume at \/x/,
      ],
      [
        "a volume, of an image that is not here",
        service("new", "nowhere:1", { mounts: [volume("data")] }),
        /named volume "data"/,
      ],
      [
        "the VOLUME of an image that is here",
        service("new", "vol:1"),
        /VOLUME/,
      ],
    ] as const
  ) {
    await t.step(`refused: ${name}`, async () => {
      // The tasks of the others come and go meanwhile.
      const answer = await host.h.api("POST", "/services/create", body);
      assertEquals(answer.status, 403, answer.body);
      assertMatch(answer.message, message);
    });
  }
  await t.step("all along", async () => {
    assertEquals((await host.things()).volumes, []);
    assertEquals(await host.alerts(), []);
  });
});

registryTest("a service by the digest of an index", async (t, h) => {
  const host = new HostOf(h);
  const registry = await Registry.start(h, 5000);
  const index = await pushIndex(h, registry.host, "several");
  await startOwnSwarm(host);
  await host.guard();

  await t.step("runs another variant than was looked at", async () => {
    // The one for another platform declares no VOLUME.
    await host.stranger.must("pull", "--platform=linux/arm64", index);
    const answer = await createService(
      host.stranger,
      service("svc-variant", index, { replicas: 0 }),
    );
    assertEquals(answer.status, 201, answer.body);
    await host.stranger.must("rmi", "-f", index);
    await scale(host.stranger, "svc-variant", 1);
    await eventually("its task was there", async () => {
      return (await host.things()).volumes.length > 0 ||
        (await host.alerts("svc-variant")).length > 0;
    });
    await comesToNothing(host, "svc-variant", []);
  });
});
