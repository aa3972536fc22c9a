/** A clock that a test sets: no timing decides a test. */
const { setTimeout: realSetTimeout } = globalThis;

interface Timer {
  at: number;
  every?: number;
  run: () => void;
}

/** Stands in for `Date.now`, `performance.now` and the timers until it is disposed of. */
export class FakeClock implements Disposable {
  readonly #real = {
    now: Date.now,
    monotonic: performance.now,
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  };
  readonly #timers = new Map<number, Timer>();
  /** No real timer has such a number. */
  #last = 1_000_000_000;
  #now: number;
  /** How far the wall clock is off, in milliseconds. */
  #offset = 0;

  /** @param now What time it is, in milliseconds since 1970. */
  constructor(now = Date.parse("2026-01-02T03:04:05Z")) {
    this.#now = now;
    const start = now - 1000;
    Date.now = () => this.#now + this.#offset;
    performance.now = () => this.#now - start;
    const set = (run: () => void, wait = 0, every?: number) => {
      this.#last++;
      // What waits for no time has it.
      if (wait <= 0) this.#real.setTimeout(run, 0);
      else this.#timers.set(this.#last, { at: this.#now + wait, every, run });
      return this.#last;
    };
    const clear = (id?: number) => void this.#timers.delete(id ?? 0);
    Object.assign(globalThis, {
      setTimeout: (run: () => void, wait?: number) => set(run, wait),
      setInterval: (run: () => void, wait = 0) => set(run, wait, wait),
      clearTimeout: clear,
      clearInterval: clear,
    });
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock: no time passes by that. */
  set(milliseconds: number): void {
    this.#offset += milliseconds;
  }

  /** Lets time pass, and all that it brings. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settled();
    for (;;) {
      for (let i = 0; i < 50; i++) await undefined;
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      const [id, timer] = next;
      if (timer.every === undefined) await settled();
      this.#now = Math.max(this.#now, timer.at);
      if (timer.every === undefined) this.#timers.delete(id);
      else timer.at = this.#now + Math.max(timer.every, 1);
      timer.run();
    }
    this.#now = end;
    await settled();
  }

  [Symbol.dispose](): void {
    const { now, monotonic, ...timers } = this.#real;
    Date.now = now;
    performance.now = monotonic;
    Object.assign(globalThis, timers);
  }
}

/** @returns When everything has happened that waits for no time to pass. */
export async function settled(): Promise<void> {
  // Whatever stands on promises alone is over before the next timer fires.
  for (let i = 0; i < 5; i++) {
    await new Promise<void>((done) => void realSetTimeout(done, 0));
  }
}

/** @returns Whether a promise is fulfilled by now. */
export async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  promise.then(() => over = true);
  await settled();
  return over;
}
