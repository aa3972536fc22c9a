import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import { decideImages, decideTaskImage } from "../../../lib/policy/images.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import { callOf, engineWith, request, said } from "../requests.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;

/** Lets in alpine and what `ok` keeps, and opens no door. */
const STRICT = `
  [images]
  whitelist = ["^alpine:3", "^localhost:5002/ok(:|$)"]`;

/** Keeps out docker alone; a pull's name decides. */
const LAX = `
  [images]
  blacklist = ["^docker:"]
  default-allow = true`;

/** Refuses nothing. */
const OPEN = "[images]\ndefault-allow = true";

/** What the `[images]` section of a settings file makes of a request. */
async function decided(
  authz: AuthzRequest,
  config = STRICT,
  engine: Partial<Engine> = {},
): Promise<string> {
  const { images } = await parseConfig("test.toml", config);
  if (!images) throw new Error("no [images] in the settings");
  return said(await decideImages(images, callOf(authz), engineWith(engine)));
}

/** What a reader says of a request that it can't be sure of. */
async function unreadable(
  authz: AuthzRequest,
  config = STRICT,
): Promise<string> {
  try {
    await decided(authz, config);
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    throw error;
  }
  throw new Error(`${authz.uri} was read`);
}

const no = (image: string) =>
  `image ${image} is not allowed: not on the whitelist`;

/** A closed door. */
const closed = (what: string, key: string) =>
  `${what} is not allowed: the images it brings can't be seen, and ${key} in ` +
  "[images] is not true";

Deno.test("images: a pull is checked by name and tag", async () => {
  const verdicts: Record<string, string> = {
    "fromImage=alpine&tag=3": "allowed",
    "fromImage=docker.io%2Flibrary%2Falpine&tag=3": "allowed",
    "fromImage=alpine:3": "allowed",
    "fromImage=alpine&tag=2": no("alpine:2"),
    "fromImage=alpine:3&tag=2": no("alpine:2"),
    "fromImage=alpine:2&tag=3": "allowed",
    [`fromImage=alpine&tag=${DIGEST}`]: no(`alpine:${DIGEST}`),
    [`fromImage=alpine:3@${DIGEST}`]: no(`alpine:${DIGEST}`),
    "fromImage=evil&fromImage=alpine&tag=3": no("evil:3"),
    "fromImage=alpine&fromImage=evil&tag=3&tag=2": "allowed",
    "fromimage=alpine&fromImage=evil&tag=3": no("evil:3"),
    "%66romImage=evil&fromImage=alpine&tag=3": no("evil:3"),
    "fromImage=evil&tag=3&fromSrc=-": no("evil:3"),
  };
  for (const [query, verdict] of Object.entries(verdicts)) {
    assertEquals(
      await decided(request(`POST /v1.41/images/create?${query}`)),
      verdict,
      query,
    );
  }
});

Deno.test("images: a pull without a tag brings all tags", async () => {
  const all = (query: string) =>
    decided(request(`POST /images/create?${query}`));
  assertEquals(await all("fromImage=localhost:5002/ok"), "allowed");
  const denial = "all tags of alpine are not allowed: they can't be judged " +
    "one by one, and no whitelist entry matches the name without a tag; " +
    "pull a tag";
  assertEquals(await all("fromImage=alpine"), denial);
  assertEquals(await all("fromImage=docker.io/library/alpine:&tag="), denial);
});

Deno.test("images: without fromImage it is an import", async () => {
  for (
    const query of [
      "fromSrc=-&repo=alpine&tag=3",
      "fromSrc=http://example.com/x.tar",
      "fromImage=&fromSrc=-",
      "fromimage=alpine&tag=3",
      "",
    ]
  ) {
    const authz = request(`POST /images/create?${query}`);
    assertEquals(
      await decided(authz),
      closed("docker import", "allow-import"),
      query,
    );
    assertEquals(
      await decided(authz, `${STRICT}\n  allow-import = true`),
      "allowed",
      query,
    );
  }
});

Deno.test("images: a form may override the query of a pull", async (t) => {
  const pull = (headers: Record<string, string>) =>
    request(
      "POST /images/create?fromImage=alpine&tag=3",
      undefined,
      headers,
    );
  const unsure: Record<string, string>[] = [
    { "Content-Type": "application/x-www-form-urlencoded" },
    {
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": "9",
    },
    // A second header hides the first.
    { "Content-Type": "application/json", "Content-Length": "9" },
    // docker-java, up to some version.
    { "Content-Type": "application/json" },
    { "Content-Type": "" },
  ];
  for (const headers of unsure) {
    await t.step(`unsure: ${JSON.stringify(headers)}`, async () => {
      assertEquals(
        await unreadable(pull(headers)),
        "it may carry a form that overrides its query: send it without a " +
          'Content-Type, or with "Content-Length: 0", as docker-java 3.5 or ' +
          "later does",
      );
      await unreadable(pull(headers), LAX);
      // With nothing to refuse, nothing hangs on it.
      assertEquals(await decided(pull(headers), OPEN), "allowed");
    });
  }
  const sure: Record<string, string>[] = [
    {},
    { "Content-Length": "0" },
    { "Content-Length": "0", "Content-Type": "text/plain" },
    { "X-Registry-Auth": "e30=" },
  ];
  for (const headers of sure) {
    await t.step(`sure: ${JSON.stringify(headers)}`, async () => {
      assertEquals(await decided(pull(headers)), "allowed");
    });
  }
  await t.step("sure: a JSON body that is shown", async () => {
    const authz = request("POST /images/create?fromImage=alpine&tag=3", {});
    assertEquals(await decided(authz), "allowed");
  });
});

Deno.test("images: what is no image's name", async () => {
  for (
    const [query, reason] of [
      [
        "fromImage=Alpine",
        "invalid reference format: repository name must be lowercase",
      ],
      ["fromImage=alpine&tag=%20", "invalid tag format"],
      ["fromImage=alpine:3:4", "invalid reference format"],
      [
        `fromImage=${"a".repeat(64)}`,
        `invalid repository name (${"a".repeat(64)}), cannot specify 64-byte ` +
        "hexadecimal strings",
      ],
    ]
  ) {
    const name = new URLSearchParams(query).get("fromImage");
    assertEquals(
      await unreadable(request(`POST /images/create?${query}`)),
      `image "${name}": ${reason}`,
    );
  }
  assertEquals(
    await unreadable(request("POST /images/create?fromImage=x%0Ay")),
    'image "x\\u000ay": invalid reference format',
  );
});

Deno.test("images: an engine plugin is checked by its remote", async () => {
  for (
    const path of ["/plugins/pull", "/plugins/any/name:1/upgrade"]
  ) {
    const remote = (name: string) =>
      request(`POST ${path}?remote=${name}&remote=alpine:3`, []);
    assertEquals(await decided(remote("alpine:3")), "allowed");
    assertEquals(
      await decided(remote("vieux/sshfs")),
      no("vieux/sshfs:latest"),
    );
    assertEquals(
      await decided(remote(`localhost:5002/ok@${DIGEST}`)),
      "allowed",
    );
    assertEquals(await decided(remote("docker"), OPEN), "allowed");
    await unreadable(
      request(`POST ${path}?remote=alpine:3`, undefined, {
        "Content-Type": "application/json",
      }),
    );
    // The engine refuses it too.
    assertEquals(
      await unreadable(request(`POST ${path}`)),
      'image "": invalid reference format',
    );
  }
});

Deno.test("images: a new service is checked by its image", async () => {
  const create = (task: unknown) =>
    decided(request("POST /services/create", { TaskTemplate: task }));
  const image = (Image: string) => create({ ContainerSpec: { Image } });
  assertEquals(await image("alpine:3"), "allowed");
  assertEquals(await image("evil:1"), no("evil:1"));
  assertEquals(await image(`alpine:3@${DIGEST}`), no(`alpine:${DIGEST}`));
  // An ID is never pulled, its beginning is taken for a name.
  assertEquals(await image(DIGEST), "allowed");
  assertEquals(await image(`sha384:${"ab".repeat(48)}`), "allowed");
  assertEquals(await image(`sha512:${"ab".repeat(64)}`), "allowed");
  assertEquals(await image("sha256:abab"), no("sha256:abab"));
  assertEquals(
    await create({ PluginSpec: { Remote: "vieux/sshfs:1" } }),
    no("vieux/sshfs:1"),
  );
  assertEquals(
    await create({
      ContainerSpec: { Image: "evil:1" },
      PluginSpec: { Remote: "alpine:3" },
    }),
    no("evil:1"),
  );
  assertEquals(await create({ PluginSpec: { Remote: "alpine:3" } }), "allowed");
  // A task that attaches a network has neither.
  assertEquals(await create({ Runtime: "attachment" }), "allowed");
  assertEquals(await create(null), "allowed");
});

Deno.test("images: a service without a body that is shown", async () => {
  const chunked = request("POST /services/create", undefined, {
    "Content-Type": "application/json",
  });
  assertEquals(
    (await unreadable(chunked)).split(":")[0],
    "its body is chunked, and this engine does not show that to plugins",
  );
});

Deno.test("images: an update is checked by its body, or by the spec that it goes back to", async (t) => {
  const body = { TaskTemplate: { ContainerSpec: { Image: "alpine:3" } } };
  const spec = (image: string, pluginRemote = "") => ({
    name: "web",
    image,
    mounts: [],
    pluginRemote,
  });
  const asked: string[] = [];
  const engine = (
    previous?: ReturnType<typeof spec>,
  ): Partial<Engine> => ({
    inspectService: (name) => {
      asked.push(name);
      return Promise.resolve({
        id: "s1",
        spec: spec("evil:1"),
        ...(previous && { previousSpec: previous }),
      });
    },
  });
  const path = "POST /services/web/update?version=7";

  await t.step("by its body", async () => {
    assertEquals(await decided(request(path, body)), "allowed");
    assertEquals(
      await decided(request(`${path}&rollback=Previous`, body)),
      "allowed",
    );
    assertEquals(
      await decided(request(`${path}&rollback=&rollback=previous`, body)),
      "allowed",
    );
  });
  await t.step("by the previous spec, whatever the body says", async () => {
    const back = request(`${path}&rollback=previous`, body);
    assertEquals(
      await decided(back, STRICT, engine(spec("evil:1"))),
      no("evil:1"),
    );
    assertEquals(
      await decided(back, STRICT, engine(spec("alpine:3"))),
      "allowed",
    );
    assertEquals(
      await decided(back, STRICT, engine(spec("", "evil:2"))),
      no("evil:2"),
    );
    assertEquals(
      await decided(
        request(`${path}&%72ollback=previous&rollback=none`),
        STRICT,
        engine(spec("evil:1")),
      ),
      no("evil:1"),
    );
    assertEquals(asked, ["web", "web", "web", "web"]);
  });
  await t.step("left to the engine: nothing to go back to", async () => {
    const back = request(`${path}&rollback=previous`, body);
    assertEquals(await decided(back, STRICT, engine()), "allowed");
    const none: Partial<Engine> = {
      inspectService: () => Promise.resolve(undefined),
    };
    assertEquals(await decided(back, STRICT, none), "allowed");
  });
  await t.step("an engine that gives no answer", async () => {
    const silent: Partial<Engine> = {
      inspectService: () => Promise.reject(new EngineError("no answer")),
    };
    await assertRejects(
      () => decided(request(`${path}&rollback=previous`), STRICT, silent),
      EngineError,
      "no answer",
    );
  });
});

Deno.test("images: the image of a task, whoever ordered it", async () => {
  const { images } = await parseConfig("test.toml", STRICT);
  const { images: lax } = await parseConfig("test.toml", LAX);
  const no = (name: string) =>
    `image ${name} is not allowed: not on the whitelist`;
  for (
    const [image, expected] of [
      ["alpine:3", "allowed"],
      [`docker.io/library/alpine:3@${DIGEST}`, no(`alpine:${DIGEST}`)],
      ["evil:1", no("evil:1")],
      ["evil", no("evil:latest")],
      // An ID is never pulled.
      [DIGEST, "allowed"],
      // The task is gone.
      ["", "allowed"],
    ]
  ) {
    assertEquals(said(decideTaskImage(images!, image)), expected, image);
  }
  assertEquals(said(decideTaskImage(lax!, "evil:1")), "allowed");
  assertEquals(
    said(decideTaskImage(lax!, "docker")),
    "image docker:latest is not allowed: blacklisted by ^docker:",
  );
  const odd = decideTaskImage(lax!, "UPPER");
  assertEquals(odd.allow || odd.rule, "unreadable");
});

Deno.test("images: builds, loads and imports, each by its key", async (t) => {
  const doors: [line: string, what: string, key: string][] = [
    ["POST /build?t=x", "docker build", "allow-build"],
    ["POST /v1.41/build?remote=http://x/", "docker build", "allow-build"],
    ["POST /build?version=2", "docker build", "allow-build"],
    ["POST /session", "docker build", "allow-build"],
    ["POST /grpc", "docker build", "allow-build"],
    ["POST /images/load?quiet=1", "docker load", "allow-load"],
    ["POST /plugins/create?name=x", "docker plugin create", "allow-load"],
    ["POST /images/create?fromSrc=-", "docker import", "allow-import"],
  ];
  const keys = ["allow-build", "allow-load", "allow-import"];
  const tar = { "Content-Type": "application/x-tar" };
  for (const [line, what, key] of doors) {
    await t.step(line, async () => {
      const authz = request(line, undefined, tar);
      assertEquals(await decided(authz), closed(what, key));
      for (const each of keys) {
        assertEquals(
          await decided(authz, `${STRICT}\n  ${each} = true`),
          each === key ? "allowed" : closed(what, key),
        );
      }
      // Open by default where the default is to allow.
      assertEquals(await decided(authz, LAX), "allowed");
      assertEquals(
        await decided(authz, `${LAX}\n  ${key} = false`),
        closed(what, key),
      );
    });
  }
});

Deno.test("images: a query that Go reads in another way", () => {
  assertThrows(
    () => callOf(request("POST /images/create?a;fromImage=x")).query,
    Unreadable,
    ";",
  );
});
