import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import project from "../../../deno.json" with { type: "json" };
import {
  answer,
  MonitorError,
  type MonitorOptions,
  serveMonitor,
} from "../../../lib/server/monitor.ts";
import { Plugin } from "../../engine/plugin.ts";

const HEALTHY: MonitorOptions = {
  version: "1.2.3",
  problem: () => undefined,
  warning: () => undefined,
  config: () => ({ volumes: { from: "default" } }),
  metrics: () => "# HELP x y\n",
};

/** Asks as `curl` does. */
function get(
  path: string,
  options: Partial<MonitorOptions> = {},
  method = "GET",
): Response {
  const request = new Request(`http://127.0.0.1:5006${path}`, { method });
  return answer(request, { ...HEALTHY, ...options });
}

Deno.test("monitor: the pages", async () => {
  const pages: Record<string, [body: string, type: string]> = {
    "/health": ["HEALTHY", "text/plain; charset=utf-8"],
    "/health?verbose=1": ["HEALTHY", "text/plain; charset=utf-8"],
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
      assertEquals(response.headers.get("Content-Type"), type);
      assertEquals(await response.text(), body);
    }
  }
});

Deno.test("monitor: health tells why no engine can reach the plugin", async () => {
  const problem = () => "/run/x.sock: No such file or directory";
  const ill = get("/health", { problem, warning: () => "something else" });
  assertEquals(ill.status, 503);
  assertEquals(
    await ill.text(),
    "UNHEALTHY: /run/x.sock: No such file or directory",
  );
  // The rest is told all the same.
  assertEquals(get("/version", { problem }).status, 200);
  assertEquals(get("/config", { problem }).status, 200);
});

Deno.test("monitor: health tells what is amiss beside", async () => {
  const response = get("/health", { warning: () => "the moon is full" });
  assertEquals(response.status, 200);
  assertEquals(await response.text(), "HEALTHY, but the moon is full");
});

Deno.test("monitor: other paths and methods", async () => {
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
    assertEquals(await response.text(), "Not Found");
    assertEquals(get(path, {}, "POST").status, 404, path);
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const response = get("/health", {}, method);
    assertEquals(response.status, 405, method);
    assertEquals(response.headers.get("Allow"), "GET, HEAD");
    assertEquals(await response.text(), "Method Not Allowed");
  }
});

Deno.test("monitor: what is no address", () => {
  for (
    const address of [
      "",
      "5006",
      ":5006",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:65536",
      "127.0.0.1:http",
      "127.0.0.1:5006/",
    ]
  ) {
    const error: Error = assertThrows(
      () => serveMonitor(address, HEALTHY),
      MonitorError,
    );
    assertEquals(
      error.message,
      `--addr ${address}: give HOST:PORT, such as 127.0.0.1:5006, or off`,
    );
  }
});

/** A port of the loop-back that nothing listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("monitor: an address that is taken is named", () => {
  using holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${holder.addr.port}`;
  const error: Error = assertThrows(
    () => serveMonitor(address, HEALTHY),
    MonitorError,
  );
  assertMatch(
    error.message,
    new RegExp(
      `^can't serve the monitor API on ${address}: .*in use.*; give another ` +
        "--addr, or --addr off$",
    ),
  );
});

Deno.test("monitor: it serves where it was told to, until it is closed", async () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const address = `${host}:${freePort()}`;
    let monitor;
    try {
      monitor = serveMonitor(address, HEALTHY);
    } catch (error) {
      // A machine may have no IPv6.
      if (host === "[::1]" && error instanceof MonitorError) continue;
      throw error;
    }
    const response = await fetch(`http://${address}/health`);
    assertEquals(await response.text(), "HEALTHY");
    await monitor.close();
    const refused = await fetch(`http://${address}/health`).then(
      () => false,
      () => true,
    );
    assertEquals(refused, true);
  }
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
  const read = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()];
  };
  const isWell = async () => {
    const [status, body] = await read("/health");
    assertEquals(status, 200);
    // There is no engine.
    assertMatch(
      body,
      /^HEALTHY, but the engine's events are not followed: (not yet|the engine is stopped, or has not said anything yet)$/,
    );
  };
  try {
    await t.step("it is well", async () => {
      await isWell();
      assertEquals(await read("/version"), [200, project.version]);
    });
    await t.step("it tells the policy in force", async () => {
      const [status, body] = await read("/config");
      assertEquals(status, 200);
      const { images, ...others } = JSON.parse(body);
      assertEquals(others, {});
      assertMatch(images.from, new RegExp(`^${dir}/plugin-.*\\.toml$`));
      assertEquals(images.whitelist, ["^alpine:"]);
      assertEquals(images["default-allow"], false);
      assertEquals(images["allow-build"], false);
      assertEquals(images["allow-user"], ["root"]);
    });
    await t.step("another one for the same port does not start", async () => {
      const other = await Deno.makeTempDir();
      const error = await startPlugin(other, port, "[volumes]").then(
        () => undefined,
        (error: Error) => error.message,
      );
      assertMatch(
        error ?? "it started",
        new RegExp(`can't serve the monitor API on 127.0.0.1:${port}: `),
      );
      // The engine must not find a socket behind which nobody is.
      assertEquals(await exists(`${other}/plugin.sock`), false);
      await Deno.remove(other, { recursive: true });
    });
    await t.step("it is ill without its socket", async () => {
      await Deno.rename(`${dir}/plugin.sock`, `${dir}/away.sock`);
      const [status, body] = await read("/health");
      assertEquals(status, 503);
      assertMatch(body, /^UNHEALTHY: .*plugin\.sock: No such file/);
    });
    await t.step("it is ill where the socket is somebody else's", async () => {
      using _other = Deno.listen({
        transport: "unix",
        path: `${dir}/plugin.sock`,
      });
      assertEquals(await read("/health"), [
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

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
