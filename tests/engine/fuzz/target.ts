import type { Harness } from "../harness.ts";
import type { Arsenal, Attack } from "./attacks.ts";
import { type Draft, draft, render, type Shot } from "./draft.ts";

/**
 * What attacks are aimed at: an engine with the plugin in front, and with
 * something on it that can be got at.
 */
export interface Target {
  h: Harness;
  /** What is done to its calls. */
  arsenal: Arsenal;
  /** Calls that the policy refuses, by name, in their plainest spelling. */
  seeds(): Record<string, Partial<Draft>>;
  /** A cheap look: anything that differs when something was done. */
  glance(): Promise<string>;
  /**
   * Looks for what should not be, and takes back whatever the attacks have
   * done, so that the next one finds the same target.
   *
   * @returns what got past the plugin, a line each; none if all is well
   */
  inspectAndMend(): Promise<string[]>;
  /** Does something as if there were no plugin. */
  unguarded<T>(work: () => Promise<T>): Promise<T>;
  /**
   * What differs from engine to engine in the bytes of a request, by name; IDs
   * are always of the same length.
   */
  names(): Map<string, string>;
}

/**
 * Respells a call.
 *
 * @param target what it is aimed at
 * @param attack which call, and what is done to it
 * @returns the bytes to send
 */
export function aim(target: Target, attack: Attack): Shot {
  const aimed = draft(structuredClone(target.seeds()[attack.seed]));
  for (const move of attack.moves) move.on(aimed);
  return render(aimed);
}

/** How many entries a folder has. */
export async function count(folder: string): Promise<number> {
  let n = 0;
  for await (const _ of Deno.readDir(folder)) n++;
  return n;
}
