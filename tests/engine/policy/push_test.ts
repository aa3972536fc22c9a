/**
 * The push policy before a real engine. Docker Hub is out of reach of these
 * engines: a push that the policy lets pass ends with the engine's own words
 * about the network, one that it refuses with the plugin's. A registry on the
 * engine's loop-back is both the other destination and, under `redhat/`, the
 * registry of Red Hat's.
 */

import { unless } from "../../helpers/unless.ts";
import { engineMajor, keepsPlatforms } from "../dockerd.ts";
import type { Harness } from "../harness.ts";
import { exchange, request, type RequestParts } from "../raw_http.ts";
import { loadImage } from "../oci.ts";
import { findClients, Registry, registryTest } from "../registry.ts";
import {
  assert,
  assertEquals,
  type Call,
  refused,
  saidBy,
} from "../verdict.ts";

const PORT = 5002;
const HERE = `localhost:${PORT}`;
const REDHAT = `${HERE}/redhat`;

const CONFIG = `
  [push]
  registries = ["registry.redhat.io", "${REDHAT}"]`;

/** Labels as Red Hat has them, as Dockerfile instructions. */
const labels = (name: string, keys = ["vendor", "name"]) => [
  `LABEL ${keys[0]}="Red Hat, Inc."`,
  `LABEL ${keys[1]}="${name}"`,
];
const OWN_LABELS = ["--change=LABEL vendor=acme", "--change=LABEL name=app"];

const isBasedOn = (image: string, base = "rhel9") =>
  "RHEL based images are not allowed to be pushed to docker.io: " +
  `${image} is based on ${base}`;

/** The plugin keeps a push off Docker Hub. */
async function keptOff(h: Harness, call: Call, message: string): Promise<void> {
  await refused(h, call, message);
}

/** The plugin lets a push pass, and the engine does not find Docker Hub. */
async function letGo(h: Harness, call: Call): Promise<void> {
  const answer = await call();
  const text = "status" in answer ? answer.body : answer.stdout + answer.stderr;
  assertEquals(saidBy(h, text), undefined);
  assert(/dial tcp|lookup |failed to do request/.test(text), text);
}

/** `POST /images/{name}/push`, the part of the target behind `/images/`. */
function push(target: string, parts: RequestParts = {}): Uint8Array {
  return request("POST", `/v1.41/images/${target}`, {
    ...parts,
    headers: [["X-Registry-Auth", "e30="], ...parts.headers ?? []],
  });
}

/**
 * Puts an image into a registry and takes it from there, so that the host knows
 * where it came from.
 */
async function pullBack(h: Harness, name: string): Promise<void> {
  await h.must("push", name);
  await h.must("rmi", "--force", name);
  await h.must("pull", name);
}

/**
 * Makes an image with the base's labels overwritten, and perhaps a layer more.
 */
async function commit(
  h: Harness,
  base: string,
  name: string,
  changes = OWN_LABELS,
): Promise<void> {
  const id = await h.must("create", base);
  await h.must("commit", ...changes, id, name);
  await h.must("rm", id);
}

/**
 * Builds an image with the classic builder, unless the environment says
 * otherwise.
 */
async function build(
  h: Harness,
  name: string,
  dockerfile: string[],
  by?: (...args: string[]) => Promise<{ code: number; stderr: string }>,
): Promise<void> {
  const context = `${h.dir}/context`;
  await Deno.mkdir(context, { recursive: true });
  await Deno.writeTextFile(`${context}/Dockerfile`, dockerfile.join("\n"));
  const run = by ?? h.docker.bind(h);
  const { code, stderr } = await run("build", "--tag", name, context);
  assert(code === 0, stderr);
}

const MAJOR = await engineMajor();

/**
 * An engine that can't tell the images of several platforms behind a name
 * apart: all its pushes are refused.
 */
const MIXED = await keepsPlatforms() && MAJOR >= 24 && MAJOR < 28
  ? "before Docker 28 nothing can be pushed out of containerd's store"
  : undefined;

/** The images that the tests below push. */
async function makeImages(h: Harness): Promise<Registry> {
  const registry = await Registry.start(h, PORT);
  await h.image("acme/plain:1", { files: { a: "plain" } });
  await h.image(`${REDHAT}/rhel9:1`, {
    changes: labels("rhel9"),
    files: { a: "rhel" },
  });
  await pullBack(h, `${REDHAT}/rhel9:1`);
  await registry.taken();
  return registry;
}

registryTest("RHEL by its labels, and by where it comes from", async (t, h) => {
  const registry = await makeImages(h);
  await h.must("tag", `${REDHAT}/rhel9:1`, "acme/rhel:1");
  await h.image("acme/seven:1", {
    changes: labels("rhel7/rhel", ["Vendor", "Name"]),
  });
  await h.image("acme/mixed:1", {
    changes: labels("rhel8", ["vendor", "Name"]),
  });
  await h.image("acme/ubi:1", { changes: labels("ubi9") });
  await h.image("acme/myrhel:1", { changes: labels("my-rhel9") });
  // As BuildKit leaves them: with a base that is no image of the host.
  const inherited = (component: string) => ({
    changes: [
      "LABEL vendor=acme",
      "LABEL name=app",
      `LABEL com.redhat.component=${component}`,
    ],
  });
  await h.image("acme/inherited:1", inherited("rhel-server-container"));
  await h.image("acme/onubi:1", inherited("ubi9-container"));
  await h.image("acme/upstream:1", {
    changes: ["LABEL vendor=acme", "LABEL name=rhel9"],
  });
  // Without labels of its own, each needs the base.
  await commit(h, `${REDHAT}/rhel9:1`, "acme/commit:1");
  await build(h, "acme/build:1", [
    `FROM ${REDHAT}/rhel9:1`,
    "LABEL vendor=acme name=app",
    "COPY Dockerfile /1",
    "COPY Dockerfile /2",
    "COPY Dockerfile /3",
  ]);
  const client = (await findClients()).entries().find(([version]) =>
    version === "20"
  )?.[1];
  if (client) {
    await build(h, "acme/buildkit:1", [
      `FROM ${REDHAT}/rhel9:1`,
      "LABEL vendor=acme name=app",
      "COPY Dockerfile /4",
    ], (...args) => h.dockerBy(client, args, { DOCKER_BUILDKIT: "1" }));
  }
  // From a registry an image comes without its parents.
  await build(h, `${HERE}/acme/pulled:1`, [
    `FROM ${REDHAT}/rhel9:1`,
    "LABEL vendor=acme name=app",
    "COPY Dockerfile /5",
  ]);
  await pullBack(h, `${HERE}/acme/pulled:1`);
  await h.must("tag", `${HERE}/acme/pulled:1`, "acme/pulled:1");
  // The honest limit: one new layer with all of the content.
  const id = await h.must("create", `${REDHAT}/rhel9:1`);
  await h.must("export", "--output", `${h.dir}/client/export.tar`, id);
  await h.must("import", `${h.dir}/client/export.tar`, "acme/squashed:1");
  await h.must("rm", id);
  // Labels on copies of what others use, to keep these off Docker Hub.
  await commit(
    h,
    "acme/plain:1",
    "acme/fake:1",
    labels("rhel9").map((each) => `--change=${each}`),
  );
  for (const name of ["acme/rhel9:1", "redhatish/rhel9:1"]) {
    await h.must("tag", "acme/fake:1", `${HERE}/${name}`);
    await pullBack(h, `${HERE}/${name}`);
  }
  await commit(h, "acme/plain:1", "acme/onplain:1", ["--change=LABEL a=b"]);
  await registry.taken();
  await h.guard({ config: CONFIG });

  const bases: Record<string, string | undefined> = {
    "acme/rhel:1": "rhel9",
    "acme/seven:1": "rhel7/rhel",
    "acme/mixed:1": "rhel8",
    "acme/inherited:1": "rhel-server-container",
    "acme/commit:1": "rhel9",
    "acme/build:1": "rhel9",
    "acme/pulled:1": "rhel9",
    ...client && { "acme/buildkit:1": "rhel9" },
    "acme/fake:1": "rhel9",
    "acme/plain:1": undefined,
    "acme/onplain:1": undefined,
    "acme/ubi:1": undefined,
    "acme/onubi:1": undefined,
    "acme/myrhel:1": undefined,
    "acme/upstream:1": undefined,
    "acme/squashed:1": undefined,
  };
  for (const [image, base] of Object.entries(bases)) {
    await t.step(
      `${image} is ${base ? `based on ${base}` : "not RHEL based"}`,
      () =>
        base
          ? keptOff(h, () => h.docker("push", image), isBasedOn(image, base))
          : letGo(h, () => h.docker("push", image)),
    );
  }
  if (!client) {
    await t.step(unless("no docker client of 20.10 here: install docker.io", {
      name: "acme/buildkit:1 is based on rhel9",
      fn: () => {},
    }));
  }
  await t.step("all of them may go to another registry", async () => {
    for (const image of Object.keys(bases)) {
      await h.must("tag", image, `${HERE}/${image}`);
      await h.must("push", `${HERE}/${image}`);
      assertEquals(await registry.taken(), [image]);
    }
  });
  await t.step("an image that the engine does not know", async () => {
    const { body } = await h.send(push("acme/none/push?tag=1"));
    assert(/does not exist/.test(body), body);
    assertEquals(saidBy(h, body), undefined);
  });
  await t.step("without the base, what is pulled is not known", async () => {
    await h.must("rmi", "--force", `${REDHAT}/rhel9:1`, "acme/rhel:1");
    await h.must("rmi", "--force", `${HERE}/acme/rhel:1`);
    await letGo(h, () => h.docker("push", "acme/pulled:1"));
  });
  await t.step(
    "without the base, what was made here is known by its parents",
    async () => {
      for (const image of ["acme/commit:1", "acme/build:1"]) {
        const call = () => h.docker("push", image);
        // The containerd store keeps no parent that nobody else needs.
        if (h.dockerd.keepsPlatforms) await letGo(h, call);
        else await keptOff(h, call, isBasedOn(image));
      }
    },
  );
  await t.step("block-rhel = false", async () => {
    await h.guard({ config: "[push]\nblock-rhel = false" });
    await letGo(h, () => h.docker("push", "acme/commit:1"));
  });
  await t.step("name-prefixes", async () => {
    await h.guard({ config: '[push]\nname-prefixes = ["ubi", "my-"]' });
    await letGo(h, () => h.docker("push", "acme/seven:1"));
    for (const [image, base] of [["ubi", "ubi9"], ["myrhel", "my-rhel9"]]) {
      await keptOff(
        h,
        () => h.docker("push", `acme/${image}:1`),
        isBasedOn(`acme/${image}:1`, base),
      );
    }
  });
}, { skip: MIXED });

registryTest("pushes, in every spelling", async (t, h) => {
  const registry = await makeImages(h);
  const rhel = `${REDHAT}/rhel9:1`;
  const tags: [image: string, names: string[]][] = [
    [rhel, [
      "acme/app:rhel",
      "top:rhel",
      "registry-1.docker.io/acme/app:rhel",
      "docker.io:443/acme/app:rhel",
      `${HERE}/acme/app:rhel`,
      `${HERE}/docker.io/app:rhel`,
      "acme/both:2",
      "acme/latest:latest",
    ]],
    ["acme/plain:1", [
      "acme/app:plain",
      `${HERE}/acme/app:plain`,
      "acme/both:1",
      "acme/both:3",
      "acme/plain:2",
      "push:plain",
      "acme/push:plain",
    ]],
  ];
  for (const [image, names] of tags) {
    for (const name of names) await h.must("tag", image, name);
  }
  // What a form would override, shown with a registry that is there.
  const form = (name: string, types: string[], chunk?: number) =>
    push(`${name}/push?tag=plain`, {
      body: "tag=rhel",
      chunk,
      headers: types.map((type): [string, string] => ["Content-Type", type]),
    });
  const FORM = "application/x-www-form-urlencoded";
  const forms: Record<string, [types: string[], chunk?: number]> = {
    "a form": [[FORM]],
    "a form, chunked": [[FORM], 3],
    "a form, with JSON as second Content-Type": [[FORM, "application/json"]],
  };
  for (const [name, [types, chunk]] of Object.entries(forms)) {
    await t.step(
      `without the plugin, the engine pushes by ${name}`,
      async () => {
        const before = (await registry.taken()).length;
        const { body } = await h.send(form(`${HERE}/acme/app`, types, chunk));
        assertEquals(
          (await registry.taken()).slice(before),
          ["acme/app:rhel"],
          body,
        );
      },
    );
  }

  await h.guard({ config: CONFIG });
  const names: Record<string, string> = {
    "acme/app:rhel": "acme/app:rhel",
    "docker.io/acme/app:rhel": "acme/app:rhel",
    "index.docker.io/acme/app:rhel": "acme/app:rhel",
    "top:rhel": "top:rhel",
    "library/top:rhel": "top:rhel",
    "docker.io/library/top:rhel": "top:rhel",
    "registry-1.docker.io/acme/app:rhel": "registry-1.docker.io/acme/app:rhel",
    "docker.io:443/acme/app:rhel": "docker.io:443/acme/app:rhel",
    "acme/latest": "acme/latest:latest",
  };
  for (const [version, client] of await findClients()) {
    const by = (...args: string[]) => () =>
      h.dockerBy(client, ["push", ...args]);
    await t.step(`client ${version}`, async () => {
      for (const [name, image] of Object.entries(names)) {
        await keptOff(h, by(name), isBasedOn(image));
      }
      await keptOff(h, by("--quiet", "top:rhel"), isBasedOn("top:rhel"));
      for (const name of ["acme/app:plain", "docker.io/acme/app:plain"]) {
        await letGo(h, by(name));
      }
      await keptOff(
        h,
        by("--all-tags", "acme/app"),
        isBasedOn("acme/app:rhel"),
      );
      await keptOff(h, by("--all-tags", "acme/both"), isBasedOn("acme/both:2"));
      await letGo(h, by("--all-tags", "acme/plain"));
    });
  }
  await t.step("to another registry, all tags", async () => {
    await h.must("push", "--all-tags", `${HERE}/acme/app`);
    await h.must("push", `${HERE}/docker.io/app:rhel`);
    assertEquals((await registry.taken()).sort(), [
      "acme/app:plain",
      "acme/app:rhel",
      "docker.io/app:rhel",
    ]);
  });

  const id = (await h.api("GET", `/images/${encodeURIComponent(rhel)}/json`))
    .json<{ RepoDigests: string[] }>();
  const digest = id.RepoDigests[0].replace(/.*@/, "");
  const targets: Record<string, string> = {
    "acme/app/push?tag=rhel": "acme/app:rhel",
    "acme%2Fapp/p%75sh?%74ag=rh%65l": "acme/app:rhel",
    "acme/app/push?tag=rhel&tag=plain": "acme/app:rhel",
    "acme/app:plain/push?tag=rhel": "acme/app:rhel",
    "acme/app:rhel/push?Tag=plain": "acme/app:rhel",
    "acme/both/push": "acme/both:2",
    "acme/both/push?tag=": "acme/both:2",
    "docker.io/library/top/push?tag=rhel": "top:rhel",
  };
  for (const [target, image] of Object.entries(targets)) {
    await t.step(
      `POST /images/${target}`,
      () => keptOff(h, () => h.send(push(target)), isBasedOn(image)),
    );
  }
  await t.step("in absolute form, without a version", () =>
    keptOff(
      h,
      () =>
        h.send(
          request("POST", "http://any/images/top/push?tag=rhel", {
            headers: [["X-Registry-Auth", "e30="]],
          }),
        ),
      isBasedOn("top:rhel"),
    ));
  await t.step(
    "credentials in the body, as old clients send them",
    () =>
      keptOff(
        h,
        () =>
          h.send(request("POST", "/images/top/push?tag=rhel", { body: {} })),
        isBasedOn("top:rhel"),
      ),
  );
  const notShown = "request can't be checked: its body is not shown to " +
    'plugins: send none, with "Content-Length: 0", or JSON as "Content-Type: ' +
    'application/json"';
  for (const [name, [types, chunk]] of Object.entries(forms)) {
    await t.step(`kept off: ${name}`, () =>
      keptOff(
        h,
        () => h.send(form("acme/app", types, chunk)),
        // Without a length there may be no form either: all tags count.
        chunk ? isBasedOn("acme/app:rhel") : notShown,
      ));
  }
  await t.step(
    "kept off: credentials in a body that is not shown",
    () =>
      keptOff(
        h,
        () =>
          h.send(
            request("POST", "/images/acme/app/push?tag=plain", { body: "{}" }),
          ),
        notShown,
      ),
  );
  await t.step("as docker-java before 3.5 pushes", async () => {
    const java = (target: string) => () =>
      h.send(push(target, {
        headers: [["content-type", "application/json"]],
        bare: true,
      }));
    await letGo(h, java("acme/plain/push?tag=1"));
    await keptOff(
      h,
      java("acme/app/push?tag=plain"),
      isBasedOn("acme/app:rhel"),
    );
  });
  await t.step(
    "let go: the first of two tags",
    () => letGo(h, () => h.send(push("acme/app/push?tag=plain&tag=rhel"))),
  );
  await t.step("let go: an image that is called push", async () => {
    await letGo(h, () => h.send(push("push/push?tag=plain")));
    await letGo(h, () => h.send(push("acme/push/push?tag=plain")));
  });
  await t.step("a digest is nothing that the engine pushes", async () => {
    const { body } = await h.send(
      push(`${rhel.replace(":1", "")}@${digest}/push`),
    );
    assert(
      /cannot push a digest reference|tag does not exist/.test(body),
      body,
    );
  });
  await t.step("nothing else went anywhere", async () => {
    assertEquals(await registry.taken(), []);
  });
}, { skip: MIXED });

/**
 * Stands between plugin and engine, and answers one path itself.
 *
 * @param h the engine
 * @param path decoded, without the API version
 * @param answer from the engine's own to that path
 * @returns where the plugin finds it
 */
function standIn(
  h: Harness,
  path: string,
  answer: (status: number, body: string) => [status: number, body: string],
): { host: string; server: Deno.HttpServer } {
  const socket = `${h.dir}/client/stand-in.sock`;
  const server = Deno.serve(
    { path: socket, onListen() {} },
    async ({ method, url }) => {
      const { pathname, search } = new URL(url);
      const [own] = await exchange(
        h.dockerd.socket,
        request(method, pathname + search),
      );
      const asked = decodeURIComponent(pathname.replace(/^\/v[0-9.]+/, ""));
      const [status, body] = asked === path
        ? answer(own.status, own.body)
        : [own.status, own.body];
      return new Response(body, {
        status,
        headers: { "Api-Version": own.headers.get("api-version") ?? "" },
      });
    },
  );
  return { host: `unix://${socket}`, server };
}

registryTest("the tables in rhel-push-plugin's README", async (t, h) => {
  const registry = await makeImages(h);
  await h.must("tag", `${REDHAT}/rhel9:1`, "acme/rhel:1");
  for (const name of ["rhel", "plain"]) {
    await h.must("tag", `acme/${name}:1`, `${HERE}/acme/${name}:1`);
  }
  const engines: [
    name: string,
    registries: string[] | undefined,
    unqualified: "allow" | "disallow",
  ][] = [
    ["docker/docker", undefined, "disallow"],
    [
      "projectatomic/docker with one more registry",
      [HERE, "docker.io"],
      "allow",
    ],
    ["projectatomic/docker with no more registry", ["docker.io"], "disallow"],
  ];
  for (const [engine, registries, unqualified] of engines) {
    let asked = 0;
    const { host, server } = standIn(h, "/info", (status, body) => {
      asked++;
      if (!registries) return [status, body];
      // As projectatomic/docker had it, beside all else.
      const Registries = registries.map((Name) => ({ Name, Secure: true }));
      return [status, JSON.stringify({ ...JSON.parse(body), Registries })];
    });
    await h.guard({ config: CONFIG, host });
    await t.step(engine, async () => {
      // By hand: 20.10's client cuts "docker.io/" off, today's puts it in front
      // of all that has none.
      const by = (name: string) => () => h.send(push(`${name}/push?tag=1`));
      // No engine to be had sends it anywhere else than to Docker Hub.
      if (unqualified === "allow") await letGo(h, by("acme/rhel"));
      else await keptOff(h, by("acme/rhel"), isBasedOn("acme/rhel:1"));
      assert(asked > 0, "the plugin did not ask for /info");
      await keptOff(h, by("docker.io/acme/rhel"), isBasedOn("acme/rhel:1"));
      await letGo(h, by("acme/plain"));
      await letGo(h, by("docker.io/acme/plain"));
      await h.must("push", `${HERE}/acme/rhel:1`);
      await h.must("push", `${HERE}/acme/plain:1`);
      assertEquals(await registry.taken(), [
        "acme/rhel:1",
        "acme/plain:1",
      ]);
    });
    await server.shutdown();
    await Deno.remove(host.slice("unix://".length)).catch(() => {});
  }

  for (
    const [name, path] of [
      ["inspect", "/images/acme/plain:1/json"],
      ["list of images", "/images/json"],
      ["info", "/info"],
    ]
  ) {
    await t.step(`no verdict without the engine's ${name}`, async () => {
      const { host, server } = standIn(
        h,
        path,
        () => [500, '{"message":"out of order"}'],
      );
      await h.guard({ config: CONFIG, host });
      await refused(
        h,
        () => h.send(push("acme/plain/push?tag=1")),
        /^engine can't be asked: GET \/\S+ gave HTTP 500: out of order$/,
      );
      await server.shutdown();
      await Deno.remove(host.slice("unix://".length)).catch(() => {});
    });
  }
}, { skip: MIXED });

const RED_HAT = { vendor: "Red Hat, Inc.", name: "rhel9" };

const linux = (architecture: string) => ({ os: "linux", architecture });

registryTest("images of several platforms", async (t, h) => {
  const registry = await Registry.start(h, PORT);
  await loadImage(h, "docker.io/acme/both:1", [
    { platform: linux("amd64") },
    { platform: linux("arm64"), labels: RED_HAT },
  ]);
  await loadImage(h, "docker.io/acme/plain:1", [
    { platform: linux("amd64"), labels: { a: "plain" } },
    { platform: linux("arm64"), labels: { a: "plain" } },
  ]);
  await loadImage(h, "docker.io/acme/volumes:1", [
    { platform: linux("amd64") },
    { platform: linux("arm64"), volumes: ["/data"] },
  ]);
  // The base on the host for another platform than the host's own.
  await loadImage(h, `${REDHAT}/multi:1`, [
    { platform: linux("amd64"), labels: { a: "base" } },
    { platform: linux("s390x"), labels: RED_HAT },
  ]);
  await h.must("push", `${REDHAT}/multi:1`);
  await loadImage(h, "docker.io/acme/child:1", [
    { platform: linux("amd64"), labels: { a: "child" } },
    { platform: linux("s390x"), labels: { a: "child" } },
  ]);
  await h.must("tag", "acme/both:1", `${HERE}/acme/both:1`);
  await h.must("tag", "acme/both:1", "acme/all:2");
  await h.must("tag", "acme/plain:1", "acme/all:1");
  await loadImage(h, "docker.io/acme/odd:1", [
    { platform: linux("amd64"), labels: { a: "odd" } },
    { platform: linux("amd64"), labels: RED_HAT },
  ]);
  await registry.taken();
  await h.guard({ config: CONFIG + "\n[volumes]" });

  if (MAJOR < 28) await refusesAll(t, h);
  else await tellsApart(t, h, registry);
}, {
  config: { features: { "containerd-snapshotter": true } },
  skip: MAJOR < 24 ? "Docker 20 knows one platform only" : undefined,
});

async function refusesAll(t: Deno.TestContext, h: Harness): Promise<void> {
  for (const image of ["acme/both:1", "acme/plain:1"]) {
    await t.step(
      `an engine that can't tell them apart: ${image}`,
      () =>
        keptOff(
          h,
          () => h.docker("push", image),
          "request can't be checked: this engine pushes images of all " +
            "platforms, and can't tell them apart: use Docker Engine 28.1 or " +
            "later",
        ),
    );
  }
}

async function tellsApart(
  t: Deno.TestContext,
  h: Harness,
  registry: Registry,
): Promise<void> {
  await t.step("one of them is RHEL", () =>
    keptOff(
      h,
      () => h.docker("push", "acme/both:1"),
      isBasedOn("acme/both:1"),
    ));
  await t.step(
    "one of them has the layers of RHEL for its platform",
    () =>
      keptOff(
        h,
        () => h.docker("push", "acme/child:1"),
        isBasedOn("acme/child:1"),
      ),
  );
  await t.step("one of them is RHEL, under one of all tags", () =>
    keptOff(
      h,
      () => h.docker("push", "--all-tags", "acme/all"),
      isBasedOn("acme/all:2"),
    ));
  await t.step("one platform alone is judged as all", () =>
    keptOff(
      h,
      () => h.docker("push", "--platform", "linux/amd64", "acme/both:1"),
      isBasedOn("acme/both:1"),
    ));
  await t.step(
    "none of them is RHEL",
    () => letGo(h, () => h.docker("push", "acme/plain:1")),
  );
  await t.step("another registry takes them", async () => {
    await h.must("push", `${HERE}/acme/both:1`);
    assertEquals(await registry.taken(), ["acme/both:1"]);
  });
  await t.step(
    "docker create --platform: the volumes of the image that it takes",
    async () => {
      await h.must("create", "acme/volumes:1");
      await h.must("create", "--platform=linux/amd64", "acme/volumes:1");
      await refused(
        h,
        () => h.docker("create", "--platform=linux/arm64", "acme/volumes:1"),
        "volumes are not allowed: image acme/volumes:1 declares VOLUME /data",
      );
    },
  );
}
