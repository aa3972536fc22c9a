/** Generates attacks until one gets through, and shrinks that one. */

import fc from "fast-check";
import { type Attack, attacks } from "./attacks.ts";
import type { Shot } from "./draft.ts";
import type { Oracle } from "./oracle.ts";
import { aim, type Target } from "./target.ts";

/** How long and from where. */
export interface FuzzOptions {
  seed: number;
  runs: number;
  /** Stop after so many milliseconds. */
  time?: number;
  /** Begin at a counterexample that fast-check printed. */
  path?: string;
}

/** An attack that got through. */
export interface Hit {
  /** What it was and what it did, for a reader. */
  report: string;
  /** Its bytes. */
  shot: Shot;
}

/**
 * Attacks an engine.
 *
 * @param target the engine and what is on it
 * @param oracle tells what got through
 * @param options how long and from where
 * @returns the smallest attack that got through; undefined for none
 */
export async function fuzz(
  target: Target,
  oracle: Oracle,
  options: FuzzOptions,
): Promise<Hit | undefined> {
  let last: string[] = [];
  const property = fc.asyncProperty(
    attacks(Object.keys(target.seeds()), target.arsenal),
    async (attack) => {
      const found = await oracle.attack(aim(target, attack)).catch((error) => [
        String(error),
      ]);
      if (found.length > 0) last = found; // What is tried last may be harmless.
      return found.length === 0;
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
    const report = [
      `FUZZ_SEED=${details.seed} FUZZ_PATH=${details.counterexamplePath}`,
      describe(target, attack),
      ...last,
    ];
    return { report: report.join("\n"), shot: aim(target, attack) };
  }
  const late = await oracle.look();
  return late.length === 0 ? undefined : {
    report: ["some time ago, by the engine's look of it:", ...late].join("\n"),
    shot: { bytes: new Uint8Array(), answers: 0, starved: false },
  };
}

/** What was done to which call, and the bytes that came of it. */
function describe(target: Target, attack: Attack): string {
  const { bytes } = aim(target, attack);
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 3000));
  return [
    attack.seed,
    ...attack.moves.map(({ says }) => `  ${says}`),
    JSON.stringify(text) + (bytes.length > 3000 ? ` … ${bytes.length}` : ""),
  ].join("\n");
}
