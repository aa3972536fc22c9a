import { assert, assertEquals, assertMatch } from "@std/assert";
import { escape } from "@std/regexp";
import project from "../../../deno.json" with { type: "json" };
import { type Log, SILENT } from "../../../lib/log.ts";
import {
  type MonitorAddress,
  readMonitorAddress,
} from "../../../lib/monitor_address.ts";
import {
  answer,
  type Monitor,
  type MonitorOptions,
  serveMonitor,
} from "../../../lib/server/monitor.ts";
import type { Page } from "../../../lib/server/short_http.ts";
import { Plugin } from "../../engine/plugin.ts";
import { sleep } from "../../helpers/programs.ts";

const HEALTHY: MonitorOptions = {
  version: "1.2.3",
  problem: () => undefined,
  warnings: () => [],
  enforced: () => "enforcing [volumes]",
  config: () => ({ volumes: { from: "default" } }),
  metrics: () => "# HELP x y\n",
};

const WELL = "HEALTHY (enforcing [volumes])";

function get(
  target: string,
  options: Partial<MonitorOptions> = {},
  method = "GET",
): Page {
  return answer(method, target, { ...HEALTHY, ...options });
}

Deno.test("monitor: the pages", () => {
  const pages: Record<string, [body: string, type: string]> = {
    "/health": [WELL, "text/plain; charset=utf-8"],
    "/health?verbose=1": [WELL, "text/plain; charset=utf-8"],
    "/version": ["1.2.3", "text/plain; charset=utf-8"],
    "/config": [
      '{\n    "volumes": {\n        "from": "default"\n    }\n}\n',
      "application/json",
    ],
    "/metrics": [
      "# HELP x y\n",
      "text/plain; version=0.0.4; charset=utf-8",
    ],
  };
  for (const [path, [body, type]] of Object.entries(pages)) {
    for (const method of ["GET", "HEAD"]) {
      const response = get(path, {}, method);
      assertEquals(response.status, 200);
      assertEquals(response.headers["Content-Type"], type);
      assertEquals(response.body, body);
    }
  }
});

Deno.test("monitor: health tells why no engine can reach the plugin", () => {
  const problem = () => "/run/x.sock: No such file or directory";
  const ill = get("/health", { problem, warnings: () => ["something else"] });
  assertEquals(ill.status, 503);
  assertEquals(
    ill.body,
    "UNHEALTHY: /run/x.sock: No such file or directory",
  );
  // The rest is told all the same.
  assertEquals(get("/version", { problem }).status, 200);
  assertEquals(get("/config", { problem }).status, 200);
});

Deno.test("monitor: health tells what is amiss beside, in one line", () => {
  const warnings = () => ["the moon is full", "it\nrains"];
  const response = get("/health", { warnings });
  assertEquals(response.status, 200);
  assertEquals(
    response.body,
    "HEALTHY, but the moon is full; it; rains (enforcing [volumes])",
  );
});

Deno.test("monitor: other paths and methods", () => {
  for (
    const path of [
      "/",
      "/health/",
      "/Health",
      "/config.json",
      "/constructor",
      "/__proto__",
      "//health",
    ]
  ) {
    const response = get(path);
    assertEquals(response.status, 404, path);
    assertEquals(response.body, "Not Found");
    assertEquals(get(path, {}, "POST").status, 404, path);
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const response = get("/health", {}, method);
    assertEquals(response.status, 405, method);
    assertEquals(response.headers.Allow, "GET, HEAD");
    assertEquals(response.body, "Method Not Allowed");
  }
});

/** A port of the loop-back that nothing listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function address(text: string): MonitorAddress {
  return readMonitorAddress(text)!;
}

/** Waits for it to be up, or for a problem of this kind. */
async function becomes(monitor: Monitor, problem?: RegExp): Promise<void> {
  for (let tries = 0; tries < 200; tries++, await sleep(50)) {
    const said = monitor.problem();
    if (problem ? said && problem.test(said) : said === undefined) return;
  }
  throw new Error(`it is ${monitor.problem()}`);
}

/** A log, and what was written to it. */
function noted(): { lines: string[]; log: Log } {
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  return { lines, log: { error: note, warning: note, info: note } };
}

Deno.test("monitor: a port that is taken is named with its holder, and tried again", async () => {
  const { lines, log } = noted();
  const holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const text = `127.0.0.1:${holder.addr.port}`;
  const monitor = serveMonitor(address(text), HEALTHY, log);
  const user = new TextDecoder().decode(
    new Deno.Command("id", { args: ["-un"] }).outputSync().stdout,
  ).trim();
  const why = `it is in use by deno (process ${Deno.pid}) of user ${user}`;
  await becomes(monitor, new RegExp(`^${escape(why)}$`));
  holder.close();
  await becomes(monitor);
  assertEquals(await read(text), WELL);
  assertEquals(lines, [
    `can't serve the monitor API on ${text}: ${why}; it is tried again`,
    `the monitor API is served on ${text} now`,
  ]);
  monitor.close();
});

/** What `/health` says at a HOST:PORT. */
async function read(where: string): Promise<string> {
  return await (await fetch(`http://${where}/health`)).text();
}

Deno.test("monitor: it serves where it was told to, until it is closed", async () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const text = `${host}:${freePort()}`;
    const monitor = serveMonitor(address(text), HEALTHY, SILENT);
    try {
      await becomes(monitor);
    } catch (error) {
      // A machine may have no IPv6.
      if (host !== "[::1]") throw error;
      monitor.close();
      continue;
    }
    assertEquals(await read(text), WELL);
    monitor.close();
    assertEquals(await read(text).then(() => false, () => true), true);
  }
});

/** What is answered to a request on a socket file. */
async function ask(path: string, request: string): Promise<string> {
  const connection = await Deno.connect({ transport: "unix", path });
  await connection.write(new TextEncoder().encode(request));
  return await new Response(connection.readable).text();
}

const HEALTH = "GET /health HTTP/1.0\r\n\r\n";

Deno.test("monitor: on a socket file, for root and a group", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/m.sock`;
  const holder = Deno.listen({ transport: "unix", path });
  const monitor = serveMonitor(address(`unix:${path}`), HEALTHY, SILENT);
  await becomes(monitor, /is in use by deno \(process \d+\)/);
  holder.close();
  await becomes(monitor);
  assertEquals((Deno.lstatSync(path).mode ?? 0) & 0o777, 0o660);
  assertMatch(await ask(path, HEALTH), /^HTTP\/1.1 200 [^]*\r\n\r\nHEALTHY \(/);
  monitor.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("monitor: who holds connections, or begins requests, is cut off", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/m.sock`;
  const monitor = serveMonitor(address(`unix:${path}`), HEALTHY, SILENT);
  await becomes(monitor);
  const held: Deno.Conn[] = [];
  for (let count = 0; count < 100; count++) {
    const connection = await Deno.connect({ transport: "unix", path });
    held.push(connection);
    if (count % 2) {
      await connection.write(new TextEncoder().encode("GET /he")).catch(() => {
        // It is one too many.
      });
    }
  }
  const began = performance.now();
  for (let tries = 0;; tries++, await sleep(200)) {
    const said = await ask(path, HEALTH).catch(() => "");
    if (said.includes("HEALTHY")) break;
    assert(tries < 100, "they are never cut off");
  }
  // Those that send nothing at all may stay for as long.
  assert(performance.now() - began < 15_000);
  for (const connection of held) connection.close();
  monitor.close();
  await Deno.remove(dir, { recursive: true });
});

/** A plugin in a directory of its own, with a monitor API. */
async function startPlugin(
  dir: string,
  port: number,
  config: string,
): Promise<Plugin> {
  await Deno.mkdir(`${dir}/plugins`);
  return await Plugin.start({
    dir,
    socket: `${dir}/plugin.sock`,
    // Never asked here.
    host: `unix://${dir}/none.sock`,
    config,
    args: ["--addr", `127.0.0.1:${port}`],
  });
}

Deno.test("monitor: of a plugin that runs", async (t) => {
  const dir = await Deno.makeTempDir();
  const port = freePort();
  const plugin = await startPlugin(
    dir,
    port,
    '[images]\nwhitelist = ["^alpine:"]\nallow-user = ["root"]\n',
  );
  // The engine's socket comes first.
  for (let tries = 0; tries < 200; tries++, await sleep(50)) {
    if (await read(`127.0.0.1:${port}`).catch(() => "") !== "") break;
  }
  const tell = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()];
  };
  const isWell = async () => {
    const [status, body] = await tell("/health");
    assertEquals(status, 200);
    // There is no engine.
    assertMatch(
      body,
      /^HEALTHY, but the engine's events are not followed: (not yet|the engine is stopped, or has not said anything yet) \(enforcing \[images\]\)$/,
    );
  };
  try {
    await t.step("it is well", async () => {
      await isWell();
      assertEquals(await tell("/version"), [200, project.version]);
    });
    await t.step("it tells the policy in force", async () => {
      const [status, body] = await tell("/config");
      assertEquals(status, 200);
      const { images, ...others } = JSON.parse(body);
      assertEquals(others, {});
      assertMatch(images.from, new RegExp(`^${dir}/plugin-.*\\.toml$`));
      assertEquals(images.whitelist, ["^alpine:"]);
      assertEquals(images["default-allow"], false);
      assertEquals(images["allow-build"], false);
      assertEquals(images["allow-user"], ["root"]);
    });
    await t.step("another one for the same port starts without", async () => {
      const other = await Deno.makeTempDir();
      await using second = await startPlugin(other, port, "[volumes]");
      const said =
        `can't serve the monitor API on 127.0.0.1:${port}: it is in ` +
        `use by deno (process ${plugin.pid})`;
      for (let tries = 0;; tries++, await sleep(50)) {
        const log = await second.log();
        if (log.includes(said)) break;
        assert(tries < 200, log);
      }
      await Deno.remove(other, { recursive: true });
    });
    await t.step("it is ill without its socket", async () => {
      await Deno.rename(`${dir}/plugin.sock`, `${dir}/away.sock`);
      const [status, body] = await tell("/health");
      assertEquals(status, 503);
      assertMatch(body, /^UNHEALTHY: .*plugin\.sock: No such file/);
    });
    await t.step("it is ill where the socket is somebody else's", async () => {
      using _other = Deno.listen({
        transport: "unix",
        path: `${dir}/plugin.sock`,
      });
      assertEquals(await tell("/health"), [
        503,
        `UNHEALTHY: ${dir}/plugin.sock is somebody else's socket`,
      ]);
    });
    await t.step("it is well again", async () => {
      await Deno.remove(`${dir}/plugin.sock`).catch(() => {});
      await Deno.rename(`${dir}/away.sock`, `${dir}/plugin.sock`);
      await isWell();
    });
  } finally {
    await plugin.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
