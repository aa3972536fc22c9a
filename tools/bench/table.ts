/**
 * The table that a run prints.
 *
 * @module
 */

/** One side of a measurement; times in microseconds, memory in MB. */
interface Side {
  median: number;
  p99?: number;
}

/** One measurement against its base. */
export interface Cell {
  ratio: number;
  spread?: [number, number];
  p99Ratio?: number;
  /** Processor time of the servers. */
  cpuRatio?: number;
  subject: Side;
  base: Side;
}

/** A line of the table: one measurement, or one for each number of connections. */
export interface Row {
  what: string;
  /** What it is measured against. */
  base: string;
  unit: "µs" | "ms" | "MB";
  cells: Cell[];
  /** What the ratio may be at most. */
  target?: number;
}

const COLUMNS: [string, (row: Row) => string][] = [
  ["what", ({ what }) => what],
  ["against", ({ base }) => base],
  ["ratio", ({ cells }) => each(cells, ({ ratio }) => ratio.toFixed(2))],
  ["target", ({ target }) => target === undefined ? "" : `≤ ${target}`],
  [
    "quartiles of the ratio",
    ({ cells }) =>
      each(
        cells,
        ({ spread }) =>
          spread && spread.map((ratio) => ratio.toFixed(2)).join("–"),
      ),
  ],
  [
    "p99 ratio",
    ({ cells }) => each(cells, ({ p99Ratio }) => p99Ratio?.toFixed(2)),
  ],
  [
    "CPU ratio",
    ({ cells }) => each(cells, ({ cpuRatio }) => cpuRatio?.toFixed(2)),
  ],
  [
    "median : base",
    ({ cells, unit }) =>
      each(
        cells,
        ({ subject, base }) =>
          `${amount(subject.median, unit)} : ${amount(base.median, unit)}`,
      ) +
      ` ${unit}`,
  ],
  [
    "p99 : base",
    ({ cells, unit }) =>
      each(
        cells,
        ({ subject, base }) =>
          subject.p99 !== undefined && base.p99 !== undefined
            ? `${amount(subject.p99, unit)} : ${amount(base.p99, unit)}`
            : undefined,
      ),
  ],
];

/**
 * @param rows What was measured.
 * @returns A Markdown table that can be read as it is.
 */
export function formatTable(rows: readonly Row[]): string {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...rows.map((row) => COLUMNS.map(([, read]) => read(row))),
  ];
  const widths = COLUMNS.map((_, at) =>
    Math.max(...lines.map((line) => line[at].length))
  );
  const rule = widths.map((width) => "-".repeat(width));
  return [lines[0], rule, ...lines.slice(1)].map((line) =>
    `| ${line.map((text, at) => text.padEnd(widths[at])).join(" | ")} |`
  ).join("\n");
}

/**
 * @param rows What was measured.
 * @returns A line for each ratio above its target.
 */
export function missedTargets(rows: readonly Row[]): string[] {
  return rows.filter(({ cells, target }) =>
    target !== undefined && cells.some(({ ratio }) => ratio > target)
  ).map(({ what, base, cells, target }) =>
    `missed: ${what}, against ${base}: ` +
    `${each(cells, ({ ratio }) => ratio.toFixed(2))} instead of ≤ ${target}`
  );
}

function each(
  cells: Cell[],
  read: (cell: Cell) => string | undefined,
): string {
  return cells.map(read).filter((text) => text !== undefined).join(" / ");
}

function amount(value: number, unit: Row["unit"]): string {
  const scaled = unit === "ms" ? value / 1000 : value;
  return scaled.toFixed(scaled < 10 && unit !== "MB" ? 1 : 0);
}
