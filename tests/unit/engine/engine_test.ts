import { assertEquals, assertRejects } from "@std/assert";
import {
  connectEngine,
  type Engine,
  type EngineAnswer,
  EngineError,
} from "../../../lib/engine/engine.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";

interface Scripted {
  engine: Engine;
  /** What it was sent, the ping left out, such as `GET /v1.41/info`. */
  sent: string[];
  /** The same with the pings. */
  all: string[];
}

/**
 * An engine of some API version that answers these paths; a number is a status.
 * The answers can be changed while it lives.
 */
function scripted(
  apiVersion: string,
  answers: Record<string, unknown>,
): Scripted {
  const all: string[] = [];
  const sent: string[] = [];
  const engine = connectEngine((path, method = "GET") => {
    all.push(`${method} ${path}`);
    if (path === "/_ping") {
      return Promise.resolve({ status: 200, apiVersion, body: "OK" });
    }
    sent.push(`${method} ${path}`);
    const answer = answers[path.replace(/^\/v[0-9.]+/, "")] ?? 404;
    const [status, body]: [number, unknown] = typeof answer === "number"
      ? [answer, { message: `status ${answer}` }]
      : [200, answer];
    return Promise.resolve({
      status,
      apiVersion,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  });
  return { engine, sent, all };
}

async function problem(asked: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => asked, EngineError)).message;
}

const LAYER = `sha256:${"1".repeat(64)}`;
const IMAGE = { Id: "sha256:1d", Os: "linux" };
const FACTS = {
  id: "sha256:1d",
  volumes: [],
  labels: {},
  layers: [],
  parent: "",
  repoDigests: [],
};

Deno.test("engine: the API version is the newest that both sides know", async () => {
  for (
    const [theirs, agreed] of [
      ["1.24", "1.24"],
      ["1.41", "1.41"],
      ["1.51", "1.51"],
      ["1.52", "1.51"],
      ["1.100", "1.51"],
      ["2.0", "1.51"],
    ]
  ) {
    const { engine, sent } = scripted(theirs, {});
    await engine.inspectContainer("web");
    assertEquals(sent, [`GET /v${agreed}/containers/web/json`]);
  }
});

Deno.test("engine: the version is agreed on once, at the first question", async () => {
  const { engine, all } = scripted("1.41", {});
  assertEquals(all, []);
  await Promise.all([
    engine.inspectContainer("a"),
    engine.inspectContainer("b"),
  ]);
  await engine.inspectService("c");
  assertEquals(all, [
    "GET /_ping",
    "GET /v1.41/containers/a/json",
    "GET /v1.41/containers/b/json",
    "GET /v1.41/services/c",
  ]);
});

Deno.test("engine: a failure makes it agree anew, for the engine may be another", async () => {
  const answers: EngineAnswer[] = [
    { status: 500, apiVersion: "", body: "" },
    { status: 200, apiVersion: "", body: "OK" },
    { status: 200, apiVersion: "1.51", body: "OK" },
    { status: 400, apiVersion: "", body: '{"message":"too new"}' },
    { status: 200, apiVersion: "1.41", body: "OK" },
    { status: 200, apiVersion: "1.41", body: "{}" },
  ];
  const sent: string[] = [];
  const engine = connectEngine((path) => {
    sent.push(path);
    const answer = answers.shift();
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("over"));
  });
  const ask = () => engine.inspectContainer("web");
  assertEquals(await problem(ask()), "the engine's ping gave HTTP 500");
  assertEquals(await problem(ask()), "the engine's ping gave HTTP 200");
  assertEquals(
    await problem(ask()),
    "GET /containers/web/json gave HTTP 400: too new",
  );
  assertEquals(await ask(), {
    id: "",
    names: [""],
    created: NaN,
    mounts: [],
  });
  assertEquals(sent, [
    "/_ping",
    "/_ping",
    "/_ping",
    "/v1.51/containers/web/json",
    "/_ping",
    "/v1.41/containers/web/json",
  ]);
});

Deno.test("engine: one that was replaced is asked in its own version", async () => {
  const ids = (version: string) => ({ Id: version, Os: "linux" });
  let apiVersion = "1.47";
  const sent: string[] = [];
  const engine = connectEngine((path) => {
    sent.push(path);
    return Promise.resolve({
      status: 200,
      apiVersion,
      body: path === "/_ping" ? "OK" : JSON.stringify(ids(apiVersion)),
    });
  });
  assertEquals((await engine.inspectImage("b"))?.id, "1.47");
  apiVersion = "1.51";
  assertEquals((await engine.inspectImage("b"))?.id, "1.51");
  apiVersion = "1.41";
  assertEquals((await engine.inspectContainer("web"))?.id, "1.41");
  assertEquals(sent, [
    "/_ping",
    "/v1.47/images/b/json",
    // Its answer is not looked at: this engine may hold more than it shows so.
    "/v1.47/images/b/json",
    "/_ping",
    "/v1.51/images/b/json",
    "/v1.51/images/b/json?manifests=1",
    "/v1.51/containers/web/json",
    "/_ping",
    "/v1.41/containers/web/json",
  ]);
});

const ID = `sha256:${"5d".repeat(32)}`;
const CLASSIC = { DriverStatus: [["Backing Filesystem", "extfs"]] };
const CONTAINERD = {
  DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]],
};

/** What is remembered is so after the answer. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** How often an image's inspect was asked for, when its volumes were twice. */
async function inspections(
  name: string,
  info: unknown,
  { id = name, platform }: {
    id?: string;
    platform?: Parameters<Engine["inspectImage"]>[1];
  } = {},
): Promise<number> {
  const image = { Id: id, Os: "linux", Config: { Volumes: { "/data": {} } } };
  const path = `/images/${encodeURIComponent(name)}/json`;
  const query = platform &&
    `?${new URLSearchParams({ platform: JSON.stringify(platform) })}`;
  const { engine, sent } = scripted("1.41", {
    "/info": info,
    [`${path}${query ?? ""}`]: image,
  });
  for (let i = 0; i < 2; i++) {
    const found = await engine.inspectImageVolumes(name, platform);
    assertEquals(found, { volumes: ["/data"] });
    await settled();
  }
  return sent.filter((line) => line.includes("/images/")).length;
}

Deno.test("engine: an image's volumes are remembered where its ID pins them", async () => {
  assertEquals(await inspections(ID, CLASSIC), 1);
  assertEquals(await inspections(ID, CONTAINERD), 2);
  // An engine that does not tell is asked again, and its answer is good.
  assertEquals(await inspections(ID, 500), 2);
  assertEquals(await inspections(ID, 404), 2);
  for (
    const name of [
      "b",
      "b:1",
      `b@${ID}`,
      ID.slice(7),
      ID.slice(0, 20),
      ID.toUpperCase(),
    ]
  ) {
    assertEquals(await inspections(name, CLASSIC, { id: ID }), 2, name);
  }
  // What it is asked for could be the beginning of a tag.
  assertEquals(await inspections(ID, CLASSIC, { id: `${ID}0` }), 2);
  const platform = { os: "linux", architecture: "arm64" };
  assertEquals(await inspections(ID, CLASSIC, { platform }), 2);
});

Deno.test("engine: what was remembered is forgotten with the engine", async () => {
  let apiVersion = "1.41";
  const sent: string[] = [];
  const engine = connectEngine((path) => {
    sent.push(path);
    const image = { Id: ID, Os: "linux" };
    return Promise.resolve({
      status: 200,
      apiVersion,
      body: JSON.stringify(path.endsWith("/info") ? CLASSIC : image),
    });
  });
  const inspect = `/v1.41/images/${encodeURIComponent(ID)}/json`;
  await engine.inspectImageVolumes(ID);
  await settled();
  await engine.inspectImageVolumes(ID);
  assertEquals(sent, ["/_ping", inspect, "/v1.41/info"]);
  apiVersion = "1.42";
  await engine.inspectContainer("web");
  sent.length = 0;
  await engine.inspectImageVolumes(ID);
  await settled();
  assertEquals(sent, [inspect.replace("1.41", "1.42"), "/v1.42/info"]);
});

Deno.test("engine: an image's volumes are remembered for a minute", async () => {
  const { now } = performance;
  const { engine, sent } = scripted("1.41", {
    "/info": CLASSIC,
    [`/images/${encodeURIComponent(ID)}/json`]: { Id: ID, Os: "linux" },
  });
  const asked = async () => {
    sent.length = 0;
    await engine.inspectImageVolumes(ID);
    await settled();
    return sent.length;
  };
  assertEquals([await asked(), await asked()], [2, 0]);
  performance.now = () => now.call(performance) + 61_000;
  try {
    assertEquals([await asked(), await asked()], [2, 0]);
  } finally {
    performance.now = now;
  }
});

Deno.test("engine: one that never is the same is not asked for ever", async () => {
  let version = 41;
  const engine = connectEngine(() =>
    Promise.resolve({
      status: 200,
      apiVersion: `1.${++version}`,
      body: JSON.stringify({ Id: ID, Os: "linux" }),
    })
  );
  assertEquals(
    await problem(engine.inspectImage("b")),
    "the engine's API version changes all the time",
  );
});

Deno.test("engine: no more than a thousand images are remembered", async () => {
  const sent: string[] = [];
  const engine = connectEngine((path) => {
    sent.push(path);
    const id = decodeURIComponent(path.split("/")[3] ?? "");
    return Promise.resolve({
      status: 200,
      apiVersion: "1.41",
      body: JSON.stringify({ Id: id, Os: "linux" }),
    });
  });
  const id = (at: number) => `sha256:${String(at).padStart(64, "0")}`;
  for (let at = 0; at < 1001; at++) await engine.inspectImageVolumes(id(at));
  await settled();
  sent.length = 0;
  await engine.inspectImageVolumes(id(1000));
  assertEquals(sent, []);
  await engine.inspectImageVolumes(id(0));
  await settled();
  assertEquals(sent.length, 2);
});

Deno.test("engine: no way to it is the transport's error", async () => {
  const engine = connectEngine(() =>
    Promise.reject(new EngineError("unix:///x did not answer within 5 s"))
  );
  assertEquals(
    await problem(engine.inspectImage("b")),
    "unix:///x did not answer within 5 s",
  );
});

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

Deno.test("engine: answers that are none", async () => {
  for (
    const [answer, message] of [
      [500, "GET /containers/web/json gave HTTP 500: status 500"],
      [301, "GET /containers/web/json gave HTTP 301: status 301"],
      [204, "GET /containers/web/json gave HTTP 204: status 204"],
      ["<html>", "GET /containers/web/json gave no JSON"],
      ["", "GET /containers/web/json gave no JSON"],
      ["[]", "GET /containers/web/json gave no JSON object"],
      ["null", "GET /containers/web/json gave no JSON object"],
      ['"x"', "GET /containers/web/json gave no JSON object"],
      [
        { Mounts: {} },
        "GET /containers/web/json gave no list where one belongs",
      ],
    ] as const
  ) {
    const { engine } = scripted("1.41", { "/containers/web/json": answer });
    assertEquals(await problem(engine.inspectContainer("web")), message);
  }
  // What is no JSON is shown as it is, and not all of it.
  const engine = connectEngine((path) =>
    Promise.resolve({
      status: path === "/_ping" ? 200 : 502,
      apiVersion: "1.41",
      body: "x".repeat(1000),
    })
  );
  assertEquals(
    await problem(engine.inspectContainer("web")),
    `GET /containers/web/json gave HTTP 502: ${"x".repeat(200)}`,
  );
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

Deno.test("engine: an image", async () => {
  const answers: Record<string, unknown> = {
    full: {
      ...IMAGE,
      Parent: "sha256:2d",
      RepoDigests: ["r.example/a@sha256:3d"],
      RootFS: { Type: "layers", Layers: [LAYER] },
      Config: {
        Volumes: { "/data": {}, "/log/": {} },
        Labels: { vendor: "Red Hat, Inc." },
      },
    },
    bare: {
      ...IMAGE,
      RepoDigests: null,
      RootFS: { Type: "layers" },
      Config: { Volumes: null, Labels: null },
    },
    empty: { ...IMAGE, Config: null },
    elsewhere: { Id: "sha256:1d", Os: "", Config: {} },
  };
  for (
    // From API 1.48 on it tells its manifests, where it is asked to.
    const [apiVersion, query] of [["1.47", ""], ["1.48", "?manifests=1"]]
  ) {
    const { engine } = scripted(
      apiVersion,
      Object.fromEntries(
        Object.entries(answers).map(([name, answer]) => [
          `/images/${name}/json${query}`,
          answer,
        ]),
      ),
    );
    assertEquals(await engine.inspectImage("full"), {
      id: "sha256:1d",
      volumes: ["/data", "/log/"],
      labels: { vendor: "Red Hat, Inc." },
      layers: [LAYER],
      parent: "sha256:2d",
      repoDigests: ["r.example/a@sha256:3d"],
    });
    assertEquals(await engine.inspectImage("bare"), FACTS);
    assertEquals(await engine.inspectImage("empty"), FACTS);
    assertEquals(await engine.inspectImage("missing"), undefined);
    assertEquals(
      (await assertRejects(() => engine.inspectImage("elsewhere"), Unreadable))
        .message,
      "image elsewhere has several platforms, and none for this host",
    );
  }
});

/** An element of `Manifests`, as image inspect shows it. */
function manifest(
  platform: string | undefined,
  { Kind = "image", Available = true } = {},
): unknown {
  const [os, architecture, variant] = platform?.split("/") ?? [];
  const oci = platform && { os, architecture, ...(variant && { variant }) };
  return {
    Kind,
    Available,
    Descriptor: { digest: "sha256:4d", ...(oci && { platform: oci }) },
    ...(Kind === "image" && { ImageData: { Platform: oci ?? {} } }),
  };
}

/** The path of an image's inspect for one of its platforms. */
function asPlatform(name: string, architecture: string): string {
  const platform = JSON.stringify({ os: "linux", architecture });
  return `/images/${name}/json?${new URLSearchParams({ platform })}`;
}

Deno.test("engine: an image for a platform", async () => {
  const { engine, sent } = scripted("1.51", {
    "/images/b/json?manifests=1": {
      ...IMAGE,
      Manifests: [manifest("linux/amd64"), manifest("linux/arm64")],
    },
    [asPlatform("b", "arm64")]: {
      ...IMAGE,
      Id: "sha256:arm64",
      Architecture: "arm64",
    },
  });
  assertEquals(
    await engine.inspectImage("b", { os: "linux", architecture: "arm64" }),
    { ...FACTS, id: "sha256:arm64" },
  );
  assertEquals(
    sent.includes(`GET /v1.51${asPlatform("b", "arm64")}`),
    true,
  );
  assertEquals(
    await engine.inspectImage("b", { os: "linux", architecture: "s390x" }),
    undefined,
  );
});

Deno.test("engine: an image in which create can find another than inspect", async () => {
  const attestation = manifest("unknown/unknown", { Kind: "attestation" });
  for (
    const [manifests, clear] of [
      [undefined, true],
      [null, true],
      [[], true],
      [[manifest("linux/amd64")], true],
      [[manifest("linux/amd64"), attestation], true],
      [[manifest("linux/arm64"), manifest("linux/amd64")], true],
      [[manifest("linux/amd64"), manifest("linux/amd64")], false],
      [[manifest("linux/amd64"), manifest("linux/amd64/v1")], false],
      [
        [
          manifest("linux/amd64"),
          manifest("linux/amd64", { Kind: "attestation" }),
        ],
        false,
      ],
      [
        [manifest("linux/amd64"), manifest("linux/amd64", { Kind: "unknown" })],
        false,
      ],
      [
        [manifest("linux/amd64"), manifest(undefined, { Kind: "attestation" })],
        false,
      ],
    ] as [unknown, boolean][]
  ) {
    const { engine } = scripted("1.51", {
      "/images/b/json?manifests=1": {
        ...IMAGE,
        Architecture: "amd64",
        Manifests: manifests,
      },
    });
    const asked = engine.inspectImage("b");
    if (clear) {
      assertEquals(await asked, FACTS, JSON.stringify(manifests));
    } else {
      assertEquals(
        (await assertRejects(() => asked, Unreadable)).message,
        "image b holds more than one image for its platform",
      );
    }
  }
});

Deno.test("engine: an image of every platform", async () => {
  const image = (architecture: string, id = `sha256:${architecture}`) => ({
    ...IMAGE,
    Id: id,
    Architecture: architecture,
  });
  const answers = {
    "/images/b/json": image("amd64", "sha256:host"),
    "/images/b/json?manifests=1": {
      ...image("amd64", "sha256:host"),
      Manifests: [
        manifest("linux/amd64"),
        manifest("linux/arm64"),
        manifest("linux/s390x", { Available: false }),
        manifest("unknown/unknown", { Kind: "attestation" }),
        manifest("linux/gone"),
      ],
    },
    [asPlatform("b", "amd64")]: image("amd64"),
    [asPlatform("b", "arm64")]: image("arm64"),
  };
  const ids = async (apiVersion: string, name: string) =>
    (await scripted(apiVersion, answers).engine.inspectEveryPlatform(name))
      .map(({ id }) => id);
  assertEquals(await ids("1.49", "b"), ["sha256:amd64", "sha256:arm64"]);
  // Engines before that tell of one.
  assertEquals(await ids("1.48", "b"), ["sha256:host"]);
  assertEquals(await ids("1.41", "b"), ["sha256:host"]);
  assertEquals(await ids("1.51", "missing"), []);
  assertEquals(await ids("1.41", "missing"), []);
});

Deno.test("engine: where the image store keeps one image a name", async () => {
  const { engine } = scripted("1.51", {
    "/images/b/json": IMAGE,
    "/images/b/json?manifests=1": IMAGE,
  });
  assertEquals(await engine.inspectEveryPlatform("b"), [FACTS]);
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
