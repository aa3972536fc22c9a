/** Requests that once got past somebody do no harm: `tests/corpus/`, replayed on a real engine. */

import { load, readCorpus } from "./fuzz/corpus.ts";
import { loadImages } from "./fuzz/oci.ts";
import { Oracle } from "./fuzz/oracle.ts";
import { makeWorld, unguarded } from "./fuzz/world.ts";
import { engineTest } from "./harness.ts";
import { assert, assertEquals } from "./verdict.ts";

const corpus = await readCorpus();

for (const store of [undefined, "containerd"] as const) {
  engineTest(
    `corpus${store ? `, ${store} image store` : ""}`,
    async (t, h) => {
      // The older engines' containerd store is an experiment, and picks as it shows.
      if (store && h.version.major < 28) return;
      const world = await makeWorld(h, store && loadImages);
      const oracle = await Oracle.watch(world);
      for (const [name, entry] of corpus) {
        if (entry.store !== store) continue;
        await t.step(`${name}: ${entry.title}`, async () => {
          if (entry.harms.includes(h.version.major)) {
            await unguarded(world, async () => {
              const harm = await oracle.judge(load(world, entry));
              assert(harm.length > 0, "it does no harm without the plugin");
            });
          }
          assertEquals(await oracle.judge(load(world, entry)), []);
          assertEquals(await oracle.look(), []);
        });
      }
    },
    store && { config: { features: { "containerd-snapshotter": true } } },
  );
}
