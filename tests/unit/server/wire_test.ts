import { assertEquals, assertThrows } from "@std/assert";
import { ALLOW, deny } from "../../../lib/policy/decision.ts";
import {
  formatDecision,
  formatError,
  readAuthzRequest,
  readAuthzResponse,
  WireError,
} from "../../../lib/server/wire.ts";
import { base64 } from "../requests.ts";

function readResponse(message: unknown) {
  return readAuthzResponse(JSON.stringify(message));
}

Deno.test("wire: a message as an engine sends it", () => {
  assertEquals(
    readAuthzRequest(JSON.stringify({
      User: "dwalsh",
      UserAuthNMethod: "TLS",
      RequestMethod: "POST",
      RequestUri: "/v1.41/containers/create?name=a&b",
      RequestBody: btoa('{"Image":"b"}'),
      RequestHeaders: {
        "Content-Length": "13",
        "Content-Type": "application/json",
      },
      RequestPeerCertificates: ["…"],
    })),
    {
      user: "dwalsh",
      method: "POST",
      uri: "/v1.41/containers/create?name=a&b",
      headers: { "Content-Length": "13", "Content-Type": "application/json" },
      body: base64('{"Image":"b"}'),
    },
  );
});

Deno.test("wire: what is empty is left out, or null", () => {
  const bare = { user: "", method: "GET", uri: "/_ping", headers: {} };
  for (
    const more of [
      {},
      { User: "", RequestBody: "", RequestHeaders: {} },
      { User: null, RequestBody: null, RequestHeaders: null },
      { Unknown: { a: 1 } },
    ]
  ) {
    const message = { RequestMethod: "GET", RequestUri: "/_ping", ...more };
    assertEquals(readAuthzRequest(JSON.stringify(message)), bare);
  }
});

Deno.test("wire: any bytes can be a body", () => {
  assertEquals(
    readAuthzRequest(
      '{"RequestMethod":"POST","RequestUri":"/x","RequestBody":"AP+AIA=="}',
    ).body,
    new Uint8Array([0x00, 0xff, 0x80, 0x20]).toBase64(),
  );
});

Deno.test("wire: no header name is special", () => {
  const { headers } = readAuthzRequest(
    '{"RequestMethod":"GET","RequestUri":"/","RequestHeaders":' +
      '{"__proto__":"a","Constructor":"b"}}',
  );
  assertEquals(Object.entries(headers), [
    ["__proto__", "a"],
    ["Constructor", "b"],
  ]);
});

Deno.test("wire: what no engine sends is refused", () => {
  const ok = { RequestMethod: "GET", RequestUri: "/" };
  for (
    const [text, problem] of [
      ["", "the engine lost its message when a connection broke: try again"],
      ["<xml/>", "the message is not JSON"],
      ["{", "the message is not JSON"],
      ["null", "the message is not an object"],
      ["[]", "the message is not an object"],
      ["1", "the message is not an object"],
      ["{}", "RequestMethod or RequestUri is missing"],
      [{ RequestMethod: "GET" }, "RequestMethod or RequestUri is missing"],
      [{ RequestUri: "/" }, "RequestMethod or RequestUri is missing"],
      [{ ...ok, RequestMethod: 1 }, "RequestMethod is not a string"],
      [{ ...ok, RequestUri: ["/"] }, "RequestUri is not a string"],
      [{ ...ok, User: { Name: "x" } }, "User is not a string"],
      [{ ...ok, RequestBody: [1] }, "RequestBody is not a string"],
      [{ ...ok, RequestBody: "*" }, "RequestBody is not base64"],
      [{ ...ok, RequestBody: "YQ" }, "RequestBody is not base64"],
      [{ ...ok, RequestBody: "YR==" }, "RequestBody is not base64"],
      [{ ...ok, RequestBody: "_-8=" }, "RequestBody is not base64"],
      [
        { ...ok, RequestBody: "YWFh".repeat(100_000) + "*" },
        "RequestBody is not base64",
      ],
      [
        { ...ok, RequestHeaders: [] },
        "RequestHeaders is not an object of strings",
      ],
      [
        { ...ok, RequestHeaders: "Host: x" },
        "RequestHeaders is not an object of strings",
      ],
      [
        { ...ok, RequestHeaders: { Host: ["x"] } },
        "RequestHeaders is not an object of strings",
      ],
      [
        { ...ok, RequestHeaders: { Host: null } },
        "RequestHeaders is not an object of strings",
      ],
    ] as const
  ) {
    const message = typeof text === "string" ? text : JSON.stringify(text);
    assertEquals(
      assertThrows(() => readAuthzRequest(message), WireError).message,
      problem,
      message,
    );
  }
});

Deno.test("wire: a response message as an engine sends it", () => {
  const message = {
    User: "dwalsh",
    RequestMethod: "POST",
    RequestUri: "/containers/create",
    RequestHeaders: { "Content-Type": "application/json" },
    ResponseStatusCode: 201,
    ResponseBody: btoa('{"Id":"abc"}'),
    ResponseHeaders: { Server: "Docker" },
  };
  const request = {
    user: "dwalsh",
    method: "POST",
    uri: "/containers/create",
    headers: { "Content-Type": "application/json" },
  };
  assertEquals(readResponse(message), {
    request,
    status: 201,
    body: base64('{"Id":"abc"}'),
  });
  assertEquals(
    readResponse({ ...message, ResponseBody: null }),
    { request, status: 201 },
  );
  for (
    const [more, problem] of [
      [{ ResponseStatusCode: "201" }, "ResponseStatusCode is not a number"],
      [{ ResponseStatusCode: null }, "ResponseStatusCode is not a number"],
      [{ ResponseBody: {} }, "ResponseBody is not a string"],
      [{ ResponseBody: "*" }, "ResponseBody is not base64"],
      [{ RequestUri: "" }, "RequestMethod or RequestUri is missing"],
    ] as const
  ) {
    assertEquals(
      assertThrows(
        () => readResponse({ ...message, ...more }),
        WireError,
      ).message,
      problem,
    );
  }
});

Deno.test("wire: answers", () => {
  assertEquals(formatDecision(ALLOW), '{"Allow":true}');
  // At HTTP 200 the engine reads Msg, and not Err.
  assertEquals(
    JSON.parse(formatDecision(deny("a/b", 'no "x"\n'))),
    { Allow: false, Msg: 'no "x"\n' },
  );
  assertEquals(
    JSON.parse(formatError('bad "x"')),
    { Allow: false, Err: 'bad "x"' },
  );
});
