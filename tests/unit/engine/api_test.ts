import { assertEquals } from "@std/assert";
import type { EngineAnswer } from "../../../lib/engine/client.ts";
import { connectEngine, EngineError } from "../../../lib/engine/engine.ts";
import { clientWith, problem, scripted } from "./scripted.ts";

Deno.test("api: the API version is the newest that both sides know", async () => {
  for (
    const [theirs, agreed] of [
      ["1.24", "1.24"],
      ["1.41", "1.41"],
      ["1.51", "1.51"],
      ["1.52", "1.51"],
      ["1.100", "1.51"],
      ["2.0", "1.51"],
    ]
  ) {
    const { engine, sent } = scripted(theirs, {});
    await engine.inspectService("web");
    assertEquals(sent, [`GET /v${agreed}/services/web`]);
  }
});

Deno.test("api: the version is agreed on once, at the first question", async () => {
  const { engine, all } = scripted("1.41", {});
  assertEquals(all, []);
  await Promise.all([
    engine.madeAt("a"),
    engine.madeAt("b"),
  ]);
  await engine.inspectService("c");
  assertEquals(all, [
    "GET /_ping",
    "GET /v1.41/containers/a/json",
    "GET /v1.41/containers/b/json",
    "GET /v1.41/services/c",
  ]);
});

Deno.test("api: a failure makes it agree anew, for the engine may be another", async () => {
  const answers: Partial<EngineAnswer>[] = [
    { status: 500, apiVersion: "", body: "" },
    { status: 200, apiVersion: "", body: "OK" },
    { status: 200, apiVersion: "1.51", body: "OK" },
    { status: 400, apiVersion: "", body: '{"message":"too new"}' },
    { status: 200, apiVersion: "1.41", body: "OK" },
    {
      status: 200,
      apiVersion: "1.41",
      body: '{"Created":"1970-01-01T00:00:01Z"}',
    },
  ];
  const sent: string[] = [];
  const engine = connectEngine(clientWith(({ path }) => {
    sent.push(path);
    return answers.shift() ?? Promise.reject(new Error("over"));
  }));
  const ask = () => engine.madeAt("web");
  assertEquals(await problem(ask()), "the engine's ping gave HTTP 500");
  assertEquals(await problem(ask()), "the engine's ping gave HTTP 200");
  assertEquals(
    await problem(ask()),
    "GET /containers/web/json gave HTTP 400: too new",
  );
  assertEquals(await ask(), 1000);
  assertEquals(sent, [
    "/_ping",
    "/_ping",
    "/_ping",
    "/v1.51/containers/web/json",
    "/_ping",
    "/v1.41/containers/web/json",
  ]);
});

Deno.test("api: no way to it is the transport's error", async () => {
  const engine = connectEngine(
    clientWith(() =>
      Promise.reject(new EngineError("unix:///x did not answer within 5 s"))
    ),
  );
  assertEquals(
    await problem(engine.inspectImage("b")),
    "unix:///x did not answer within 5 s",
  );
});

Deno.test("api: answers that are none", async () => {
  for (
    const [answer, message] of [
      [500, "GET /containers/web/json gave HTTP 500: status 500"],
      [301, "GET /containers/web/json gave HTTP 301: status 301"],
      [204, "GET /containers/web/json gave HTTP 204: status 204"],
      ["<html>", "GET /containers/web/json gave no JSON"],
      ["", "GET /containers/web/json gave no JSON"],
      ["[]", "GET /containers/web/json gave no JSON object"],
      ["null", "GET /containers/web/json gave no JSON object"],
      ['"x"', "GET /containers/web/json gave no JSON object"],
    ] as const
  ) {
    const { engine } = scripted("1.41", { "/containers/web/json": answer });
    assertEquals(await problem(engine.madeAt("web")), message);
  }
  // What is no JSON is shown as it is, and not all of it.
  const engine = connectEngine(clientWith(({ path }) => ({
    status: path === "/_ping" ? 200 : 502,
    apiVersion: "1.41",
    body: "x".repeat(1000),
  })));
  assertEquals(
    await problem(engine.madeAt("web")),
    `GET /containers/web/json gave HTTP 502: ${"x".repeat(200)}`,
  );
});
