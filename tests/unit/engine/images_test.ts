import { assertEquals, assertRejects } from "@std/assert";
import { connectEngine } from "../../../lib/engine/engine.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { clientWith, problem, scripted } from "./scripted.ts";

const LAYER = `sha256:${"1".repeat(64)}`;
const IMAGE = { Id: "sha256:1d", Os: "linux" };
const FACTS = {
  id: "sha256:1d",
  platform: { os: "linux", architecture: "", variant: "" },
  volumes: [],
  labels: {},
  user: "",
  layers: [],
  parent: "",
  repoDigests: [],
};

Deno.test("images: one that was replaced is asked in its own version", async () => {
  const ids = (version: string) => ({
    Id: version,
    ID: version,
    Os: "linux",
  });
  let apiVersion = "1.47";
  const sent: string[] = [];
  const engine = connectEngine(clientWith(({ path }) => {
    sent.push(path);
    return {
      apiVersion,
      body: path === "/_ping" ? "OK" : JSON.stringify(ids(apiVersion)),
    };
  }));
  assertEquals((await engine.inspectImage("b"))?.id, "1.47");
  apiVersion = "1.51";
  assertEquals((await engine.inspectImage("b"))?.id, "1.51");
  apiVersion = "1.41";
  assertEquals((await engine.inspectService("web"))?.id, "1.41");
  assertEquals(sent, [
    "/_ping",
    "/v1.47/images/b/json",
    // Its answer is not looked at: this engine may hold more than it shows so.
    "/v1.47/images/b/json",
    "/_ping",
    "/v1.51/images/b/json",
    "/v1.51/images/b/json?manifests=1",
    "/v1.51/services/web",
    "/_ping",
    "/v1.41/services/web",
  ]);
});

Deno.test("images: one that never is the same is not asked for ever", async () => {
  let version = 41;
  const engine = connectEngine(clientWith(() => ({
    apiVersion: `1.${++version}`,
    body: JSON.stringify({ Id: "sha256:1d", Os: "linux" }),
  })));
  assertEquals(
    await problem(engine.inspectImage("b")),
    "the engine's API version changes all the time",
  );
});

Deno.test("images: an image", async () => {
  const answers: Record<string, unknown> = {
    full: {
      ...IMAGE,
      Architecture: "arm",
      Variant: "v7",
      Parent: "sha256:2d",
      RepoDigests: ["r.example/a@sha256:3d"],
      RootFS: { Type: "layers", Layers: [LAYER] },
      Config: {
        User: "1000",
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
      platform: { os: "linux", architecture: "arm", variant: "v7" },
      volumes: ["/data", "/log/"],
      labels: { vendor: "Red Hat, Inc." },
      user: "1000",
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

Deno.test("images: an image for a platform", async () => {
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
    {
      ...FACTS,
      id: "sha256:arm64",
      platform: { ...FACTS.platform, architecture: "arm64" },
    },
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

Deno.test("images: an image in which create can find another than inspect", async () => {
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
      const platform = { ...FACTS.platform, architecture: "amd64" };
      const facts = { ...FACTS, platform };
      assertEquals(await asked, facts, JSON.stringify(manifests));
    } else {
      assertEquals(
        (await assertRejects(() => asked, Unreadable)).message,
        "image b holds more than one image for its platform",
      );
    }
  }
});

Deno.test("images: an image of every platform", async () => {
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

Deno.test("images: where the image store keeps one image a name", async () => {
  const { engine } = scripted("1.51", {
    "/images/b/json": IMAGE,
    "/images/b/json?manifests=1": IMAGE,
  });
  assertEquals(await engine.inspectEveryPlatform("b"), [FACTS]);
});
