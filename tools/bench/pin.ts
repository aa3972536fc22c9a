/**
 * Which processors a process may run on.
 *
 * Two processes that answer each other are put now on one processor, now on two, and a round trip then takes two or
 * three times as long: left to chance, that would be most of what is measured.
 *
 * @module
 */

/** The size of a mask for 1,024 processors (sched_setaffinity(2)), in bytes. */
const MASK = 128;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  sched_setaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" },
});

/** The processors that this process may run on. */
export const PROCESSORS: readonly number[] = allowed();

function allowed(): number[] {
  const status = Deno.readTextFileSync("/proc/self/status");
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/**
 * Keeps a process, with all its threads, on some processors.
 *
 * @param pid The process's number.
 * @param processors The processors.
 */
export function pin(pid: number, processors: readonly number[]): void {
  const mask = new Uint8Array(MASK);
  for (const processor of processors) {
    mask[processor >> 3] |= 1 << (processor & 7);
  }
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    libc.sched_setaffinity(Number(name), BigInt(MASK), mask);
  }
}
