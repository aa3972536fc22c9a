import { createServer } from "node:https";
import { assertEquals, assertRejects } from "@std/assert";
import {
  type EngineAddress,
  engineEndpoint,
} from "../../../lib/engine/address.ts";
import {
  type EngineAnswer,
  type EngineClient,
  engineClient,
  type EngineRequest,
} from "../../../lib/engine/client.ts";
import { EngineError, EngineTooMuch } from "../../../lib/engine/error.ts";
import { OwnCalls } from "../../../lib/engine/own_calls.ts";
import { bytes } from "../requests.ts";

interface Send extends Disposable {
  (path: string, method?: EngineRequest["method"]): Promise<EngineAnswer>;
}

function connect(
  address: Partial<EngineAddress> & { host: string },
  patience?: number,
  calls = new OwnCalls(),
): EngineClient {
  const endpoint = engineEndpoint({ tlsVerify: false, ...address });
  return engineClient(endpoint, { calls, patience });
}

/** The same, which sends requests without a body. */
function client(
  address: Partial<EngineAddress> & { host: string },
  patience?: number,
): Send {
  const engine = connect(address, patience);
  return Object.assign(
    (path: string, method: EngineRequest["method"] = "GET") =>
      engine.send({ method, path }),
    { [Symbol.dispose]: () => engine[Symbol.dispose]() },
  );
}

async function problem(answer: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => answer, EngineError)).message;
}

const CLIENT = new URL("../../../lib/engine/client.ts", import.meta.url);

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
    using send = client({ host: `unix://${path}` });
    try {
      await test(send, path);
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("client: asks over a unix socket", async () => {
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
      const answer = {
        status: 418,
        wasAsked: false,
        apiVersion: "1.51",
        body: "Grüße 😀",
      };
      assertEquals(await send("/_ping"), answer);
      assertEquals(await send("/v1.51/images/a%2Fb/json?x=%7B%7D"), answer);
      assertEquals(await send("/v1.51/containers/x", "DELETE"), answer);
    },
  );
  assertEquals(asked, [
    'GET /_ping localhost ""',
    'GET /v1.51/images/a%2Fb/json?x=%7B%7D localhost ""',
    'DELETE /v1.51/containers/x localhost ""',
  ]);
});

Deno.test("client: without an Api-Version, that is empty", async () => {
  await onSocket(
    () => new Response("OK"),
    async (send) =>
      assertEquals(
        await send("/_ping"),
        { status: 200, wasAsked: false, apiVersion: "", body: "OK" },
      ),
  );
});

Deno.test("client: sends a body as JSON", async () => {
  await onSocket(
    async (request) =>
      new Response(
        `${request.headers.get("Content-Type")} ` +
          `${request.headers.get("Content-Length")} ${await request.text()}`,
      ),
    async (_, path) => {
      using engine = connect({ host: `unix://${path}` });
      const body = '{"Name":"ü"}';
      const answer = await engine.send({ method: "POST", path: "/x", body });
      assertEquals(answer.body, `application/json 13 ${body}`);
    },
  );
});

Deno.test("client: tells whether the engine asked the plugin about a call", async () => {
  const calls = new OwnCalls();
  const asks = new Set(["/asked"]);
  await onSocket(
    (request) => {
      const { pathname: uri } = new URL(request.url);
      // As the engine shows it: headers in their canonical form.
      const headers = {
        "Docker-Policy-Plugin-Call":
          request.headers.get("docker-policy-plugin-call") ?? "",
      };
      if (asks.has(uri)) {
        calls.recognize({ user: "", method: request.method, uri, headers });
      }
      return new Response("OK");
    },
    async (_, path) => {
      using engine = connect({ host: `unix://${path}` }, undefined, calls);
      for (const uri of ["/asked", "/other", "/asked"]) {
        const { wasAsked } = await engine.send({ method: "GET", path: uri });
        assertEquals(wasAsked, asks.has(uri), uri);
        const stream = await engine.stream(uri);
        assertEquals(stream.wasAsked, asks.has(uri), uri);
        stream.close();
      }
    },
  );
});

/** The pieces of a stream, joined, and the error that it ended with. */
async function allOf(pieces: AsyncIterable<string>): Promise<string> {
  let all = "";
  try {
    for await (const piece of pieces) all += piece;
  } catch {
    return `${all} and an error`;
  }
  return all;
}

Deno.test("client: an answer that goes on, whatever its pieces", async () => {
  const bytes = new TextEncoder().encode("Grüße 😀\n");
  await onSocket(
    () =>
      new Response(
        new ReadableStream({
          async start(answer) {
            for (const byte of bytes) {
              answer.enqueue(new Uint8Array([byte]));
              await new Promise((resolve) => setTimeout(resolve));
            }
            answer.close();
          },
        }),
        { status: 299, headers: { "Api-Version": "1.51" } },
      ),
    async (_, path) => {
      using engine = connect({ host: `unix://${path}` });
      const { status, apiVersion, pieces } = await engine.stream("/events");
      assertEquals([status, apiVersion], [299, "1.51"]);
      assertEquals(await allOf(pieces), "Grüße 😀\n");
    },
  );
});

Deno.test("client: a stream that breaks off, and one that is closed here", async () => {
  const closed = Promise.withResolvers<void>();
  await inDirectory(async (directory) => {
    const path = `${directory}/engine.sock`;
    using listener = Deno.listen({ transport: "unix", path });
    const served = (async () => {
      for (const isClosedHere of [false, true]) {
        using connection = await listener.accept();
        await take(connection);
        await connection.write(
          bytes(`${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`),
        );
        if (isClosedHere) {
          assertEquals(await take(connection), "");
          closed.resolve();
        }
      }
    })();
    using engine = connect({ host: `unix://${path}` });
    const broken = await engine.stream("/events");
    assertEquals(await allOf(broken.pieces), "{} and an error");
    const other = await engine.stream("/events");
    other.close();
    await closed.promise;
    await served;
  });
});

Deno.test("client: asks over TCP", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => new Response(new URL(request.url).pathname),
  );
  try {
    for (const end of ["", "/"]) {
      const host = `tcp://127.0.0.1:${server.addr.port}${end}`;
      using send = client({ host });
      assertEquals((await send("/info")).body, "/info");
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("client: many questions at once", async () => {
  await onSocket(
    (request) => new Response(new URL(request.url).pathname),
    async (send) => {
      const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
      const answers = await Promise.all(paths.map((path) => send(path)));
      assertEquals(answers.map(({ body }) => body), paths);
    },
  );
});

Deno.test("client: no engine there", async () => {
  await inDirectory(async (directory) => {
    const host = `unix://${directory}/none.sock`;
    const message = await problem(client({ host })("/_ping"));
    assertEquals(message.startsWith(`${host}: `), true, message);
  });
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  const host = `tcp://127.0.0.1:${port}`;
  const message = await problem(client({ host })("/_ping"));
  assertEquals(message.startsWith(`${host}: `), true, message);
});

/** In milliseconds; an engine gets a minute. */
const PATIENCE = 50;
const GIVEN_UP = "did not answer within 0.05 s";

Deno.test("client: an engine that takes too long", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/silent.sock`;
    const listener = Deno.listen({ transport: "unix", path });
    const taken = listener.accept();
    const host = `unix://${path}`;
    assertEquals(
      await problem(client({ host }, PATIENCE)("/_ping")),
      `${host} ${GIVEN_UP}`,
    );
    (await taken).close();
    listener.close();
  });
});

Deno.test("client: an answer that does not come to its end", async () => {
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
        await problem(client({ host }, PATIENCE)("/info")),
        `${host} ${GIVEN_UP}`,
      );
    },
  );
});

Deno.test("client: an answer without end", async () => {
  const mebibyte = new Uint8Array(1024 * 1024).fill(0x20);
  await onSocket(
    () =>
      new Response(
        new ReadableStream({ pull: (answer) => answer.enqueue(mebibyte) }),
      ),
    async (send, path) => {
      assertEquals(
        await problem(send("/info")),
        `unix://${path}: the answer is too long`,
      );
      await assertRejects(() => send("/info"), EngineTooMuch);
    },
  );
});

/** What a server does with one connection, which ends with it. */
type Script = (connection: Deno.Conn) => Promise<void>;

/** Runs with a server that does these things, one connection after the other. */
async function withServer(
  scripts: Script[],
  test: (ask: (path: string) => Promise<string>) => Promise<void>,
  { patience, tcp = false }: { patience?: number; tcp?: boolean } = {},
): Promise<void> {
  await inDirectory(async (directory) => {
    const path = `${directory}/engine.sock`;
    const listener: Deno.Listener = tcp
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : Deno.listen({ transport: "unix", path });
    const served = (async () => {
      for (const script of scripts) {
        using connection = await listener.accept();
        await script(connection);
      }
    })();
    const host = listener.addr.transport === "tcp"
      ? `tcp://127.0.0.1:${listener.addr.port}`
      : `unix://${path}`;
    using send = client({ host }, patience);
    try {
      await test(async (path) => {
        const { status, apiVersion, body } = await send(path);
        return `${status} ${apiVersion} ${body}`;
      });
      await served;
    } finally {
      listener.close();
    }
  });
}

/** Takes a request to its end; it is empty if the connection ends before. */
async function take(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1024);
  let text = "";
  while (!text.endsWith("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) return text;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

/** Answers a request. */
function answer(text: string, { inPieces = false } = {}): Script {
  return async (connection) => {
    await take(connection);
    const whole = bytes(text);
    const step = inPieces ? 1 : whole.length;
    for (let at = 0; at < whole.length; at += step) {
      await connection.write(whole.subarray(at, at + step));
    }
  };
}

/** Does one thing after the other on one connection. */
function inTurn(...scripts: Script[]): Script {
  return async (connection) => {
    for (const script of scripts) await script(connection);
  };
}

const HEAD = "HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\n";
const OK = `${HEAD}Content-Length: 1\r\n\r\nx`;

Deno.test("client: answers, however they are framed and split", async () => {
  for (
    const [text, body] of [
      [`${HEAD}Content-Length: 12\r\n\r\nGrüße 😀`, "200 1.51 Grüße 😀"],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n` +
        "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        "200 1.51 hello",
      ],
      [`${HEAD}\r\nto the end`, "200 1.51 to the end"],
      ["HTTP/1.1 204 No Content\r\n\r\n", "204  "],
      // So Go answers plain HTTP on a port that wants TLS.
      [
        "HTTP/1.0 400 Bad Request\r\n\r\n" +
        "Client sent an HTTP request to an HTTPS server.\n",
        "400  Client sent an HTTP request to an HTTPS server.\n",
      ],
    ] as const
  ) {
    for (const inPieces of [false, true]) {
      await withServer([answer(text, { inPieces })], async (ask) => {
        assertEquals(await ask("/x"), body);
      });
    }
  }
});

Deno.test("client: what is no answer is none", async () => {
  const closed = "the connection was closed before the answer's end";
  for (
    const [text, why] of [
      ["", closed],
      [HEAD, closed],
      ["HTTP/1.1 2", closed],
      [`${HEAD}Content-Length: 5\r\n\r\nhell`, closed],
      [`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, closed],
      ["HTTP/1.1 x OK\r\n\r\n", "that is no HTTP/1.1 answer"],
      ["\x15\x03\x01\x00\x02\x02\x46", "that is no HTTP/1.1 answer"],
      [
        `${HEAD}Content-Length: 1\r\nContent-Length: 5\r\n\r\nhello`,
        "that is no HTTP/1.1 answer",
      ],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n`,
        closed,
      ],
    ]
  ) {
    await withServer([answer(text)], async (ask) => {
      const message = await problem(ask("/x"));
      assertEquals(message.slice(message.indexOf(": ") + 2), why, text);
    });
  }
});

Deno.test("client: a connection to a unix socket takes one request after the other", async () => {
  const ok = answer(OK);
  await withServer([inTurn(ok, ok, ok)], async (ask) => {
    for (const path of ["/1", "/2", "/3"]) {
      assertEquals(await ask(path), "200 1.51 x");
    }
  });
});

Deno.test("client: one to a TCP port takes one request", async () => {
  const last: Script = async (connection) => {
    await answer(OK)(connection);
    assertEquals(await take(connection), ""); // It is closed.
  };
  await withServer([last, last], async (ask) => {
    assertEquals(await ask("/1"), "200 1.51 x");
    assertEquals(await ask("/2"), "200 1.51 x");
  }, { tcp: true });
});

Deno.test("client: an engine that was restarted is asked again", async () => {
  const ok = answer(OK);
  const drop: Script = async (connection) => void await take(connection);
  await withServer([
    ok, // And ends the connection, which is seen before the next request.
    inTurn(ok, drop), // And ends it only then.
    inTurn(ok, answer(`${HEAD}Content-Length: 5\r\n\r\nhell`)),
  ], async (ask) => {
    assertEquals(await ask("/1"), "200 1.51 x");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(await ask("/2"), "200 1.51 x");
    assertEquals(await ask("/3"), "200 1.51 x");
    // It began to answer: that is no restart.
    assertEquals(
      /: the connection was closed before the answer's end$/
        .test(await problem(ask("/4"))),
      true,
    );
  });
});

Deno.test("client: also if all kept connections have ended with it", async () => {
  let restarted = false;
  await inDirectory(async (directory) => {
    const path = `${directory}/engine.sock`;
    using listener = Deno.listen({ transport: "unix", path });
    const serve = async (connection: Deno.Conn) => {
      const isOld = !restarted;
      while (await take(connection) !== "") {
        if (isOld && restarted) break;
        await connection.write(bytes(OK));
      }
      connection.close();
    };
    (async () => {
      for await (const connection of listener) serve(connection);
    })();
    using send = client({ host: `unix://${path}` });
    await Promise.all([send("/1"), send("/2"), send("/3")]);
    restarted = true;
    assertEquals((await send("/4")).status, 200);
  });
});

Deno.test("client: a request that takes too long on a kept connection is not sent again", async () => {
  let late = "";
  await withServer([
    async (connection) => {
      await answer(OK)(connection);
      late = await take(connection);
      assertEquals(await take(connection), ""); // It is closed.
    },
    answer(OK),
  ], async (ask) => {
    await ask("/1");
    assertEquals((await problem(ask("/late"))).endsWith(GIVEN_UP), true);
    assertEquals(late.startsWith("GET /late "), true);
    assertEquals(await ask("/2"), "200 1.51 x"); // On the second connection.
  }, { patience: PATIENCE });
});

Deno.test("client: kept connections don't keep the program from its end", async () => {
  await onSocket(() => new Response("OK"), async (_, socket) => {
    const program = `
      import { engineClient } from "${CLIENT}";
      import { OwnCalls } from "${new URL("own_calls.ts", CLIENT)}";
      const client = engineClient(
        { host: "", to: { path: "${socket}" } },
        { calls: new OwnCalls() },
      );
      const { body } = await client.send({ method: "GET", path: "/_ping" });
      console.log(body);`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", program],
      signal: AbortSignal.timeout(5000),
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "OK\n");
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
  name: "client: TLS, verified or not, with our certificate",
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
        return (await client({ host, certPath: directory, tlsVerify })(
          "/_ping",
        )).body;
      };
      try {
        assertEquals(await ask(engine.cert, true), "hello");
        assertEquals(await ask(other.cert, false), "hello");
        const message = await problem(ask(other.cert, true));
        assertEquals(message.startsWith(`${host}: `), true, message);
        // Plain HTTP finds nobody behind TLS.
        await problem(client({ host })("/_ping"));
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });
  },
});
