/**
 * Generated attacks against a real engine with the plugin in front.
 *
 * `FUZZ_RUNS`: how many (2,000). `FUZZ_SEED`: the seed of a run that was printed. `FUZZ_PATH`: beside it, the
 * path of a counterexample.
 */

import { engineTest } from "../harness.ts";
import { assert } from "../verdict.ts";
import { fuzz } from "./fuzz.ts";
import { Oracle } from "./oracle.ts";
import { aim, seedsFor } from "./seeds.ts";
import { makeWorld, unguarded } from "./world.ts";

engineTest("generated attacks", async (t, h) => {
  const world = await makeWorld(h);
  const oracle = await Oracle.watch(world);

  await t.step("without the plugin each call does harm", async () => {
    await unguarded(world, async () => {
      for (const seed of seedsFor(world)) {
        const harm = await oracle.judge(aim(world, { seed, moves: [] }));
        assert(harm.length > 0, seed);
      }
    });
  });

  await t.step("with it none does", async () => {
    for (const seed of seedsFor(world)) {
      const harm = await oracle.judge(aim(world, { seed, moves: [] }));
      assert(harm.length === 0, `${seed}: ${harm}`);
    }
  });

  const seed = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() & 0x7fffffff);
  const runs = Number(Deno.env.get("FUZZ_RUNS") ?? 2000);
  await t.step(`seed ${seed}, ${runs} attacks`, async () => {
    const hit = await fuzz(world, oracle, {
      seed,
      runs,
      path: Deno.env.get("FUZZ_PATH"),
    });
    const codes = [...oracle.statuses].sort(([a], [b]) => a - b);
    console.log(
      `${oracle.sent} requests sent; answers: ` +
        codes.map(([code, n]) => `${n} × ${code || "none"}`).join(", "),
    );
    assert(!hit, `got past the plugin:\n${hit}`);
  });
});
