/** Generates attacks until one gets through, and shrinks that one. */

import fc from "fast-check";
import { type Attack, attacks } from "./attacks.ts";
import type { Oracle } from "./oracle.ts";
import { aim, seedsFor } from "./seeds.ts";
import type { World } from "./world.ts";

/** How long and from where. */
export interface FuzzOptions {
  seed: number;
  runs: number;
  /** Stop after so many milliseconds. */
  time?: number;
  /** Begin at a counterexample that fast-check printed. */
  path?: string;
}

/**
 * Attacks an engine.
 *
 * @param world the engine and what is on it
 * @param oracle tells what got through
 * @param options how long and from where
 * @returns the smallest attack that got through, described for a reader; undefined for none
 */
export async function fuzz(
  world: World,
  oracle: Oracle,
  options: FuzzOptions,
): Promise<string | undefined> {
  let last: string[] = [];
  const property = fc.asyncProperty(
    attacks(seedsFor(world)),
    async (attack) => {
      const found = await oracle.judge(aim(world, attack));
      if (found.length === 0) return true;
      last = found;
      return false;
    },
  );
  const details = await fc.check(property, {
    numRuns: options.runs,
    seed: options.seed,
    path: options.path,
    interruptAfterTimeLimit: options.time,
    markInterruptAsFailure: false,
  });
  if (details.failed && details.counterexample) {
    const [attack] = details.counterexample;
    return [
      `FUZZ_SEED=${details.seed} FUZZ_PATH=${details.counterexamplePath}`,
      describe(world, attack),
      details.errorInstance ? String(details.errorInstance) : last.join("\n"),
    ].join("\n");
  }
  return (await oracle.look()).join("\n") || undefined;
}

/** What was done to which call, and the bytes that came of it. */
function describe(world: World, attack: Attack): string {
  const { bytes } = aim(world, attack);
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 3000));
  return [
    attack.seed,
    ...attack.moves.map(({ says }) => `  ${says}`),
    JSON.stringify(text) + (bytes.length > 3000 ? ` … ${bytes.length}` : ""),
  ].join("\n");
}
