import { createServer, type Socket } from "node:net";
import { createServer as createHttp2Server } from "node:http2";
import { assertEquals, assertRejects } from "@std/assert";
import { engineEndpoint } from "../../../lib/engine/address.ts";
import { opensHttp2, usersEndpoint } from "../../../lib/engine/h2c.ts";
import { EngineError } from "../../../lib/engine/error.ts";
import { unless } from "../../helpers/unless.ts";

/** Runs with something on a unix socket in place of the engine. */
async function onSocket(
  server: { listen(path: string, done: () => void): unknown; close(): unknown },
  test: (path: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/engine.sock`;
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await test(path);
  } finally {
    server.close();
    Deno.removeSync(directory, { recursive: true });
  }
}

function opens(path: string, patience?: number): Promise<boolean> {
  return opensHttp2({ host: `unix://${path}`, to: { path } }, patience);
}

/** Asks somebody who does this with each connection. */
async function whenItIs(
  serve: (socket: Socket) => void,
  test: (path: string) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
    serve(socket);
  });
  await onSocket(server, test);
  for (const socket of sockets) socket.destroy();
}

/** Answers the first bytes with these. */
function answering(...answers: string[]): (socket: Socket) => void {
  return (socket) =>
    socket.once("data", () => {
      for (const each of answers) socket.write(each, "latin1");
      socket.end();
    });
}

const SETTINGS = "\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0";

Deno.test("opensHttp2: a server of HTTP/2 does", async () => {
  await onSocket(createHttp2Server(), async (path) => {
    assertEquals(await opens(path), true);
  });
});

Deno.test("opensHttp2: sends what HTTP/2 begins with", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  await whenItIs((socket) =>
    socket.once("data", (bytes) => {
      resolve(bytes.toString("latin1"));
      socket.end(SETTINGS, "latin1");
    }), async (path) => {
    assertEquals(await opens(path), true);
  });
  assertEquals(
    await promise,
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  );
});

Deno.test("opensHttp2: settings in pieces are settings", async () => {
  await whenItIs((socket) => {
    socket.write(SETTINGS.slice(0, 4), "latin1");
    setTimeout(() => socket.write(SETTINGS.slice(4), "latin1"), 50);
  }, async (path) => assertEquals(await opens(path), true));
});

for (
  const [what, answer] of Object.entries({
    "a refusal in HTTP/1.1":
      "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "an end without an answer": "",
    "less than a frame": SETTINGS.slice(0, 8),
    "another frame": "\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01",
    "an acknowledgement": "\0\0\0\x04\x01\0\0\0\0",
    "settings of a stream": "\0\0\0\x04\0\0\0\0\x01",
  })
) {
  Deno.test(`opensHttp2: ${what} is none`, async () => {
    await whenItIs(
      answering(answer),
      async (path) => assertEquals(await opens(path), false),
    );
  });
}

Deno.test("opensHttp2: a connection that is cut at once is none", async () => {
  await whenItIs(
    (socket) => socket.destroy(),
    async (path) => assertEquals(await opens(path), false),
  );
});

Deno.test("opensHttp2: silence says nothing either way", async () => {
  await whenItIs(() => {}, async (path) => {
    const { message } = await assertRejects(
      () => opens(path, 100),
      EngineError,
    );
    assertEquals(
      message,
      `unix://${path}: no answer to HTTP/2 within 0.1 s`,
    );
  });
});

Deno.test("opensHttp2: nor does nobody there", async () => {
  const { message } = await assertRejects(
    () => opens("/nonexistent/engine.sock"),
    EngineError,
  );
  assertEquals(message.includes("ENOENT"), true, message);
});

/** The address that users have, for an engine at this one. */
function users(host: string, usual: string): string | undefined {
  const endpoint = engineEndpoint({ host, tlsVerify: false });
  return usersEndpoint(endpoint, usual)?.host;
}

/** Runs with files in place of the usual socket and of an engine's own. */
async function withSockets(
  test: (usual: string, own: string) => void | Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.chmodSync(directory, 0o755);
    Deno.mkdirSync(`${directory}/engine`);
    for (const path of ["docker.sock", "engine/docker.sock"]) {
      Deno.writeTextFileSync(`${directory}/${path}`, "");
      Deno.chmodSync(`${directory}/${path}`, 0o660);
    }
    await test(
      `unix://${directory}/docker.sock`,
      `unix://${directory}/engine/docker.sock`,
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("usersEndpoint: the engine's own, if nothing stands in front", async () => {
  await withSockets((usual, own) => {
    for (
      const host of [usual, own, "tcp://localhost:1", "unix:///nonexistent/a"]
    ) {
      assertEquals(users(host, usual), host);
    }
  });
});

const notRoot = Deno.uid() === 0
  ? undefined
  : "what only root reaches is made by root: run it as root";

Deno.test(unless(notRoot, {
  name: "usersEndpoint: the usual socket, if only root reaches the engine's",
  fn: async () => {
    await withSockets((usual, own) => {
      const socket = own.slice("unix://".length);
      const directory = socket.replace(/\/[^/]*$/, "");
      const modes: [directory: number, socket: number, isOpen: boolean][] = [
        [0o700, 0o600, false],
        [0o755, 0o600, false],
        [0o700, 0o666, false],
        // Without the right to write nobody connects; without the right to look
        // into the directory neither.
        [0o755, 0o644, false],
        [0o744, 0o660, false],
        [0o710, 0o660, true],
        [0o711, 0o602, true],
        [0o755, 0o660, true],
      ];
      for (const [ofDirectory, ofSocket, isOpen] of modes) {
        Deno.chmodSync(directory, ofDirectory);
        Deno.chmodSync(socket, ofSocket);
        assertEquals(
          users(own, usual),
          isOpen ? own : usual,
          `${ofDirectory.toString(8)} ${ofSocket.toString(8)}`,
        );
      }
      Deno.chmodSync(directory, 0o700);
      // `/var/run` is a link to `/run`.
      Deno.symlinkSync(directory, `${directory}-link`);
      const linked = own.replace("/engine/", "/engine-link/");
      assertEquals(users(linked, usual), usual);
      Deno.removeSync(usual.slice("unix://".length));
      assertEquals(users(own, usual), undefined);
      Deno.chownSync(directory, 65534, null);
      assertEquals(users(own, usual), own);
    });
  },
}));
