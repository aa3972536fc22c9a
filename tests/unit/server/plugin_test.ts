import { assertEquals } from "@std/assert";
import { openLog } from "../../../lib/log.ts";
import {
  pluginHandler,
  type PluginResponse,
} from "../../../lib/server/plugin.ts";
import { ALLOW, type Decision, deny } from "../../../lib/policy/decision.ts";
import type { AuthzRequest, AuthzResponse } from "../../../lib/call/authz.ts";
import { bytes } from "../requests.ts";

interface Posted extends PluginResponse {
  /** What the policies were asked. */
  asked: (AuthzRequest | AuthzResponse)[];
  /** What was told of activations. */
  activations: string[];
  /** Whether the body was read. */
  wasRead: boolean;
}

interface Setting {
  method?: string;
  headers?: Record<string, string>;
  decision?: Decision;
}

/** A plugin whose policies decide so on calls, and on answers. */
function plugin(decision: Decision = ALLOW) {
  const asked: (AuthzRequest | AuthzResponse)[] = [];
  const activations: string[] = [];
  const decide = (message: AuthzRequest | AuthzResponse) => {
    asked.push(message);
    return Promise.resolve(decision);
  };
  const handler = pluginHandler(
    {
      firstLine: decide,
      secondLine: decide,
      activated: () => activations.push("activated"),
    },
    openLog({ debug: false, journal: false, format: "text" }, () => {}),
  );
  return { handler, asked, activations };
}

/** Posts a message. */
async function post(
  path: string,
  body: string,
  { method = "POST", headers, decision }: Setting = {},
): Promise<Posted> {
  const { handler, asked, activations } = plugin(decision);
  let wasRead = false;
  const sent = headers ?? { "content-length": String(bytes(body).length) };
  const response = await handler({
    method,
    path,
    header: (name) => sent[name],
    text() {
      wasRead = true;
      return Promise.resolve(body);
    },
  });
  return { ...response, asked, activations, wasRead };
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
    const answer = await post("/Plugin.Activate", body);
    assertEquals(
      [answer.status, answer.body, answer.activations],
      [200, '{"Implements":["authz"]}', ["activated"]],
    );
  }
  const other = await post("/AuthZPlugin.AuthZReq", MESSAGE);
  assertEquals(other.activations, []);
});

Deno.test("plugin: a request is decided on", async () => {
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

Deno.test("plugin: a message that is too long is refused, unread", async () => {
  const mebibytes = (count: number) =>
    post("/AuthZPlugin.AuthZReq", MESSAGE, {
      headers: { "content-length": String(count * 1024 * 1024) },
    });
  const { status, body, asked, wasRead } = await mebibytes(9);
  assertEquals(status, 400);
  assertEquals(JSON.parse(body), {
    Allow: false,
    Err: "the message has more than 8388608 bytes",
  });
  assertEquals([asked, wasRead], [[], false]);
  // 4 MiB of request body, the most that an engine shows, in base64.
  assertEquals((await mebibytes(6)).status, 200);
});

Deno.test("plugin: a message without a Content-Length is refused, unless it is empty", async () => {
  const { status, body, wasRead } = await post(
    "/AuthZPlugin.AuthZReq",
    MESSAGE,
    { headers: { "transfer-encoding": "chunked" } },
  );
  assertEquals([status, wasRead], [400, false]);
  assertEquals(JSON.parse(body).Err, "the message has no Content-Length");
  const activation = await post("/Plugin.Activate", "", { headers: {} });
  assertEquals(activation.status, 200);
});

Deno.test("plugin: many long messages at once are refused, short ones never", async () => {
  const { handler } = plugin();
  const arrived = Promise.withResolvers<string>();
  const send = async (length: number) => {
    const { status, body } = await handler({
      method: "POST",
      path: "/AuthZPlugin.AuthZReq",
      header: () => String(length),
      text: () => arrived.promise,
    });
    return status === 200 ? "ok" : JSON.parse(body).Err;
  };
  const most = Array.from({ length: 8 }, () => send(8 * 1024 * 1024));
  const short = Array.from({ length: 100 }, () => send(64 * 1024));
  assertEquals(
    await send(64 * 1024 + 1),
    "too many long messages at once",
  );
  arrived.resolve(MESSAGE);
  const answers = await Promise.all([...most, ...short]);
  assertEquals(new Set(answers), new Set(["ok"]));
  // They are over, so others have room.
  assertEquals(await send(8 * 1024 * 1024), "ok");
});

/** The engine's message after a call. */
function responseMessage(uri: string): string {
  return `{"User":"dwalsh","RequestMethod":"POST","RequestUri":"${uri}",` +
    `"RequestBody":"e30=","ResponseStatusCode":201,` +
    `"ResponseBody":"${btoa('{"Id":"abc"}')}"}`;
}

Deno.test("plugin: a response is decided on", async () => {
  const { status, body, asked } = await post(
    "/AuthZPlugin.AuthZRes",
    responseMessage("/looked-at"),
    { decision: deny("x/y", "no such thing") },
  );
  assertEquals(status, 200);
  assertEquals(JSON.parse(body), { Allow: false, Msg: "no such thing" });
  assertEquals(asked, [{
    request: {
      user: "dwalsh",
      method: "POST",
      uri: "/looked-at",
      headers: {},
      body: btoa("{}"),
    },
    status: 201,
    body: btoa('{"Id":"abc"}'),
  }]);
  const broken = await post("/AuthZPlugin.AuthZRes", '{"RequestMethod":"');
  assertEquals([broken.status, JSON.parse(broken.body)], [400, {
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
    const { status, body, asked, wasRead } = await post(path, MESSAGE, {
      method,
    });
    assertEquals(status, 404, `${method} ${path}`);
    assertEquals(JSON.parse(body), { Allow: false, Err: "not found" });
    assertEquals(wasRead, true);
    assertEquals(asked, []);
  }
});
