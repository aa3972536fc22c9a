/**
 * What kind of host an executable is for.
 *
 * @module
 */

/** What ELF calls the processors of Deno's Linux targets (`e_machine`). */
const MACHINES: Record<string, number> = { x86_64: 62, aarch64: 183 };

/**
 * Looks at the head of an executable.
 *
 * @param file The executable.
 * @param target The kind of host that it should be for, as Deno names it.
 * @returns What is wrong with it, to be put behind its name; undefined if
 * nothing is.
 */
export function elfProblem(file: string, target: string): string | undefined {
  const header = new DataView(new ArrayBuffer(20));
  try {
    using opened = Deno.openSync(file);
    opened.readSync(new Uint8Array(header.buffer));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "does not exist";
    return `can't be read: ${error instanceof Error ? error.message : error}`;
  }
  if (header.getUint32(0) !== 0x7f454c46) return "is no ELF executable";
  if (
    header.getUint16(18, true) !==
      MACHINES[target.slice(0, target.indexOf("-"))]
  ) {
    return `is for another processor than ${target}`;
  }
}
