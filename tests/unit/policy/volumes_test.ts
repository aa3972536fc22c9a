import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ContainerFacts,
  type Engine,
  EngineError,
  type ImageFacts,
} from "../../../lib/engine/engine.ts";
import type { Decision } from "../../../lib/policy/decision.ts";
import type { Platform } from "../../../lib/call/platform.ts";
import {
  decideVolumes,
  type VolumesPolicy,
} from "../../../lib/policy/volumes.ts";
import type { ServiceSpec } from "../../../lib/call/service.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import { callOf, engineWith, request, said } from "../requests.ts";

const POLICY: VolumesPolicy = { allowClassicBuild: true, allowService: [] };

async function decide(
  authz: AuthzRequest,
  engine: Partial<Engine>,
  policy: VolumesPolicy = POLICY,
): Promise<Decision> {
  return await decideVolumes(policy, callOf(authz), engineWith(engine));
}

/**
 * What the policy says, without the words that every denial of its begins with;
 * `unreadable: …` where the request is refused as such.
 */
async function verdict(
  authz: AuthzRequest,
  engine: Partial<Engine>,
  policy: VolumesPolicy = POLICY,
): Promise<string> {
  try {
    return said(await decide(authz, engine, policy))
      .replace(/^volumes are not allowed: /, "");
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return `unreadable: ${error.message}`;
  }
}

function image(volumes: string[], id = "sha256:1d"): ImageFacts {
  return {
    id,
    platform: { os: "linux", architecture: "amd64", variant: "" },
    volumes,
    labels: {},
    user: "",
    layers: [],
    parent: "",
    repoDigests: [],
  };
}

/** An engine with images of these names, which declare these volumes. */
function images(volumes: Record<string, string[]>): Partial<Engine> {
  return {
    inspectImage: (name) =>
      Promise.resolve(
        Object.hasOwn(volumes, name) ? image(volumes[name]) : undefined,
      ),
  };
}

const PLAIN = images({ busybox: [] });

function create(body: Record<string, unknown>, engine = PLAIN) {
  return verdict(
    request("POST /v1.41/containers/create", { Image: "busybox", ...body }),
    engine,
  );
}

Deno.test("volumes: binds, with an absolute host path or not", async () => {
  for (
    const [bind, expected] of [
      ["/host:/x", "allowed"],
      ["/:/test", "allowed"],
      ["/host:/x:ro", "allowed"],
      ["/host:/x:rw,z,rshared", "allowed"],
      ["//host:/x", "allowed"],
      ["data:/x", 'named volume "data"'],
      ["data:/x:ro", 'named volume "data"'],
      ["data:/x:nocopy", 'named volume "data"'],
      ["./host:/x", 'named volume "./host"'],
      ["~/host:/x", 'named volume "~/host"'],
      [" /host:/x", 'named volume " /host"'],
      ["C:\\host:/x", 'named volume "C"'],
      ["/x", "anonymous volume at /x"],
      ["x", "anonymous volume at x"],
      [":/x", "anonymous volume at /x"],
      ["", "anonymous volume at "],
      [null, "anonymous volume at "],
    ]
  ) {
    assertEquals(
      await create({ HostConfig: { Binds: [bind] } }),
      expected,
      String(bind),
    );
    assertEquals(
      await create({ HostConfig: { Binds: ["/a:/a", bind, "/b:/b"] } }),
      expected,
    );
  }
});

Deno.test("volumes: mounts, by their type", async () => {
  for (
    const [mount, expected] of [
      [{ Type: "bind", Source: "/host" }, "allowed"],
      [{ Type: "tmpfs" }, "allowed"],
      [{ Type: "image", Source: "busybox" }, "allowed"],
      [{ Type: "volume", Source: "data" }, 'named volume "data"'],
      [{ Type: "volume", Source: "" }, "anonymous volume at /x"],
      [{ Type: "volume" }, "anonymous volume at /x"],
      [{ Type: "cluster", Source: "c" }, "mount of type cluster at /x"],
      [{ Type: "npipe", Source: "p" }, "mount of type npipe at /x"],
      [{ Type: "new\u001b" }, "mount of type new\\u001b at /x"],
      // The engine tells the case apart, and knows no default here.
      [{ Type: "Bind", Source: "/host" }, "mount of type Bind at /x"],
      [{ Source: "/host" }, 'mount of type "" at /x'],
      [{ Type: null, Source: "/host" }, 'mount of type "" at /x'],
    ] as const
  ) {
    const mounts = [{ Type: "tmpfs", Target: "/t" }, {
      ...mount,
      Target: "/x",
    }];
    assertEquals(
      await create({ HostConfig: { Mounts: mounts } }),
      expected,
      JSON.stringify(mount),
    );
  }
  assertEquals(
    await create({ HostConfig: { Mounts: [null] } }),
    'mount of type "" at ',
  );
});

Deno.test("volumes: --volumes-from", async () => {
  for (
    const [from, expected] of [
      [["web"], "--volumes-from web"],
      [["web:ro"], "--volumes-from web:ro"],
      [["web", "db"], "--volumes-from web"],
      [[""], "--volumes-from "],
      [[], "allowed"],
      [null, "allowed"],
    ]
  ) {
    assertEquals(
      await create({ HostConfig: { VolumesFrom: from } }),
      expected,
      JSON.stringify(from),
    );
  }
});

Deno.test("volumes: the same at the top level, where old engines read it", async () => {
  for (
    const [fields, expected] of [
      [{ Binds: ["data:/x"] }, 'named volume "data"'],
      [{ Binds: ["/x"] }, "anonymous volume at /x"],
      [
        { Mounts: [{ Type: "volume", Target: "/x" }] },
        "anonymous volume at /x",
      ],
      [{ VolumesFrom: ["web"] }, "--volumes-from web"],
      [{ Binds: ["/host:/x"], Tmpfs: { "/t": "" } }, "allowed"],
      // The engines that do not read it here make a volume.
      [
        { Binds: ["/host:/x"], Volumes: { "/x": {} } },
        "anonymous volume at /x",
      ],
    ] as const
  ) {
    assertEquals(await create(fields), expected, JSON.stringify(fields));
    assertEquals(await create({ ...fields, HostConfig: {} }), expected);
    assertEquals(await create({ ...fields, HostConfig: null }), expected);
  }
});

Deno.test("volumes: no spelling of a field hides it", async () => {
  for (
    const body of [
      '{"hostconfig":{"binds":["data:/x"]}}',
      '{"HOSTCONFIG":{"BINDS":["data:/x"]}}',
      '{"ho\u017ftConfig":{"bind\u017f":["data:/x"]}}',
      '{"\\u0048ostConfig":{"Bind\\u017f":["data:/x"]}}',
      '{"bind\u017f":["data:/x"]}',
      '{"HostConfig":{"mount\u017f":[{"TYPE":"volume","\u017fource":"data"}]}}',
    ]
  ) {
    assertEquals(
      await verdict(request("POST /containers/create", body), PLAIN),
      'named volume "data"',
      body,
    );
  }
});

Deno.test("volumes: keys that Go would merge are refused", async () => {
  for (
    const [body, reason] of [
      [
        '{"HostConfig":{"Binds":["data:/x"]},"HostConfig":{}}',
        "its body has a key twice in one object: send it once",
      ],
      [
        '{"HostConfig":{"Mounts":[{"Type":"volume"}],"Mounts":[{}]}}',
        "its body has a key twice in one object: send it once",
      ],
      [
        '{"HostConfig":{"Mounts":[{"Type":"bind","type":"volume"}]}}',
        'two keys in HostConfig.Mounts mean the same field, "type": send it ' +
        "once",
      ],
      [
        '{"Mounts":[{"Type":"bind","type":"volume"}]}',
        'two keys in Mounts mean the same field, "type": send it once',
      ],
    ]
  ) {
    assertEquals(
      await verdict(request("POST /containers/create", body), PLAIN),
      `unreadable: ${reason}`,
    );
  }
});

Deno.test("volumes: what the engine takes for maps may hold what it likes", async () => {
  const body = '{"Image":"busybox","Labels":{"Foo":"1","foo":"2"},' +
    '"HostConfig":{"Sysctls":{"a":"1","A":"2"},"Tmpfs":{"/a":"","/A":""},' +
    '"LogConfig":{"Type":"x","Config":{"k":"","\u212a":""}}},' +
    '"ExposedPorts":{"80/tcp":{},"80/TCP":{}}}';
  assertEquals(
    await verdict(request("POST /containers/create", body), PLAIN),
    "allowed",
  );
});

Deno.test("volumes: fields of another type", async () => {
  for (
    const [host, reason] of [
      [{ Binds: "data:/x" }, "HostConfig.Binds is not a list"],
      [{ Binds: [["data:/x"]] }, "HostConfig.Binds is not a string"],
      [{ Mounts: {} }, "HostConfig.Mounts is not a list"],
      [{ Mounts: ["x"] }, "HostConfig.Mounts is not an object"],
      [{ VolumesFrom: "web" }, "HostConfig.VolumesFrom is not a list"],
      [{ Tmpfs: ["/x"] }, "HostConfig.Tmpfs is not an object"],
    ]
  ) {
    assertEquals(
      await create({ HostConfig: host }),
      `unreadable: ${reason}`,
    );
  }
  assertEquals(
    await create({ Volumes: ["/x"] }),
    "unreadable: Volumes is not an object",
  );
  assertEquals(
    await create({ Image: 1 }),
    "unreadable: Image is not a string",
  );
});

/** What covers a path, and what does not, of a volume at `/data`. */
const COVERS: [Record<string, unknown>, boolean][] = [
  [{}, false],
  [{ Binds: ["/host:/data"] }, true],
  [{ Binds: ["/host:/data:ro"] }, true],
  [{ Binds: ["/host://data/./x/.."] }, true],
  [{ Binds: ["/host:/data/"] }, true],
  [{ Binds: ["/host:/data/x"] }, false],
  [{ Binds: ["/host:/dat"] }, false],
  [{ Binds: ["/host:/Data"] }, false],
  [{ Binds: ["/data:/host"] }, false],
  [{ Mounts: [{ Type: "bind", Source: "/h", Target: "/data" }] }, true],
  [{ Mounts: [{ Type: "bind", Source: "/h", Target: "/data/" }] }, true],
  [{ Mounts: [{ Type: "tmpfs", Target: "/data" }] }, true],
  [{ Mounts: [{ Type: "image", Source: "i", Target: "/data" }] }, true],
  [{ Mounts: [{ Type: "tmpfs", Target: "/" }] }, false],
  // The keys of Tmpfs are compared as they are.
  [{ Tmpfs: { "/data": "" } }, true],
  [{ Tmpfs: { "/data": null } }, true],
  [{ Tmpfs: { "/data/": "" } }, false],
  [{ Tmpfs: { "//data": "" } }, false],
];

Deno.test("volumes: a path of the body, less what is mounted there", async () => {
  for (const [HostConfig, covers] of COVERS) {
    for (const path of ["/data", "/data/", "/x/../data"]) {
      assertEquals(
        await create({ HostConfig, Volumes: { [path]: {} } }),
        covers ? "allowed" : `anonymous volume at ${path}`,
        JSON.stringify([HostConfig, path]),
      );
    }
  }
  assertEquals(await create({ Volumes: {} }), "allowed");
  assertEquals(await create({ Volumes: null }), "allowed");
  // It is the key that counts.
  assertEquals(
    await create({ Volumes: { "/x": null } }),
    "anonymous volume at /x",
  );
  assertEquals(
    await create({
      HostConfig: { Binds: ["/a:/a", "/b:/b"] },
      Volumes: { "/a": {}, "/c": {}, "/b": {} },
    }),
    "anonymous volume at /c",
  );
});

Deno.test("volumes: a VOLUME of the image, less what is mounted there", async () => {
  for (const [HostConfig, covers] of COVERS) {
    for (const path of ["/data", "/data/", "//data"]) {
      assertEquals(
        await create({ HostConfig }, images({ busybox: [path] })),
        covers ? "allowed" : `image busybox declares VOLUME ${path}`,
        JSON.stringify([HostConfig, path]),
      );
    }
  }
  assertEquals(
    await create(
      { Image: "db", HostConfig: { Tmpfs: { "/a": "" } } },
      images({ db: ["/a", "/b"] }),
    ),
    "image db declares VOLUME /b",
  );
  // Covering it with a volume is no way out.
  assertEquals(
    await create({ HostConfig: { Binds: ["v:/data"] } }, images({})),
    'named volume "v"',
  );
});

Deno.test("volumes: an image that the engine does not know is its own to refuse", async () => {
  assertEquals(await create({ Image: "missing" }), "allowed");
  // Without an image there is nothing to ask.
  assertEquals(await create({ Image: "" }, {}), "allowed");
  assertEquals(await create({ Image: null }, {}), "allowed");
});

Deno.test("volumes: an image whose platform would hide the engine's answer", async () => {
  const made = (variant: string): Partial<Engine> => ({
    inspectImage: () =>
      Promise.resolve({
        ...image([]),
        platform: { os: "linux", architecture: "arm", variant },
      }),
  });
  assertEquals(await create({}, made("v7")), "allowed");
  assertEquals(await create({}, made("v".repeat(100))), "allowed");
  assertEquals(
    await create({}, made("v".repeat(70_000))),
    "image busybox is not allowed: its variant has 70000 characters, more " +
      "than 100",
  );
});

Deno.test("volumes: a body is needed at create", async () => {
  assertEquals(
    await verdict(request("POST /containers/create"), {}),
    "unreadable: it has no body",
  );
});

Deno.test("volumes: denials are short, printable, and say which rule it was", async () => {
  const decision = await decide(
    request("POST /containers/create", {
      HostConfig: { Binds: [`\n\u001b\u202e${"x".repeat(5000)}:/x`] },
    }),
    {},
  );
  if (decision.allow) throw new Error("allowed");
  assertEquals(decision.rule, "volumes/named");
  assertEquals(
    decision.message.startsWith(
      'volumes are not allowed: named volume "\\u000a\\u001b\\u202exxx',
    ),
    true,
  );
  assertEquals(decision.message.length < 300, true);
});

Deno.test("volumes: platform=, where the image store keeps several", async () => {
  /** An engine whose image for arm64 alone declares a volume. */
  const store = (keeps: boolean, inspects: boolean): Partial<Engine> => ({
    keepsPlatforms: () => Promise.resolve(keeps),
    inspectsPlatforms: () => Promise.resolve(inspects),
    inspectImage: (_name, platform?: Platform) =>
      Promise.resolve(
        image(platform?.architecture === "arm64" ? ["/data"] : []),
      ),
  });
  const declared = "image b declares VOLUME /data";
  const unclear = (text: string) =>
    `unreadable: platform "${text}" is unclear: write it as linux/amd64`;
  const untold = "unreadable: this engine can't tell the image of platform " +
    "linux/arm64: use Docker Engine 28.1 or later, or leave the platform out";
  for (
    const [query, keeps, inspects, expected] of [
      ["", true, true, "allowed"],
      ["?platform=", true, true, "allowed"],
      ["?platform=linux/amd64", true, true, "allowed"],
      ["?platform=linux/arm64", true, true, declared],
      ["?platform=linux%2Farm64%2Fv8", true, true, declared],
      ["?%70latform=linux/arm64", true, true, declared],
      ["?platform=linux/arm64&platform=linux/amd64", true, true, declared],
      ["?Platform=linux/arm64", true, true, "allowed"],
      ["?platform=arm64", true, true, unclear("arm64")],
      ["?platform=linux", true, true, unclear("linux")],
      ["?platform=linux/arm64/v9", true, true, unclear("linux/arm64/v9")],
      ["?platform=linux/arm64", true, false, untold],
      // One image a name, whatever the platform.
      ["?platform=linux/arm64", false, false, "allowed"],
      ["?platform=arm64", false, false, "allowed"],
    ] as [string, boolean, boolean, string][]
  ) {
    const ask = (path: string) =>
      verdict(
        request(`POST ${path}/containers/create${query}`, { Image: "b" }),
        store(keeps, inspects),
      );
    assertEquals(await ask(""), expected, query);
    assertEquals(await ask("/v1.41"), expected, query);
    // Before API 1.41 the engine ignores it.
    assertEquals(await ask("/v1.40"), "allowed", query);
  }
});

type Mounted = ContainerFacts["mounts"][0];

function containerFacts(
  id: string,
  name: string,
  mounts: Partial<Mounted>[],
): ContainerFacts {
  return {
    id,
    names: [name],
    created: 0,
    running: false,
    image: "b",
    labels: {},
    mounts: mounts.map((mount) => ({
      type: "volume",
      name: "",
      source: "/somewhere",
      destination: "/x",
      ...mount,
    })),
  };
}

/** An engine with a container named web. */
function container(...mounts: Partial<Mounted>[]): Partial<Engine> {
  return {
    findContainers: (name) =>
      Promise.resolve(
        name === "web" ? [containerFacts("1d", "web", mounts)] : [],
      ),
  };
}

const ANONYMOUS = "0123456789abcdef".repeat(4);

const MOUNTED: [Partial<Mounted>[], string][] = [
  [[], "allowed"],
  [[{ type: "bind" }], "allowed"],
  [[{ type: "tmpfs" }], "allowed"],
  [[{ type: "image" }], "allowed"],
  [[{ name: "data" }], 'container web has volume "data" at /x'],
  [
    [{ type: "bind" }, { name: "data", destination: "/y" }],
    'container web has volume "data" at /y',
  ],
  [[{ name: ANONYMOUS }], "container web has an anonymous volume at /x"],
  [
    [{ name: ANONYMOUS.slice(1) }],
    `container web has volume "${ANONYMOUS.slice(1)}" at /x`,
  ],
  [[{ type: "cluster" }], "container web has a mount of type cluster at /x"],
];

Deno.test("volumes: start, restart, rename and archive, by what the container has", async () => {
  for (
    const call of [
      "POST /containers/NAME/start",
      "POST /v1.41/containers/NAME/start?detachKeys=x",
      "POST /containers/NAME/restart?t=1",
      "POST /containers/NAME/rename?name=other",
      "PUT /containers/NAME/archive?path=/",
    ]
  ) {
    for (const [mounts, expected] of MOUNTED) {
      assertEquals(
        await verdict(
          request(call.replace("NAME", "web")),
          container(...mounts),
        ),
        expected,
        `${call} ${JSON.stringify(mounts)}`,
      );
    }
    assertEquals(
      await verdict(
        request(call.replace("NAME", "missing")),
        container({ name: "data" }),
      ),
      "allowed",
    );
  }
});

Deno.test("volumes: a name that begins the ID of another container", async () => {
  const start = (name: string, known: ContainerFacts[]) =>
    verdict(request(`POST /containers/${name}/start`), {
      findContainers: (name) =>
        Promise.resolve(
          known.filter(({ id, names }) =>
            names.includes(name) || id.startsWith(name)
          ),
        ),
    });
  const plain = containerFacts("0001", "abc", []);
  const other = containerFacts("abc2", "db", [{ name: "data" }]);
  const denied = 'container abc has volume "data" at /x';
  assertEquals(await start("abc", [plain]), "allowed");
  // Renamed or gone, and "abc" means the other.
  assertEquals(await start("abc", [plain, other]), denied);
  assertEquals(await start("abc", [other, plain]), denied);
  assertEquals(
    await start("abc", [plain, containerFacts("9abc", "db", [{ name: "v" }])]),
    "allowed",
  );
  assertEquals(
    await start("web", [containerFacts("0002", "web", []), other]),
    "allowed",
  );
  assertEquals(await start("abc2", [other]), denied.replace("abc", "abc2"));
});

Deno.test("volumes: an update, where it sets a restart policy", async () => {
  const update = (body: unknown) =>
    verdict(
      request("POST /containers/web/update", body),
      container({ name: "data" }),
    );
  const denied = 'container web has volume "data" at /x';
  for (
    const [body, expected] of [
      [{ Memory: 1 }, "allowed"],
      [{ RestartPolicy: null }, "allowed"],
      [{ RestartPolicy: {} }, "allowed"],
      [{ RestartPolicy: { Name: "" } }, "allowed"],
      [{ RestartPolicy: { Name: "no" } }, "allowed"],
      [{ RestartPolicy: { Name: "always" } }, denied],
      [{ RestartPolicy: { Name: "unless-stopped" } }, denied],
      [{ RestartPolicy: { Name: "on-failure" } }, denied],
      [{ restartpolicy: { NAME: "always" } }, denied],
      [{ RestartPolicy: { Name: "No" } }, denied],
      [undefined, "unreadable: it has no body"],
      ['{"RestartPolicy":{"Name":"no","name":"always"}}', undefined],
    ] as const
  ) {
    const given = await update(body);
    assertEquals(
      given,
      expected ??
        "unreadable: two keys in RestartPolicy mean the same field, " +
          '"name": send it once',
      JSON.stringify(body),
    );
  }
  assertEquals(
    await verdict(
      request("POST /containers/web/update", {
        RestartPolicy: { Name: "always" },
      }),
      container({ type: "bind" }),
    ),
    "allowed",
  );
});

Deno.test("volumes: before API 1.24, a start has a body of its own", async () => {
  const form = { "Content-Type": "application/json" };
  for (
    const [version, body, headers, expected] of [
      ["1.23", { Binds: ["data:/x"] }, undefined, 'named volume "data"'],
      [
        "1.23",
        { HostConfig: { Binds: ["/x"] } },
        undefined,
        "anonymous volume at /x",
      ],
      ["1.12", { VolumesFrom: ["web"] }, undefined, "--volumes-from web"],
      ["1.23", { Binds: ["/host:/x"] }, undefined, "allowed"],
      ["1.23", {}, undefined, "allowed"],
      ["1.23", undefined, undefined, "allowed"],
      ["1.23", undefined, { ...form, "Content-Length": "0" }, "allowed"],
      [
        "1.23",
        undefined,
        form,
        "unreadable: before API 1.24 it may carry a HostConfig, and the " +
        "engine shows none: ask for a later API version",
      ],
      [
        "1.23",
        '{"Binds":[],"binds":["data:/x"]}',
        undefined,
        "unreadable: two keys in the body mean the same field, " +
        '"binds": send it once',
      ],
      // From 1.24 on the engine reads none.
      ["1.24", { Binds: ["data:/x"] }, undefined, "allowed"],
      ["1.41", undefined, form, "allowed"],
      ["", { Binds: ["data:/x"] }, undefined, "allowed"],
    ] as [string, unknown, Record<string, string> | undefined, string][]
  ) {
    assertEquals(
      await verdict(
        request(
          `POST ${version && `/v${version}`}/containers/web/start`,
          body,
          headers,
        ),
        container(),
      ),
      expected,
      `${version} ${JSON.stringify(body)}`,
    );
  }
  // And what the container has counts all the same.
  assertEquals(
    await verdict(
      request("POST /v1.23/containers/web/start", {}),
      container({ name: "data" }),
    ),
    'container web has volume "data" at /x',
  );
});

const DIGEST = `sha256:${"ab".repeat(32)}`;
const PINNED = `busybox@${DIGEST}`;

function service(
  container: Record<string, unknown> | null,
): Record<string, unknown> {
  return { Name: "s", TaskTemplate: { ContainerSpec: container } };
}

function spec(image: string, ...mounts: string[]): ServiceSpec {
  return {
    name: "web",
    image,
    mounts: mounts.map((target) => ({ type: "bind", source: "/h", target })),
    pluginRemote: "",
  };
}

Deno.test("volumes: the mounts of a service", async () => {
  for (
    const [mount, expected] of [
      [{ Type: "bind", Source: "/h" }, "allowed"],
      [{ Type: "Bind", Source: "/h" }, "allowed"],
      [{ Source: "/h" }, "allowed"], // bind is the default here
      [{ Type: null, Source: "/h" }, "allowed"],
      [{ Type: "tmpfs" }, "allowed"],
      [{ Type: "volume", Source: "data" }, 'named volume "data"'],
      [{ Type: "VOLUME", Source: "data" }, 'named volume "data"'],
      [{ Type: "volume" }, "anonymous volume at /x"],
      [{ Type: "cluster", Source: "c" }, "mount of type cluster at /x"],
      [{ Type: "npipe", Source: "p" }, "mount of type npipe at /x"],
    ] as const
  ) {
    for (const call of ["create", "web/update?version=1"]) {
      assertEquals(
        await verdict(
          request(
            `POST /services/${call}`,
            service({ Image: PINNED, Mounts: [{ ...mount, Target: "/x" }] }),
          ),
          {
            ...images({ [PINNED]: [] }),
            inspectService: () => Promise.resolve(undefined),
          },
        ),
        expected,
        JSON.stringify(mount),
      );
    }
  }
});

Deno.test("volumes: the image of a service", async () => {
  const known = images({
    [PINNED]: [],
    [DIGEST]: [],
    [`r.example/a/b:1@${DIGEST}`]: [],
    [`db@${DIGEST}`]: ["/data", "/log/"],
    busybox: [],
    db: ["/data"],
  });
  for (
    const [container, expected] of [
      [{ Image: PINNED }, "allowed"],
      [{ Image: DIGEST }, "allowed"],
      [{ Image: `r.example/a/b:1@${DIGEST}` }, "allowed"],
      [{ Image: "busybox" }, "allowed"],
      [{ Image: "db" }, "image db declares VOLUME /data"],
      // The host that runs its tasks decides.
      [{ Image: "missing" }, "allowed"],
      [{ Image: `missing@${DIGEST}` }, "allowed"],
      [
        { Image: `db@${DIGEST}` },
        `image db@${DIGEST} declares VOLUME /data`,
      ],
      [
        {
          Image: `db@${DIGEST}`,
          Mounts: [{ Type: "tmpfs", Target: "/data" }],
        },
        `image db@${DIGEST} declares VOLUME /log/`,
      ],
      [
        {
          Image: `db@${DIGEST}`,
          Mounts: [
            { Type: "tmpfs", Target: "/data/" },
            { Type: "bind", Source: "/h", Target: "/log" },
          ],
        },
        "allowed",
      ],
      // Swarm expands templates on the node: this covers who knows what.
      [
        {
          Image: `db@${DIGEST}`,
          Mounts: [
            { Type: "tmpfs", Target: "/data" },
            { Type: "tmpfs", Target: '/{{"log"}}' },
          ],
        },
        `image db@${DIGEST} declares VOLUME /log/`,
      ],
      // No container task.
      [{}, "allowed"],
      [null, "allowed"],
    ] as [Record<string, unknown> | null, string][]
  ) {
    assertEquals(
      await verdict(
        request("POST /services/create", service(container)),
        known,
      ),
      expected,
      JSON.stringify(container),
    );
  }
  assertEquals(
    await verdict(request("POST /services/create"), {}),
    "unreadable: it has no body",
  );
});

Deno.test("volumes: the image of a service that can't be told apart is not here", async () => {
  const create = request("POST /services/create", service({ Image: "db" }));
  assertEquals(
    await verdict(create, {
      inspectImage: () => Promise.reject(new Unreadable("two of them")),
    }),
    "allowed",
  );
  await assertRejects(
    () =>
      verdict(create, {
        inspectImage: () => Promise.reject(new EngineError("silence")),
      }),
    EngineError,
    "silence",
  );
});

Deno.test("volumes: the name of a service that may have volumes is reserved", async () => {
  const policy: VolumesPolicy = { ...POLICY, allowService: ["db", "log"] };
  const reserved = (name: string) =>
    `service name ${name} is reserved: allow-service in [volumes] lets it ` +
    "have volumes";
  const named = (Name: string) => ({
    Name,
    TaskTemplate: { ContainerSpec: { Image: "busybox" } },
  });
  for (
    const [name, expected] of [
      ["db", reserved("db")],
      ["log", reserved("log")],
      ["db2", "allowed"],
      ["DB", "allowed"],
      ["", "allowed"],
    ]
  ) {
    assertEquals(
      await verdict(
        request("POST /services/create", named(name)),
        PLAIN,
        policy,
      ),
      expected,
      name,
    );
  }
  /** An update of a service of one name, which gives it another. */
  const update = (before: string, after: string, query = "") =>
    verdict(
      request(`POST /services/x/update?version=7${query}`, named(after)),
      {
        ...PLAIN,
        inspectService: () =>
          Promise.resolve({
            id: "s1",
            spec: { ...spec("busybox"), name: before },
            previousSpec: { ...spec("busybox"), name: "log" },
          }),
      },
      policy,
    );
  assertEquals(await update("web", "web"), "allowed");
  assertEquals(await update("db", "web"), reserved("db"));
  assertEquals(await update("web", "db"), reserved("db"));
  assertEquals(
    await update("web", "web", "&rollback=previous"),
    reserved("log"),
  );
});

Deno.test("volumes: an update is decided by what the service has then", async () => {
  const update = (
    current: ServiceSpec | undefined,
    container: Record<string, unknown>,
    known: Record<string, string[]> = {},
  ) =>
    verdict(
      request("POST /services/web/update?version=7", service(container)),
      {
        ...images(known),
        inspectService: () =>
          Promise.resolve(current && { id: "s1", spec: current }),
      },
    );
  const db = `db@${DIGEST}`;
  const mounts = (...targets: string[]) =>
    targets.map((Target) => ({ Type: "bind", Source: "/h", Target }));

  assertEquals(await update(spec("db"), { Image: "db" }), "allowed");
  assertEquals(
    await update(spec("db", "/data"), {
      Image: "db",
      Mounts: mounts("/data/"),
    }),
    "allowed",
  );
  assertEquals(
    await update(spec("db"), { Image: "db", Mounts: mounts("/new") }),
    "allowed",
  );
  // A mount that goes away can uncover a volume.
  assertEquals(
    await update(spec(db, "/data"), { Image: db }, { [db]: ["/data"] }),
    `image ${db} declares VOLUME /data`,
  );
  assertEquals(
    await update(spec(db, "/data", "/etc/x"), {
      Image: db,
      Mounts: mounts("/data"),
    }, { [db]: ["/data"] }),
    "allowed",
  );
  // Another image is asked for.
  assertEquals(
    await update(spec("busybox"), { Image: db }, { [db]: ["/data"] }),
    `image ${db} declares VOLUME /data`,
  );
  // A mount counts even where the image stays.
  assertEquals(
    await update(spec("db"), {
      Image: "db",
      Mounts: [{ Type: "volume", Source: "v", Target: "/x" }],
    }),
    'named volume "v"',
  );
  // So does an image, if it is here.
  assertEquals(
    await update(spec("db"), { Image: "db" }, { db: ["/data"] }),
    "image db declares VOLUME /data",
  );
  // A service that the engine does not know.
  assertEquals(
    await update(undefined, { Image: db }, { [db]: ["/data"] }),
    `image ${db} declares VOLUME /data`,
  );
});

Deno.test("volumes: a rollback is decided by the spec before", async () => {
  const db = `db@${DIGEST}`;
  const rollback = (
    query: string,
    previous: ServiceSpec | undefined,
    body: unknown = service({ Image: "busybox" }),
  ) =>
    verdict(request(`POST /services/web/update?version=7${query}`, body), {
      ...images({ [db]: ["/data"] }),
      inspectService: () =>
        Promise.resolve({
          id: "s1",
          spec: spec("busybox"),
          previousSpec: previous,
        }),
    });
  const volume: ServiceSpec = {
    ...spec("busybox"),
    mounts: [{ type: "volume", source: "v", target: "/x" }],
  };
  const back = "&rollback=previous";

  assertEquals(await rollback(back, spec("busybox")), "allowed");
  assertEquals(await rollback(back, volume), 'named volume "v"');
  assertEquals(
    await rollback(back, spec(db)),
    `image ${db} declares VOLUME /data`,
  );
  assertEquals(await rollback(back, spec(db, "/data")), "allowed");
  // The body does not count, be it there or not.
  assertEquals(
    await rollback(
      back,
      spec("busybox"),
      service({ Mounts: [{ Type: "volume", Target: "/x" }] }),
    ),
    "allowed",
  );
  assertEquals(
    await verdict(
      request("POST /services/web/update?rollback=previous"),
      { inspectService: () => Promise.resolve(undefined) },
    ),
    "allowed",
  );
  // Without a previous spec the engine refuses it.
  assertEquals(await rollback(back, undefined), "allowed");
  // Anything else is none; of two values the first counts.
  for (
    const query of [
      "",
      "&rollback=",
      "&rollback=none",
      "&rollback=Previous",
      "&rollback=none&rollback=previous",
      "&Rollback=previous",
    ]
  ) {
    assertEquals(await rollback(query, volume), "allowed", query);
  }
  assertEquals(
    await rollback("&%72ollback=previous&rollback=none", volume),
    'named volume "v"',
  );
});

Deno.test("volumes: classic builds are open, or closed", async () => {
  const closed: VolumesPolicy = { ...POLICY, allowClassicBuild: false };
  const classic = "a classic build can leave volumes behind: build with " +
    "BuildKit";
  const tar = { "Content-Type": "application/x-tar" };
  const none = { "Content-Type": "text/plain", "Content-Length": "0" };
  for (
    const [query, headers, expected] of [
      ["?version=2", none, "allowed"],
      ["?version=2&remote=client-session", {}, "allowed"],
      ["?%76ersion=2&version=1", none, "allowed"],
      ["", none, classic],
      ["?version=1", none, classic],
      ["?version=", none, classic],
      ["?version=02", none, classic],
      ["?version=1&version=2", none, classic],
      ["?Version=2", none, classic],
      // A form that is not shown can say otherwise.
      ["?version=2", tar, classic],
      [
        "?version=2",
        { "Content-Type": "application/x-www-form-urlencoded" },
        classic,
      ],
    ] as [string, Record<string, string>, string][]
  ) {
    const build = request(`POST /build${query}`, undefined, headers);
    assertEquals(await verdict(build, {}, closed), expected, query);
    assertEquals(await verdict(build, {}), "allowed", query);
  }
});

Deno.test("volumes: bind mounts from some directories only", async () => {
  const srv: VolumesPolicy = {
    ...POLICY,
    allowBind: ["/srv"],
  };
  const bind = (Source: string) => ({ Type: "bind", Source, Target: "/x" });
  for (
    const source of ["/srv/a", "/etc"]
  ) {
    const expected = source === "/etc"
      ? "bind mount of /etc is not allowed: only below /srv"
      : "allowed";
    for (
      const body of [
        { HostConfig: { Binds: [`${source}:/x`] } },
        { HostConfig: { Binds: ["/srv/b:/b", `${source}:/x:ro`] } },
        { HostConfig: { Mounts: [bind(source)] } },
        { Binds: [`${source}:/x`] },
        { Mounts: [bind("/srv/b"), bind(source)] },
      ]
    ) {
      assertEquals(
        await verdict(request("POST /containers/create", body), {}, srv),
        expected,
        JSON.stringify(body),
      );
    }
    assertEquals(
      await verdict(
        request("POST /containers/web/start"),
        container({ type: "bind", source }),
        srv,
      ),
      expected,
    );
    for (const mount of [bind(source), { ...bind(source), Type: "" }]) {
      assertEquals(
        await verdict(
          request(
            "POST /services/create",
            service({ Image: PINNED, Mounts: [mount] }),
          ),
          images({ [PINNED]: [] }),
          srv,
        ),
        expected,
      );
    }
  }
  // Volumes are refused as ever, and tmpfs is let through.
  assertEquals(
    await verdict(
      request("POST /containers/create", {
        HostConfig: { Tmpfs: { "/t": "" }, Binds: ["/srv/a:/a", "data:/x"] },
      }),
      {},
      srv,
    ),
    'named volume "data"',
  );
  assertEquals(
    await verdict(
      request(
        "POST /services/create",
        service({ Image: PINNED, Mounts: [bind("/srv/{{.Node.Hostname}}")] }),
      ),
      {},
      srv,
    ),
    "bind mount of /srv/{{.Node.Hostname}} is not allowed: a template can't " +
      "be checked",
  );
});

/** Runs a test in a folder of its own; the folder's own path has no links. */
async function inFolder(body: (dir: string) => Promise<void>) {
  const made = await Deno.makeTempDir({ prefix: "dpp-volumes-" });
  try {
    await body(await Deno.realPath(made));
  } finally {
    await Deno.remove(made, { recursive: true });
  }
}

function createWithBinds(sources: string[]): AuthzRequest {
  const Binds = sources.map((source, at) => `${source}:/${at}`);
  return request("POST /containers/create", { HostConfig: { Binds } });
}

Deno.test("volumes: links are followed for bind mounts, anew for each call", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/srv/a`, { recursive: true });
    await Deno.mkdir(`${dir}/secret`);
    await Deno.symlink("srv", `${dir}/allowed`);
    await Deno.symlink("srv/a", `${dir}/shortcut`);
    const policy = { ...POLICY, allowBind: [`${dir}/allowed/`] };
    const bind = (source: string) =>
      verdict(createWithBinds([`${dir}/${source}`]), {}, policy);
    assertEquals(await bind("srv/a"), "allowed");
    assertEquals(await bind("allowed/a/new"), "allowed");
    assertEquals(await bind("shortcut"), "allowed");
    await Deno.remove(`${dir}/shortcut`);
    await Deno.symlink("secret", `${dir}/shortcut`);
    assertEquals(
      await bind("shortcut"),
      `bind mount of ${dir}/shortcut (${dir}/secret) is not allowed: only ` +
        `below ${dir}/allowed/`,
    );
  }));

Deno.test("volumes: a call can't keep others waiting by its bind mounts", () =>
  inFolder(async (dir) => {
    // A chain of links, each of them through hundreds of directories and back.
    const depth = 600;
    await Deno.mkdir(dir + "/d".repeat(depth), { recursive: true });
    const through = "d/".repeat(depth) + "../".repeat(depth);
    for (let at = 0; at < 39; at++) {
      await Deno.symlink(`${through}${at + 1}`, `${dir}/${at}`);
    }
    await Deno.mkdir(`${dir}/39`);
    const policy = { ...POLICY, allowBind: [dir] };
    const sources = Array.from({ length: 300 }, (_, at) => `${dir}/0/${at}`);
    const steps = countSteps();
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    try {
      assertEquals(
        await verdict(createWithBinds(sources), {}, policy),
        `bind mount of ${dir}/0/0 is not allowed: ` +
          "too many directories and links to follow",
      );
      // The only path that takes no step on the file system ends it at once.
      assertEquals(
        await verdict(createWithBinds(Array(5000).fill("/")), {}, {
          ...policy,
          allowBind: ["/"],
        }),
        "bind mount of / is not allowed: /proc must be named in allow-bind",
      );
    } finally {
      clearInterval(timer);
      steps[Symbol.dispose]();
    }
    assert(steps.made <= 4000 + 400, `${steps.made} steps`);
    assert(turns > 10, `other calls had ${turns} turns`);
    // What is no attack stays far below.
    assertEquals(
      await verdict(
        createWithBinds(
          Array.from({ length: 100 }, (_, at) => `${dir}/x/${at}/etc/y.conf`),
        ),
        {},
        policy,
      ),
      "allowed",
    );
  }));

/** Counts the looks at the file system; none of them may stop all else. */
function countSteps(): Disposable & { made: number } {
  const { lstat, readLink, lstatSync, readLinkSync, realPathSync } = Deno;
  const counter = {
    made: 0,
    [Symbol.dispose]() {
      Object.assign(Deno, {
        ...{ lstat, readLink, lstatSync, readLinkSync, realPathSync },
      });
    },
  };
  const never = () => {
    throw new Error("this stops all else");
  };
  Object.assign(Deno, {
    lstat: (path: string) => (counter.made++, lstat(path)),
    readLink: (path: string) => (counter.made++, readLink(path)),
    ...{ lstatSync: never, readLinkSync: never, realPathSync: never },
  });
  return counter;
}
