/**
 * One refused call, spelled in every way that HTTP, JSON and the engine's API
 * allow, before a real engine.
 *
 * Each spelling is first sent to the engine alone: `bites` says whether it
 * makes the volume there, so that the table shows what is at stake, engine by
 * engine. Then, with the plugin in front, nothing of it may happen; and the
 * same spelling of a harmless call passes, unless `harmless` says why it can't.
 */

import { engineTest, type Harness } from "../harness.ts";
import { exchange, join, request, type RequestParts } from "../raw_http.ts";
import {
  assert,
  assertEquals,
  bites,
  type Message,
  refused,
  saidBy,
} from "../verdict.ts";

/** A way to send something. */
interface Spelling {
  name: string;
  /** @param bind the bind to ask for: a volume's, or a harmless one */
  bytes: (bind: string) => Uint8Array;
  /**
   * Whether an engine of this generation makes a volume of it. Default: all do.
   */
  bites?: (major: number) => boolean;
  /** What becomes of the same call with a harmless bind. Default: it passes. */
  harmless?:
    | "passes"
    | "is refused by the plugin"
    | "is refused by the engine"
    | "is refused";
  /** The plugin's message, if the table is about it. */
  message?: Message;
}

const never = () => false;
const JSON_TYPE: [string, string] = ["Content-Type", "application/json"];
const CREATE = "/containers/create";

/** A create with this bind, otherwise as short as can be. */
const plainBody = (bind: string) =>
  `{"Image":"plain:1","HostConfig":{"Binds":["${bind}"]}}`;

const post = (target: string, body: string, parts: RequestParts = {}) =>
  request("POST", target, {
    ...parts,
    headers: [JSON_TYPE, ...parts.headers ?? []],
    body,
  });

const PATHS: Spelling[] = [
  ...[
    "/v1.41/containers/create",
    "/v1.41.0/containers/create",
    "/v01.041/containers/create",
    "/v1.41/cont%61iners/cre%61te",
    "/containers%2Fcreate",
    "/containers%2fcreate",
    "/%63%6f%6e%74%61%69%6e%65%72%73/create",
    "/%761.41/containers/create",
    "/v1%2E41/containers/create",
    "/v1.41%2Fcontainers/create",
    "http://docker/containers/create",
    "http://docker/v1.41/cont%61iners/create",
    "http://user:secret@docker:1/containers/create",
    "HTTP://docker/containers/create",
    "https://docker/containers/create",
    "odd+scheme://docker/containers/create",
    "docker:/containers/create",
    "/containers/create?",
    "/containers/create?name=xx",
    "/containers/create?%6eame=xx&name=yy",
    "/containers/create?platform=",
  ].map((target) => ({
    name: target,
    bytes: (bind: string) => post(target, plainBody(bind)),
  })),
  ...[
    "//containers/create",
    "/./containers/create",
    "/x/../containers/create",
    "/containers/create/",
    "/containers/create%2F",
    "/containers/create%3F",
    "/containers/create%00",
    "/containers/create#x",
    "/CONTAINERS/create",
    "/v1.41/v1.41/containers/create",
    "/v/containers/create",
    "/containers/cre%ffate",
    "/containers/cre%zzate",
    "containers/create",
  ].map((target): Spelling => ({
    name: target,
    bytes: (bind: string) => post(target, plainBody(bind)),
    bites: never,
    harmless: "is refused by the engine",
  })),
];

const QUERIES: Spelling[] = [
  "name=a;name=b",
  "name=%zz",
  "name=%ff",
  "name=a&%",
].map((query): Spelling => ({
  name: query,
  bytes: (bind) => post(`${CREATE}?${query}`, plainBody(bind)),
  bites: never,
  harmless: "is refused",
  message: /./,
}));

const METHODS: Spelling[] = ["post", "PUT", "PATCH", "GET", "DELETE"]
  .map((method): Spelling => ({
    name: method,
    bytes: (bind) =>
      request(method, CREATE, { headers: [JSON_TYPE], body: plainBody(bind) }),
    bites: never,
    harmless: "is refused by the engine",
  }));

const BIND = "<bind>"; // stands for the bind in the texts below
const ambiguous = {
  harmless: "is refused by the plugin",
  message: /^request can't be checked: /,
} as const;

const BODIES: Spelling[] = ([
  ["white space around", ` \t\r\n${plainBody(BIND)}\n \t\r`],
  ["lower case", `{"image":"plain:1","hostconfig":{"binds":["${BIND}"]}}`],
  ["upper case", `{"IMAGE":"plain:1","HOSTCONFIG":{"BINDS":["${BIND}"]}}`],
  ["long s", `{"Image":"plain:1","hoſtconfig":{"bindſ":["${BIND}"]}}`],
  [
    "escapes",
    `{"Image":"plain:1","\\u0048ostConfig":{"Bin\\u0064\\u017f":["${BIND}"]}}`,
  ],
  ["fields of no meaning", `{"x":[1e9,-0.1,{"y":null}],${bare(BIND)}}`],
  ["a map's keys that look alike", `{"Labels":{"a":"","A":""},${bare(BIND)}}`],
  ["an escaped path", plainBody(`${BIND}`).replaceAll("/", "\\/")],
  ["HostConfig, then an empty one", `{${bare(BIND)},"HostConfig":{}}`, {
    ...ambiguous,
  }],
  ["an empty HostConfig first", `{"HostConfig":{},${bare(BIND)}}`, {
    ...ambiguous,
  }],
  [
    "HostConfig, then one in lower case",
    `{${bare(BIND)},"hostconfig":{"Memory":0}}`,
    { ...ambiguous },
  ],
  ["HostConfig, then null", `{${bare(BIND)},"HostConfig":null}`, {
    ...ambiguous,
    bites: never,
  }],
  [
    "Binds, then Binds of nothing",
    `{"Image":"plain:1","HostConfig":{"Binds":["${BIND}"],"Binds":[]}}`,
    { ...ambiguous, bites: never },
  ],
  [
    "a harmless Binds, then another",
    `{"Image":"plain:1","HostConfig":{"Binds":["/:/y"],"binds":["${BIND}"]}}`,
    { ...ambiguous },
  ],
  [
    "Mounts, then a mount that fills it up",
    `{"Image":"plain:1","HostConfig":{"Binds":["${BIND}"],` +
    `"Mounts":[{"Type":"volume","Source":"data","Target":"/y"}],"Mounts":[{}]}}`,
    { ...ambiguous },
  ],
  [
    "a mount of two types",
    `{"Image":"plain:1","HostConfig":{"Binds":["${BIND}"],` +
    `"Mounts":[{"Type":"bind","type":"volume","Source":"data","Target":"/y"}]}}`,
    { ...ambiguous },
  ],
  ["two images", `{"image":"nowhere:1",${bare(BIND)}}`, { ...ambiguous }],
  ["text after the value", `${plainBody(BIND)}x`, {
    ...ambiguous,
    bites: (major) => major < 26,
  }],
  ["a second value", `${plainBody(BIND)}{}`, {
    ...ambiguous,
    bites: (major) => major < 26,
  }],
  ["a brace too many", `${plainBody(BIND)}}`, { ...ambiguous }],
  ["nested deeper than clients do", `{"x":${nest(600)},${bare(BIND)}}`, {
    ...ambiguous,
  }],
  ["nested deeper than Go reads", `{"x":${nest(10_001)},${bare(BIND)}}`, {
    ...ambiguous,
    bites: never,
  }],
  ["a byte order mark", `\ufeff${plainBody(BIND)}`, {
    ...ambiguous,
    bites: never,
  }],
  ["a comment", `/**/${plainBody(BIND)}`, { ...ambiguous, bites: never }],
  ["half of it", plainBody(BIND).slice(0, -1), { ...ambiguous, bites: never }],
  ["nothing", "", { ...ambiguous, bites: never }],
  ["null", "null", { ...ambiguous, bites: never }],
  ["a list", `[${plainBody(BIND)}]`, { ...ambiguous, bites: never }],
  ["Binds of a text", `{"Image":"plain:1","HostConfig":{"Binds":"${BIND}"}}`, {
    ...ambiguous,
    bites: never,
  }],
  ["HostConfig in a list", `{"Image":"plain:1","HostConfig":[{}]}`, {
    ...ambiguous,
    bites: never,
  }],
] as [string, string, Partial<Spelling>?][]).map(([name, text, more]) => ({
  name,
  bytes: (bind) => post(CREATE, text.replace(BIND, bind)),
  ...more,
}));

const FRAMES: Spelling[] = [
  {
    name: "type with a parameter",
    bytes: typed("application/json; charset=utf-8"),
  },
  { name: "type in capitals", bytes: typed("Application/JSON") },
  { name: "JSON type, then text", bytes: typed(JSON_TYPE[1], "text/plain") },
  {
    name: "Expect: 100-continue",
    bytes: (bind) =>
      post(CREATE, plainBody(bind), { headers: [["Expect", "100-continue"]] }),
  },
  {
    name: "header names in odd case",
    bytes: (bind) =>
      request("POST", CREATE, {
        headers: [["cONTENT-tYPE", JSON_TYPE[1]]],
        body: plainBody(bind),
      }),
  },
  {
    name: "two equal lengths",
    bytes: (bind) =>
      post(CREATE, plainBody(bind), {
        headers: [["Content-Length", String(plainBody(bind).length)]],
      }),
  },
  {
    name: "two lengths",
    bytes: (bind) =>
      post(CREATE, plainBody(bind), { headers: [["Content-Length", "2"]] }),
    bites: never,
    harmless: "is refused by the engine",
  },
  {
    name: "an unknown transfer coding",
    bytes: (bind) =>
      post(CREATE, plainBody(bind), {
        headers: [["Transfer-Encoding", "gzip, chunked"]],
      }),
    bites: never,
    harmless: "is refused by the engine",
  },
  {
    name: "a length of 0 before a body",
    bytes: (bind) =>
      post(CREATE, plainBody(bind), {
        headers: [["Content-Length", "0"], ["Connection", "close"]],
        bare: true,
      }),
    bites: never,
    ...ambiguous,
    message: "request can't be checked: it has no body",
  },
  ...[
    ["text", "text/plain"],
    ["a form", "application/x-www-form-urlencoded"],
    ["nearly JSON", "application/jsonx"],
    ["none"],
    ["text, then JSON", "text/plain", JSON_TYPE[1]],
  ].map(([name, ...types]): Spelling => ({
    name: `type: ${name}`,
    bytes: typed(...types),
    bites: never,
    ...ambiguous,
  })),
];

engineTest("spellings of a create", async (t, h) => {
  await h.image("plain:1");
  for (
    const [name, spellings] of Object.entries({
      paths: PATHS,
      queries: QUERIES,
      methods: METHODS,
      bodies: BODIES,
      "types and frames": FRAMES,
    })
  ) {
    await t.step(name, (t) => everySpelling(t, h, spellings));
  }
});

engineTest("chunked and long bodies", async (t, h) => {
  await h.image("plain:1");
  const long = (size: number) => ({
    name: `a body of ${size} bytes`,
    bytes: (bind: string) => post(CREATE, plainBody(bind).padEnd(size)),
  });
  const chunked = (chunk: number, headers: [string, string][] = []) => ({
    name: `chunks of ${chunk} ${headers.length ? "and a length" : "bytes"}`,
    bytes: (bind: string) => post(CREATE, plainBody(bind), { chunk, headers }),
  });
  const MiB = 1024 * 1024;
  const spellings: Spelling[] = [
    ...[MiB - 1, MiB, MiB + 1, 2 * MiB, 4 * MiB, 4 * MiB + 1].map(long),
    chunked(1000),
    chunked(1),
    chunked(7, [["Content-Length", "2"]]),
  ];
  // Which bodies an engine shows hangs on its version and on its distributor's
  // patches.
  for (const spelling of spellings) {
    let status = 0;
    const [seen] = await h.shows(async () => {
      status = (await h.send(spelling.bytes("/:/b"))).status;
    });
    await h.clear();
    // With a plugin there, Docker 29.3.1 refuses itself what it would not show,
    // and so do patched older ones.
    if (status !== 201) spelling.harmless = "is refused by the engine";
    else if (seen.body === undefined) Object.assign(spelling, ambiguous);
    spelling.name += `, ${seen?.body === undefined ? "not " : ""}shown`;
  }
  await everySpelling(t, h, spellings);
});

engineTest("calls for a container with a volume", async (t, h) => {
  await h.image("plain:1");
  await h.must("create", "--name=bound", "-v", `${h.dir}:/b`, "plain:1");
  await h.must("create", "--name=web", "-v", "data:/x", "plain:1");
  const id = (await h.container("web"))?.id ?? "";

  for (
    const target of [
      "/containers/web/start",
      "/v1.41/containers/web/start",
      "/v1.41/containers/w%65b/st%61rt",
      "/containers%2Fweb%2Fstart",
      `/containers/${id}/start`,
      `/containers/${id.slice(0, 5)}/start`,
      "http://docker/containers/web/start",
      "/containers/web/start?detachKeys=x",
      "/containers/web/restart",
      "/containers/web/restart?t=0",
      "/v1.41/containers/%77eb/restart?t=0",
      "http://docker/v1.41/containers/web/restart",
    ]
  ) {
    await t.step(target, async () => {
      const start = () => h.send(request("POST", target));
      assert(await h.withoutPlugin(() => bites(h, start)), "does not bite");
      if (!h.plugin) await h.guard();
      await refused(h, start, /has volume "data" at \/x$/);
      const harmless = target.replace(/web|w%65b|%77eb|[0-9a-f]{5,}/, "bound");
      const answer = await h.send(request("POST", harmless));
      assertEquals(answer.status, 204, answer.body);
      await h.api("POST", "/containers/bound/kill");
    });
  }
  for (const target of ["//containers/web/start", "/containers/%2Fweb/start"]) {
    await t.step(`${target}: not the engine's`, async () => {
      const answer = await h.send(request("POST", target));
      assert(answer.status >= 300, answer.body);
      assertEquals((await h.container("web"))?.running, false);
    });
  }

  const update = (body: string) => () =>
    h.send(post("/containers/web/update", body));
  for (
    const body of [
      '{"RestartPolicy":{"Name":"always"}}',
      '{"restartpolicy":{"NAME":"unless-stopped"}}',
      '{"re\\u017ftartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}',
    ]
  ) {
    await t.step(`update ${body}`, async () => {
      await refused(h, update(body), /has volume "data" at \/x$/);
    });
  }
  for (
    const body of [
      '{"RestartPolicy":{"Name":"always"},"RestartPolicy":{}}',
      '{"RestartPolicy":{"Name":"always","name":""}}',
      '{"RestartPolicy":{"Name":"always"}}x',
    ]
  ) {
    await t.step(`update ${body}`, async () => {
      await refused(h, update(body), /^request can't be checked: /);
    });
  }

  await t.step("several calls down one connection", async () => {
    const before = await h.state();
    const answers = await exchange(
      h.dockerd.socket,
      join([
        request("GET", "/_ping"),
        post(CREATE, plainBody("data:/x")),
        request("POST", "/containers/web/start"),
        post("/containers/create?name=piped", plainBody("/:/x")),
        request("POST", "/containers/web/restart"),
        request("DELETE", "/containers/piped"),
      ]),
      { answers: 6 },
    );
    const statuses = answers.map((each) => each.status);
    assertEquals(statuses, [200, 403, 403, 201, 403, 204]);
    assertEquals(await h.state(), before);
  });
  await t.step("a request hidden in the body of another", async () => {
    // What counts as body is never read as a request.
    const hidden = new TextDecoder().decode(
      post("/containers/create?name=hidden", plainBody("data:/x")),
    );
    const before = await h.state();
    await exchange(h.dockerd.socket, post(CREATE, hidden));
    await exchange(
      h.dockerd.socket,
      request("GET", "/_ping", { body: hidden }),
      { answers: 2, timeout: 1000 },
    ).catch(() => {});
    assertEquals(await h.state(), before);
  });
});

/**
 * Sends each spelling to the engine alone, then past the plugin, then its
 * harmless twin.
 */
async function everySpelling(
  t: Deno.TestContext,
  h: Harness,
  spellings: Spelling[],
): Promise<void> {
  const harmful = (spelling: Spelling) => () =>
    h.send(spelling.bytes("data:/x"));
  await t.step(
    "what each does without the plugin",
    () =>
      h.withoutPlugin(async () => {
        for (const spelling of spellings) {
          assertEquals(
            await bites(h, harmful(spelling)),
            spelling.bites?.(h.version.major) ?? true,
            `whether ${spelling.name} bites on Docker ${h.version.full}`,
          );
        }
      }),
  );
  if (!h.plugin) await h.guard();
  for (const spelling of spellings) {
    const { harmless = "passes", message } = spelling;
    await t.step(`${spelling.name}: harmless, it ${harmless}`, async () => {
      if (harmless === "is refused by the engine") {
        const before = await h.state();
        for (const bind of ["data:/x", "/:/x"]) {
          const { status, body } = await h.send(spelling.bytes(bind));
          assert(status >= 300, `${status} ${body}`);
        }
        assertEquals(await h.state(), before);
        return;
      }
      await refused(
        h,
        harmful(spelling),
        message ?? 'volumes are not allowed: named volume "data"',
      );
      const answer = await h.send(spelling.bytes(`${h.dir}:/x`));
      if (harmless === "is refused") assert(answer.status >= 400, answer.body);
      else {
        const said = saidBy(h, answer.message) !== undefined;
        assertEquals(said, harmless !== "passes", answer.body);
        assertEquals(answer.status, said ? 403 : 201);
      }
      await h.clear();
    });
  }
}

/** A create as `plainBody`, without the braces. */
function bare(bind: string): string {
  return plainBody(bind).slice(1, -1);
}

function typed(...types: string[]): Spelling["bytes"] {
  return (bind) =>
    request("POST", CREATE, {
      headers: types.map((type) => ["Content-Type", type]),
      body: plainBody(bind),
    });
}

function nest(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}
