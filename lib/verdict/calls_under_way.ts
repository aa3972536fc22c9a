/** A clock that goes off by less, in milliseconds, was not set. */
const STEP = 1000;

/**
 * Calls of one kind that the engine serves at the moment: those that were
 * allowed, and whose AuthZ response has not come.
 *
 * An AuthZ response does not say which AuthZ request it belongs to, so that
 * calls of which the same is known can't be told apart. The newest is taken for
 * the one that is over: a wait for the older ones then lasts too long rather
 * than too short.
 */
export class CallsUnderWay {
  /** How far the wall clock is from the monotonic one, in milliseconds. */
  #offset = clockOffset();
  /** When it was set, by the monotonic clock. */
  #setAt = -Infinity;
  readonly #limit: number;
  readonly #begun: Map<string, number[]>;
  #waits: { since: number; done: () => void }[] = [];

  /**
   * @param limit After how many milliseconds a call counts as over: if another
   *   plugin refuses it, or the engine ends, no AuthZ response comes.
   * @param begun When the calls of each kind began, in milliseconds since 1970,
   *   the oldest first; it is kept up to date.
   */
  constructor(limit: number, begun = new Map<string, number[]>()) {
    this.#limit = limit;
    this.#begun = begun;
  }

  /** @param kind What can be told of the call that was allowed. */
  begin(kind: string): void {
    this.#followClock();
    this.#expire();
    const times = this.#begun.get(kind);
    if (times) times.push(Date.now());
    else this.#begun.set(kind, [Date.now()]);
  }

  /**
   * @param kind What can be told of the call that has had its AuthZ response.
   */
  end(kind: string): void {
    const times = this.#begun.get(kind);
    times?.pop();
    if (times?.length === 0) this.#begun.delete(kind);
    this.#wake();
  }

  /** Forgets all calls: the engine that served them has ended. */
  clear(): void {
    this.#begun.clear();
    this.#wake();
  }

  /**
   * Waits until none of the calls that began before some time is under way.
   *
   * @param since The time, in milliseconds since 1970.
   * @param longest How long to wait at most, in milliseconds.
   */
  async over(since: number, longest: number): Promise<void> {
    this.#followClock();
    // What was before the clock was set, and what after, can't be told.
    if (performance.now() - this.#setAt < this.#limit) since = Date.now();
    if (!this.#since(since)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait = { since, done: resolve };
    this.#waits.push(wait);
    const timer = setTimeout(resolve, longest);
    // Calls also end by the limit, of which nobody tells.
    const check = setInterval(() => this.#wake(), Math.min(this.#limit, 1000));
    await promise;
    clearTimeout(timer);
    clearInterval(check);
    this.#waits = this.#waits.filter((other) => other !== wait);
  }

  /** Calls go on by the new time when somebody sets the clock. */
  #followClock(): void {
    const offset = clockOffset();
    const step = offset - this.#offset;
    if (Math.abs(step) < STEP) return;
    this.#offset = offset;
    this.#setAt = performance.now();
    for (const times of this.#begun.values()) {
      for (const at of times.keys()) times[at] += step;
    }
    for (const wait of this.#waits) wait.since += step;
  }

  #wake(): void {
    this.#followClock();
    for (const { since, done } of this.#waits) if (!this.#since(since)) done();
  }

  /** Forgets calls that count as over. */
  #expire(): void {
    const oldest = Date.now() - this.#limit;
    for (const [kind, times] of this.#begun) {
      while (times[0] <= oldest) times.shift();
      if (times.length === 0) this.#begun.delete(kind);
    }
  }

  /** Whether a call is under way that had begun at a time. */
  #since(time: number): boolean {
    this.#expire();
    return this.#begun.values().some(([first]) => first <= time);
  }
}

function clockOffset(): number {
  return Date.now() - performance.now();
}
