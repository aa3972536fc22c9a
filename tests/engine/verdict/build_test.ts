/**
 * Classic builds: their steps run in containers that carry no mark, with the
 * volumes that the image declares. They are tolerated while a build runs, and
 * no longer.
 */

import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { build, succeeded } from "./third_line/builds.ts";
import { UNREPORTED_BUILD } from "./third_line/names.ts";
import { request } from "../raw_http.ts";
import { sleep } from "../../helpers/programs.ts";
import { assert, assertEquals } from "../verdict.ts";

/** A build of this many seconds, each of whose steps has a volume. */
const slow = (seconds: number, start: string[] = []) => [
  "FROM plain:1",
  ...start,
  "VOLUME /scratch",
  ...Array.from({ length: seconds }, (_, at) => `RUN sleep 1; echo ${at}`),
];

const noVolumes = (host: Host, timeout?: number) =>
  eventually("no volume is left", async () => {
    const { volumes } = await host.things();
    return volumes.length === 0 && (await host.withVolumes()).length === 0;
  }, timeout);

const stepRuns = (host: Host) =>
  eventually("a step runs", async () => {
    return (await host.withVolumes()).length > 0;
  });

hostTest("builds that are allowed", async (t, host) => {
  await host.image("plain:1");
  await host.guard();

  await t.step("succeed, and leave no volume", async () => {
    const answer = await build(host, host.stranger, slow(4));
    assert(succeeded(answer), answer.body);
    await noVolumes(host);
  });
  await t.step("nor if they keep their steps", async () => {
    const answer = await build(
      host,
      host.stranger,
      slow(3, ["RUN echo harmless"]),
      "rm=0",
    );
    assert(succeeded(answer), answer.body);
    await noVolumes(host);
    // The first steps have none.
    await always("harmless steps stay", async () => {
      return (await host.things()).containers.length > 0;
    }, 2000);
    await host.h.clear();
  });
  await t.step("nor if they fail", async () => {
    const answer = await build(host, host.stranger, [
      ...slow(1),
      "RUN false",
    ]);
    assert(!succeeded(answer), answer.body);
    await noVolumes(host);
  });
  await t.step("nor if their client hangs up", async () => {
    const connection = await hungUpBuild(host, slow(30));
    await stepRuns(host);
    connection.close();
    await noVolumes(host, 30_000);
  });
  await t.step("nor if there are several", async () => {
    const long = build(host, host.stranger, slow(6));
    await stepRuns(host);
    const short = await build(host, host.stranger, slow(1), "rm=0");
    assert(succeeded(short), short.body);
    const failing = await build(host, host.stranger, [
      ...slow(1),
      "RUN false",
    ]);
    assert(!succeeded(failing));
    const answer = await long;
    assert(succeeded(answer), answer.body);
    await noVolumes(host);
  });
  await t.step("nor if one starts when the other ends", async () => {
    // Builds without a gap must not shelter what the first one left for ever.
    let next = build(host, host.stranger, slow(3), "rm=0");
    await stepRuns(host);
    const [left] = (await host.things()).containers;
    for (let round = 0; round < 5; round++) {
      const overlapping = sleep(2000).then(() =>
        build(host, host.stranger, slow(3))
      );
      assert(succeeded(await next));
      next = overlapping;
    }
    assertEquals(await host.listed(left.Id), undefined);
    assert(succeeded(await next));
    await noVolumes(host);
  });
  await t.step("nor what others made meanwhile", async () => {
    const building = build(host, host.stranger, slow(6));
    await stepRuns(host);
    const id = await host.behindItsBack((h) =>
      h.must("run", "-d", "-v", "hidden:/x", "plain:1")
    );
    const answer = await building;
    assert(succeeded(answer), answer.body);
    await eventually("it is gone", async () => !(await host.listed(id)));
    await noVolumes(host);
  });
  await t.step("and others still run", async () => {
    const id = await host.stranger.must("run", "-d", "plain:1");
    const answer = await build(host, host.stranger, slow(2));
    assert(succeeded(answer), answer.body);
    assertEquals((await host.listed(id))?.State, "running");
    await host.h.clear();
  });
  await t.step("also over a restart of the plugin", async () => {
    const building = build(host, host.stranger, slow(6));
    await stepRuns(host);
    await host.restartPlugin();
    const answer = await building;
    assert(succeeded(answer), answer.body);
    await noVolumes(host);
  });
  await t.step("and what a dying engine leaves of one goes", async () => {
    const building = build(host, host.stranger, slow(30)).catch(() => {});
    await stepRuns(host);
    Deno.kill(await host.h.dockerd.pid(), "SIGKILL");
    await building;
    await host.reboot();
    await noVolumes(host);
  });
});

hostTest("a build whose end is never reported", async (t, host) => {
  await host.image("plain:1");
  await host.guard();
  const { h } = host;
  // Asked after the plugin, this refuses all builds: so the engine tells the
  // first no end of them.
  const name = `${h.pluginName}-after`;
  const server = Deno.serve(
    { path: `${h.dir}/run/${name}.sock`, onListen() {} },
    async (asked) => {
      if (new URL(asked.url).pathname === "/Plugin.Activate") {
        return Response.json({ Implements: ["authz"] });
      }
      const { RequestUri = "" } = await asked.json();
      return Response.json({ Allow: !/\/build/.test(RequestUri), Msg: "no" });
    },
  );
  try {
    await h.dockerd.setPlugins([h.pluginName, name]);
    for (let times = 0; times < 3; times++) {
      const { status } = await build(host, host.stranger, slow(1));
      assertEquals(status, 403);
    }
    await h.dockerd.setPlugins([h.pluginName]);
  } finally {
    await server.shutdown();
  }
  await t.step("shelters nothing for ever", async () => {
    await host.behindItsBack((h) =>
      h.must("run", "-d", "-v", "hidden:/x", "plain:1")
    );
    await noVolumes(host, UNREPORTED_BUILD);
  });
});

/** Has a build begun by a client that can hang up. */
async function hungUpBuild(
  host: Host,
  dockerfile: string[],
): Promise<Deno.Conn> {
  const dir = await Deno.makeTempDir({ dir: host.h.dir });
  await Deno.writeTextFile(`${dir}/Dockerfile`, dockerfile.join("\n"));
  const { stdout } = await new Deno.Command("tar", {
    args: ["-C", dir, "-c", "."],
  }).output();
  const connection = await Deno.connect({
    transport: "unix",
    path: host.stranger.socket,
  });
  const bytes = request("POST", "/build?nocache=1", { body: stdout });
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
  return connection;
}
