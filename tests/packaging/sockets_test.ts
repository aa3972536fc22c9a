/**
 * Where the plugin listens, from source and as the executable: on a socket of
 * its own, on one that systemd passes, and nowhere else. No engine is asked.
 */

import { exchange, request } from "../engine/raw_http.ts";
import { assert, assertEquals } from "@std/assert";
import { exists, sleep } from "../helpers/programs.ts";
import {
  activated,
  argsFor,
  connectTo,
  LINUX,
  noActivate,
  plugins,
  Process,
  tcpPorts,
} from "../helpers/listening.ts";
import { unless } from "../helpers/unless.ts";

const [source] = plugins;

/**
 * Runs a test in a folder of its own, and ends the processes that it leaves.
 */
function socketTest(
  name: string,
  body: (
    dir: string,
    start: (command: string[], env?: Record<string, string>) => Process,
  ) => Promise<void>,
  skip?: string,
): void {
  Deno.test(unless(LINUX ? skip : "its sockets are Linux's", {
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const dir = await Deno.makeTempDir({ prefix: "dpp-socket-" });
      const started: Process[] = [];
      try {
        await body(dir, (command, env) => {
          const process = new Process(command, env);
          started.push(process);
          return process;
        });
      } finally {
        for (const each of started) each.signal("SIGKILL");
        for (const each of started) await each.ended();
        await Deno.remove(dir, { recursive: true });
      }
    },
  }));
}

/** The plugin's answer to the engine's first question. */
async function activate(socket: string): Promise<string> {
  const [answer] = await exchange(socket, request("POST", "/Plugin.Activate"));
  return answer.body.trim();
}

const IMPLEMENTS = '{"Implements":["authz"]}';

/** Runs a command whose log goes into a pipe that nobody reads. */
const UNREAD = ["sh", "-c", 'mkfifo "$0" && exec "$@" 2<>"$0"'];

for (const { kind, command, skip } of plugins) {
  socketTest(`${kind}: a log that nobody reads`, async (dir, start) => {
    const socket = `${dir}/plugin.sock`;
    const plugin = start([
      ...[...UNREAD, `${dir}/log`],
      ...[...command, ...argsFor(socket)],
    ]);
    await connectTo(socket);
    const refused = request("POST", "/AuthZPlugin.AuthZReq", {
      body: {
        User: "x".repeat(1000),
        RequestMethod: "POST",
        RequestUri: "/containers/create",
        RequestHeaders: { "Content-Type": "application/json" },
        RequestBody: btoa('{"Image":"x","Volumes":{"/x":{}}}'),
      },
    });
    // More than a pipe holds.
    for (let calls = 0; calls < 200; calls += 20) {
      await Promise.all(Array.from({ length: 20 }, async () => {
        const [{ body }] = await exchange(socket, refused);
        assert(body.includes('"Allow":false'), body);
      }));
    }
    plugin.signal("SIGTERM");
    assertEquals((await plugin.ended()).code, 0);
  }, skip);
}

for (const { kind, command, skip } of plugins) {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    socketTest(
      `${kind}: its own socket, until ${signal}`,
      async (dir, start) => {
        const socket = `${dir}/made/for/it/plugin.sock`;
        const plugin = start([...command, ...argsFor(socket)]);
        await plugin.says(`listening on ${socket}`);

        assertEquals(await activate(socket), IMPLEMENTS);
        const { mode } = await Deno.stat(socket);
        assertEquals((mode ?? 0) & 0o7777, 0o600);
        assertEquals(await tcpPorts(plugin.pid), "");

        plugin.signal(signal);
        const { code, took } = await plugin.ended();
        assertEquals(code, 0, plugin.log);
        assert(took < 5000, `stopping took ${took} ms`);
        assertEquals(await exists(socket), false, "the socket file was left");
      },
      skip,
    );
  }

  socketTest(
    `${kind}: it stops although connections don't end`,
    async (dir, start) => {
      const socket = `${dir}/plugin.sock`;
      const plugin = start([...command, ...argsFor(socket)]);
      await plugin.says("listening");
      const idle = await Deno.connect({ transport: "unix", path: socket });
      const half = await Deno.connect({ transport: "unix", path: socket });
      await half.write(
        new TextEncoder().encode(
          "POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\n{",
        ),
      );
      await sleep(200);

      plugin.signal("SIGTERM");
      const { code, took } = await plugin.ended();
      idle.close();
      half.close();
      assertEquals(code, 0, plugin.log);
      assert(took < 5000, `stopping took ${took} ms`);
      assertEquals(await exists(socket), false, "the socket file was left");
    },
    skip,
  );

  socketTest(`${kind}: a dead socket file is replaced`, async (dir, start) => {
    const socket = `${dir}/plugin.sock`;
    const first = start([...command, ...argsFor(socket)]);
    await first.says("listening");
    first.signal("SIGKILL");
    await first.ended();
    assertEquals(await exists(socket), true, "kill -9 should leave the file");

    const second = start([...command, ...argsFor(socket)]);
    await second.says("listening");
    assertEquals(await activate(socket), IMPLEMENTS);
  }, skip);

  socketTest(
    `${kind}: a live socket is an error that names who holds it`,
    async (dir, start) => {
      const socket = `${dir}/plugin.sock`;
      using _held = Deno.listen({ transport: "unix", path: socket });
      const plugin = start([...command, ...argsFor(socket)]);
      const { code } = await plugin.ended();
      assertEquals(code, 1);
      assert(
        plugin.log.includes(
          `${socket} is in use by deno (process ${Deno.pid})`,
        ),
        plugin.log,
      );
      assertEquals(await exists(socket), true, "the holder's file is gone");
    },
    skip,
  );

  socketTest(
    `${kind}: a file that is no socket is left alone`,
    async (dir, start) => {
      const socket = `${dir}/plugin.sock`;
      await Deno.writeTextFile(socket, "mine");
      const plugin = start([...command, ...argsFor(socket)]);
      const { code } = await plugin.ended();
      assertEquals(code, 1);
      assert(plugin.log.includes(`${socket} is not a socket`), plugin.log);
      assertEquals(await Deno.readTextFile(socket), "mine");
    },
    skip,
  );

  socketTest(
    `${kind}: sockets passed to another process are not ours`,
    async (dir, start) => {
      const socket = `${dir}/plugin.sock`;
      const plugin = start([...command, ...argsFor(socket)], {
        LISTEN_FDS: "1",
        LISTEN_PID: "1",
      });
      await plugin.says(`listening on ${socket}`);
      assertEquals(await activate(socket), IMPLEMENTS);
      assertEquals(await tcpPorts(plugin.pid), "");
    },
    skip,
  );

  socketTest(
    `${kind}: a promised socket that is none is refused`,
    async (dir, start) => {
      // Process and number are right, but descriptor 3 is not a socket.
      const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null';
      const plugin = start(
        ["sh", "-c", script, "sh", ...command, ...argsFor(`${dir}/p.sock`)],
      );
      const { code } = await plugin.ended();
      assertEquals(code, 1, plugin.log);
      assert(!plugin.log.includes("listening"), plugin.log);
      assertEquals(await exists(`${dir}/p.sock`), false);
    },
    skip,
  );

  socketTest(
    `${kind}: two sockets from systemd are refused`,
    async (dir, start) => {
      const plugin = start([
        ...activated([`${dir}/one.sock`, `${dir}/two.sock`]),
        ...command,
        ...argsFor(`${dir}/own.sock`),
      ]);
      await connectTo(`${dir}/one.sock`);
      const { code } = await plugin.ended();
      assertEquals(code, 1, plugin.log);
      assert(plugin.log.includes("systemd passes 2 sockets"), plugin.log);
      assertEquals(await exists(`${dir}/own.sock`), false);
    },
    skip ?? noActivate,
  );
}

socketTest(
  "a TCP port from systemd is refused",
  async (dir, start) => {
    using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = free.addr as Deno.NetAddr;
    free.close();
    const address = `127.0.0.1:${port}`;
    const plugin = start([
      ...activated([address]),
      ...source.command,
      ...argsFor(`${dir}/own.sock`),
    ]);
    await plugin.says("Listening on");
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    const { code } = await plugin.ended();
    assertEquals(code, 1, plugin.log);
    assert(plugin.log.includes(`TCP port ${port}`), plugin.log);
  },
  noActivate,
);
