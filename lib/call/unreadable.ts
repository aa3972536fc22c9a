/**
 * A request that cannot be read surely as the engine reads it, with the reason.
 * Whatever reads a request throws it; lib/verdict/ turns it into a denial.
 */
export class Unreadable extends Error {
  /** @param reason What is wrong with the request, and what to send instead. */
  constructor(reason: string) {
    super(reason);
    this.name = "Unreadable";
  }
}
