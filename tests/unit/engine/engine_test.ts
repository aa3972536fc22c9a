import { assertEquals } from "@std/assert";
import { escape } from "@std/regexp";
import { connectEngine, EngineError } from "../../../lib/engine/engine.ts";
import { clientWith, listPath, problem, scripted } from "./scripted.ts";

Deno.test("engine: names can't lead to another path", async () => {
  for (const name of ["a/b", "../info", "a?b#c", "a b", "ü", "a%2Fb", "\n"]) {
    const list = listPath({ name: [`^/?${escape(name)}$`] });
    const { engine, sent } = scripted("1.41", { [list]: [] });
    assertEquals(await engine.findContainers(name), []);
    assertEquals(await engine.inspectImage(name), undefined);
    assertEquals(await engine.inspectService(name), undefined);
    const encoded = encodeURIComponent(name);
    assertEquals(/^[\w.%-]+$/.test(encoded), true);
    assertEquals(sent, [
      `GET /v1.41${list}`,
      `GET /v1.41/containers/${encoded}/json`,
      `GET /v1.41/images/${encoded}/json`,
      `GET /v1.41/services/${encoded}`,
    ]);
  }
});

Deno.test("engine: the mounts of a container, also of an old one", async () => {
  for (
    const [mounts, expected] of [
      [undefined, []],
      [null, []],
      [[], []],
      [
        [
          {
            Type: "volume",
            Name: "data",
            Source: "/var/lib/docker/volumes/data/_data",
            Destination: "/x",
            Driver: "local",
            RW: true,
          },
          { Type: "bind", Source: "/host", Destination: "/y" },
          { Type: "tmpfs", Source: "", Destination: "/z" },
        ],
        [
          {
            type: "volume",
            name: "data",
            source: "/var/lib/docker/volumes/data/_data",
            destination: "/x",
          },
          { type: "bind", name: "", source: "/host", destination: "/y" },
          { type: "tmpfs", name: "", source: "", destination: "/z" },
        ],
      ],
      // From before Docker 1.13.
      [
        [
          { Name: "data", Driver: "local", Destination: "/x" },
          { Source: "/host", Destination: "/y" },
        ],
        [
          { type: "volume", name: "data", source: "", destination: "/x" },
          { type: "bind", name: "", source: "/host", destination: "/y" },
        ],
      ],
    ]
  ) {
    const { engine } = scripted("1.41", {
      [listPath({ id: ["1d"] })]: [
        {
          Id: "1d",
          Names: ["/web", "/other/web"],
          Created: 1767323045,
          State: "running",
          Image: "b:1",
          Labels: { a: "b" },
          Mounts: mounts,
        },
      ],
      [listPath({ id: ["2d"] })]: [{ Id: "2d", Names: null, Created: 0 }],
    });
    assertEquals(await engine.findContainer("1d"), {
      id: "1d",
      names: ["web", "other/web"],
      created: 1767323045000,
      running: true,
      image: "b:1",
      labels: { a: "b" },
      mounts: expected,
    });
    assertEquals(await engine.findContainer("2d"), {
      id: "2d",
      names: [],
      created: 0,
      running: false,
      image: "",
      labels: {},
      mounts: [],
    });
  }
});

Deno.test("engine: a container runs in some states only", async () => {
  for (
    const [state, running] of [
      ["created", false],
      ["running", true],
      ["paused", true],
      ["restarting", true],
      ["removing", false],
      ["exited", false],
      ["dead", false],
      [undefined, false],
    ] as const
  ) {
    const { engine } = scripted("1.41", {
      [listPath({ id: ["1d"] })]: [{ Id: "1d", Created: 0, State: state }],
    });
    assertEquals((await engine.findContainer("1d"))?.running, running, state);
  }
});

Deno.test("engine: a container that is gone, and answers that are none", async () => {
  const path = listPath({ id: ["1d"] });
  assertEquals(
    await scripted("1.41", { [path]: [] }).engine.findContainer("1d"),
    undefined,
  );
  for (
    const [answer, message] of [
      [404, `GET ${path} gave HTTP 404`],
      [500, `GET ${path} gave HTTP 500: status 500`],
      [{}, `GET ${path} gave no list where one belongs`],
      [
        [{ Id: "1d", Mounts: {} }],
        `GET ${path} gave no list where one belongs`,
      ],
      [
        [{ Id: "1d", Names: "web" }],
        `GET ${path} gave no list where one belongs`,
      ],
    ] as const
  ) {
    const { engine } = scripted("1.41", { [path]: answer });
    assertEquals(await problem(engine.findContainer("1d")), message);
  }
});

Deno.test("engine: when a container was made, to the millisecond", async () => {
  const { engine } = scripted("1.41", {
    "/containers/1d/json": { Created: "2026-01-02T03:04:05.678912345Z" },
  });
  assertEquals(await engine.madeAt("1d"), 1767323045678);
  assertEquals(await engine.madeAt("2d"), 0);
});

Deno.test("engine: a task, and its image, are the engine's word", async () => {
  const task = (id: string) => listPath({ "id": [id], "is-task": ["true"] });
  const { engine } = scripted("1.41", {
    [task("1d")]: [{ Id: "1d", Created: 0 }],
    [task("2d")]: [],
    "/containers/1d/json": { Image: "sha256:0", Config: { Image: "b:1" } },
  });
  assertEquals(await engine.isTask("1d"), true);
  assertEquals(await engine.isTask("2d"), false);
  assertEquals(await engine.taskImage("1d"), "b:1");
  assertEquals(await engine.taskImage("2d"), "");
});

Deno.test("engine: a service, and the spec before", async () => {
  const spec = {
    Name: "web",
    TaskTemplate: {
      ContainerSpec: {
        Image: "b",
        Mounts: [
          { Type: "volume", Source: "data", Target: "/x" },
          { Source: "/host", Target: "/y" },
          { Type: "TMPFS", Target: "/z" },
        ],
      },
    },
  };
  const plugin = { TaskTemplate: { PluginSpec: { Remote: "r.example/p:1" } } };
  const { engine } = scripted("1.41", {
    "/services/web": { ID: "s1", Spec: spec, PreviousSpec: plugin },
    "/services/new": { Spec: plugin },
    "/services/odd": { Spec: null, PreviousSpec: null },
    "/services/worker": 503,
  });
  const read = {
    name: "web",
    image: "b",
    mounts: [
      { type: "volume", source: "data", target: "/x" },
      { type: "bind", source: "/host", target: "/y" },
      { type: "tmpfs", source: "", target: "/z" },
    ],
    pluginRemote: "",
  };
  const readPlugin = {
    name: "",
    image: "",
    mounts: [],
    pluginRemote: "r.example/p:1",
  };
  assertEquals(
    await engine.inspectService("web"),
    { id: "s1", spec: read, previousSpec: readPlugin },
  );
  assertEquals(await engine.inspectService("new"), {
    id: "",
    spec: readPlugin,
  });
  assertEquals(
    await engine.inspectService("odd"),
    { id: "", spec: { name: "", image: "", mounts: [], pluginRemote: "" } },
  );
  assertEquals(await engine.inspectService("missing"), undefined);
  assertEquals(
    await problem(engine.inspectService("worker")),
    "GET /services/worker gave HTTP 503: status 503",
  );
});

Deno.test("engine: what it is", async () => {
  for (
    const [info, keeps] of [
      [{}, false],
      [{ DriverStatus: null }, false],
      [{ DriverStatus: [] }, false],
      [{ DriverStatus: [["Backing Filesystem", "extfs"]] }, false],
      [
        { DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]] },
        true,
      ],
      [
        {
          DriverStatus: [
            ["Backing Filesystem", "extfs"],
            ["driver-type", "io.containerd.snapshotter.v2"],
          ],
        },
        true,
      ],
      [{ DriverStatus: [["driver-type", "other"]] }, false],
    ] as const
  ) {
    const { engine } = scripted("1.41", { "/info": info });
    assertEquals(await engine.keepsPlatforms(), keeps, JSON.stringify(info));
  }
  for (
    const [apiVersion, inspects] of [
      ["1.41", false],
      ["1.48", false],
      ["1.49", true],
      ["1.54", true],
    ] as const
  ) {
    const { engine } = scripted(apiVersion, {});
    assertEquals(await engine.inspectsPlatforms(), inspects, apiVersion);
  }
  for (
    const [apiVersion, takes] of [
      ["1.51", false],
      ["1.52", false],
      ["1.53", true],
      ["1.56", true],
    ] as const
  ) {
    const { engine } = scripted(apiVersion, {});
    assertEquals(await engine.takesGrpc(), takes, apiVersion);
  }
  const { engine } = scripted("1.41", {});
  assertEquals(
    await problem(engine.keepsPlatforms()),
    "GET /info gave HTTP 404",
  );
  assertEquals(
    await scripted("1.41", { "/version": { Version: "28.5.2" } })
      .engine.serverVersion(),
    "28.5.2",
  );
});

Deno.test("engine: registries, which only a patched one tells", async () => {
  for (
    const [info, expected] of [
      [{ RegistryConfig: {} }, undefined],
      [{ Registries: null }, undefined],
      [{ Registries: [] }, []],
      [
        { Registries: [{ Name: "registry.redhat.io" }, { Name: "docker.io" }] },
        ["registry.redhat.io", "docker.io"],
      ],
    ] as const
  ) {
    const { engine } = scripted("1.26", { "/info": info });
    assertEquals(await engine.additionalRegistries(), expected);
  }
});

Deno.test("engine: a list of images", async () => {
  const filters = { label: ["vendor=Red Hat, Inc."] };
  const path = `/images/json?filters=${
    encodeURIComponent(JSON.stringify(filters))
  }`;
  const { engine } = scripted("1.41", {
    [path]: [
      {
        Id: "sha256:1d",
        RepoTags: ["b:1", "b:2"],
        RepoDigests: ["b@sha256:0"],
      },
      { Id: "sha256:2d", RepoTags: null },
    ],
  });
  assertEquals(await engine.listImages(filters), [
    { id: "sha256:1d", repoTags: ["b:1", "b:2"], repoDigests: ["b@sha256:0"] },
    { id: "sha256:2d", repoTags: [], repoDigests: [] },
  ]);
  const other = scripted("1.41", { "/images/json?filters=%7B%7D": {} });
  assertEquals(
    await problem(other.engine.listImages({})),
    "GET /images/json?filters=%7B%7D gave no list where one belongs",
  );
});

/** An engine that answers everything but a question with this status. */
function doing(status: number, gets: Record<string, unknown> = {}) {
  const sent: string[] = [];
  const engine = connectEngine(clientWith(({ method, path, body }) => {
    const plain = path.replace(/^\/v[0-9.]+/, "");
    if (path === "/_ping") return { apiVersion: "1.41" };
    if (method === "GET") {
      return gets[plain]
        ? { body: JSON.stringify(gets[plain]) }
        : { status: 404, body: "{}" };
    }
    sent.push(`${method} ${plain} ${body ?? ""}`.trim());
    return { status, body: '{"message":"no"}' };
  }));
  return { engine, sent };
}

Deno.test("engine: a container is removed with its anonymous volumes", async () => {
  const path = "/containers/a%2Fb?v=1&force=1";
  const { engine, sent } = doing(204);
  await engine.removeContainer("a/b");
  assertEquals(sent, [`DELETE ${path}`]);
  await doing(404).engine.removeContainer("a/b"); // Gone is gone.
  for (const status of [199, 400, 409, 500]) {
    assertEquals(
      await problem(doing(status).engine.removeContainer("a/b")),
      `DELETE ${path} gave HTTP ${status}: no`,
    );
  }
});

Deno.test("engine: a container is stopped for good", async () => {
  const update = 'POST /containers/1d/update {"RestartPolicy":{"Name":"no"}}';
  const stop = "POST /containers/1d/stop?t=0";
  for (const status of [204, 304, 404]) {
    const { engine, sent } = doing(status);
    await engine.stopForGood("1d");
    assertEquals(sent, [update, stop]);
  }
  // One with --rm has no restart policy to be set.
  const { engine, sent } = scripted("1.41", {
    "POST /containers/1d/update": 409,
    "POST /containers/1d/stop?t=0": "",
  });
  await engine.stopForGood("1d");
  assertEquals(sent.length, 2);
  // It ended under the first try.
  const statuses = [500, 204];
  const tries: string[] = [];
  const ended = connectEngine(clientWith(({ path }) => {
    if (path === "/_ping") return { apiVersion: "1.41" };
    if (!path.endsWith("/update")) return { status: 204 };
    tries.push(path);
    return { status: statuses.shift() ?? 500, body: '{"message":"no"}' };
  }));
  await ended.stopForGood("1d");
  assertEquals(tries.length, 2);
  assertEquals(
    await problem(ended.stopForGood("1d")),
    "POST /containers/1d/update gave HTTP 500: no",
  );
  assertEquals(
    await problem(doing(500).engine.stopForGood("1d")),
    "POST /containers/1d/stop?t=0 gave HTTP 500: no",
  );
  const silent = scripted("1.41", {
    "POST /containers/1d/update": new EngineError("silence"),
  });
  assertEquals(await problem(silent.engine.stopForGood("1d")), "silence");
});

Deno.test("engine: a volume is removed if it is no older than its container", async () => {
  const since = Date.parse("2026-01-02T03:04:05Z");
  const remove = async (volume: unknown, status = 204) => {
    const { engine, sent } = doing(status, { "/volumes/a%2Fb": volume });
    await engine.removeVolume("a/b", since);
    return sent;
  };
  const at = (CreatedAt: string) => ({ Name: "a/b", CreatedAt });
  const removed = ["DELETE /volumes/a%2Fb"];
  assertEquals(await remove(at("2026-01-02T03:04:05Z")), removed);
  assertEquals(await remove(at("2026-01-02T04:04:06+01:00")), removed);
  assertEquals(await remove(at("2026-01-02T03:04:04Z")), []);
  assertEquals(await remove(at("2026-01-02T04:04:04+01:00")), []);
  // Plugins may not tell when (`volumeToAPIType` in moby's
  // daemon/volume/service/convert.go).
  for (const never of [at("0001-01-01T00:00:00Z"), at(""), { Name: "a/b" }]) {
    assertEquals(await remove(never), []);
  }
  // Another container uses it, or it is gone by then.
  assertEquals(await remove(at("2026-01-02T03:04:05Z"), 409), removed);
  assertEquals(await remove(at("2026-01-02T03:04:05Z"), 404), removed);
  assertEquals(
    await problem(remove(at("2026-01-02T03:04:05Z"), 500)),
    "DELETE /volumes/a%2Fb gave HTTP 500: no",
  );
  const gone = doing(404);
  await gone.engine.removeVolume("a/b", since);
  assertEquals(gone.sent, []);
  // One that something still used before may be older, if it is the same.
  const older = at("2026-01-02T03:04:04Z");
  const made = Date.parse(older.CreatedAt);
  for (const orMade of [undefined, made - 1000, made]) {
    const { engine, sent } = doing(409, { "/volumes/a%2Fb": older });
    const used = await engine.removeVolume("a/b", since, orMade);
    assertEquals(
      [sent, used],
      orMade === made ? [removed, made] : [[], undefined],
    );
  }
});
