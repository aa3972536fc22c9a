import { assertEquals, assertThrows } from "@std/assert";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { callOf, request } from "../requests.ts";

function refused(read: () => unknown): string {
  return assertThrows(read, Unreadable).message;
}

Deno.test("call: what the target says", () => {
  const call = callOf(
    request("POST /v1.41/containers/a%2Fb/start?checkpoint=c+d&checkpoint=e"),
  );
  assertEquals(call.endpoint.name, "container start");
  assertEquals(call.subject, "a/b");
  assertEquals(call.apiVersion, "1.41");
  assertEquals(call.query.get("checkpoint"), "c d");

  const create = callOf(request("POST /containers/create"));
  assertEquals(create.subject, "");
  assertEquals(create.apiVersion, undefined);
  assertEquals(create.query.get("name"), undefined);
});

Deno.test("call: in which API versions a start takes a HostConfig", () => {
  for (
    const [version, expected] of [
      ["/v1.23", true],
      ["/v1.9", true],
      ["/v1.24", false],
      ["/v1.100", false],
      ["", false],
    ] as const
  ) {
    const call = callOf(request(`POST ${version}/containers/x/start`));
    assertEquals(call.startTakesHostConfig, expected, version);
  }
});

Deno.test("call: a query that can't be read is refused", () => {
  assertEquals(
    refused(() => callOf(request("POST /containers/create?a=1;b=2", {}))),
    'its query has a ";": write it as %3B',
  );
});

Deno.test("call: a body that arrived is read", () => {
  const call = callOf(request("POST /containers/create", { Image: "b" }));
  assertEquals(call.hasBody, true);
  assertEquals(call.body().string("image"), "b");
});

Deno.test("call: the headers do not matter to a body that arrived", () => {
  const call = callOf(
    request("POST /containers/create", { Image: "b" }, {
      "Content-Type": "text/plain",
      "Content-Length": "0",
    }),
  );
  assertEquals(call.body().string("Image"), "b");
});

Deno.test("call: a body has to be a JSON object", () => {
  for (
    const [body, reason] of [
      ["[]", "its body is not a JSON object"],
      ["null", "its body is not a JSON object"],
      ['"x"', "its body is not a JSON object"],
      ["{} {}", "its body goes on after the JSON value (at character 4)"],
      ["{", "its body is not JSON (at character 2)"],
      [" ", "its body is not JSON"],
      [
        '{"Image":"a","image":"b"}',
        'two keys in the body mean the same field, "image": send it once',
      ],
    ]
  ) {
    const call = callOf(request("POST /containers/create", body));
    assertEquals(refused(() => call.body()), reason, body);
  }
});

Deno.test("call: a body that did not arrive is refused, saying why", () => {
  const json = "application/json";
  const chunked = "its body is chunked, and this engine does not show that " +
    "to plugins: send a Content-Length (docker-java 3.5 or later does), or " +
    "use Docker Engine 25 or later";
  const asJson = "the engine shows its body only as JSON: send " +
    '"Content-Type: application/json" instead of ';
  for (
    const [type, length, reason] of [
      [undefined, undefined, "it has no body"],
      [undefined, "0", "it has no body"],
      [json, "0", "it has no body"],
      ["text/plain", "0", "it has no body"],
      ["text/plain", "7", asJson + "text/plain"],
      ["text/plain", undefined, asJson + "text/plain"],
      ["", "7", asJson],
      [undefined, "7", asJson + "none"],
      ["application/jsonp", "7", asJson + "application/jsonp"],
      ["application/json+x", "7", asJson + "application/json+x"],
      ["text/application/json", "7", asJson + "text/application/json"],
      [json, undefined, chunked],
      ["Application/JSON; charset=utf-8", undefined, chunked],
      [" application/json ;x", undefined, chunked],
      [json, "1048575", "the engine did not show its body"],
      [
        json,
        "1048576",
        "its body of 1048576 bytes is too long for the engine to show it to " +
        "plugins: stay below 1048576 bytes (1 MiB)",
      ],
      [
        json,
        "5000000",
        "its body of 5000000 bytes is too long for the engine to show it to " +
        "plugins: stay below 1048576 bytes (1 MiB)",
      ],
    ] as [string?, string?, string?][]
  ) {
    const call = callOf(
      request("POST /containers/create", undefined, {
        ...(type !== undefined && { "Content-Type": type }),
        ...(length !== undefined && { "Content-Length": length }),
      }),
    );
    assertEquals(call.hasBody, false);
    assertEquals(refused(() => call.body()), reason, `${type} ${length}`);
  }
});

Deno.test("call: a hidden body is ruled out by three signs only", () => {
  const form = "application/x-www-form-urlencoded";
  for (
    const [headers, hidden] of [
      [{}, false],
      [{ "Content-Length": "0" }, false],
      [{ "Content-Length": "9" }, false], // of no type, no form
      [{ "Content-Type": form, "Content-Length": "0" }, false],
      [{ "Content-Type": "text/plain", "Content-Length": "0" }, false],
      [{ "Content-Type": form }, true],
      [{ "Content-Type": form, "Content-Length": "9" }, true],
      [{ "Content-Type": form, "Content-Length": "" }, true],
      // The last of two headers is shown, the first counts.
      [{ "Content-Type": "application/json" }, true],
      [{ "Content-Type": "application/json", "Content-Length": "9" }, true],
      [{ "Content-Type": "" }, true],
    ] as [Record<string, string>, boolean][]
  ) {
    assertEquals(
      callOf(request("POST /build", undefined, headers)).mayHaveHiddenBody,
      hidden,
      JSON.stringify(headers),
    );
  }
  // A body in hand: the first type was JSON.
  assertEquals(
    callOf(request("POST /build", "{}", { "Content-Type": form }))
      .mayHaveHiddenBody,
    false,
  );
});
