/**
 * Two sides measured against each other.
 *
 * @module
 */

/** One slice of one side. */
export interface Slice {
  /** How long each call took, in microseconds. */
  times: number[];
  /** What the server's processor time was for all of them, in microseconds. */
  cpu: number;
}

/** All slices of one side. */
export interface Summary {
  /** In microseconds. */
  median: number;
  p99: number;
  /** Processor time of the server for a call, in microseconds. */
  cpu: number;
}

/** What came of a comparison; the ratios are subject by base. */
export interface Comparison {
  ratio: number;
  /** Lower and upper quartile of the ratios of the medians of two neighbouring slices. */
  spread: [number, number];
  p99Ratio: number;
  cpuRatio: number;
  subject: Summary;
  base: Summary;
}

/** Takes one slice of one side. */
export type Measure = () => Slice | Promise<Slice>;

/**
 * Measures two sides in short slices, turn by turn: what else the machine does hits both.
 *
 * @param subject What is measured.
 * @param base What it is measured against.
 * @param pairs How many slices of each; one more in front warms up and is not counted.
 * @returns What came of it.
 */
export async function compare(
  subject: Measure,
  base: Measure,
  pairs: number,
): Promise<Comparison> {
  const subjects: Slice[] = [];
  const bases: Slice[] = [];
  await subject();
  await base();
  for (let pair = 0; pair < pairs; pair++) {
    // Whoever is second finds the machine as the first has left it: they take turns in that too.
    if (pair % 2 === 0) subjects.push(await subject());
    bases.push(await base());
    if (pair % 2 === 1) subjects.push(await subject());
  }
  return compareSlices(subjects, bases);
}

/**
 * Compares slices that were taken in pairs.
 *
 * @param subjects Those of what is measured.
 * @param bases Those of what it is measured against.
 * @returns What came of it.
 */
export function compareSlices(subjects: Slice[], bases: Slice[]): Comparison {
  const ratios = subjects.map(({ times }, at) =>
    median(times) / median(bases[at].times)
  );
  const subject = summary(subjects);
  const base = summary(bases);
  return {
    ratio: subject.median / base.median,
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    p99Ratio: subject.p99 / base.p99,
    cpuRatio: subject.cpu / base.cpu,
    subject,
    base,
  };
}

function summary(slices: Slice[]): Summary {
  const times = slices.flatMap(({ times }) => times);
  return {
    median: median(times),
    p99: quantile(times, 0.99),
    cpu: slices.reduce((sum, { cpu }) => sum + cpu, 0) / times.length,
  };
}

/** @returns The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
