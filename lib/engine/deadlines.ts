/** A deadline that has begun to run. */
export interface Deadline {
  /** Whether it is over. */
  readonly isOver: boolean;
  /** Called when it is. */
  onOver: () => void;
  /** Lets it never be over. */
  clear(): void;
}

/**
 * Deadlines of one length, watched together.
 *
 * A timer for each would be the first use of Deno's `setTimeout`, which loads Node's
 * timers: 3 ms and 3 MB. `AbortSignal.timeout` doesn't, but can't be cleared; so
 * there is one at a time, for the deadline that began first.
 *
 * @example
 * ```ts
 * const deadline = new Deadlines(5000).begin();
 * deadline.onOver = () => connection.close();
 * ```
 */
export class Deadlines {
  readonly #length: number;
  /** Those that run, in the order in which they end. */
  readonly #running = new Set<Running>();
  #isWatched = false;

  /** @param length How long each is, in milliseconds. */
  constructor(length: number) {
    this.#length = length;
  }

  /** @returns A deadline that begins now. */
  begin(): Deadline {
    const running = new Running(
      performance.now() + this.#length,
      this.#running,
    );
    this.#running.add(running);
    if (!this.#isWatched) this.#watch(this.#length);
    return running;
  }

  #watch(time: number): void {
    this.#isWatched = true;
    AbortSignal.timeout(Math.ceil(time)).onabort = () => {
      this.#isWatched = false;
      const now = performance.now();
      for (const running of this.#running) {
        if (running.end > now) return this.#watch(running.end - now);
        running.clear();
        running.isOver = true;
        running.onOver();
      }
    };
  }
}

class Running implements Deadline {
  isOver = false;
  onOver: () => void = () => {};
  readonly end: number;
  readonly #all: Set<Running>;

  constructor(end: number, all: Set<Running>) {
    this.end = end;
    this.#all = all;
  }

  clear(): void {
    this.#all.delete(this);
  }
}
