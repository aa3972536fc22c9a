import type { Row } from "./table.ts";

/** A run of the bench: what is wanted of it, and what came of it so far. */
export class Bench {
  readonly rows: Row[] = [];
  /** A directory for sockets and settings. */
  readonly dir: string;
  /** How much longer it may take than usual. */
  readonly slow: number;
  /** Another checkout, to be measured against in place of the floor. */
  readonly against?: string;
  readonly #only: RegExp;

  /**
   * @param dir A directory of its own.
   * @param options `only`: which rows; `slow`: how much longer than usual; `against`: another checkout.
   */
  constructor(
    dir: string,
    { only, slow, against }: { only: string; slow: number; against?: string },
  ) {
    this.dir = dir;
    this.slow = slow;
    this.against = against;
    this.#only = new RegExp(only);
  }

  /** @returns Whether a row of this name is to be measured. */
  wants(what: string): boolean {
    return this.#only.test(what);
  }

  /** Adds a row to the table. */
  add(row: Row): void {
    this.rows.push(row);
  }

  /** Says on standard error what is going on. */
  progress(what: string): void {
    console.error(`bench: ${what}`);
  }
}
