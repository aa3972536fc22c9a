import { assertEquals, assertMatch } from "@std/assert";
import { openLog } from "../../../lib/log.ts";
import {
  pluginHandler,
  type PluginResponse,
} from "../../../lib/server/plugin.ts";
import type { Lines } from "../../../lib/verdict/lines.ts";
import { ALLOW, type Decision, deny } from "../../../lib/policy/decision.ts";
import type { AuthzRequest, AuthzResponse } from "../../../lib/call/authz.ts";
import { bytes } from "../requests.ts";

/** A body in pieces, that knows whether it was read to its end. */
class Body {
  ended = false;
  length = 0;
  constructor(readonly pieces: Iterable<Uint8Array>) {}

  async read(take: (piece: Uint8Array) => void): Promise<void> {
    for (const piece of this.pieces) {
      this.length += piece.byteLength;
      take(await Promise.resolve(piece));
    }
    this.ended = true;
  }
}

interface Posted extends PluginResponse {
  /** What the judge was asked, and the recheck. */
  asked: (AuthzRequest | AuthzResponse)[];
}

/** Posts a message; calls to `/recheck` are the ones that are looked at again. */
async function post(
  path: string,
  body: string | Body,
  { method = "POST", decision = ALLOW as Decision, loaded = true } = {},
): Promise<Posted> {
  const asked: (AuthzRequest | AuthzResponse)[] = [];
  const judge = (message: AuthzRequest | AuthzResponse) => {
    asked.push(message);
    return Promise.resolve(decision);
  };
  const policies: Lines = {
    firstLine: judge,
    secondLine: {
      admit: () => Promise.resolve(ALLOW),
      concerns: ({ method, uri }) => method === "POST" && uri === "/recheck",
      decide: judge,
    },
  };
  const handler = pluginHandler(
    () => loaded ? policies : Promise.resolve(policies),
    openLog({ debug: false, journal: false, format: "text" }, () => {}),
  );
  const response = await handler({
    method,
    path,
    ...(typeof body === "string"
      ? {
        length: () => bytes(body).length,
        text: () => Promise.resolve(body),
        // deno-lint-ignore require-await -- what it throws is a rejection
        json: async () => JSON.parse(body),
        read: (take) => new Body([bytes(body)]).read(take),
      }
      : {
        length: () => undefined,
        text: () => Promise.reject("not at once"),
        json: () => Promise.reject("not at once"),
        read: (take) => body.read(take),
      }),
  });
  return { ...response, asked };
}

const MESSAGE = JSON.stringify({
  User: "dwalsh",
  RequestMethod: "POST",
  RequestUri: "/containers/create",
  RequestBody: btoa("{}"),
  RequestHeaders: { "Content-Type": "application/json" },
});

Deno.test("plugin: activation", async () => {
  for (const body of ["", "{}", "anything"]) {
    const { status, body: answer } = await post("/Plugin.Activate", body);
    assertEquals([status, answer], [200, '{"Implements":["authz"]}']);
  }
});

Deno.test("plugin: a request is judged", async () => {
  const { status, body, asked } = await post("/AuthZPlugin.AuthZReq", MESSAGE);
  assertEquals([status, body], [200, '{"Allow":true}']);
  assertEquals(asked, [{
    user: "dwalsh",
    method: "POST",
    uri: "/containers/create",
    headers: { "Content-Type": "application/json" },
    body: btoa("{}"),
  }]);
});

Deno.test("plugin: a call waits for what judges it", async () => {
  const { status, body, asked } = await post("/AuthZPlugin.AuthZReq", MESSAGE, {
    loaded: false,
    decision: deny("x/y", "no such thing"),
  });
  assertEquals(status, 200);
  assertEquals(JSON.parse(body), { Allow: false, Msg: "no such thing" });
  assertEquals(asked.length, 1);
});

Deno.test("plugin: a denial is HTTP 200, with its text in Msg", async () => {
  const { status, body } = await post("/AuthZPlugin.AuthZReq", MESSAGE, {
    decision: deny("volumes/named", 'named volume "data"'),
  });
  assertEquals(status, 200);
  assertEquals(
    JSON.parse(body),
    { Allow: false, Msg: 'named volume "data"' },
  );
});

Deno.test("plugin: a message in pieces, split inside a character", async () => {
  const whole = bytes(MESSAGE.replace("dwalsh", "Jürgen€😀"));
  const { asked } = await post(
    "/AuthZPlugin.AuthZReq",
    new Body(Array.from(whole, (byte) => new Uint8Array([byte]))),
  );
  assertEquals((asked as AuthzRequest[]).map(({ user }) => user), [
    "Jürgen€😀",
  ]);
});

Deno.test("plugin: what no engine sends is a 400 with a JSON Err", async () => {
  for (
    const [message, problem] of [
      ["", "the engine lost its message when a connection broke: try again"],
      ["<xml/>", "the message is not JSON"],
      ["[]", "the message is not an object"],
      ["{}", "RequestMethod or RequestUri is missing"],
      [MESSAGE.replace('"dwalsh"', "7"), "User is not a string"],
      [MESSAGE.replace('"e30="', '"e30"'), "RequestBody is not base64"],
    ]
  ) {
    const { status, body, asked } = await post(
      "/AuthZPlugin.AuthZReq",
      message,
    );
    assertEquals(status, 400, message);
    assertEquals(JSON.parse(body), { Allow: false, Err: problem });
    assertEquals(asked, []);
  }
});

Deno.test("plugin: a message that is too long is refused, not gathered", async () => {
  const mebibyte = new Uint8Array(1024 * 1024).fill(0x20);
  const endless = new Body({
    *[Symbol.iterator]() {
      for (;;) yield mebibyte;
    },
  });
  const { status, body, asked } = await post("/AuthZPlugin.AuthZReq", endless);
  assertEquals(status, 400);
  assertMatch(JSON.parse(body).Err, /^the message has more than 8388608 bytes/);
  assertEquals(endless.length, 9 * mebibyte.length);
  assertEquals(asked, []);

  // 4 MiB of request body, the most that an engine shows, are no problem.
  const longest = new Body([
    bytes(
      MESSAGE.replace("e30=", btoa(" ".repeat(4 * 1024 * 1024 - 2) + "{}")),
    ),
  ]);
  assertEquals((await post("/AuthZPlugin.AuthZReq", longest)).status, 200);
});

/** The engine's message after a call, up to where its answer begins. */
function responseHead(uri: string): string {
  return `{"User":"dwalsh","RequestMethod":"POST","RequestUri":"${uri}",` +
    '"RequestBody":"e30=","ResponseStatusCode":201,"ResponseBody":"';
}

Deno.test("plugin: a response phase is allowed, whatever it carries", async () => {
  const garbage = Array.from(
    { length: 20 },
    () => new Uint8Array(1024 * 1024).fill(0xff),
  );
  const message = new Body([
    bytes(responseHead("/containers/json")),
    ...garbage,
  ]);
  const { status, body, asked } = await post("/AuthZPlugin.AuthZRes", message);
  assertEquals([status, body], [200, '{"Allow":true}']);
  assertEquals(asked, []);
  // It is read to its end all the same: the engine is still writing.
  assertEquals(message.ended, true);
});

Deno.test("plugin: a response phase that is looked at again", async () => {
  const message = responseHead("/recheck") + `${btoa('{"Id":"abc"}')}"}`;
  const whole = bytes(message);
  for (const pieces of [[whole], Array.from(whole, (byte) => [byte])]) {
    const { status, body, asked } = await post(
      "/AuthZPlugin.AuthZRes",
      new Body(pieces.map((piece) => new Uint8Array(piece))),
      { decision: deny("x/y", "no such thing") },
    );
    assertEquals(status, 200);
    assertEquals(JSON.parse(body), { Allow: false, Msg: "no such thing" });
    assertEquals(asked, [{
      request: {
        user: "dwalsh",
        method: "POST",
        uri: "/recheck",
        headers: {},
        body: btoa("{}"),
      },
      status: 201,
      body: btoa('{"Id":"abc"}'),
    }]);
  }
  const { status, body } = await post(
    "/AuthZPlugin.AuthZRes",
    responseHead("/recheck") + "*",
  );
  assertEquals([status, JSON.parse(body)], [400, {
    Allow: false,
    Err: "the message is not JSON",
  }]);
});

Deno.test("plugin: anything else is a 404, read to its end", async () => {
  for (
    const [method, path] of [
      ["POST", "/"],
      ["POST", ""],
      ["POST", "/AuthZPlugin.AuthZReq/"],
      ["POST", "//AuthZPlugin.AuthZReq"],
      ["POST", "/authzplugin.authzreq"],
      ["POST", "/VolumeDriver.Create"],
      ["GET", "/Plugin.Activate"],
      ["PUT", "/AuthZPlugin.AuthZReq"],
      ["post", "/AuthZPlugin.AuthZReq"],
    ]
  ) {
    const sent = new Body([bytes(MESSAGE), bytes(" ")]);
    const { status, body, asked } = await post(path, sent, { method });
    assertEquals(status, 404, `${method} ${path}`);
    assertEquals(JSON.parse(body), { Allow: false, Err: "not found" });
    assertEquals(sent.ended, true);
    assertEquals(asked, []);
  }
});
