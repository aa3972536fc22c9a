import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { SILENT } from "../../../lib/log.ts";
import { ListenError } from "../../../lib/server/listener.ts";
import { listenOnPath } from "../../../lib/server/own_socket.ts";
import type { PluginHandler } from "../../../lib/server/plugin.ts";
import { bytes } from "../requests.ts";

/** Answers with what it was asked. */
const ECHO: PluginHandler = async ({ method, path, header, text }) => ({
  status: path === "/teapot" ? 418 : 200,
  body: `${method} ${path} ${await text()}${header("x-more") ?? ""}`,
});

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

/** Sends HTTP as it is, on a connection of its own; the answer, unread. */
async function send(path: string, text: string): Promise<Deno.UnixConn> {
  const connection = await Deno.connect({ transport: "unix", path });
  await new Blob([text]).stream().pipeTo(connection.writable, {
    preventClose: true,
  });
  return connection;
}

function post(target: string, body: string, more = ""): string {
  return `POST ${target} HTTP/1.1\r\nHost: plugin\r\n${more}` +
    `Content-Length: ${bytes(body).length}\r\n\r\n${body}`;
}

async function exchange(
  path: string,
  target: string,
  body: string,
): Promise<string> {
  const connection = await send(
    path,
    post(target, body, "Connection: close\r\n"),
  );
  return await new Response(connection.readable).text();
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

async function problem(listening: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => listening, ListenError)).message;
}

/** A socket file that nobody serves any more. */
function leaveDeadSocket(path: string): void {
  const listener = Deno.listen({ transport: "unix", path: `${path}~` });
  Deno.renameSync(`${path}~`, path); // Else it goes with its listener.
  listener.close();
}

Deno.test("own socket: answers on a socket of its own, as the engine wants it", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    assertEquals(listener.where, path);

    const answer = await exchange(path, "/a%2Fb", "Grüße");
    assertMatch(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assertMatch(
      answer,
      /\r\ncontent-type: application\/vnd\.docker\.plugins\.v1\.2\+json\r\n/i,
    );
    assertMatch(answer, /\r\n\r\nPOST \/a%2Fb Grüße$/);

    const connection = await send(
      path,
      post("/x", "y", "X-More: z\r\nConnection: close\r\n"),
    );
    assertMatch(
      await new Response(connection.readable).text(),
      /POST \/x yz$/,
    );

    assertMatch(
      await exchange(path, "/teapot", ""),
      /^HTTP\/1\.1 418 [^]*\r\n\r\nPOST \/teapot $/,
    );
    await listener.close();
  });
});

Deno.test("own socket: several messages on one connection, as the engine sends them", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    const connection = await send(
      path,
      post("/1", "a") + post("/2", "b") +
        post("/3", "c", "Connection: close\r\n"),
    );
    const answers = await new Response(connection.readable).text();
    assertEquals(
      [...answers.matchAll(/POST (\/\d \w)/g)].map(([, said]) => said),
      ["/1 a", "/2 b", "/3 c"],
    );
    await listener.close();
  });
});

Deno.test("own socket: makes the directory, and a socket for its owner alone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/run/docker/plugins/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    const { isSocket, mode } = Deno.lstatSync(path);
    assertEquals(isSocket, true);
    assertEquals((mode ?? 0) & 0o777, 0o600);
    await listener.close();
  });
});

Deno.test("own socket: a dead socket file is replaced", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    leaveDeadSocket(path);
    const listener = await listenOnPath(ECHO, path, SILENT);
    assertMatch(await exchange(path, "/x", ""), /POST \/x/);
    await listener.close();
    assertEquals(isThere(path), false);
  });
});

Deno.test("own socket: a live one is left alone, and its holder named", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    const message = await problem(listenOnPath(ECHO, path, SILENT));
    const [, holder] = /^.*p\.sock is in use by (.*): stop that first$/
      .exec(message) ?? [];
    // Without ss, or its rights, the name is missing.
    assertMatch(
      holder,
      new RegExp(`^(.+ \\(process ${Deno.pid}\\)|another process)$`),
    );
    assertMatch(await exchange(path, "/still", ""), /POST \/still/);
    await listener.close();
  });
});

Deno.test("own socket: what is no socket is left alone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const refusal = `${path} is not a socket: remove it`;

    Deno.writeTextFileSync(path, "precious");
    assertEquals(await problem(listenOnPath(ECHO, path, SILENT)), refusal);
    assertEquals(Deno.readTextFileSync(path), "precious");

    Deno.removeSync(path);
    Deno.mkdirSync(path);
    assertEquals(await problem(listenOnPath(ECHO, path, SILENT)), refusal);

    Deno.removeSync(path);
    leaveDeadSocket(`${directory}/other.sock`);
    Deno.symlinkSync(`${directory}/other.sock`, path);
    assertEquals(await problem(listenOnPath(ECHO, path, SILENT)), refusal);
    assertEquals(isThere(`${directory}/other.sock`), true);
  });
});

Deno.test("own socket: where no socket can be", async () => {
  await inDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    for (
      const path of [
        `${directory}/file/p.sock`,
        `${directory}/${"x".repeat(120)}.sock`, // sun_path has 108 bytes
      ]
    ) {
      const message = await problem(listenOnPath(ECHO, path, SILENT));
      assertEquals(message.startsWith(`can't listen on ${path}: `), true);
    }
  });
});

Deno.test("own socket: tells why engines can't reach it", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    assertEquals(listener.problem(), undefined);

    Deno.renameSync(path, `${directory}/away`);
    assertEquals(listener.problem()?.startsWith(`${path}: `), true);
    leaveDeadSocket(path);
    assertEquals(listener.problem(), `${path} is somebody else's socket`);
    Deno.renameSync(`${directory}/away`, path);
    assertEquals(listener.problem(), undefined);

    const closed = listener.close();
    assertEquals(listener.problem(), "stopping");
    await closed;
    assertEquals(listener.problem(), "stopping");
  });
});

Deno.test("own socket: a stop answers what came in, and takes the file away", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const asked = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<void>();
    const listener = await listenOnPath(
      async (request) => {
        const answer = await ECHO(request);
        asked.resolve();
        await decided.promise;
        return answer;
      },
      path,
      SILENT,
    );
    const answer = exchange(path, "/slow", "x");
    await asked.promise;

    const closed = listener.close();
    decided.resolve();
    assertMatch(await answer, /^HTTP\/1\.1 200 [^]*POST \/slow x$/);
    await closed;
    assertEquals(isThere(path), false);
  });
});

Deno.test("own socket: a stop does not wait for the engine's idle connections", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    const silent = await Deno.connect({ transport: "unix", path });
    const kept = await send(path, post("/x", ""));
    await kept.read(new Uint8Array(1024));
    await listener.close();
    silent.close();
    kept.close();
  });
});

Deno.test("own socket: a stop without the file is a stop", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listenOnPath(ECHO, path, SILENT);
    Deno.removeSync(path);
    await listener.close();
  });
});
