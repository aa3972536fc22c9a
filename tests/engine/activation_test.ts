/**
 * Where the plugin listens: on a socket of its own, on one that systemd passes, from source and as the executable.
 */

import { exists, sleep, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { whyNoExecutable } from "./executable.ts";
import { engineTest, type Harness } from "./harness.ts";
import { startTask } from "./plugin.ts";
import { exchange, request } from "./raw_http.ts";
import { assert, assertEquals, passes, refused } from "./verdict.ts";

const LINUX = Deno.build.os === "linux";

/** The plugin as a command line. */
interface Plugin {
  kind: "source" | "executable";
  command: string[];
  /** Why there is none. */
  skip?: string;
}

const noActivate = LINUX
  ? await whyNo({ "systemd-socket-activate": "systemd" })
  : "systemd runs on Linux only";
const executable = await makeTemporary();
const plugins: Plugin[] = [
  { kind: "source", command: await startTask() },
  {
    kind: "executable",
    command: [executable.file],
    skip: executable.failure,
  },
];
const [source] = plugins;

/** Makes the executable, or tells why it can't be made. */
async function makeTemporary(): Promise<{ file: string; failure?: string }> {
  const dir = await Deno.makeTempDir({ prefix: "dpp-compile-" });
  globalThis.addEventListener(
    "unload",
    () => Deno.removeSync(dir, { recursive: true }),
  );
  const file = `${dir}/docker-policy-plugin`;
  return { file, failure: await whyNoExecutable(file) };
}

/** A plugin that was started, whatever becomes of it. */
class Process {
  readonly pid: number;
  #child: Deno.ChildProcess;
  #log = "";
  #logged: Promise<void>;

  /**
   * @param command program and arguments
   * @param env variables beside the test's own
   */
  constructor([program, ...args]: string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(program, {
      args,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#logged = this.#keepLog();
  }

  /** What it logged so far. */
  get log(): string {
    return this.#log;
  }

  /** Waits until a line of its log matches. */
  async says(text: string): Promise<void> {
    const end = Date.now() + 20_000;
    while (!this.#log.includes(text)) {
      assert(Date.now() < end, `it never said "${text}":\n${this.#log}`);
      await sleep(20);
    }
  }

  /** Sends a signal; to one that has ended it means nothing. */
  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch {
      // It has ended.
    }
  }

  /**
   * Waits for the end.
   *
   * @returns its status, and how long that took in milliseconds
   */
  async ended(): Promise<{ code: number; took: number }> {
    const begin = Date.now();
    const timer = setTimeout(() => this.signal("SIGKILL"), 20_000);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await this.#logged;
    return { code, took: Date.now() - begin };
  }

  async #keepLog(): Promise<void> {
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const part of text) this.#log += part;
  }
}

/** Arguments that keep a test's plugin away from the host. */
function argsFor(socket: string, engine = "/nonexistent.sock"): string[] {
  return ["--socket", socket, "--addr", "off", "--host", `unix://${engine}`];
}

/** Runs a test in a folder of its own, and ends the processes that it leaves. */
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

/** The lines of `ss` on TCP ports that a process listens on. */
async function tcpPorts(pid: number): Promise<string> {
  const { stdout } = await new Deno.Command("ss", { args: ["-ltnpH"] })
    .output();
  const text = new TextDecoder().decode(stdout);
  return text.split("\n").filter((line) => line.includes(`pid=${pid},`))
    .join("\n");
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

/** The command that waits for a connection, then runs what follows and passes the sockets, as systemd would. */
function activated(sockets: string[]): string[] {
  const listens = sockets.flatMap((each) => ["--listen", each]);
  // It hands on no variable that is not named.
  return [
    "systemd-socket-activate",
    ...listens,
    "-E",
    "DENO_DIR",
    "-E",
    "NO_COLOR",
  ];
}

/** Makes the first connection, once somebody listens. */
async function connectTo(socket: string): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ transport: "unix", path: socket })).close();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await sleep(25);
    }
  }
}

/** The engine asks a plugin that listens: what the README shows. */
async function guards(h: Harness): Promise<void> {
  await h.dockerd.setPlugins([h.pluginName]);
  await refused(
    h,
    () => h.docker("run", "-v", "/test", "busybox:1"),
    "volumes are not allowed: anonymous volume at /test",
  );
  await refused(
    h,
    () => h.docker("run", "volume:1"),
    "volumes are not allowed: image volume:1 declares VOLUME /data",
  );
  const run = await passes(
    h,
    () =>
      h.docker("run", "--rm", "-v", "/tmp:/test", "busybox:1", "echo", "runs"),
  );
  assertEquals(run.stdout, "runs\n");
}

async function makeImages(h: Harness): Promise<void> {
  await h.image("busybox:1");
  await h.image("volume:1", { changes: ["VOLUME /data"] });
}

for (const plugin of plugins) {
  const args = (h: Harness) => argsFor(h.pluginSocket, h.dockerd.socket);

  engineTest(`${plugin.kind}: an engine asks its own socket`, async (t, h) => {
    await makeImages(h);
    const process = new Process([...plugin.command, ...args(h)]);
    try {
      await process.says("listening");
      await t.step("volumes are refused, bind mounts run", () => guards(h));
      await t.step("it stops while the engine is connected", async () => {
        process.signal("SIGTERM");
        const { code, took } = await process.ended();
        assertEquals(code, 0, process.log);
        assert(took < 5000, `stopping took ${took} ms`);
        assertEquals(await exists(h.pluginSocket), false);
      });
    } finally {
      process.signal("SIGKILL");
      await process.ended();
    }
  }, { skip: plugin.skip });

  engineTest(
    `${plugin.kind}: an engine asks systemd's socket`,
    async (t, h) => {
      await makeImages(h);
      const command = [
        ...activated([h.pluginSocket]),
        ...plugin.command,
        ...args(h),
      ];
      const process = new Process(command);
      try {
        await process.says("Listening on");
        await connectTo(h.pluginSocket);
        const old = await tooOld(process);
        if (old) {
          await t.step("its Deno can't take it over, and says so", async () => {
            const { code } = await process.ended();
            assertEquals(code, 1);
            assertEquals(await exists(h.pluginSocket), true);
          });
        }
        const step = (name: string, fn: () => Promise<void>) =>
          t.step(unless(old ? "its Deno can't take it over" : undefined, {
            name,
            fn,
          }));
        await step("volumes are refused, bind mounts run", () => guards(h));
        await step("it listens on no TCP port", async () => {
          assertEquals(await tcpPorts(process.pid), "");
        });
        await step("stopping leaves systemd's file alone", async () => {
          process.signal("SIGTERM");
          const { code, took } = await process.ended();
          assertEquals(code, 0, process.log);
          assert(took < 5000, `stopping took ${took} ms`);
          assertEquals(await exists(h.pluginSocket), true);
        });
      } finally {
        process.signal("SIGKILL");
        await process.ended();
        await Deno.remove(h.pluginSocket).catch(() => {});
      }
    },
    { skip: plugin.skip ?? noActivate },
  );
}

/** Waits until the plugin serves (false) or has refused for the age of its Deno (true), and watches for TCP ports. */
async function tooOld(process: Process): Promise<boolean> {
  const refusal = /built on Deno 2\.[0-7]\.\d+, which can't take over/;
  for (let tries = 0; tries < 400; tries++) {
    assertEquals(await tcpPorts(process.pid), "");
    if (refusal.test(process.log)) return true;
    if (process.log.includes("listening on the socket")) return false;
    await sleep(25);
  }
  throw new Error(`it neither listens nor refuses:\n${process.log}`);
}
