/**
 * The program among hostile neighbours, at a limit of 256 files: whoever takes all that they can get of the monitor
 * API, or of the engine's own socket, neither ends it nor keeps it from answering the engine.
 */

import { sleep, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { whyNoExecutable } from "../helpers/executable.ts";
import { Plugin } from "../engine/plugin.ts";
import { exchange, request } from "../engine/raw_http.ts";
import { assert, assertEquals } from "../engine/verdict.ts";

const LIMIT = 256;
/** As many connections as the user could open. */
const FLOOD = 1000;
/** How long the engine may wait for an answer, in milliseconds, on a slow machine. */
const PATIENCE = 3000;

const AT_LIMIT = ["sh", "-c", `ulimit -n ${LIMIT}; exec "$@"`, "sh"];
const ACTIVATE = request("POST", "/Plugin.Activate");
const encoder = new TextEncoder();

const place = await Deno.makeTempDir({ prefix: "dpp-neighbours-" });
globalThis.addEventListener(
  "unload",
  () => Deno.removeSync(place, { recursive: true }),
);
const executable = `${place}/plugin`;
const noExecutable = await whyNoExecutable(executable);
const noActivation = await whyNo({ "systemd-socket-activate": "systemd" });

const kinds = [
  { kind: "the source", program: undefined, passed: false, skip: undefined },
  {
    kind: "the source, on systemd's socket",
    program: undefined,
    passed: true,
    skip: noActivation,
  },
  {
    kind: "the executable",
    program: executable,
    passed: false,
    skip: noExecutable,
  },
];

for (const { kind, program, passed, skip } of kinds) {
  Deno.test(unless(skip, {
    name: `hostile neighbours of ${kind}, with ${LIMIT} files`,
    // Connections that the other side has closed.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: (t) =>
      withPlugin(
        program,
        passed,
        (plugin, dir) => neighbours(t, plugin, dir, passed),
      ),
  }));
}

async function withPlugin(
  program: string | undefined,
  passed: boolean,
  test: (plugin: Plugin, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const socket = `${dir}/p.sock`;
  const before = Deno.env.get("DPP_PLUGIN");
  if (program !== undefined) Deno.env.set("DPP_PLUGIN", program);
  try {
    const activate = [
      ...["systemd-socket-activate", "--listen", socket],
      ...["HOME", "DENO_DIR", "NO_COLOR"].flatMap((name) => ["-E", name]),
    ];
    await using plugin = await Plugin.launch({
      dir,
      socket,
      host: `unix://${dir}/no-engine.sock`,
      args: ["--addr", `unix:${dir}/m.sock`, "--addr", `127.0.0.1:${port()}`],
      wrap: [...AT_LIMIT, ...(passed ? activate : [])],
    });
    await engineIsAnswered(socket, 20_000);
    await test(plugin, dir);
  } finally {
    if (program !== undefined) Deno.env.delete("DPP_PLUGIN");
    if (before !== undefined) Deno.env.set("DPP_PLUGIN", before);
    await Deno.remove(dir, { recursive: true });
  }
}

let lastPort = 0;

/** A port of the loop-back that nothing listens on. */
function port(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return lastPort = listener.addr.port;
}

/** Asks as an engine does, on a connection of its own, until it is answered. Returns how long that took. */
async function engineIsAnswered(
  socket: string,
  patience = PATIENCE,
): Promise<number> {
  const began = performance.now();
  for (let why: unknown;;) {
    const left = patience - (performance.now() - began);
    if (left <= 0) throw new Error(`no answer within ${patience} ms: ${why}`);
    try {
      const [answer] = await exchange(socket, ACTIVATE, { timeout: left });
      if (answer?.body.includes("authz")) return performance.now() - began;
    } catch (error) {
      why = error;
    }
    await sleep(20);
  }
}

async function neighbours(
  t: Deno.TestContext,
  plugin: Plugin,
  dir: string,
  passed: boolean,
): Promise<void> {
  const socket = `${dir}/p.sock`;
  const monitors = [
    () => Deno.connect({ transport: "unix", path: `${dir}/m.sock` }),
    () => Deno.connect({ hostname: "127.0.0.1", port: lastPort }),
  ];

  for (const [at, connect] of monitors.entries()) {
    const name = ["socket", "port"][at];
    await t.step(`${FLOOD} connections to the monitor's ${name}`, async () => {
      const held = await takeAll(connect, FLOOD, "GET /hea");
      let slowest = 0;
      for (let times = 0; times < 20; times++) {
        slowest = Math.max(slowest, await engineIsAnswered(socket));
      }
      console.log(
        `the engine waited ${Math.round(slowest)} ms at most, beside ` +
          `${held.length} connections`,
      );
      // They have not let go: it is the plugin that cuts them off.
      await healthIsTold(connect);
      held.forEach(close);
    });
  }

  await t.step("answers that nobody reads", async () => {
    const held = await takeAll(
      monitors[0],
      FLOOD,
      "GET /metrics HTTP/1.1\r\n\r\n",
    );
    await engineIsAnswered(socket);
    await healthIsTold(monitors[0]);
    held.forEach(close);
  });

  await t.step(
    "more connections to the engine's socket than files",
    async () => {
      const connect = () => Deno.connect({ transport: "unix", path: socket });
      const held = await takeAll(connect, LIMIT + 100, "POST /Plu");
      await sleep(500);
      held.forEach(close);
      if (passed) return;
      await engineIsAnswered(socket);
      await healthIsTold(monitors[0]);
      assert(
        (await plugin.log()).includes("failed, and is made again: "),
      );
      const { mode } = await Deno.lstat(socket);
      assertEquals((mode ?? 0) & 0o777, 0o600);
    },
  );

  if (!passed) {
    await t.step("it is the process that it was", async () => {
      const log = await plugin.log();
      assertEquals(log.match(/ listening on /g)?.length, 1);
      assertEquals(/\bbug\b|Uncaught/.test(log), false, log);
      await plugin.stop();
    });
    return;
  }
  await t.step("deaf, it ends, and the socket stays", async () => {
    const code = await Promise.race([
      plugin.status.then(({ code }) => code),
      engineIsAnswered(socket, 60_000).then(() => undefined),
    ]);
    // systemd starts what ends; a plugin that hears again is as good.
    if (code !== undefined) {
      assertEquals(code, 1);
      const log = await plugin.log();
      assert(log.includes("accepts no connections any more: ending"), log);
    }
  });
}

/** Opens connections and sends the beginning of a request on each, until no more can be had. */
async function takeAll(
  connect: () => Promise<Deno.Conn>,
  count: number,
  words: string,
): Promise<Deno.Conn[]> {
  const held: Deno.Conn[] = [];
  let failures = 0;
  while (held.length < count && failures < 100) {
    try {
      const connection = await connect();
      held.push(connection);
      connection.write(encoder.encode(words)).catch(() => {});
    } catch {
      // Its queue is full.
      failures++;
      await sleep(10);
    }
  }
  assert(held.length > LIMIT / 2, `only ${held.length}`);
  return held;
}

async function healthIsTold(connect: () => Promise<Deno.Conn>): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      const connection = await connect();
      const deadline = setTimeout(() => close(connection), 5000);
      try {
        await connection.write(encoder.encode("GET /health HTTP/1.0\r\n\r\n"));
        const text = await new Response(connection.readable).text();
        if (text.includes("\r\n\r\nHEALTHY")) return;
      } finally {
        clearTimeout(deadline);
      }
    } catch {
      // It is one too many.
    }
    if (performance.now() > end) throw new Error("/health is not told");
    await sleep(100);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
