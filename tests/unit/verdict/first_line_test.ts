import { assertEquals, assertMatch } from "@std/assert";
import type { AuditEvent } from "../../../lib/audit.ts";
import { NO_OPTIONS } from "../../../lib/call/container_options.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import {
  exemptionCheck,
  IdentityError,
} from "../../../lib/verdict/exemptions.ts";
import { createFirstLine } from "../../../lib/verdict/first_line.ts";
import { openLog } from "../../../lib/log.ts";
import type { Observation } from "../../../lib/metrics.ts";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import { engineWith, HOST, request, said } from "../requests.ts";

interface Setting {
  /** Text of the settings file. */
  config?: string;
  engine?: Partial<Engine>;
  groups?: () => Promise<string[]>;
  observe?: (observation: Observation) => void;
  audit?: (event: AuditEvent) => void;
}

/** What is said of a request, and what is logged. */
async function decide(
  authz: AuthzRequest,
  { config = "[volumes]", engine = {}, groups, observe, audit }: Setting = {},
): Promise<{ said: string; because?: string; log: string[] }> {
  const log: string[] = [];
  const firstLine = createFirstLine({
    config: await parseConfig("x.toml", config || "enforce-nothing = true"),
    engine: engineWith(engine),
    isExempt: exemptionCheck(groups ?? (() => Promise.resolve([]))),
    log: openLog(
      { debug: true, journal: true, format: "text" },
      (line) => log.push(line),
    ),
    ...(observe && { observe }),
    audit,
  });
  const decision = await firstLine(authz);
  return {
    said: said(decision),
    ...(decision.allow && decision.because && { because: decision.because }),
    log,
  };
}

const NAMED = { Image: "b", HostConfig: { Binds: ["data:/x"] } };
const CREATE = request("POST /v1.41/containers/create?name=web", NAMED);
const DENIED = 'volumes are not allowed: named volume "data"';

/** An engine that knows an image without volumes. */
const PLAIN: Partial<Engine> = {
  inspectImage: () =>
    Promise.resolve({
      id: "sha256:0",
      platform: { os: "linux", architecture: "amd64", variant: "" },
      volumes: [],
      labels: {},
      user: "",
      layers: [],
      parent: "",
      repoDigests: [],
    }),
};

Deno.test("first line: a denial is logged with user, method, path and reason", async () => {
  assertEquals(await decide({ ...CREATE, user: "dwalsh" }), {
    said: DENIED,
    log: [
      "<4>denied user=dwalsh method=POST " +
      "path=/v1.41/containers/create?name=web rule=volumes/named " +
      `reason=${JSON.stringify(DENIED)}`,
    ],
  });
  const [line] = (await decide(CREATE)).log;
  assertMatch(line, /^<4>denied user=- method=POST /);
});

Deno.test("first line: what a client sends can't forge a line of the log", async () => {
  const { log } = await decide({
    ...request(`POST /containers/create?name=${"x".repeat(1000)}\n<0>`, {
      HostConfig: { Binds: ["a\n<0>forged\u001b[2J:/x"] },
    }),
    user: 'x"\r\n<0>forged',
  });
  assertEquals(log.length, 1);
  // deno-lint-ignore no-control-regex -- none may be left
  assertEquals(/[\u0000-\u001f\u007f]/.test(log[0]), false);
  assertMatch(
    log[0],
    /^<4>denied user="x\\"\\r\\n<0>forged" method=POST path=/,
  );
  assertMatch(log[0], / named volume \\"a\\\\u000a<0>forged\\\\u001b\[2J\\""$/);
  assertEquals(log[0].length < 900, true);
});

Deno.test("first line: of a query, the log has what decides", async () => {
  for (
    const [call, path] of [
      [
        "POST /v1.41/build?version=1&buildargs=%7B%22T%22%3A%22secret%22%7D&" +
        "remote=https://u:secret@h/r.git",
        "/v1.41/build?version=1",
      ],
      [
        "POST /images/create?fromImage=https://u:secret@h/x&tag=1&x=secret",
        "/images/create?tag=1",
      ],
      [
        "POST /images/create?fromSrc=https://u:secret@h/&repo=a",
        "/images/create",
      ],
      [
        "POST http://u:secret@h/plugins/pull?remote=a/b",
        "http://h/plugins/pull?remote=a/b",
      ],
      ["POST /plugins/pull?re%6Dote=a&x=secret", "/plugins/pull?re%6Dote=a"],
    ] as const
  ) {
    const { log } = await decide(
      request(call, undefined, { "X-Registry-Auth": "secret" }),
      { config: "[images]\n[volumes]\nallow-classic-build = false" },
    );
    assertEquals(log.length, 1, call);
    assertEquals(log[0].includes(` path=${path} rule=`), true, log[0]);
  }
});

Deno.test("first line: guarded calls are written to the audit log", async () => {
  const events: AuditEvent[] = [];
  const options = { audit: (event: AuditEvent) => void events.push(event) };
  await decide({ ...CREATE, user: "eve" }, options);
  await decide(CREATE, { ...options, config: "[volumes]\nenforce = false" });
  await decide(request("POST /images/create?fromImage=a&tag=1"), {
    ...options,
    config: "[images]\nwhitelist = ['^a:']",
  });
  await decide(request("GET /containers/json"), options);
  const seconds = events.map(({ seconds }) => seconds);
  assertEquals(seconds.every((time) => time > 0 && time < 1), true);
  assertEquals(
    events.map(({ seconds: _, ...event }) => event),
    [
      {
        user: "eve",
        method: "POST",
        path: "/v1.41/containers/create?name=web",
        call: "container create",
        verdict: "deny",
        rule: "volumes/named",
        reason: DENIED,
      },
      {
        user: "-",
        method: "POST",
        path: "/v1.41/containers/create?name=web",
        call: "container create",
        verdict: "would_deny",
        rule: "volumes/named",
        reason: DENIED,
      },
      {
        user: "-",
        method: "POST",
        path: "/images/create?fromImage=a&tag=1",
        call: "image create",
        verdict: "allow",
        rule: "",
        reason: "whitelisted by ^a:",
      },
    ],
  );
});

Deno.test("first line: what is allowed is logged for debugging", async () => {
  const create = request("POST /containers/create", { Image: "b" });
  assertEquals(await decide(create, { engine: PLAIN }), {
    said: "allowed",
    log: ["<7>allowed user=- method=POST path=/containers/create"],
  });
  for (const line of ["GET /containers/json", "HEAD /_ping"]) {
    assertEquals(await decide(request(line)), { said: "allowed", log: [] });
  }
});

Deno.test("first line: calls of no policy are allowed without a question", async () => {
  for (
    const line of [
      "GET /_ping",
      "GET /v1.41/containers/web/json",
      "GET /v1.51/images/b/json?platform=%7B%7D",
      "POST /v1.41/containers/web/stop",
      "DELETE /volumes/data;x?a=%zz",
      "POST /volumes/create",
    ]
  ) {
    assertEquals((await decide(request(line))).said, "allowed", line);
  }
});

Deno.test("first line: a policy without a section is off", async () => {
  assertEquals((await decide(CREATE, { config: "" })).said, "allowed");
  assertEquals((await decide(CREATE, { config: "[push]" })).said, "allowed");
  // No policy reads it, so that nothing can be wrong with it.
  assertEquals(
    (await decide(request("POST /containers/create?;", "{"), { config: "" }))
      .said,
    "allowed",
  );
});

Deno.test("first line: users and groups are exempt", async () => {
  const config =
    '[volumes]\nallow-user = ["dwalsh"]\nallow-group = ["storage"]';
  const groups = () => Promise.resolve(["users", "storage"]);
  const nobody = () => Promise.resolve(["users"]);
  for (
    const [user, lookUp, expected] of [
      ["dwalsh", nobody, "allowed"],
      ["alice", groups, "allowed"],
      ["alice", nobody, DENIED],
      ["", groups, DENIED],
      ["0", groups, DENIED],
      ["-n", groups, DENIED],
    ] as const
  ) {
    assertEquals(
      (await decide({ ...CREATE, user }, { config, groups: lookUp })).said,
      expected,
      user,
    );
  }
});

Deno.test("first line: a permission says what gave it, where that is not plain", async () => {
  const pull = {
    ...request("POST /images/create?fromImage=alpine&tag=3"),
    user: "alice",
  };
  for (
    const [config, because] of [
      ["", undefined],
      ["[volumes]", undefined],
      ['[images]\nwhitelist = ["^alpine:"]', "whitelisted by ^alpine:"],
      ["[images]\ndefault-allow = true", "default-allow"],
      ['[images]\nallow-user = ["alice"]', "alice is exempt from [images]"],
      [
        "[images]\nenforce = false",
        "[images] is only tried out, and would refuse it: image alpine:3 is " +
        "not allowed: not on the whitelist",
      ],
    ]
  ) {
    const given = await decide(pull, { config });
    assertEquals([given.said, given.because], ["allowed", because], config);
  }
});

Deno.test("first line: headers name no user", async () => {
  const config = '[volumes]\nallow-user = ["dwalsh"]';
  const forged = {
    ...CREATE,
    headers: {
      ...CREATE.headers,
      User: "dwalsh",
      "X-Remote-User": "dwalsh",
      "X-Forwarded-User": "dwalsh",
    },
  };
  assertEquals((await decide(forged, { config })).said, DENIED);
});

Deno.test("first line: an exemption holds for its own policy only", async () => {
  const config = '[images]\nallow-user = ["alice"]\n[volumes]\n' +
    'allow-user = ["bob"]\n';
  const service = request("POST /services/create", {
    TaskTemplate: {
      ContainerSpec: {
        Image: "evil/x:1",
        Mounts: [{ Type: "volume", Source: "data", Target: "/x" }],
      },
    },
  });
  for (
    const [user, expected] of [
      ["alice", DENIED],
      ["bob", "image evil/x:1 is not allowed: not on the whitelist"],
      ["carol", "image evil/x:1 is not allowed: not on the whitelist"],
    ]
  ) {
    assertEquals(
      (await decide({ ...service, user }, { config })).said,
      expected,
    );
  }
});

Deno.test("first line: a policy on trial logs what it would deny", async () => {
  const trial = await decide(CREATE, { config: "[volumes]\nenforce = false" });
  assertEquals(trial.said, "allowed");
  assertMatch(
    trial.log[0],
    /^<4>would deny user=- method=POST path=\S+ rule=volumes\/named reason="/,
  );
  assertMatch(trial.log[1], /^<7>allowed /);

  // So it does with what can't be read, and with an engine that is silent.
  for (
    const [authz, rule] of [
      [request("POST /containers/create", "{}{}"), "unreadable"],
      [request("POST /containers/web/start"), "engine"],
    ] as const
  ) {
    const { said, log } = await decide(authz, {
      config: "[volumes]\nenforce = false",
      engine: {
        findContainers: () => Promise.reject(new EngineError("silence")),
      },
    });
    assertEquals(said, "allowed");
    assertMatch(log[0], new RegExp(`^<4>would deny .* rule=${rule} `));
  }
});

Deno.test("first line: a policy on trial does not stand before another", async () => {
  const service = request("POST /services/create", {
    TaskTemplate: {
      ContainerSpec: {
        Image: "evil/x:1",
        Mounts: [{ Type: "volume", Source: "data", Target: "/x" }],
      },
    },
  });
  const { said, log } = await decide(service, {
    config: "[images]\nenforce = false\n[volumes]\n",
  });
  assertEquals(said, DENIED);
  assertEquals(log.length, 2);
  assertMatch(log[0], /^<4>would deny .* not on the whitelist"$/);
  assertMatch(log[1], /^<4>denied .* named volume /);

  const other = await decide(service, {
    config: "[images]\n[volumes]\nenforce = false\n",
  });
  assertEquals(
    other.said,
    "image evil/x:1 is not allowed: not on the whitelist",
  );
});

Deno.test("first line: every verdict is observed", async () => {
  for (
    const [authz, config, endpoint, verdict, rule] of [
      [CREATE, "[volumes]", "container create", "deny", "volumes/named"],
      [
        CREATE,
        "[volumes]\nenforce = false",
        "container create",
        "would_deny",
        "volumes/named",
      ],
      [CREATE, "", "container create", "allow", ""],
      [request("GET /_ping"), "[volumes]", "other", "allow", ""],
      [
        request("POST /build?a;b"),
        "[volumes]",
        "build",
        "deny",
        "unreadable",
      ],
    ] as const
  ) {
    const observed: Observation[] = [];
    await decide(authz, { config, observe: (seen) => observed.push(seen) });
    const [{ seconds, ...seen }] = observed;
    assertEquals(seen, { endpoint, verdict, rule });
    assertEquals(seconds >= 0 && seconds < 5, true);
    assertEquals(observed.length, 1);
  }
});

Deno.test("first line: settings are read anew for each call", async () => {
  let config = await parseConfig("x.toml", "[volumes]");
  const firstLine = createFirstLine({
    get config() {
      return config;
    },
    engine: engineWith({}),
    isExempt: () => Promise.resolve(false),
    log: openLog({ debug: false, journal: true, format: "text" }, () => {}),
  });
  assertEquals(said(await firstLine(CREATE)), DENIED);
  config = await parseConfig("x.toml", "enforce-nothing = true");
  assertEquals(said(await firstLine(CREATE)), "allowed");
});

Deno.test("first line: what can't be read is denied, saying why", async () => {
  for (
    const [authz, reason] of [
      [
        request("POST /containers/create", '{"Image":"a","image":"b"}'),
        'two keys in the body mean the same field, "image": send it once',
      ],
      [
        request("POST /containers/create", "{}{}"),
        "its body goes on after the JSON value (at character 3)",
      ],
      [request("POST /containers/create"), "it has no body"],
      [
        request("POST /containers/create?a=1;b", {}),
        'its query has a ";": write it as %3B',
      ],
      [
        request("POST /containers/create?a=%zz", {}),
        'its query has a "%" that begins no escape',
      ],
      [
        request("POST /containers/create?platform=%ff", { Image: "b" }),
        "its query's platform is not UTF-8",
      ],
      [
        request("POST /containers/%ff/start"),
        "its path is not percent-encoded UTF-8",
      ],
    ] as [AuthzRequest, string][]
  ) {
    const { said, log } = await decide(authz);
    assertEquals(said, `request can't be checked: ${reason}`);
    assertEquals(log.length, 1);
    assertEquals(log[0].endsWith(` reason=${JSON.stringify(said)}`), true);
  }
});

Deno.test("first line: an engine that can't be asked is a denial", async () => {
  const { said, log } = await decide(
    request("POST /containers/create", { Image: "b" }),
    {
      engine: {
        inspectImage: () =>
          Promise.reject(
            new EngineError("unix:///x did not answer within 5 s"),
          ),
      },
    },
  );
  assertEquals(
    said,
    "engine can't be asked: unix:///x did not answer within 5 s",
  );
  assertEquals(log.length, 1);
});

Deno.test("first line: a failure of our own is a denial, and never thrown", async () => {
  const failed = "docker-policy-plugin failed on this request: see its log";
  for (
    const setting of [
      {
        engine: {
          inspectImage: () => {
            throw new TypeError("nobody thought of this");
          },
        },
      },
      { engine: { inspectImage: () => Promise.reject("no error at all") } },
      { engine: { inspectImage: () => Promise.reject(undefined) } },
      {
        config: '[volumes]\nallow-group = ["storage"]',
        groups: () => Promise.reject(new Error("no id here")),
      },
    ]
  ) {
    const { said, log } = await decide(
      { ...request("POST /containers/create", { Image: "b" }), user: "alice" },
      setting,
    );
    assertEquals(said, failed);
    assertEquals(log.length, 2);
    assertMatch(log[0], /^<3>bug: /);
    assertMatch(log[1], /^<4>denied user=alice method=POST /);
    assertEquals(log.some((line) => line.includes("\n")), false);
  }
});

Deno.test("first line: a sparse request does not make it throw", async () => {
  for (
    const uri of ["", "/", "?", "//", "*", ":", "%", "x:", "http://", "\u0000"]
  ) {
    await decide({ user: "", method: "POST", uri, headers: {} });
  }
});

const FOR_USERS = `
[volumes]
allow-bind = ["/srv/"]
allow-user = ["root"]
[privileges]
[for.interns]
group = ["interns"]
[for.interns.volumes]
allow-bind = []
[for.ops]
user = ["olga", "ian", "root"]
[for.ops.volumes]
allow-bind = ["/srv/", "/opt/"]
[for.ops.privileges]
allow-capabilities = ["NET_ADMIN"]
[for.trial]
user = ["tim"]
[for.trial.volumes]
enforce = false
`;

Deno.test("first line: users have the settings of the first that names them", async () => {
  const create = (user: string, Binds: string[], CapAdd: string[] = []) => ({
    ...request("POST /v1.41/containers/create", {
      Image: "b",
      HostConfig: { Binds, CapAdd },
    }),
    user,
  });
  const NET = ["NET_ADMIN"];
  const only = (path: string, where: string) =>
    `bind mount of ${path} is not allowed: ${where}`;
  const cap = "privileges: --cap-add NET_ADMIN is not allowed " +
    "(allow-capabilities in [privileges])";
  for (
    const [call, expected] of [
      [create("eve", ["/srv/x:/x"]), ""],
      [create("eve", ["/opt/x:/x"]), only("/opt/x", "only below /srv/")],
      [create("eve", [], NET), cap],
      [create("", [], NET), cap],
      [create("olga", ["/opt/x:/x"], NET), ""],
      [create("olga", ["/etc:/x"]), only("/etc", "only below /srv/, /opt/")],
      [
        create("ian", ["/srv/x:/x"]),
        only("/srv/x", "only below no directory at all"),
      ],
      [create("ian", [], NET), cap],
      // Exempt from [volumes], and of ops in everything else.
      [create("root", ["/etc:/x"], NET), ""],
      [create("tim", ["data:/x"]), ""],
      [create("tim", [], NET), cap],
    ] as const
  ) {
    const groups = () =>
      Promise.resolve(call.user === "ian" ? ["interns"] : []);
    const { said } = await decide(call, {
      config: FOR_USERS,
      engine: {
        ...PLAIN,
        hostFacts: () =>
          Promise.resolve({
            rootDirectory: "/var/lib/docker",
          } as Awaited<ReturnType<Engine["hostFacts"]>>),
      },
      groups,
    });
    assertEquals(said, expected || "allowed", JSON.stringify(call));
  }
});

Deno.test("first line: log and audit log say whose settings decided", async () => {
  const events: AuditEvent[] = [];
  for (const user of ["olga", "tim", "eve"]) {
    const { log } = await decide({ ...CREATE, user }, {
      config: FOR_USERS,
      engine: PLAIN,
      audit: (event) => void events.push(event),
    });
    const name = { olga: " for=ops", tim: " for=trial" }[user] ?? "";
    assertEquals(
      log[0].includes(`?name=web${name} rule=volumes/named `),
      true,
      log[0],
    );
  }
  assertEquals(events.map((event) => event.for), ["ops", "trial", undefined]);
});

Deno.test("first line: whose groups can't be told is refused", async () => {
  const options = {
    config: FOR_USERS,
    engine: PLAIN,
    groups: () => Promise.reject(new IdentityError("no answer")),
  };
  const { said } = await decide({ ...CREATE, user: "eve" }, options);
  assertEquals(said, "user can't be looked up: no answer");
  // What is only tried out refuses nothing.
  for (const [more, expected] of [["", said], ["enforce = false", "allowed"]]) {
    const config = `[volumes]\nallow-group = ["storage"]\n${more}`;
    const tried = await decide({ ...CREATE, user: "eve" }, {
      ...{ ...options, config },
    });
    assertEquals(tried.said, expected);
    assertMatch(tried.log[0], /rule=identity reason="user can't be looked up/);
  }
});

Deno.test("first line: who may mount more can put links in others' way", async () => {
  const config = `
[volumes]
allow-bind = [{ path = "/usr/share", below = false }]
[privileges]
`;
  const ops = '[for.ops]\nuser = ["olga"]\n[for.ops.volumes]\n' +
    'allow-bind = ["/usr/"]\n';
  const engine: Partial<Engine> = {
    hostFacts: () => Promise.resolve(HOST),
    inspectOptions: () => Promise.resolve({ options: NO_OPTIONS }),
    findContainers: () =>
      Promise.resolve([{
        id: "web",
        names: ["web"],
        created: 0,
        running: false,
        image: "b",
        labels: {},
        mounts: [{
          type: "bind",
          name: "",
          source: "/usr/share",
          destination: "/x",
        }],
      }]),
  };
  const late = {
    ...request("POST /v1.41/containers/web/start"),
    headers: { "Content-Type": "application/json" },
    user: "eve",
  };
  assertEquals((await decide(late, { config, engine })).said, "allowed");
  assertMatch(
    (await decide(late, { config: config + ops, engine })).said,
    /a call whose body may come late is not allowed/,
  );
});
