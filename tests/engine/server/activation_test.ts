/**
 * An engine asks a plugin that listens on a socket of its own, or on one that
 * systemd passes, from source and as the executable.
 */

import { exists, sleep } from "../../helpers/programs.ts";
import {
  activated,
  argsFor,
  connectTo,
  noActivate,
  plugins,
  Process,
  tcpPorts,
} from "../../helpers/listening.ts";
import { unless } from "../../helpers/unless.ts";
import { engineTest, type Harness } from "../harness.ts";
import { assert, assertEquals, passes, refused } from "../verdict.ts";

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

/**
 * Waits until the plugin serves (false) or has refused for the age of its Deno
 * (true), and watches for TCP ports.
 */
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
