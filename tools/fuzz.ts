/**
 * `deno task fuzz --minutes 30`: attacks a real engine with generated requests,
 * and keeps what gets through under `tests/corpus/`.
 *
 * `--seed N` begins where another run began, `--sort volumes`,
 * `--sort privileges` or `--sort doors` attacks some policies alone. `ENGINE` names the engine, as for the tests.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { CORPUS, keep } from "../tests/engine/fuzz/corpus.ts";
import { doorsTarget } from "../tests/engine/fuzz/doors.ts";
import { fuzz } from "../tests/engine/fuzz/fuzz.ts";
import { Oracle } from "../tests/engine/fuzz/oracle.ts";
import type { Target } from "../tests/engine/fuzz/target.ts";
import { privilegesTarget } from "../tests/engine/fuzz/privileges.ts";
import { volumesTarget } from "../tests/engine/fuzz/volumes.ts";
import { whyNoEngine } from "../tests/engine/dockerd.ts";
import { Harness } from "../tests/engine/harness.ts";

/** After this many attacks, a few minutes, a fresh engine takes over. */
const ROUND = 10_000;

const TARGETS: Record<string, (h: Harness) => Promise<Target>> = {
  volumes: volumesTarget,
  privileges: privilegesTarget,
  doors: doorsTarget,
};

const args: Record<"minutes" | "seed" | "sort", string | undefined> = parseArgs(
  Deno.args,
  { string: ["minutes", "seed", "sort"] },
);
const minutes = Number(args.minutes ?? 10);
const sorts = args.sort === undefined ? Object.keys(TARGETS) : [args.sort];
if (!(minutes > 0) || sorts.some((sort) => !(sort in TARGETS))) {
  console.error(
    `usage: deno task fuzz [--minutes N] [--seed N] [--sort ${
      Object.keys(TARGETS).join("|")
    }]`,
  );
  Deno.exit(2);
}
const missing = await whyNoEngine();
if (missing) {
  console.error(`fuzz: ${missing}`);
  Deno.exit(1);
}

const end = Date.now() + minutes * 60_000;
let hits = 0;
for (
  let round = 0, seed = Number(args.seed ?? Date.now() & 0x7fffffff);
  Date.now() < end;
  round++, seed++
) {
  hits += await attack(sorts[round % sorts.length], seed);
}
Deno.exit(hits > 0 ? 1 : 0);

/** One round on a fresh engine; gives how many attacks got through. */
async function attack(sort: string, seed: number): Promise<number> {
  const h = await Harness.start({});
  try {
    const target = await TARGETS[sort](h);
    const oracle = await Oracle.watch(target);
    const hit = await fuzz(target, oracle, {
      seed,
      runs: ROUND,
      time: end - Date.now(),
    });
    console.log(
      `Docker ${h.version.full}, ${sort}, seed ${seed}: ` +
        `${oracle.sent} requests, ${hit ? "one got through" : "none through"}`,
    );
    if (!hit) return 0;
    console.log(hit.report);
    const file = new URL(`found-${sort}-${seed}.json`, CORPUS);
    await Deno.writeTextFile(
      file,
      JSON.stringify(
        {
          title: "found by the fuzzer: say what is odd about it",
          story: hit.report,
          harms: [h.version.major],
          ...sort !== "volumes" && { target: sort },
          ...keep(target, hit.shot),
        },
        null,
        2,
      ) + "\n",
    );
    console.log(`kept as ${file.pathname}`);
    return 1;
  } finally {
    await h.stop();
  }
}
