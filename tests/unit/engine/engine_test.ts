import { assertEquals } from "@std/assert";
import { connectEngine } from "../../../lib/engine/engine.ts";
import { problem, scripted } from "./scripted.ts";

Deno.test("engine: names can't lead to another path", async () => {
  const { engine, sent } = scripted("1.41", {});
  for (const name of ["a/b", "../info", "a?b#c", "a b", "ü", "a%2Fb", "\n"]) {
    sent.length = 0;
    assertEquals(await engine.inspectContainer(name), undefined);
    assertEquals(await engine.inspectImage(name), undefined);
    assertEquals(await engine.inspectService(name), undefined);
    const encoded = encodeURIComponent(name);
    assertEquals(/^[\w.%-]+$/.test(encoded), true);
    assertEquals(sent, [
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
      "/containers/web/json": {
        Id: "1d",
        Name: "/web",
        Created: "2026-01-02T03:04:05.678Z",
        Mounts: mounts,
      },
      "/containers/json?all=1": [
        {
          Id: "1d",
          Names: ["/web", "/other/web"],
          Created: 1767323045,
          Mounts: mounts,
        },
        { Id: "2d", Names: null, Created: 0 },
      ],
    });
    assertEquals(
      await engine.inspectContainer("web"),
      { id: "1d", names: ["web"], created: 1767323045678, mounts: expected },
    );
    assertEquals(await engine.listContainers(), [
      {
        id: "1d",
        names: ["web", "other/web"],
        created: 1767323045000,
        mounts: expected,
      },
      { id: "2d", names: [], created: 0, mounts: [] },
    ]);
  }
});

Deno.test("engine: a service, and the spec before", async () => {
  const spec = {
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
    "/services/web": { Spec: spec, PreviousSpec: plugin },
    "/services/new": { Spec: plugin },
    "/services/odd": { Spec: null, PreviousSpec: null },
    "/services/worker": 503,
  });
  const read = {
    image: "b",
    mounts: [
      { type: "volume", source: "data", target: "/x" },
      { type: "bind", source: "/host", target: "/y" },
      { type: "tmpfs", source: "", target: "/z" },
    ],
    pluginRemote: "",
  };
  const readPlugin = { image: "", mounts: [], pluginRemote: "r.example/p:1" };
  assertEquals(
    await engine.inspectService("web"),
    { spec: read, previousSpec: readPlugin },
  );
  assertEquals(await engine.inspectService("new"), { spec: readPlugin });
  assertEquals(
    await engine.inspectService("odd"),
    { spec: { image: "", mounts: [], pluginRemote: "" } },
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

Deno.test("engine: a container is removed with its anonymous volumes", async () => {
  const path = "/containers/a%2Fb?v=1&force=1";
  const answer = (status: number) => {
    const sent: string[] = [];
    const engine = connectEngine((path, method) => {
      sent.push(`${method ?? "GET"} ${path}`);
      return Promise.resolve({
        status: path === "/_ping" ? 200 : status,
        apiVersion: "1.41",
        body: '{"message":"no"}',
      });
    });
    return { engine, sent };
  };
  const { engine, sent } = answer(204);
  await engine.removeContainer("a/b");
  assertEquals(sent.at(-1), `DELETE /v1.41${path}`);
  await answer(404).engine.removeContainer("a/b"); // Gone is gone.
  for (const status of [200, 409, 500]) {
    assertEquals(
      await problem(answer(status).engine.removeContainer("a/b")),
      `DELETE ${path} gave HTTP ${status}: no`,
    );
  }
});
