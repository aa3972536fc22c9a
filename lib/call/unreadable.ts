/**
 * A request that cannot be read as the engine reads it, with the reason.
 * Readers throw it; `judge.ts` is the one place that turns it into a denial.
 */
export class Unreadable extends Error {
  /** @param reason What is wrong with the request, and what to send instead. */
  constructor(reason: string) {
    super(reason);
    this.name = "Unreadable";
  }
}
