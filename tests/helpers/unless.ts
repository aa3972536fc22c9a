/**
 * Tests that can't run on every machine.
 *
 * @module
 */

/**
 * A test, or a step of one, that is ignored if something is missing. The reason
 * stands in its name, which `tests/run.ts` lists at the end of a run.
 *
 * @param why Why it can't run here, and what helps; undefined if it can.
 * @param test The test.
 * @returns What `Deno.test` and `t.step` take.
 */
export function unless<T extends { name: string }>(
  why: string | undefined,
  test: T,
): T & { ignore: boolean } {
  return why === undefined ? { ...test, ignore: false } : {
    ...test,
    name: `${test.name} (skipped: ${why.replaceAll(/\s+/g, " ").trim()})`,
    ignore: true,
  };
}
