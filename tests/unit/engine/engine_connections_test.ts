import { assertEquals, assertRejects } from "@std/assert";
import { Deadlines } from "../../../lib/engine/deadlines.ts";
import { EngineConnections } from "../../../lib/engine/engine_connections.ts";
import { bytes } from "../requests.ts";

/** What a server does with one connection; it ends with it. */
type Script = (connection: Deno.Conn) => Promise<void>;

/** Runs with a server that does these things, one connection after the other. */
async function withServer(
  scripts: Script[],
  test: (ask: (path: string) => Promise<string>) => Promise<void>,
  keeps = true,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for (const script of scripts) {
      using connection = await listener.accept();
      await script(connection);
    }
  })();
  const { port } = listener.addr;
  const connections = new EngineConnections(
    () => Deno.connect({ hostname: "127.0.0.1", port }),
    keeps,
  );
  const ask = async (path: string) => {
    const deadline = new Deadlines(60_000).begin();
    try {
      const { status, apiVersion, body } = await connections.ask(
        `GET ${path} HTTP/1.1\r\n\r\n`,
        deadline,
      );
      return `${status} ${apiVersion} ${body}`;
    } finally {
      deadline.clear();
    }
  };
  try {
    await test(ask);
    await served;
  } finally {
    connections.close();
    listener.close();
  }
}

/** Takes a request to its end. */
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

const HEAD = "HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\n";

Deno.test("engine_connections: answers, however they are framed and split", async () => {
  for (
    const [text, body] of [
      [`${HEAD}Content-Length: 5\r\n\r\nhello`, "200 1.51 hello"],
      [`${HEAD}content-length:5 \r\n\r\nhello`, "200 1.51 hello"],
      [`${HEAD}Content-Length: 0\r\n\r\n`, "200 1.51 "],
      [`${HEAD}Content-Length: 12\r\n\r\nGrüße 😀`, "200 1.51 Grüße 😀"],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n` +
        "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        "200 1.51 hello",
      ],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n` +
        `A\r\n0123456789\r\n00fF\r\n${"x".repeat(255)}\r\n0\r\n\r\n`,
        `200 1.51 0123456789${"x".repeat(255)}`,
      ],
      [`${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, "200 1.51 "],
      [`${HEAD}\r\nto the end`, "200 1.51 to the end"],
      [`${HEAD}\r\n`, "200 1.51 "],
      ["HTTP/1.1 204 No Content\r\n\r\n", "204  "],
      ["HTTP/1.0 400 Bad Request\r\n\r\nwrong port", "400  wrong port"],
      ["HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", "404  x"],
      [
        `${HEAD}X-Long: ${"x".repeat(20_000)}\r\nContent-Length: 1\r\n\r\nx`,
        "200 1.51 x",
      ],
    ] as const
  ) {
    for (const inPieces of [false, true]) {
      if (inPieces && text.length > 1000) continue;
      await withServer([answer(text, { inPieces })], async (ask) => {
        assertEquals(await ask("/x"), body);
      });
    }
  }
});

Deno.test("engine_connections: what is no answer is none", async () => {
  for (
    const [text, problem] of [
      ["", "the connection was closed before the answer's end"],
      [HEAD, "the connection was closed before the answer's end"],
      [
        `${HEAD}Content-Length: 5\r\n\r\nhell`,
        "the connection was closed before the answer's end",
      ],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
        "the connection was closed before the answer's end",
      ],
      ["HTTP/2.0 200 OK\r\n\r\n", "that is no HTTP/1.1 answer"],
      ["HTTP/1.1 100 Continue\r\n\r\n", "that is no HTTP/1.1 answer"],
      ["HTTP/1.1 2000 OK\r\n\r\n", "that is no HTTP/1.1 answer"],
      ["\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", "that is no HTTP/1.1 answer"],
      [`${HEAD}: x\r\n\r\n`, "its answer has a header without a name"],
      [
        `${HEAD}Content-Length: -1\r\n\r\n`,
        "its answer has Content-Length -1",
      ],
      [
        `${HEAD}Content-Length: 5, 5\r\n\r\nhello`,
        "its answer has Content-Length 5, 5",
      ],
      [
        `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
        "its answer is in transfer coding gzip, chunked",
      ],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n`,
        "its answer has a bad chunk",
      ],
      [
        `${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nxyz\r\n0\r\n\r\n`,
        "its answer has a chunk of another length than it says",
      ],
      [`${HEAD}X: ${"x".repeat(100_000)}`, "it answers without end"],
      [
        `${HEAD}Content-Length: 1\r\nContent-Length: 5\r\n\r\nhello`,
        "its answer has content-length twice",
      ],
    ]
  ) {
    await withServer([answer(text)], async (ask) => {
      const { message } = await assertRejects(() => ask("/x"), Error);
      assertEquals(message, problem);
    });
  }
});

Deno.test("engine_connections: a connection takes one question after the other", async () => {
  const asked: string[] = [];
  await withServer([
    async (connection) => {
      for (;;) {
        const request = await take(connection);
        if (request === "") return;
        asked.push(request.split(" ")[1]);
        await connection.write(bytes(`${HEAD}Content-Length: 1\r\n\r\nx`));
        if (asked.length === 3) return;
      }
    },
  ], async (ask) => {
    for (const path of ["/1", "/2", "/3"]) {
      assertEquals(await ask(path), "200 1.51 x");
    }
  });
  assertEquals(asked, ["/1", "/2", "/3"]);
});

Deno.test("engine_connections: one that can't be kept is not", async () => {
  for (
    const text of [
      `${HEAD}Connection: close\r\nContent-Length: 1\r\n\r\nx`,
      `${HEAD}Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n`,
      `${HEAD}\r\nx`,
      "HTTP/1.0 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 1\r\n\r\nx",
    ]
  ) {
    await withServer(
      [answer(text), answer(`${HEAD}Content-Length: 1\r\n\r\ny`)],
      async (ask) => {
        assertEquals(await ask("/1"), "200 1.51 x");
        assertEquals(await ask("/2"), "200 1.51 y");
      },
    );
  }
});

Deno.test("engine_connections: none is kept where it must not be", async () => {
  const one = (body: string) =>
    answer(`${HEAD}Content-Length: 1\r\n\r\n${body}`);
  await withServer([one("x"), one("y")], async (ask) => {
    assertEquals(await ask("/1"), "200 1.51 x");
    assertEquals(await ask("/2"), "200 1.51 y");
  }, false);
});

Deno.test("engine_connections: none is kept for long", async () => {
  const { now } = performance;
  const ok = `${HEAD}Content-Length: 1\r\n\r\n`;
  await withServer([
    async (connection) => {
      await answer(`${ok}x`)(connection);
      assertEquals(await take(connection), ""); // It is closed.
    },
    answer(`${ok}y`),
  ], async (ask) => {
    assertEquals(await ask("/1"), "200 1.51 x");
    performance.now = () => now.call(performance) + 11_000;
    try {
      assertEquals(await ask("/2"), "200 1.51 y");
    } finally {
      performance.now = now;
    }
  });
});

Deno.test("engine_connections: an engine that was started anew is asked again", async () => {
  const ok = answer(`${HEAD}Content-Length: 1\r\n\r\nx`);
  await withServer([
    ok,
    ok,
    // It begins to answer: then it was asked.
    async (connection) => {
      await ok(connection);
      await answer("HTTP/1.1 2")(connection);
    },
  ], async (ask) => {
    for (const path of ["/1", "/2", "/3"]) {
      assertEquals(await ask(path), "200 1.51 x");
      // The server has closed the connection by then.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { message } = await assertRejects(() => ask("/4"), Error);
    assertEquals(message, "the connection was closed before the answer's end");
  });
});

Deno.test("engine_connections: nobody waits for a connection for ever", async () => {
  let arrive = (_: Deno.Conn) => {};
  const connections = new EngineConnections(
    () => new Promise((resolve) => arrive = resolve),
    true,
  );
  await assertRejects(() =>
    connections.ask("GET / HTTP/1.1", new Deadlines(1).begin())
  );
  // What comes later is of no use, and is closed.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const late = await Deno.connect({ hostname: "127.0.0.1", port });
  (await listener.accept()).close();
  arrive(late);
  await Promise.resolve();
  await assertRejects(() => late.read(new Uint8Array(1)));
});
