/**
 * Requests that once got past a plugin do no harm: `tests/corpus/`, replayed on
 * a real engine.
 */

import { NAMES } from "../unit/engine_stub.ts";
import { shownOf, VIEWS } from "../unit/engine_view.ts";
import { type Entry, load, readCorpus } from "./fuzz/corpus.ts";
import { doorsTarget } from "./fuzz/doors.ts";
import { loadImages } from "./oci.ts";
import { Oracle } from "./fuzz/oracle.ts";
import type { Target } from "./fuzz/target.ts";
import { volumesTarget } from "./fuzz/volumes.ts";
import { engineMajor } from "./dockerd.ts";
import { engineTest, type Harness, type ServiceInspect } from "./harness.ts";
import { registryTest } from "./registry.ts";
import { eventually } from "../helpers/waiting.ts";
import { scale } from "./verdict/third_line/swarm.ts";
import { assert, assertEquals } from "./verdict.ts";

const corpus = await readCorpus();

engineTest("corpus", async (t, h) => {
  await replay(
    t,
    await volumesTarget(h),
    ({ target, store }) => target === undefined && store === undefined,
  );
});

engineTest("corpus, containerd image store", async (t, h) => {
  await replay(
    t,
    await volumesTarget(h, loadImages),
    ({ store }) => store === "containerd",
  );
}, {
  config: { features: { "containerd-snapshotter": true } },
  skip: await engineMajor() < 28
    ? "before Docker 28 containerd's store is an experiment, and takes the image that it shows"
    : undefined,
});

registryTest("corpus, images and pushes", async (t, h) => {
  await replay(t, await doorsTarget(h), ({ target }) => target === "doors");
});

engineTest("corpus: what a plugin is shown", async (t, h) => {
  const send = async (entry: Entry) => {
    const { bytes } = load({ names: () => NAMES }, entry);
    return { bytes, shown: await h.shows(() => h.send(bytes)) };
  };
  const showsBodyOf = async (name: string) => {
    const [, entry] = corpus.find(([each]) => each === name)!;
    return (await send(entry)).shown[0].body !== undefined;
  };
  const view = await showsBodyOf("cve-2026-34040.json")
    ? VIEWS.from29_3_1
    : await showsBodyOf("moby-41452.json")
    ? VIEWS.from25
    : VIEWS.upTo24;
  for (const [name, entry] of corpus) {
    await t.step(`${name}: as tests without an engine have it`, async () => {
      const { bytes, shown } = await send(entry);
      assertEquals(
        shown.map((each) => ({
          method: each.RequestMethod,
          uri: each.RequestUri,
          headers: each.RequestHeaders ?? {},
          body: each.body?.trimEnd(),
        })),
        shownOf(bytes, view).map(({ method, uri, headers, body }) => ({
          ...{ method, uri, headers },
          body: body &&
            new TextDecoder().decode(Uint8Array.fromBase64(body)).trimEnd(),
        })),
      );
    });
  }
});

async function replay(
  t: Deno.TestContext,
  target: Target,
  belongs: (entry: Entry) => boolean,
): Promise<void> {
  const oracle = await Oracle.watch(target);
  for (const [name, entry] of corpus) {
    if (!belongs(entry)) continue;
    await t.step(`${name}: ${entry.title}`, async () => {
      if (entry.harms.includes(target.h.version.major)) {
        await target.unguarded(async () => {
          const harm = await oracle.attack(load(target, entry));
          assert(harm.length > 0, "it does no harm without the plugin");
        });
      }
      if (entry.line === "third") {
        await comesToNothing(target.h, load(target, entry).bytes);
        await oracle.look(); // It takes back what is left, and reads the alert.
      } else {
        assertEquals(await oracle.attack(load(target, entry)), []);
      }
      assertEquals(await oracle.look(), []);
    });
  }
}

/** A service that is allowed does not stay once it has a task. */
async function comesToNothing(h: Harness, bytes: Uint8Array): Promise<void> {
  const { volumes } = await h.state();
  const created = await h.send(bytes);
  assertEquals(created.status, 201, created.body);
  const { ID } = created.json<{ ID: string }>();
  assertEquals((await scale(h, ID, 1)).status, 200);
  await eventually("it is scaled to 0", async () => {
    const { Spec } = (await h.api("GET", `/services/${ID}`)).json<
      ServiceInspect
    >();
    return Spec.Mode?.Replicated.Replicas === 0;
  });
  await eventually("its volume is gone", async () => {
    return (await h.state()).volumes.join() === volumes.join();
  });
}
