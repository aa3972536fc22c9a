/**
 * Starts that the plugin allowed for what a name meant, until it meant
 * something else: the engine looks the name up only when the body is there, and
 * its client decides when that is.
 */

import { eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { hold } from "./third_line/held.ts";
import { assert, assertEquals, refused } from "../verdict.ts";

/**
 * Makes a container with a volume that nothing has started yet, and that wants
 * to run for ever.
 */
async function makeBad(host: Host, name: string): Promise<string> {
  return await host.h.must(
    ...["create", `--name=${name}`, "--restart=always", "-v", "/x"],
    ...["-v", `${name}-data:/y`, "plain:1"],
  );
}

/** Gives a container one more name, which no inspect shows. */
async function alias(
  host: Host,
  name: string,
  link: string,
): Promise<void> {
  const answer = await host.stranger.api(
    "POST",
    `/containers/create?name=${name}`,
    { Image: "plain:1", HostConfig: { Links: [link] } },
  );
  assertEquals(answer.status, 201, answer.body);
}

/**
 * What becomes of a container that was there before and is started against the
 * policy.
 */
async function stopsForGood(host: Host, id: string): Promise<void> {
  await eventually(
    "it does not run, and will not start by itself",
    async () => {
      const now = await host.h.container(id);
      return now?.running === false && now.restart === "no";
    },
  );
  await eventually("an alert names it", async () => {
    return (await host.alerts(id.slice(0, 12))).length > 0;
  });
}

const ways: [
  name: string,
  /** Behind `/containers/`. */
  target: (bad: string, other: string) => string,
  /** The link that gives the container that name. */
  link: (bad: string, other: string) => string,
][] = [
  ["start, by a link", (_, p) => `${p}/a/start`, (bad) => `${bad}:a`],
  [
    "start, by a link that leads out",
    (bad) => `${bad}-too/start`,
    (bad) => `${bad}:../${bad}-too`,
  ],
  ["restart, by a link", (_, p) => `${p}/a/restart`, (bad) => `${bad}:a`],
  [
    "restart, by a link that leads out",
    (bad) => `${bad}-too/restart`,
    (bad) => `${bad}:../${bad}-too`,
  ],
];

hostTest("a start whose last byte is held back", async (t, host) => {
  await host.image("plain:1");
  const ids: string[] = [];
  for (const at of ways.keys()) ids.push(await makeBad(host, `bad${at}`));
  const { volumes } = await host.things();
  await host.guard();

  for (const [at, [name, target, link]] of ways.entries()) {
    await t.step(name, async () => {
      const [bad, other] = [`bad${at}`, `qq${at}`];
      const held = await hold(
        host.stranger.socket,
        "POST",
        `/containers/${target(bad, other)}`,
      );
      await alias(host, other, link(bad, other));
      const { status, text } = await held.finish();
      // Without this the test shows nothing.
      assertEquals(status, 204, text);
      await stopsForGood(host, ids[at]);
      // Its volumes were there before.
      assertEquals((await host.things()).volumes, volumes);
    });
  }
  await t.step("by its own name it is refused, as ever", async () => {
    await refused(
      host.h,
      () => host.stranger.docker("start", "bad0"),
      /^volumes are not allowed: /,
    );
  });
  await t.step("others still run", async () => {
    await host.stranger.must("run", "-d", "--name=good", "plain:1");
    const held = await hold(
      host.stranger.socket,
      "POST",
      "/containers/good/restart",
    );
    const { status } = await held.finish();
    assertEquals(status, 204);
    assert((await host.h.container("good"))?.running);
    assertEquals(await host.alerts("good"), []);
  });
});

hostTest("a container of a build, started the same way", async (t, host) => {
  await host.image("plain:1");
  await host.guard();

  await t.step("it is not there to be started", async () => {
    const dir = `${host.h.dir}/context`;
    await Deno.mkdir(dir);
    await Deno.writeTextFile(
      `${dir}/Dockerfile`,
      "FROM plain:1\nVOLUME /data\nRUN sleep 1\n",
    );
    const tar = await new Deno.Command("tar", { args: ["-C", dir, "-c", "."] })
      .output();
    const build = await host.stranger.api(
      "POST",
      "/build?rm=0&t=built",
      tar.stdout,
    );
    assertEquals(build.status, 200, build.body);
    assert(build.body.includes("Successfully built"), build.body);
    const bad = (await host.things()).containers[0]?.Id;
    if (bad) {
      const held = await hold(
        host.stranger.socket,
        "POST",
        "/containers/qq/a/start",
      );
      await host.stranger.api("POST", "/containers/create?name=qq", {
        Image: "plain:1",
        HostConfig: { Links: [`${bad}:a`] },
      });
      await held.finish();
    }
    await eventually("no volume is left", async () => {
      const { volumes } = await host.things();
      return volumes.length === 0 && (await host.withVolumes()).length === 0;
    });
  });
});
