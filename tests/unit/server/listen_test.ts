import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { listen, ListenError } from "../../../lib/server/listen.ts";
import type {
  PluginHandler,
  PluginRequest,
} from "../../../lib/server/plugin.ts";
import { bytes } from "../requests.ts";

/** Answers with what it was asked. */
const ECHO: PluginHandler = async (request) => {
  const { method, path } = request;
  return {
    status: path === "/teapot" ? 418 : 200,
    body: `${method} ${path} ${
      request.length() === undefined
        ? await gathered(request)
        : await request.text()
    }`,
  };
};

async function gathered(request: PluginRequest): Promise<string> {
  const kept: Uint8Array<ArrayBuffer>[] = [];
  await request.read((piece) => kept.push(new Uint8Array(piece)));
  return await new Blob(kept).text();
}

const NO_SYSTEMD = {};

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

Deno.test("listen: answers on a socket of its own, as the engine wants it", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    assertEquals(listener.where, path);

    const answer = await exchange(path, "/a%2Fb", "Grüße");
    assertMatch(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assertMatch(
      answer,
      /\r\ncontent-type: application\/vnd\.docker\.plugins\.v1\.2\+json\r\n/i,
    );
    assertMatch(answer, /\r\n\r\nPOST \/a%2Fb Grüße$/);

    assertMatch(
      await exchange(path, "/teapot", ""),
      /^HTTP\/1\.1 418 [^]*\r\n\r\nPOST \/teapot $/,
    );
    await listener.close();
  });
});

Deno.test("listen: several messages on one connection, as the engine sends them", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
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

Deno.test("listen: makes the directory, and a socket for its owner alone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/run/docker/plugins/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    const { isSocket, mode } = Deno.lstatSync(path);
    assertEquals(isSocket, true);
    assertEquals((mode ?? 0) & 0o777, 0o600);
    await listener.close();
  });
});

Deno.test("listen: a dead socket file is replaced", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    leaveDeadSocket(path);
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    assertMatch(await exchange(path, "/x", ""), /POST \/x/);
    await listener.close();
    assertEquals(isThere(path), false);
  });
});

Deno.test("listen: a live one is left alone, and its holder named", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    const message = await problem(listen(ECHO, path, NO_SYSTEMD));
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

Deno.test("listen: what is no socket is left alone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const refusal = `${path} is not a socket: remove it`;

    Deno.writeTextFileSync(path, "precious");
    assertEquals(await problem(listen(ECHO, path, NO_SYSTEMD)), refusal);
    assertEquals(Deno.readTextFileSync(path), "precious");

    Deno.removeSync(path);
    Deno.mkdirSync(path);
    assertEquals(await problem(listen(ECHO, path, NO_SYSTEMD)), refusal);

    Deno.removeSync(path);
    leaveDeadSocket(`${directory}/other.sock`);
    Deno.symlinkSync(`${directory}/other.sock`, path);
    assertEquals(await problem(listen(ECHO, path, NO_SYSTEMD)), refusal);
    assertEquals(isThere(`${directory}/other.sock`), true);
  });
});

Deno.test("listen: where no socket can be", async () => {
  await inDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    for (
      const path of [
        `${directory}/file/p.sock`,
        `${directory}/${"x".repeat(120)}.sock`, // sun_path has 108 bytes
      ]
    ) {
      const message = await problem(listen(ECHO, path, NO_SYSTEMD));
      assertEquals(message.startsWith(`can't listen on ${path}: `), true);
    }
  });
});

Deno.test("listen: tells why engines can't reach it", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
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

Deno.test("listen: a stop answers what came in, and takes the file away", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const asked = Promise.withResolvers<void>();
    const judged = Promise.withResolvers<void>();
    const listener = await listen(
      async (request) => {
        const answer = await ECHO(request);
        asked.resolve();
        await judged.promise;
        return answer;
      },
      path,
      NO_SYSTEMD,
    );
    const answer = exchange(path, "/slow", "x");
    await asked.promise;

    const closed = listener.close();
    judged.resolve();
    assertMatch(await answer, /^HTTP\/1\.1 200 [^]*POST \/slow x$/);
    await closed;
    assertEquals(isThere(path), false);
  });
});

Deno.test("listen: a stop does not wait for the engine's idle connections", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    const silent = await Deno.connect({ transport: "unix", path });
    const kept = await send(path, post("/x", ""));
    await kept.read(new Uint8Array(1024));
    await listener.close();
    silent.close();
    kept.close();
  });
});

Deno.test("listen: a stop without the file is a stop", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const listener = await listen(ECHO, path, NO_SYSTEMD);
    Deno.removeSync(path);
    await listener.close();
  });
});

Deno.test("listen: sockets that systemd passed to somebody else", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/p.sock`;
    const pid = String(Deno.pid);
    for (
      const environment of [
        { fds: "1", pid: "1" },
        { fds: "1", pid: `${pid}0` },
        { fds: "1", pid: "" },
        { fds: "1" },
        { pid },
      ]
    ) {
      const listener = await listen(ECHO, path, environment);
      assertEquals(listener.where, path);
      await listener.close();
    }
  });
});

Deno.test("listen: several sockets from systemd, or none", async () => {
  const pid = String(Deno.pid);
  for (const fds of ["0", "2", "11", "", "x", "1 "]) {
    assertEquals(
      await problem(listen(ECHO, "/nowhere/p.sock", { fds, pid })),
      `systemd passes ${fds} sockets (LISTEN_FDS): give one ListenStream= in ` +
        "the .socket unit",
    );
  }
});

Deno.test("listen: a runtime that can't take systemd's socket is refused", async () => {
  const { version } = Deno;
  try {
    for (const deno of ["2.7.14", "2.6.0", "1.46.3"]) {
      Object.defineProperty(Deno, "version", {
        value: { ...version, deno },
        configurable: true,
      });
      assertEquals(
        await problem(
          listen(ECHO, "/nowhere/p.sock", { fds: "1", pid: String(Deno.pid) }),
        ),
        `this executable is built on Deno ${deno}, which can't take over ` +
          "systemd's socket: build it on Deno 2.8 or later, or disable the " +
          ".socket unit, so that it listens on a socket of its own",
      );
    }
  } finally {
    Object.defineProperty(Deno, "version", {
      value: version,
      configurable: true,
    });
  }
});
