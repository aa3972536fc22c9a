import { assertEquals, assertMatch } from "@std/assert";
import { parseConfig } from "../../../lib/config/config.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import { exemptionCheck } from "../../../lib/verdict/exemptions.ts";
import { openLog } from "../../../lib/log.ts";
import { pluginHandler } from "../../../lib/server/plugin.ts";
import { ALLOW } from "../../../lib/policy/decision.ts";
import { createRecheck, type Recheck } from "../../../lib/verdict/response.ts";
import { routeOf } from "../../../lib/call/endpoints.ts";
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
}

/** A second line, with what it logged and what it removed. */
async function secondLine(
  { config = "[volumes]", mounts, engine }: Setting = {},
) {
  const log: string[] = [];
  const asked: string[] = [];
  const removed: string[] = [];
  const recheck = createRecheck({
    config: await parseConfig("x.toml", config),
    engine: engineWith({
      listContainers: () => Promise.resolve([]),
      inspectContainer(id) {
        asked.push(id);
        return Promise.resolve(
          mounts && {
            id,
            names: ["web"],
            created: 0,
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
    isExempt: exemptionCheck(() => Promise.resolve([])),
    log: openLog(
      { debug: true, journal: true, format: "text" },
      (line) => log.push(line),
    ),
  });
  return { recheck, log, asked, removed };
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

Deno.test("recheck: only creates are looked at", async () => {
  const { recheck } = await secondLine();
  const concerned = [
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
  for (const [method, uri] of concerned) {
    assertEquals(recheck.concerns({ method, uri }), true, uri);
  }
  for (const [method, uri] of others) {
    assertEquals(recheck.concerns({ method, uri }), false, uri);
  }
});

Deno.test("recheck: none without the policy, or where it is only tried out", async () => {
  for (const config of ["", "[push]", "[volumes]\nenforce = false"]) {
    const { recheck, asked, removed } = await secondLine({
      config,
      mounts: [{ type: "volume", name: "data" }],
    });
    const uri = "/containers/create";
    assertEquals(recheck.concerns({ method: "POST", uri }), false, config);
    assertEquals(said(await recheck.judge(created())), "allowed", config);
    assertEquals([asked, removed], [[], []]);
  }
});

Deno.test("recheck: a container as it should be passes unnoticed", async () => {
  for (
    const mounts of [
      [],
      [{ type: "bind", source: "/srv" }],
      [{ type: "tmpfs" }, { type: "image", name: "b" }],
    ]
  ) {
    const { recheck, log, asked, removed } = await secondLine({ mounts });
    assertEquals(said(await recheck.judge(created())), "allowed");
    assertEquals({ log, asked, removed }, {
      log: [],
      asked: [ID],
      removed: [],
    });
  }
});

Deno.test("recheck: one with a volume is removed, with an alert, and refused", async () => {
  const cases: [mounts: Mount[], what: string][] = [
    [[{ type: "volume", name: ANONYMOUS }], "an anonymous volume at /x0"],
    [
      [{ type: "bind" }, { type: "volume", name: "data" }],
      'volume "data" at /x1',
    ],
    [[{ type: "cluster" }], "a mount of type cluster at /x0"],
  ];
  for (const [mounts, what] of cases) {
    const { recheck, log, removed } = await secondLine({ mounts });
    const decision = await recheck.judge(created());
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

Deno.test("recheck: bind mounts are held against allow-bind once more", async () => {
  const config = '[volumes]\nallow-bind = ["/no-such-thing/"]';
  const good = await secondLine({
    config,
    mounts: [{ type: "bind", source: "/no-such-thing/a" }],
  });
  assertEquals(said(await good.recheck.judge(created())), "allowed");
  const bad = await secondLine({
    config,
    mounts: [{ type: "bind", source: "/etc" }],
  });
  assertMatch(said(await bad.recheck.judge(created())), /^bind mount of \/etc/);
  assertEquals(bad.removed, [ID]);
});

Deno.test("recheck: the alert holds the raw request, on one line, and not more than needed", async () => {
  const { recheck, log } = await secondLine({
    mounts: [{ type: "volume", name: "data" }],
  });
  const body = `{"Image":"b",\n"ho\u017ftconfig":"${"x".repeat(100_000)}"}`;
  await recheck.judge(created({
    request: {
      ...request("POST /v1.41/containers/create?name=w%0a", body, {
        "X-Odd": "1\n<0>forged",
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
      "X-Odd",
      "eve",
      String(bytes(body).length),
    ]
  ) {
    assertEquals(log[0].includes(part), true, part);
  }
  assertEquals(log[0].length < 30_000, true, `${log[0].length}`);
});

Deno.test("recheck: whoever is exempt may have a volume", async () => {
  const { recheck, asked, removed } = await secondLine({
    config: '[volumes]\nallow-user = ["dwalsh"]',
    mounts: [{ type: "volume", name: "data" }],
  });
  const by = (user: string) =>
    recheck.judge(created({ request: { ...created().request, user } }));
  assertEquals(said(await by("dwalsh")), "allowed");
  assertEquals([asked, removed], [[], []]);
  assertMatch(said(await by("eve")), /volume "data"/);
  assertMatch(said(await by("")), /volume "data"/);
});

Deno.test("recheck: a create that made nothing asks nothing", async () => {
  for (const status of [400, 404, 409, 500, 304]) {
    const { recheck, asked, log } = await secondLine({
      mounts: [{ type: "volume" }],
    });
    const body = base64('{"message":"no such image"}');
    assertEquals(
      said(await recheck.judge(created({ status, body }))),
      "allowed",
    );
    assertEquals(
      said(await recheck.judge(created({ status, body: undefined }))),
      "allowed",
    );
    assertEquals([asked, log], [[], []]);
  }
});

Deno.test("recheck: a container that is gone already passes", async () => {
  const { recheck, removed, log } = await secondLine(); // knows no container
  assertEquals(said(await recheck.judge(created())), "allowed");
  assertEquals([removed, log], [[], []]);
});

Deno.test("recheck: an answer that names no container is refused, with an alert", async () => {
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
    const { recheck, log, asked } = await secondLine({ mounts: [] });
    assertMatch(
      said(await recheck.judge(created({ body }))),
      /^the new container can't be checked: /,
    );
    assertEquals(asked, []);
    assertEquals(log.length, 1);
    assertMatch(log[0], /^<3>alert: /);
  }
});

Deno.test("recheck: an engine that gives no answer is no yes", async () => {
  const fails = () => Promise.reject(new EngineError("gone"));
  const cases: Partial<Engine>[] = [
    { inspectContainer: fails },
    { removeContainer: fails },
    {
      inspectContainer: () => {
        throw new TypeError("a bug");
      },
    },
  ];
  for (const engine of cases) {
    const { recheck, log } = await secondLine({
      mounts: [{ type: "volume", name: "data" }],
      engine,
    });
    assertMatch(
      said(await recheck.judge(created())),
      /^the new container can't be checked: (gone|a bug)/,
    );
    assertMatch(log.join("\n"), /^<3>alert: /m);
    assertMatch(log.join("\n"), /can't be checked/);
  }
});

Deno.test("recheck: the settings of the moment count", async () => {
  const mounts = [
    { type: "volume", name: "data", source: "", destination: "/x" },
  ];
  let config = await parseConfig("x.toml", "");
  const recheck = createRecheck({
    get config() {
      return config;
    },
    engine: engineWith({
      inspectContainer: (id) =>
        Promise.resolve({ id, names: [], created: 0, mounts }),
      removeContainer: () => Promise.resolve(),
    }),
    isExempt: () => Promise.resolve(false),
    log: openLog({ debug: false, journal: false, format: "text" }, () => {}),
  });
  assertEquals(said(await recheck.judge(created())), "allowed");
  config = await parseConfig("x.toml", "[volumes]");
  assertMatch(said(await recheck.judge(created())), /volume "data"/);
});

/** Posts a response message to a plugin with this second line. */
async function post(recheck: Recheck, message: string) {
  const handler = pluginHandler(
    () => ({ judge: () => ALLOW, recheck }),
    openLog({ debug: false, journal: false, format: "text" }, () => {}),
  );
  const { status, body } = await handler({
    method: "POST",
    path: "/AuthZPlugin.AuthZRes",
    length: () => undefined,
    text: () => Promise.reject("not at once"),
    json: () => Promise.reject("not at once"),
    async read(take) {
      const whole = bytes(message);
      // In pieces, as they come over a socket.
      for (let at = 0; at < whole.length; at += 64) {
        take(await Promise.resolve(whole.subarray(at, at + 64)));
      }
    },
  });
  return `${status} ${body}`;
}

const ALLOWED = '200 {"Allow":true}';

Deno.test("recheck: no other response is decoded, or even JSON for all that matters", async () => {
  const { recheck, asked } = await secondLine();
  const calls = [
    ["GET", "/v1.41/containers/json?all=1"],
    ["GET", "/containers/create"],
    ["POST", "/containers/web/start"],
    ["POST", "/services/create"],
  ];
  for (const [method, uri] of calls) {
    const head =
      `{"User":"a\\"b","UserAuthNMethod":"TLS","RequestMethod":"${method}","RequestUri":"${uri}"`;
    for (
      const rest of [
        ',"RequestHeaders":{},"ResponseBody":"!!! not base64","ResponseStatusCode":201}',
        ',"ResponseStatusCode":"no number"}',
        ", and no JSON at all",
        ',"ResponseBody":"' + "A".repeat(9 * 1024 * 1024), // longer than any message may be
      ]
    ) {
      assertEquals(await post(recheck, head + rest), ALLOWED, uri);
    }
  }
  assertEquals(asked, []);
});

Deno.test("recheck: a create's response is decoded, and only at 201 is its body", async () => {
  const message = (more: Record<string, unknown>) =>
    JSON.stringify({
      RequestMethod: "POST",
      RequestUri: "/v1.41/containers/create",
      RequestHeaders: {},
      ResponseStatusCode: 201,
      ResponseBody: btoa(JSON.stringify({ Id: ID })),
      ...more,
    });
  const { recheck, asked } = await secondLine({ mounts: [] });
  assertEquals(await post(recheck, message({})), ALLOWED);
  assertEquals(asked, [ID]);

  const notJson = btoa("no JSON");
  assertEquals(
    await post(
      recheck,
      message({ ResponseStatusCode: 404, ResponseBody: notJson }),
    ),
    ALLOWED,
  );
  assertMatch(
    await post(recheck, message({ ResponseBody: notJson })),
    /^200 \{"Allow":false,"Msg":"the new container can't be checked: /,
  );
  assertMatch(
    await post(recheck, message({ ResponseBody: "!" })),
    /^400 .*"Allow":false/,
  );
  // An answer of more than 64 KiB is on its way already.
  assertEquals(
    await post(recheck, message({ ResponseStatusCode: undefined })),
    ALLOWED,
  );
  assertEquals(asked, [ID]);
});

Deno.test("recheck: a message whose call can't be told is decoded", async () => {
  const { recheck, asked } = await secondLine({ mounts: [] });
  // Other order, spaces: no engine writes it so, and then it is read as what it is.
  const message = JSON.stringify({
    ResponseBody: btoa(JSON.stringify({ Id: ID })),
    ResponseStatusCode: 201,
    RequestUri: "/containers/create",
    RequestMethod: "POST",
  });
  assertEquals(await post(recheck, message), ALLOWED);
  assertEquals(await post(recheck, ` ${message}`), ALLOWED);
  assertEquals(asked, [ID, ID]);
  for (const broken of ["", "{", "null", "[]", '{"RequestMethod":"POST"']) {
    assertMatch(await post(recheck, broken), /^400 .*"Allow":false/);
  }
});

Deno.test("recheck: an answer that was too long takes back what is young, and nothing else", async () => {
  const now = Date.now();
  const removed: string[] = [];
  const container = (id: string, created: number) => ({
    id,
    names: [id],
    created,
    mounts: [{ type: "volume", name: "data", source: "/", destination: "/x" }],
  });
  const containers = [
    container("before", now - 1),
    container("long-ago", now - 3_600_000),
    container("young", now + 1000),
  ];
  const recheckWith = async (config: string) =>
    createRecheck({
      config: await parseConfig("x.toml", config),
      engine: engineWith({
        // The list tells whole seconds, rounded down.
        listContainers: () =>
          Promise.resolve(containers.map((one) => ({
            ...one,
            created: Math.floor(one.created / 1000) * 1000,
          }))),
        inspectContainer: (id) =>
          Promise.resolve(containers.find((one) => one.id === id)),
        removeContainer: (id) => {
          removed.push(id);
          return Promise.resolve();
        },
      }),
      isExempt: () => Promise.resolve(false),
      log: openLog({ debug: false, journal: false, format: "text" }, () => {}),
    });
  const ahead = { ...created(), status: 0, body: undefined };
  const recheck = await recheckWith("[volumes]");
  const route = routeOf(ahead.request)!;
  assertEquals(said(await recheck.admit(ahead.request, route)), "allowed");
  assertMatch(
    said(await recheck.judge(ahead)),
    /container young has volume "data"/,
  );
  assertEquals(removed, ["young"]);

  // Where somebody is exempt, it could be theirs.
  const exempt = '[volumes]\nallow-user = ["dwalsh"]';
  const careful = await recheckWith(exempt);
  await careful.admit(ahead.request, route);
  assertEquals(said(await careful.judge(ahead)), "allowed");
  assertEquals(removed, ["young"]);
});
