import { assertEquals } from "@std/assert";
import { serviceOf } from "../../../lib/engine/services.ts";
import { connectEngine } from "../../../lib/engine/engine.ts";
import { clientWith, problem, scripted } from "./scripted.ts";

const NOWHERE = "node.id==refused-by-docker-policy-plugin";

/** Scales a service of this mode to zero: what was asked for. */
async function scaled(Mode: unknown, TaskTemplate: unknown = {}) {
  const Spec = { Name: "web", Labels: { a: "b" }, Mode, TaskTemplate };
  const { engine, sent, bodies } = scripted("1.41", {
    "/services/s1": { ID: "s1", Version: { Index: 7 }, Spec },
    "POST /services/s1/update?version=7": {},
  });
  const changed = await engine.scaleToZero("s1");
  assertEquals(sent.length, changed ? 2 : 1);
  return bodies[0];
}

Deno.test("services: a replicated one has no replicas then", async () => {
  const rest = { Name: "web", Labels: { a: "b" }, TaskTemplate: {} };
  assertEquals(
    await scaled({ Replicated: { Replicas: 3 } }),
    { ...rest, Mode: { Replicated: { Replicas: 0 } } },
  );
  assertEquals(
    await scaled({ Replicated: {} }),
    { ...rest, Mode: { Replicated: { Replicas: 0 } } },
  );
  assertEquals(await scaled({ Replicated: { Replicas: 0 } }), undefined);
});

Deno.test("services: a job has nothing left to complete then", async () => {
  const rest = { Name: "web", Labels: { a: "b" }, TaskTemplate: {} };
  assertEquals(
    await scaled({ ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 9 } }),
    {
      ...rest,
      Mode: { ReplicatedJob: { MaxConcurrent: 0, TotalCompletions: 0 } },
    },
  );
  assertEquals(
    await scaled({ ReplicatedJob: { MaxConcurrent: 0, TotalCompletions: 0 } }),
    undefined,
  );
});

Deno.test("services: a global one fits on no node then", async () => {
  const rest = { Name: "web", Labels: { a: "b" } };
  for (const Mode of [{ Global: {} }, { GlobalJob: {} }]) {
    assertEquals(await scaled(Mode), {
      ...rest,
      Mode,
      TaskTemplate: { Placement: { Constraints: [NOWHERE] } },
    });
    const Placement = { MaxReplicas: 1, Constraints: ["node.role==worker"] };
    assertEquals(await scaled(Mode, { Runtime: "container", Placement }), {
      ...rest,
      Mode,
      TaskTemplate: {
        Runtime: "container",
        Placement: {
          MaxReplicas: 1,
          Constraints: ["node.role==worker", NOWHERE],
        },
      },
    });
    assertEquals(
      await scaled(Mode, { Placement: { Constraints: [NOWHERE] } }),
      undefined,
    );
    assertEquals(
      await scaled(Mode, { Placement: { Constraints: null } }),
      {
        ...rest,
        Mode,
        TaskTemplate: { Placement: { Constraints: [NOWHERE] } },
      },
    );
  }
});

Deno.test("services: none on a host that is no manager, or that has left its swarm", async () => {
  const message =
    "This node is not a swarm manager. Worker nodes can't be used to view or " +
    "modify cluster state.";
  for (const status of [404, 503]) {
    const { engine, sent } = scripted("1.41", { "/services/s1": status });
    if (status === 404) assertEquals(await engine.scaleToZero("s1"), false);
    // Nor is any other 503 an answer.
    else {assertEquals(
        await problem(engine.scaleToZero("s1")),
        "GET /services/s1 gave HTTP 503: status 503",
      );}
    assertEquals(sent, ["GET /v1.41/services/s1"]);
  }
  const worker = connectEngine(clientWith(({ path }) => ({
    status: path === "/_ping" ? 200 : 503,
    apiVersion: "1.41",
    body: JSON.stringify({ message }),
  })));
  assertEquals(await worker.scaleToZero("s1"), false);
  assertEquals(await worker.inspectService("s1"), undefined);
});

Deno.test("services: somebody else changed it meanwhile", async () => {
  const { engine } = scripted("1.41", {
    "/services/s1": {
      Version: { Index: 7 },
      Spec: { Mode: { Replicated: { Replicas: 1 } } },
    },
    "POST /services/s1/update?version=7": 500,
  });
  assertEquals(
    await problem(engine.scaleToZero("s1")),
    "POST /services/s1/update?version=7 gave HTTP 500: status 500",
  );
});

Deno.test("services: a task's container tells which one it belongs to", () => {
  assertEquals(
    serviceOf({
      labels: {
        "com.docker.swarm.service.id": "s1",
        "com.docker.swarm.service.name": "web",
        "com.docker.swarm.task.id": "t1",
      },
    }),
    { id: "s1", name: "web" },
  );
  assertEquals(serviceOf({ labels: {} }), { id: "", name: "" });
});

Deno.test("services: they are listed, if there is a swarm to manage", async () => {
  const spec = { Name: "web", TaskTemplate: { ForceUpdate: 1 } };
  const answers: Record<string, unknown> = {
    "/services": [{ ID: "s1", Spec: spec, PreviousSpec: {} }],
  };
  const { engine } = scripted("1.41", answers);
  assertEquals(await engine.listServices(), [{ id: "s1", name: "web", spec }]);
  const message = "This node is not a swarm manager. Worker nodes can't be " +
    "used to view or modify cluster state.";
  const worker = connectEngine(clientWith(({ path }) => ({
    ...{ status: path === "/_ping" ? 200 : 503, apiVersion: "1.41" },
    body: JSON.stringify({ message }),
  })));
  assertEquals(await worker.listServices(), []);
});
