/**
 * Generated attacks against a real engine with the plugin in front.
 *
 * `FUZZ_RUNS`: how many of each sort (2,000, 2,000 and 1,000). `FUZZ_SEED`: the seed
 * of a run that was printed. `FUZZ_PATH`: beside it, the path of a
 * counterexample.
 */

import { sleep } from "../../helpers/programs.ts";
import { engineTest } from "../harness.ts";
import { registryTest } from "../registry.ts";
import { assert } from "../verdict.ts";
import { doorsTarget } from "./doors.ts";
import { fuzz } from "./fuzz.ts";
import { Oracle } from "./oracle.ts";
import { privilegesTarget } from "./privileges.ts";
import { aim, type Target } from "./target.ts";
import { volumesTarget } from "./volumes.ts";

engineTest("generated attacks: volumes", async (t, h) => {
  await attack(t, await volumesTarget(h), 2000);
});

engineTest("generated attacks: privileges", async (t, h) => {
  await attack(t, await privilegesTarget(h), 2000);
});

registryTest("generated attacks: images and pushes", async (t, h) => {
  await attack(t, await doorsTarget(h), 1000);
});

async function attack(
  t: Deno.TestContext,
  target: Target,
  runsByDefault: number,
): Promise<void> {
  const oracle = await Oracle.watch(target);
  const seeds = Object.keys(target.seeds());

  await t.step("without the plugin each call does harm", async () => {
    await target.unguarded(async () => {
      for (const seed of seeds) {
        const harm = await oracle.attack(aim(target, { seed, moves: [] }));
        assert(harm.length > 0, seed);
      }
    });
  });

  await t.step("with it none does", async () => {
    for (const seed of seeds) {
      const harm = await oracle.attack(aim(target, { seed, moves: [] }));
      assert(harm.length === 0, `${seed}: ${harm}`);
    }
  });

  // What the servers log late must not be put down to the first attack.
  await sleep(500);
  await oracle.look();

  const seed = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() & 0x7fffffff);
  const runs = Number(Deno.env.get("FUZZ_RUNS") ?? runsByDefault);
  await t.step(`seed ${seed}, ${runs} attacks`, async () => {
    const path = Deno.env.get("FUZZ_PATH");
    const hit = await fuzz(target, oracle, { seed, runs, path });
    const codes = [...oracle.statuses].sort(([a], [b]) => a - b);
    console.log(
      `${oracle.sent} requests sent; answers: ` +
        codes.map(([code, n]) => `${n} × ${code || "none"}`).join(", "),
    );
    assert(!hit, `got past the plugin:\n${hit?.report}`);
  });
}
