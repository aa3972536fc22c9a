import { assertEquals, assertRejects } from "@std/assert";
import { SILENT } from "../../../lib/log.ts";
import { listen, ListenError } from "../../../lib/server/listen.ts";
import type { PluginHandler } from "../../../lib/server/plugin.ts";

const DEAF: PluginHandler = () => Promise.resolve({ status: 200, body: "" });

async function problem(listening: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => listening, ListenError)).message;
}

Deno.test("listen: sockets that systemd passed to somebody else", async () => {
  const directory = Deno.makeTempDirSync();
  try {
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
      const listener = await listen(DEAF, path, environment, SILENT);
      assertEquals(listener.where, path);
      await listener.close();
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("listen: several sockets from systemd, or none", async () => {
  const pid = String(Deno.pid);
  for (const fds of ["0", "2", "11", "", "x", "1 "]) {
    assertEquals(
      await problem(listen(DEAF, "/nowhere/p.sock", { fds, pid }, SILENT)),
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
          listen(DEAF, "/nowhere/p.sock", {
            fds: "1",
            pid: String(Deno.pid),
          }, SILENT),
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
