/**
 * Creates that win the race over a tag, and whose answer is too long for the
 * engine to show it to the plugin: nobody tells it which container they made.
 */

import { Door } from "./third_line/door.ts";
import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { build, succeeded } from "./third_line/builds.ts";
import { LONG, longImage } from "./third_line/long_answers.ts";
import { assert, assertEquals } from "../verdict.ts";

/** Milliseconds that a storm lasts. */
const STORM = 6_000;

async function tag(host: Host, image: string): Promise<void> {
  await host.h.api("POST", `/images/${image}/tag?repo=race&tag=1`);
}

/**
 * Creates by the dozen, which try to win the race over the tag, and others beside
 * them that come to nothing.
 *
 * @returns How many won, by an answer that hides.
 */
async function storm(host: Host, door: Door, time: number): Promise<number> {
  const end = Date.now() + time;
  let made = 0;
  let at = 0;
  door.meanwhile = {
    question: /\/images\/race/,
    work: () => tag(host, "long-vol:1"),
  };
  await Promise.all([
    ...Array.from({ length: 3 }, async () => {
      while (Date.now() < end) {
        await tag(host, "plain:1");
        const { status, body } = await host.stranger.api(
          "POST",
          `/containers/create?name=racer-${at++}`,
          { Image: "race:1" },
        );
        if (status === 201 && body.length > LONG) made++;
      }
    }),
    ...Array.from({ length: 8 }, async () => {
      while (Date.now() < end) {
        await host.stranger.api("POST", "/containers/create?name=racer-0", {
          Image: "nowhere:1",
        });
      }
    }),
  ]);
  door.meanwhile = undefined;
  return made;
}

hostTest("creates whose answer hides", async (t, host) => {
  await host.image("plain:1");
  await longImage(host.h, "long-vol:1", ["/data"]);
  await using door = new Door(
    `${host.h.dir}/door.sock`,
    host.h.dockerd.socket,
  );
  await host.guard("[volumes]\n", { host: door.host });

  await t.step("none with a volume stays", async () => {
    // Without one this shows nothing.
    assert(await storm(host, door, STORM) > 0);
    await eventually("no volume is left", async () => {
      const { volumes } = await host.things();
      return volumes.length === 0 && (await host.withVolumes()).length === 0;
    });
  });
  await t.step("one that is started before it is known", async () => {
    door.meanwhile = {
      question: /\/images\/race/,
      work: () => tag(host, "long-vol:1"),
    };
    for (let round = 0; round < 5; round++) {
      await tag(host, "plain:1");
      const name = `quick-${round}`;
      let over = false;
      const creating = host.stranger.api(
        "POST",
        `/containers/create?name=${name}`,
        { Image: "race:1" },
      ).finally(() => over = true);
      const starts = async () => {
        while (!over) {
          await host.stranger.api("POST", `/containers/${name}/start`);
        }
      };
      const [{ status, body }] = await Promise.all([
        creating,
        starts(),
        starts(),
      ]);
      assertEquals(status, 201, body);
      assert(body.length > LONG, body);
    }
    door.meanwhile = undefined;
    await eventually("no volume is left", async () => {
      const { volumes } = await host.things();
      return volumes.length === 0 && (await host.withVolumes()).length === 0;
    });
  });
});

hostTest("a build amid creates whose answer hides", async (t, host) => {
  await host.image("plain:1");
  await longImage(host.h, "long-vol:1", ["/data"]);
  await using door = new Door(
    `${host.h.dir}/door.sock`,
    host.h.dockerd.socket,
  );
  await host.guard("[volumes]\n", { host: door.host });

  await t.step("succeeds", async () => {
    const steps = Array.from(
      { length: 6 },
      (_, at) => `RUN sleep 1; echo ${at}`,
    );
    const building = build(host, host.stranger, [
      "FROM plain:1",
      "VOLUME /scratch",
      ...steps,
    ]);
    let isOver = false;
    building.finally(() => isOver = true);
    let made = 0;
    while (!isOver) made += await storm(host, door, 2000);
    assert(made > 0);
    const answer = await building;
    assert(succeeded(answer), answer.body.slice(-1000));
  });
  await t.step("and leaves no volume", async () => {
    await eventually("no volume is left", async () => {
      const { volumes } = await host.things();
      return volumes.length === 0 && (await host.withVolumes()).length === 0;
    });
    await always("none comes back", async () => {
      return (await host.things()).volumes.length === 0;
    }, 2000);
  });
});
