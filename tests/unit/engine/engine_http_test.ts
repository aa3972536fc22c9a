import { createServer } from "node:https";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EngineError, type Send } from "../../../lib/engine/engine.ts";
import {
  type EngineAddress,
  engineEndpoint,
} from "../../../lib/engine/address.ts";
import { engineTransport } from "../../../lib/engine/engine_http.ts";

function transport(
  address: Partial<EngineAddress> & { host: string },
  patience?: number,
): Send & Disposable {
  const endpoint = engineEndpoint({ tlsVerify: false, ...address });
  return engineTransport(endpoint, patience);
}

async function problem(answer: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => answer, EngineError)).message;
}

/** Runs with a directory of its own, and away with it. */
async function inDirectory(
  test: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Runs with an HTTP server on a unix socket in place of the engine. */
async function onSocket(
  handler: (request: Request) => Response | Promise<Response>,
  test: (send: Send, path: string) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    const path = `${directory}/engine.sock`;
    const server = Deno.serve({ path, onListen() {} }, handler);
    using send = transport({ host: `unix://${path}` });
    try {
      await test(send, path);
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("engine_http: asks over a unix socket", async () => {
  const asked: string[] = [];
  await onSocket(
    async (request) => {
      const { pathname, search } = new URL(request.url);
      asked.push(
        `${request.method} ${pathname}${search} ` +
          `${request.headers.get("Host")} "${await request.text()}"`,
      );
      return new Response("Grüße 😀", {
        status: 418,
        headers: { "Api-Version": "1.51" },
      });
    },
    async (send) => {
      const answer = { status: 418, apiVersion: "1.51", body: "Grüße 😀" };
      assertEquals(await send("/_ping"), answer);
      assertEquals(await send("/v1.51/images/a%2Fb/json?x=%7B%7D"), answer);
      assertEquals(await send("/v1.51/containers/x", "DELETE"), answer);
    },
  );
  assertEquals(asked, [
    'GET /_ping docker ""',
    'GET /v1.51/images/a%2Fb/json?x=%7B%7D docker ""',
    'DELETE /v1.51/containers/x docker ""',
  ]);
});

Deno.test("engine_http: without an Api-Version, that is empty", async () => {
  await onSocket(
    () => new Response("OK"),
    async (send) =>
      assertEquals(
        await send("/_ping"),
        { status: 200, apiVersion: "", body: "OK" },
      ),
  );
});

Deno.test("engine_http: asks over TCP", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => new Response(new URL(request.url).pathname),
  );
  try {
    for (const end of ["", "/"]) {
      const host = `tcp://127.0.0.1:${server.addr.port}${end}`;
      using send = transport({ host });
      assertEquals((await send("/info")).body, "/info");
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("engine_http: many questions at once", async () => {
  await onSocket(
    (request) => new Response(new URL(request.url).pathname),
    async (send) => {
      const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
      const answers = await Promise.all(paths.map((path) => send(path)));
      assertEquals(answers.map(({ body }) => body), paths);
    },
  );
});

Deno.test("engine_http: no engine there", async () => {
  await inDirectory(async (directory) => {
    const host = `unix://${directory}/none.sock`;
    const message = await problem(transport({ host })("/_ping"));
    assertEquals(message.startsWith(`${host}: `), true, message);
  });
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  const host = `tcp://127.0.0.1:${port}`;
  const message = await problem(transport({ host })("/_ping"));
  assertEquals(message.startsWith(`${host}: `), true, message);
});

/** In milliseconds; an engine gets five seconds. */
const PATIENCE = 50;
const GIVEN_UP = "did not answer within 0.05 s";

Deno.test("engine_http: an engine that takes too long", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/silent.sock`;
    const listener = Deno.listen({ transport: "unix", path });
    const taken = listener.accept();
    const host = `unix://${path}`;
    assertEquals(
      await problem(transport({ host }, PATIENCE)("/_ping")),
      `${host} ${GIVEN_UP}`,
    );
    (await taken).close();
    listener.close();
  });
});

Deno.test("engine_http: an answer that does not come to its end", async () => {
  await onSocket(
    () =>
      new Response(
        new ReadableStream({
          start: (answer) => answer.enqueue(new TextEncoder().encode("{")),
        }),
      ),
    async (_, path) => {
      const host = `unix://${path}`;
      assertEquals(
        await problem(transport({ host }, PATIENCE)("/info")),
        `${host} ${GIVEN_UP}`,
      );
    },
  );
});

Deno.test("engine_http: an answer without end", async () => {
  const mebibyte = new Uint8Array(1024 * 1024).fill(0x20);
  await onSocket(
    () =>
      new Response(
        new ReadableStream({ pull: (answer) => answer.enqueue(mebibyte) }),
      ),
    async (send, path) => {
      assertEquals(
        await problem(send("/info")),
        `unix://${path}: it answers without end`,
      );
    },
  );
});

Deno.test("engine_http: addresses", () => {
  for (
    const host of [
      "unix:///var/run/docker.sock",
      "unix:///x",
      "tcp://localhost:2375",
      "tcp://10.0.0.1:2375/",
      "tcp://[::1]:2375",
      "tcp://engine.example.org:2375",
    ]
  ) {
    transport({ host });
  }
  const wanted = "give unix:///path or tcp://host:port";
  for (
    const host of [
      "",
      "/var/run/docker.sock",
      "unix://",
      "unix:/var/run/docker.sock",
      "unix://var/run/docker.sock",
      "tcp://localhost",
      "tcp://:2375",
      "tcp://localhost:port",
      "tcp://localhost:2375/path",
      "tcp://::1:2375",
      "http://localhost:2375",
      "ssh://localhost",
      "fd://",
      "TCP://localhost:2375",
    ]
  ) {
    assertEquals(
      assertThrows(() => transport({ host }), EngineError).message,
      `can't reach an engine at ${host}: ${wanted}`,
    );
  }
  assertEquals(
    assertThrows(
      () => transport({ host: "unix:///x", certPath: "/c" }),
      EngineError,
    ).message,
    `can't reach an engine at unix:///x: ${wanted}, and certificates only ` +
      "with tcp",
  );
});

Deno.test("engine_http: a certificate that can't be read", async () => {
  await inDirectory((directory) => {
    const address = { host: "tcp://localhost:2376", certPath: directory };
    for (const file of ["cert.pem", "key.pem", "ca.pem"]) {
      const { message } = assertThrows(
        () => transport({ ...address, tlsVerify: true }),
        EngineError,
      );
      assertEquals(
        message.startsWith(`${directory}/${file} can't be read: `),
        true,
        message,
      );
      Deno.writeTextFileSync(`${directory}/${file}`, "");
    }
    return Promise.resolve();
  });
});

/** Makes `NAME.pem` and `NAME.key` for localhost, signed by themselves. */
async function makeCertificate(
  directory: string,
  name: string,
): Promise<{ cert: string; key: string }> {
  const file = `${directory}/${name}`;
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split(
        " ",
      ),
      ...["-nodes", "-days", "2", "-subj", `/CN=${name}`],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-keyout", `${file}.key`, "-out", `${file}.pem`],
    ],
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return {
    cert: Deno.readTextFileSync(`${file}.pem`),
    key: Deno.readTextFileSync(`${file}.key`),
  };
}

function hasOpenssl(): boolean {
  try {
    return new Deno.Command("openssl", { args: ["version"] }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "engine_http: TLS, verified or not, with our certificate",
  ignore: !hasOpenssl(),
  async fn() {
    await inDirectory(async (directory) => {
      const engine = await makeCertificate(directory, "engine");
      const other = await makeCertificate(directory, "other");
      const ours = await makeCertificate(directory, "ours");
      Deno.writeTextFileSync(`${directory}/cert.pem`, ours.cert);
      Deno.writeTextFileSync(`${directory}/key.pem`, ours.key);

      // It answers nobody but us.
      const server = createServer(
        {
          ...engine,
          ca: ours.cert,
          requestCert: true,
          rejectUnauthorized: true,
        },
        (_request, response) => response.end("hello"),
      );
      await new Promise<void>((resolve) =>
        server.listen(0, "127.0.0.1", resolve)
      );
      const address = server.address();
      if (address === null || typeof address === "string") {
        throw new Error("no port");
      }
      const host = `tcp://127.0.0.1:${address.port}`;
      const ask = async (ca: string, tlsVerify: boolean) => {
        Deno.writeTextFileSync(`${directory}/ca.pem`, ca);
        return (await transport({ host, certPath: directory, tlsVerify })(
          "/_ping",
        )).body;
      };
      try {
        assertEquals(await ask(engine.cert, true), "hello");
        assertEquals(await ask(other.cert, false), "hello");
        const message = await problem(ask(other.cert, true));
        assertEquals(message.startsWith(`${host}: `), true, message);
        // Plain HTTP finds nobody behind TLS.
        await problem(transport({ host })("/_ping"));
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });
  },
});
