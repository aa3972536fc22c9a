import { assertEquals, assertMatch } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import {
  exemptionCheck,
  IdentityError,
} from "../../../lib/verdict/exemptions.ts";
import { openLog } from "../../../lib/log.ts";
import { pluginHandler } from "../../../lib/server/plugin.ts";
import { ALLOW } from "../../../lib/policy/decision.ts";
import {
  createSecondLine,
  type SecondLine,
} from "../../../lib/verdict/second_line.ts";
import type { AuthzResponse } from "../../../lib/call/authz.ts";
import { base64, bytes, engineWith, request, said } from "../requests.ts";

const ID = "0123456789abcdef".repeat(4);
const ANONYMOUS = "fedcba9876543210".repeat(4);

type Mount = { type: string; name?: string; source?: string };

interface Setting {
  config?: string;
  /** What the new container has. */
  mounts?: Mount[];
  engine?: Partial<Engine>;
  groups?: () => Promise<string[]>;
}

/** A second line, with what it logged and what it removed. */
async function open(
  { config = "[volumes]", mounts, engine, groups }: Setting = {},
) {
  const log: string[] = [];
  const asked: string[] = [];
  const removed: string[] = [];
  const served: unknown[] = [];
  const told: unknown[] = [];
  const secondLine = createSecondLine({
    config: await parseConfig("x.toml", config || "enforce-nothing = true"),
    engine: engineWith({
      findContainer(id) {
        asked.push(id);
        return Promise.resolve(
          mounts && {
            id,
            names: ["web"],
            created: 0,
            running: false,
            image: "b",
            labels: {},
            mounts: mounts.map((mount, at) => ({
              name: "",
              source: "/",
              destination: `/x${at}`,
              ...mount,
            })),
          },
        );
      },
      removeContainer(id) {
        removed.push(id);
        return Promise.resolve();
      },
      ...engine,
    }),
    isExempt: exemptionCheck(groups ?? (() => Promise.resolve([]))),
    log: openLog(
      { debug: true, journal: true, format: "text" },
      (line) => log.push(line),
    ),
    audit: ({ call, verdict, rule }) => told.push([call, verdict, rule]),
    metrics: { acted: (deed) => void told.push(deed) },
  }, {
    served(response, _route, exempt, settings) {
      served.push([
        response.request.uri,
        exempt,
        ...settings ? [settings] : [],
      ]);
      return Promise.resolve();
    },
  });
  return { secondLine, log, asked, removed, served, told };
}

/** The engine's answer to a create. */
function created(more: Partial<AuthzResponse> = {}): AuthzResponse {
  return {
    request: request("POST /v1.41/containers/create?name=web", { Image: "b" }),
    status: 201,
    body: base64(JSON.stringify({ Id: ID, Warnings: [] })),
    ...more,
  };
}

Deno.test("second line: only of creates is the container looked at", async () => {
  const looked = [
    ["POST", "/containers/create"],
    ["POST", "/v1.41/containers/create?name=web"],
    ["POST", "/v1.51/cont%61iners/cre%61te"],
    ["POST", "/containers%2Fcreate"],
    ["POST", "http://any.thing/v1.41/containers/create"],
  ];
  const others = [
    ["GET", "/containers/create"],
    ["post", "/containers/create"],
    ["POST", "/containers/create/start"],
    ["POST", "/containers/web/start"],
    ["GET", "/v1.41/containers/json?all=1"],
    ["POST", "/services/create"],
    ["POST", "/images/create?fromImage=b"],
    ["POST", "/volumes/create"],
    ["POST", "/containers/create/"],
  ];
  for (const [calls, ids] of [[looked, [ID]], [others, []]] as const) {
    for (const [method, uri] of calls) {
      const { secondLine, asked } = await open({ mounts: [] });
      const answer = created({ request: request(`${method} ${uri}`, {}) });
      assertEquals(said(await secondLine(answer)), "allowed", uri);
      assertEquals(asked, ids, uri);
    }
  }
});

Deno.test("second line: the third is told what came of calls, and who is exempt", async () => {
  const { secondLine, served } = await open({
    config: '[volumes]\nallow-user = ["dwalsh"]',
    mounts: [{ type: "volume", name: "data" }],
  });
  const by = (user: string, call: string) =>
    secondLine(created({ request: { ...request(call, {}), user } }));
  await by("dwalsh", "POST /containers/create");
  await by("eve", "POST /containers/create");
  await by("dwalsh", "POST /services/create");
  await by("eve", "POST /build");
  await by("eve", "GET /containers/json");
  assertEquals(served, [
    ["/containers/create", ["volumes"]],
    ["/containers/create", []],
    ["/services/create", ["volumes"]],
    ["/build", []],
  ]);
});

Deno.test("second line: none without the policy, or where it is only tried out", async () => {
  for (const config of ["", "[push]", "[volumes]\nenforce = false"]) {
    const { secondLine, asked, removed } = await open({
      config,
      mounts: [{ type: "volume", name: "data" }],
    });
    assertEquals(said(await secondLine(created())), "allowed", config);
    assertEquals([asked, removed], [[], []]);
  }
});

Deno.test("second line: a container as it should be passes unnoticed", async () => {
  for (
    const mounts of [
      [],
      [{ type: "bind", source: "/srv" }],
      [{ type: "tmpfs" }, { type: "image", name: "b" }],
    ]
  ) {
    const { secondLine, log, asked, removed } = await open({ mounts });
    assertEquals(said(await secondLine(created())), "allowed");
    assertEquals({ log, asked, removed }, {
      log: [],
      asked: [ID],
      removed: [],
    });
  }
});

Deno.test("second line: one with a volume is removed, with an alert, and refused", async () => {
  const cases: [mounts: Mount[], what: string][] = [
    [[{ type: "volume", name: ANONYMOUS }], "an anonymous volume at /x0"],
    [
      [{ type: "bind" }, { type: "volume", name: "data" }],
      'volume "data" at /x1',
    ],
    [[{ type: "cluster" }], "a mount of type cluster at /x0"],
  ];
  for (const [mounts, what] of cases) {
    const { secondLine, log, removed } = await open({ mounts });
    const decision = await secondLine(created());
    const denial = `volumes are not allowed: container ${
      ID.slice(0, 12)
    } has ${what}`;
    assertEquals(said(decision), denial);
    assertEquals(removed, [ID]);
    assertEquals(log.length, 1);
    assertEquals(log[0].startsWith("<3>alert: "), true, log[0]);
    assertEquals(log[0].includes(what), true, log[0]);
  }
});

Deno.test("second line: bind mounts are held against allow-bind once more", async () => {
  const config = '[volumes]\nallow-bind = ["/no-such-thing/"]';
  const good = await open({
    config,
    mounts: [{ type: "bind", source: "/no-such-thing/a" }],
  });
  assertEquals(said(await good.secondLine(created())), "allowed");
  const bad = await open({
    config,
    mounts: [{ type: "bind", source: "/etc" }],
  });
  assertMatch(
    said(await bad.secondLine(created())),
    /^bind mount of \/etc/,
  );
  assertEquals(bad.removed, [ID]);
});

Deno.test("second line: the alert holds what decides of the request, on one line, and no secret", async () => {
  const { secondLine, log, told } = await open({
    mounts: [{ type: "volume", name: "data" }],
  });
  const body = `{"Image":"b",\n"ho\u017ftconfig":{"Binds":["/srv:/x"],` +
    `"Mounts":[{"Type":"volume","Target":"/y","VolumeOptions":` +
    `{"DriverConfig":{"Options":{"o":"password=secret"}}}}],` +
    `"Other":"${"x".repeat(100_000)}"},"Env":["TOKEN=secret"]}`;
  await secondLine(created({
    request: {
      ...request("POST /v1.41/containers/create?name=w%0a", body, {
        "X-Registry-Auth": "secret\n<0>forged",
      }),
      user: "eve\n<0>forged",
    },
  }));
  assertEquals(log.length, 1);
  assertEquals(log[0].includes("\n"), false);
  for (
    const part of [
      "/v1.41/containers/create?name=w%0a",
      "ho\u017ftconfig",
      "/srv:/x",
      "/y",
      "eve",
      String(bytes(body).length),
    ]
  ) {
    assertEquals(log[0].includes(part), true, part);
  }
  assertEquals(/secret|forged.*forged/.test(log[0]), false, log[0]);
  assertEquals(log[0].length < 5000, true, `${log[0].length}`);
  assertEquals(told, [
    "removed",
    ["container create", "deny", "volumes/container"],
  ]);
});

Deno.test("second line: whoever is exempt may have a volume", async () => {
  const { secondLine, asked, removed } = await open({
    config: '[volumes]\nallow-user = ["dwalsh"]',
    mounts: [{ type: "volume", name: "data" }],
  });
  const by = (user: string) =>
    secondLine(created({ request: { ...created().request, user } }));
  assertEquals(said(await by("dwalsh")), "allowed");
  assertEquals([asked, removed], [[], []]);
  assertMatch(said(await by("eve")), /volume "data"/);
  assertMatch(said(await by("")), /volume "data"/);
});

Deno.test("second line: a create that made nothing asks nothing", async () => {
  for (const status of [400, 404, 409, 500, 304]) {
    const { secondLine, asked, log } = await open({
      mounts: [{ type: "volume" }],
    });
    const body = base64('{"message":"no such image"}');
    assertEquals(
      said(await secondLine(created({ status, body }))),
      "allowed",
    );
    assertEquals(
      said(await secondLine(created({ status, body: undefined }))),
      "allowed",
    );
    assertEquals([asked, log], [[], []]);
  }
});

Deno.test("second line: a container that is gone already passes", async () => {
  const { secondLine, removed, log } = await open(); // knows no container
  assertEquals(said(await secondLine(created())), "allowed");
  assertEquals([removed, log], [[], []]);
});

Deno.test("second line: an answer that names no container is refused, with an alert", async () => {
  for (
    const body of [
      undefined,
      base64("{}"),
      base64('{"Id":""}'),
      base64('{"Id":7}'),
      base64('{"Id":null}'),
      base64("null"),
      base64("[]"),
      base64('{"Id":"'),
      "!",
    ]
  ) {
    const { secondLine, log, asked } = await open({ mounts: [] });
    assertMatch(
      said(await secondLine(created({ body }))),
      /^the new container can't be checked: /,
    );
    assertEquals(asked, []);
    assertEquals(log.length, 1);
    assertMatch(log[0], /^<3>alert: /);
  }
});

Deno.test("second line: an engine that gives no answer is no yes", async () => {
  const fails = () => Promise.reject(new EngineError("gone"));
  const cases: Partial<Engine>[] = [
    { findContainer: fails },
    { removeContainer: fails },
    {
      findContainer: () => {
        throw new TypeError("a bug");
      },
    },
  ];
  for (const engine of cases) {
    const { secondLine, log } = await open({
      mounts: [{ type: "volume", name: "data" }],
      engine,
    });
    assertMatch(
      said(await secondLine(created())),
      /^the new container can't be checked: (gone|a bug)/,
    );
    assertMatch(log.join("\n"), /^<3>alert: /m);
    assertMatch(log.join("\n"), /can't be checked/);
  }
});

Deno.test("second line: the settings of the moment count", async () => {
  const mounts = [
    { type: "volume", name: "data", source: "", destination: "/x" },
  ];
  let config = await parseConfig("x.toml", "enforce-nothing = true");
  const secondLine = createSecondLine({
    get config() {
      return config;
    },
    engine: engineWith({
      findContainer: (id) =>
        Promise.resolve({
          id,
          names: [],
          created: 0,
          running: false,
          image: "b",
          labels: {},
          mounts,
        }),
      removeContainer: () => Promise.resolve(),
    }),
    isExempt: () => Promise.resolve(false),
    log: openLog({ debug: false, journal: false, format: "text" }, () => {}),
  }, { served: () => Promise.resolve() });
  assertEquals(said(await secondLine(created())), "allowed");
  config = await parseConfig("x.toml", "[volumes]");
  assertMatch(said(await secondLine(created())), /volume "data"/);
});

/** Posts a response message to a plugin with this second line. */
async function post(secondLine: SecondLine, message: string) {
  const handler = pluginHandler(
    {
      firstLine: () => Promise.resolve(ALLOW),
      secondLine,
      activated() {},
    },
    openLog({ debug: false, journal: false, format: "text" }, () => {}),
  );
  const { status, body } = await handler({
    method: "POST",
    path: "/AuthZPlugin.AuthZRes",
    header: () => String(bytes(message).length),
    text: () => Promise.resolve(message),
  });
  return `${status} ${body}`;
}

const ALLOWED = '200 {"Allow":true}';

Deno.test("second line: no other response is looked at", async () => {
  const { secondLine, asked } = await open();
  for (
    const [RequestMethod, RequestUri] of [
      ["GET", "/v1.41/containers/json?all=1"],
      ["GET", "/containers/create"],
      ["POST", "/containers/web/start"],
      ["POST", "/services/create"],
    ]
  ) {
    const message = JSON.stringify({
      RequestMethod,
      RequestUri,
      ResponseStatusCode: 201,
      ResponseBody: btoa(JSON.stringify({ Id: ID })),
    });
    assertEquals(await post(secondLine, message), ALLOWED, RequestUri);
  }
  assertEquals(asked, []);
});

Deno.test("second line: a create's response is decoded, and only at 201 is its body", async () => {
  const message = (more: Record<string, unknown>) =>
    JSON.stringify({
      RequestMethod: "POST",
      RequestUri: "/v1.41/containers/create",
      RequestHeaders: {},
      ResponseStatusCode: 201,
      ResponseBody: btoa(JSON.stringify({ Id: ID })),
      ...more,
    });
  const { secondLine, asked } = await open({ mounts: [] });
  assertEquals(await post(secondLine, message({})), ALLOWED);
  assertEquals(asked, [ID]);

  const notJson = btoa("no JSON");
  assertEquals(
    await post(
      secondLine,
      message({ ResponseStatusCode: 404, ResponseBody: notJson }),
    ),
    ALLOWED,
  );
  assertMatch(
    await post(secondLine, message({ ResponseBody: notJson })),
    /^200 \{"Allow":false,"Msg":"the new container can't be checked: /,
  );
  assertMatch(
    await post(secondLine, message({ ResponseBody: "!" })),
    /^400 .*"Allow":false/,
  );
  // An answer of more than 64 KiB is on its way already.
  assertEquals(
    await post(secondLine, message({ ResponseStatusCode: undefined })),
    ALLOWED,
  );
  assertEquals(asked, [ID]);
});

Deno.test("second line: a message is read in any order of its fields", async () => {
  const { secondLine, asked } = await open({ mounts: [] });
  const message = JSON.stringify({
    ResponseBody: btoa(JSON.stringify({ Id: ID })),
    ResponseStatusCode: 201,
    RequestUri: "/containers/create",
    RequestMethod: "POST",
  });
  assertEquals(await post(secondLine, message), ALLOWED);
  assertEquals(await post(secondLine, ` ${message}`), ALLOWED);
  assertEquals(asked, [ID, ID]);
  for (const broken of ["", "{", "null", "[]", '{"RequestMethod":"POST"']) {
    assertMatch(await post(secondLine, broken), /^400 .*"Allow":false/);
  }
});

Deno.test("second line: what hides its answer is left to the third", async () => {
  const { secondLine, asked, removed } = await open({
    mounts: [{ type: "volume", name: "data" }],
  });
  const ahead = { ...created(), status: 0, body: undefined };
  assertEquals(said(await secondLine(ahead)), "allowed");
  assertEquals([asked, removed], [[], []]);
});

Deno.test("second line: a container is held against its user's settings", async () => {
  const config = `
[volumes]
allow-bind = ["/srv/"]
[for.interns]
user = ["ian"]
[for.interns.volumes]
allow-bind = []
[for.ops]
user = ["olga"]
[for.ops.volumes]
allow-bind = ["/opt/"]
`;
  const engine: Partial<Engine> = {
    hostFacts: () =>
      Promise.resolve({
        rootDirectory: "/var/lib/docker",
      } as Awaited<ReturnType<Engine["hostFacts"]>>),
  };
  for (
    const [user, source, isRemoved, settings] of [
      ["eve", "/srv", false, []],
      ["eve", "/opt", true, []],
      ["ian", "/srv", true, ["interns"]],
      ["olga", "/opt", false, ["ops"]],
    ] as const
  ) {
    const mounts = [{ type: "bind", source }];
    const { secondLine, removed, served } = await open({
      ...{ config, mounts, engine },
    });
    const { request, ...more } = created();
    await secondLine({ request: { ...request, user }, ...more });
    assertEquals(removed, isRemoved ? [ID] : [], `${user} ${source}`);
    assertEquals(served, [[request.uri, [], ...settings]]);
  }
});

Deno.test("second line: that groups can't be told takes nothing from anybody", async () => {
  const groups = () => Promise.reject(new IdentityError("no answer"));
  const update = "POST /services/db/update?version=1";
  for (
    const [config, call, expected, exempt] of [
      ["", update, "allowed", undefined],
      ["", "POST /containers/create", "can't be checked: no answer", undefined],
      // What is only tried out refuses nothing.
      ["enforce = false", "POST /containers/create", "allowed", []],
    ] as const
  ) {
    const { secondLine, served, removed } = await open({
      config: `[volumes]\nallow-group = ["storage"]\n${config}`,
      ...{ groups, mounts: [] },
    });
    const asked = { ...request(call, {}), user: "alice" };
    const decision = await secondLine(created({ request: asked, status: 201 }));
    assertEquals(said(decision).endsWith(expected), true, said(decision));
    assertEquals([served, removed], [[[asked.uri, exempt]], []]);
  }
});
