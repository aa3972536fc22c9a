import { assertEquals, assertRejects } from "@std/assert";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import { type Answer, serveProxy } from "../../../lib/cli/proxy.ts";
import { join } from "../../engine/raw_http.ts";
import { base64 } from "../requests.ts";

const JSON_TYPE = "Content-Type: application/json";

/** A proxy, what it was asked, and what reached the engine behind it. */
async function withProxy(
  test: (lab: {
    socket: string;
    asked: AuthzRequest[];
    reached: string[];
  }) => Promise<void>,
  { version = "28.5.2", answer }: { version?: string; answer?: Answer } = {},
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/engine.sock`;
  const reached: string[] = [];
  const asked: AuthzRequest[] = [];
  const engine = Deno.serve({ path, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    reached.push(`${request.method} ${pathname}`);
    return new Response("[]", {
      status: pathname === "/gone" ? 404 : 200,
      headers: { "Api-Version": "1.51" },
    });
  });
  try {
    await using proxy = await serveProxy({
      endpoint: { host: `unix://${path}`, to: { path } },
      user: "dwalsh",
      serverVersion: () => Promise.resolve(version),
      answer(request) {
        asked.push(request);
        return Promise.resolve(answer ?? { status: 501, body: { a: 1 } });
      },
    });
    await test({ socket: proxy.socket, asked, reached });
  } finally {
    await engine.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Sends lines and a body, and returns the answer without its date. */
async function send(
  socket: string,
  lines: string[],
  body: string | Uint8Array = "",
): Promise<string> {
  const text = new TextEncoder();
  using connection = await Deno.connect({ transport: "unix", path: socket });
  const head = [...lines, "Host: docker", "Connection: close", "", ""];
  const bytes = join([
    text.encode(head.join("\r\n")),
    typeof body === "string" ? text.encode(body) : body,
  ]);
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
  const answer = await new Response(connection.readable).text();
  return answer.replace(/^date: .*\r\n/im, "");
}

Deno.test("proxy: what only reads reaches the engine, and nothing else", async () => {
  await withProxy(async ({ socket, asked, reached }) => {
    const got = await send(socket, ["GET /v1.51/images/json?all=1 HTTP/1.1"]);
    assertEquals(got.split("\r\n")[0], "HTTP/1.1 200 OK");
    assertEquals(/^api-version: 1.51\r$/im.test(got), true, got);
    assertEquals(got.includes("[]"), true, got);
    const gone = await send(socket, ["GET /gone HTTP/1.1"]);
    assertEquals(gone.split("\r\n")[0], "HTTP/1.1 404 Not Found");
    await send(socket, ["HEAD /_ping HTTP/1.1"]);
    const wanted = ["GET /v1.51/images/json", "GET /gone", "HEAD /_ping"];
    assertEquals(reached, wanted);
    assertEquals(asked, []);

    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const answer = await send(socket, [`${method} /x HTTP/1.1`]);
      assertEquals(answer.split("\r\n")[0], "HTTP/1.1 501 Not Implemented");
      assertEquals(answer.split("\r\n").at(-1), '{"a":1}');
    }
    assertEquals(asked.map(({ method }) => method), [
      ...["POST", "PUT", "DELETE", "PATCH"],
    ]);
    assertEquals(reached, wanted);
  });
});

Deno.test("proxy: a request is told as an engine shows it to plugins", async () => {
  await withProxy(async ({ socket, asked }) => {
    await send(socket, [
      "POST /v1.41/cont%61iners/create?name=a%20b HTTP/1.1",
      "content-TYPE: application/json; charset=utf-8",
      "content-type: text/plain",
      "x-registry-auth: secret",
      "Content-Length: 13",
    ], '{"Image":"b"}');
    assertEquals(asked, [{
      user: "dwalsh",
      method: "POST",
      uri: "/v1.41/cont%61iners/create?name=a%20b",
      headers: {
        "Content-Type": "text/plain",
        "Content-Length": "13",
        Connection: "close",
      },
      body: base64('{"Image":"b"}'),
    }]);
  });
});

Deno.test("proxy: a body that the engine does not show is not told", async () => {
  const chunked = "2\r\n{}\r\n0\r\n\r\n";
  const long = (length: number) => new Uint8Array(length).fill(32);
  const MIB = 1024 * 1024;
  for (
    const [version, type, body, isShown] of [
      ["28.5.2", JSON_TYPE, "{}", true],
      ["28.5.2", "Content-Type: application/x-tar", "{}", false],
      ["28.5.2", JSON_TYPE, "", false],
      ["28.5.2+dfsg4", JSON_TYPE, chunked, true],
      ["20.10.24", JSON_TYPE, chunked, false],
      ["29.3.0", JSON_TYPE, long(MIB - 1), true],
      ["29.3.0", JSON_TYPE, long(MIB), false],
      ["29.3.1", JSON_TYPE, long(4 * MIB), true],
      ["29.3.1", JSON_TYPE, long(4 * MIB + 1), false],
    ] as [string, string, string | Uint8Array<ArrayBuffer>, boolean][]
  ) {
    await withProxy(async ({ socket, asked }) => {
      const framing = body === chunked
        ? "Transfer-Encoding: chunked"
        : `Content-Length: ${body.length}`;
      await send(socket, ["POST /x HTTP/1.1", type, framing], body);
      const [{ body: told, headers }] = asked;
      assertEquals(told !== undefined, isShown, `${version} ${framing}`);
      assertEquals("Transfer-Encoding" in headers, false);
    }, { version });
  }
});

Deno.test("proxy: an engine that is not there is said to be", async () => {
  await using proxy = await serveProxy({
    endpoint: { host: "unix:///nowhere", to: { path: "/nowhere" } },
    user: "",
    serverVersion: () => Promise.reject(new Error("not asked")),
    answer: () => Promise.reject(new Error("no answer")),
  });
  const got = await send(proxy.socket, ["GET /_ping HTTP/1.1"]);
  assertEquals(got.split("\r\n")[0], "HTTP/1.1 502 Bad Gateway");
  assertEquals(got.includes("explain: unix:///nowhere: "), true, got);
  const failed = await send(proxy.socket, ["POST /x HTTP/1.1"]);
  assertEquals(failed.split("\r\n").at(-1), '{"message":"explain: no answer"}');
});

Deno.test("proxy: its socket is private, and goes", async () => {
  let socket = "";
  await withProxy(async (lab) => {
    ({ socket } = lab);
    const { mode } = await Deno.stat(socket.replace(/\/[^/]*$/, ""));
    assertEquals((mode ?? 0) & 0o777, 0o700);
  });
  await assertRejects(
    () => Deno.lstat(socket.replace(/\/[^/]*$/, "")),
    Deno.errors.NotFound,
  );
});

Deno.test("proxy: what opens a hijacked connection is judged too", async () => {
  await withProxy(async ({ socket, asked }) => {
    const got = await send(socket, [
      "POST /session HTTP/1.1",
      "Connection: Upgrade",
      "Upgrade: h2c",
      "Content-Length: 0",
    ]);
    assertEquals(got.split("\r\n")[0], "HTTP/1.1 501 Not Implemented");
    assertEquals(asked.map(({ uri }) => uri), ["/session"]);
  });
});
