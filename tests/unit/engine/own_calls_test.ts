import { assertEquals } from "@std/assert";
import { OwnCalls } from "../../../lib/engine/own_calls.ts";

const GET = { user: "", method: "GET", uri: "/containers/json", body: "" };

Deno.test("own calls: one is recognized, once", () => {
  const calls = new OwnCalls();
  const call = calls.begin("GET", "/containers/json");
  assertEquals(call.wasAsked(), false);
  const request = { ...GET, headers: call.headers };
  assertEquals(calls.recognize(request), true);
  assertEquals(call.wasAsked(), true);
  // Who has seen the mark can't use it any more.
  assertEquals(calls.recognize(request), false);
  call.end();
  assertEquals(call.wasAsked(), true);
});

Deno.test("own calls: a mark is good for its own call only", () => {
  const calls = new OwnCalls();
  const call = calls.begin("GET", "/containers/json");
  for (
    const other of [
      { ...GET, method: "POST" },
      { ...GET, uri: "/containers/create" },
      { ...GET, uri: "/containers/json?all=1" },
      { ...GET, method: "GET /containers/json", uri: "" },
    ]
  ) {
    assertEquals(calls.recognize({ ...other, headers: call.headers }), false);
  }
  assertEquals(call.wasAsked(), false);
  assertEquals(calls.recognize({ ...GET, headers: call.headers }), true);
});

Deno.test("own calls: none after its end, and none without its mark", () => {
  const calls = new OwnCalls();
  const call = calls.begin("GET", "/containers/json");
  const [name] = Object.keys(call.headers);
  // Engines show headers in this form.
  assertEquals(name, "Docker-Policy-Plugin-Call");
  const asked = (headers: Record<string, string>) =>
    calls.recognize({ ...GET, headers });
  assertEquals(asked({}), false);
  assertEquals(asked({ [name]: "" }), false);
  assertEquals(asked({ [name]: "undefined" }), false);
  assertEquals(asked({ [name]: crypto.randomUUID() }), false);
  assertEquals(asked(Object.create(call.headers)), false);
  call.end();
  assertEquals(asked(call.headers), false);
  assertEquals(call.wasAsked(), false);
});

Deno.test("own calls: the same call twice has two marks", () => {
  const calls = new OwnCalls();
  const first = calls.begin("GET", "/containers/json");
  const second = calls.begin("GET", "/containers/json");
  assertEquals(calls.recognize({ ...GET, headers: second.headers }), true);
  assertEquals([first.wasAsked(), second.wasAsked()], [false, true]);
  second.end();
  assertEquals(calls.recognize({ ...GET, headers: first.headers }), true);
});
