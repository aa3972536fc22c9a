/**
 * Two hosts in one swarm: what runs on the worker comes from the manager, and
 * no call of it passes the worker's plugin.
 */

import {
  canConnect,
  createService,
  joinSwarm,
  replicasOf,
  scale,
  service,
  startSwarm,
  twoHostsTest,
} from "./third_line/swarm.ts";
import { always, eventually } from "../../helpers/waiting.ts";
import { hasVolume, type Host } from "./third_line/host.ts";
import { assert, assertEquals, refused } from "../verdict.ts";

if (!canConnect) {
  console.error("SKIPPED: a swarm of two: no ip(8): install iproute2");
}

const volume = (Source: string) => ({ Type: "volume", Source, Target: "/x" });

const running = async (host: Host) =>
  (await host.things()).containers.filter(({ State }) => State === "running");

/**
 * The worker gets tasks without a volume, so that "no volume came" is not for
 * want of tasks.
 */
async function takesTasks(manager: Host, worker: Host): Promise<void> {
  const answer = await createService(
    manager.h,
    service("web", "plain:1", { replicas: 2, onWorker: true }),
  );
  assertEquals(answer.status, 201, answer.body);
  await eventually("two tasks run", async () => {
    return (await running(worker)).length === 2;
  });
  await always("and go on", async () => {
    return (await running(worker)).length === 2;
  });
  assertEquals(await worker.alerts("web"), []);
}

/** What swarm makes again and again never stays for long. */
async function neverStays(worker: Host, service: string): Promise<void> {
  const seen = new Map<string, number>();
  await eventually("an alert names it", async () => {
    return (await worker.alerts(service)).length > 0;
  });
  await always("no container with a volume gets old", async () => {
    const { containers } = await worker.things();
    const bad = new Set(
      containers.filter(hasVolume).filter(({ Labels }) =>
        Labels["com.docker.swarm.service.name"] === service
      ).map(({ Id }) => Id),
    );
    for (const id of seen.keys()) if (!bad.has(id)) seen.delete(id);
    for (const id of bad) if (!seen.has(id)) seen.set(id, Date.now());
    return [...seen.values()].every((since) => Date.now() - since < 5000);
  }, 8000);
  assertEquals((await worker.alerts(service)).length, 1, "alerts");
}

const leavesNothing = (worker: Host) =>
  eventually("no volume is left", async () => {
    const things = await worker.things();
    return things.volumes.length === 0 && !things.containers.some(hasVolume);
  }, 60_000);

const test = canConnect
  ? twoHostsTest
  : (name: string) => Deno.test({ name, ignore: true, fn() {} });

test("a worker in a foreign swarm", async (t, manager, worker) => {
  for (const { h } of [manager, worker]) {
    await h.image("plain:1");
    await h.image("vol:1", { changes: ["VOLUME /data"] });
  }
  await startSwarm(manager, worker);
  await worker.guard();

  await t.step("takes tasks", () => takesTasks(manager, worker));
  for (
    const [name, body] of [
      [
        "svc-named",
        service("svc-named", "plain:1", {
          mounts: [volume("data")],
          onWorker: true,
        }),
      ],
      ["svc-declared", service("svc-declared", "vol:1", { onWorker: true })],
    ] as const
  ) {
    await t.step(`gets no volume: ${name}`, async () => {
      assertEquals((await createService(manager.h, body)).status, 201);
      await neverStays(worker, name);
      await manager.h.must("service", "rm", name);
      await leavesNothing(worker);
    });
  }
  await t.step("also not after the plugin was started again", async () => {
    await createService(
      manager.h,
      service("svc-again", "vol:1", { onWorker: true }),
    );
    await worker.restartPlugin();
    await neverStays(worker, "svc-again");
    await manager.h.must("service", "rm", "svc-again");
    await leavesNothing(worker);
  });
  await t.step("but its own tasks went on", async () => {
    assertEquals((await running(worker)).length, 2);
  });
});

test("a worker that joins by itself", async (t, manager, worker) => {
  for (const { h } of [manager, worker]) {
    await h.image("vol:1", {
      changes: ["VOLUME /data"],
    });
  }
  await manager.h.must("swarm", "init", "--advertise-addr=10.99.0.1");
  await createService(
    manager.h,
    service("svc-waiting", "vol:1", { onWorker: true }),
  );
  await worker.guard();
  await t.step("gets no volume", async () => {
    // Whether its plugin lets it join is another matter.
    await joinSwarm(manager, worker.stranger.must);
    await neverStays(worker, "svc-waiting");
    await manager.h.must("service", "rm", "svc-waiting");
    await leavesNothing(worker);
  });
});

test(
  "a worker whose administrator names a service",
  async (t, manager, worker) => {
    for (const { h } of [manager, worker]) await h.image("plain:1");
    await startSwarm(manager, worker);
    await worker.guard('[volumes]\nallow-service = ["db"]\n');

    await t.step("it may have volumes", async () => {
      await createService(
        manager.h,
        service("db", "plain:1", { mounts: [volume("db")], onWorker: true }),
      );
      await eventually("it runs", async () => {
        return (await running(worker)).length === 1;
      });
      const [{ Id }] = await running(worker);
      await always("and goes on", async () => {
        return (await running(worker))[0]?.Id === Id;
      });
      assertEquals(await worker.alerts(), []);
    });
    await t.step("another may not", async () => {
      await createService(
        manager.h,
        service("db2", "plain:1", { mounts: [volume("db2")], onWorker: true }),
      );
      await neverStays(worker, "db2");
    });
    await t.step("nor a container with its labels", async () => {
      const [task] = await running(worker);
      const id = await worker.behindItsBack((h) =>
        h.must(
          ...["create", "-v", "/x"],
          ...Object.entries(task.Labels).map(([key, value]) =>
            `--label=${key}=${value}`
          ),
          "plain:1",
        )
      );
      await eventually("it is gone", async () => !(await worker.listed(id)));
    });
  },
);

test("a worker that allows some images only", async (t, manager, worker) => {
  for (const { h } of [manager, worker]) {
    await h.image("plain:1");
    await h.image("other:1", { files: { is: "other" } });
  }
  await startSwarm(manager, worker);
  await worker.guard('[volumes]\n[images]\nwhitelist = ["^plain:1$"]\n');

  await t.step("takes tasks", () => takesTasks(manager, worker));
  await t.step("runs no other image", async () => {
    await createService(
      manager.h,
      service("svc-image", "other:1", { onWorker: true }),
    );
    await eventually("an alert names it", async () => {
      return (await worker.alerts("svc-image")).length > 0;
    });
    await manager.h.must("service", "rm", "svc-image");
    await eventually("none is left", async () => {
      const { containers } = await worker.things();
      return !containers.some(({ Image }) => Image.startsWith("other"));
    });
    assertEquals((await running(worker)).length, 2);
  });
});

test("two hosts with the plugin", async (t, manager, worker) => {
  for (const { h } of [manager, worker]) await h.image("plain:1");
  // Only the worker has it, or has it with a VOLUME.
  await worker.h.image("far:1", { changes: ["VOLUME /data"] });
  await worker.h.image("other:1", { changes: ["VOLUME /data"] });
  await manager.h.image("other:1");
  await startSwarm(manager, worker);
  await worker.guard();
  await manager.guard();

  await t.step("a service without volumes runs on both", async () => {
    const body = service("web", "plain:1", { replicas: 4 });
    const { status, body: answer } = await createService(
      manager.stranger,
      body,
    );
    assertEquals(status, 201, answer);
    await eventually("four tasks run", async () => {
      const both = [await running(manager), await running(worker)].flat();
      return both.length === 4;
    });
  });
  await t.step("a volume is refused", async () => {
    await refused(
      manager.h,
      () =>
        manager.h.api(
          "POST",
          "/services/create",
          service("bad", "plain:1", {
            mounts: [volume("data")],
            onWorker: true,
          }),
        ),
      /named volume "data"/,
    );
  });
  for (const image of ["far", "other"]) {
    await t.step(`an image that only the worker has so: ${image}`, async () => {
      const answer = await createService(
        manager.stranger,
        service(`svc-${image}`, `${image}:1`, { onWorker: true }),
      );
      assertEquals(answer.status, 201, answer.body);
      await neverStays(worker, `svc-${image}`);
      assertEquals(await replicasOf(manager, `svc-${image}`), 1);
      await scale(manager.stranger, `svc-${image}`, 0);
      await leavesNothing(worker);
    });
  }
  await t.step("nothing else was touched", async () => {
    const both = [await running(manager), await running(worker)].flat();
    assert(both.length === 4);
  });
});
