/** A server that is up. */
export interface Listener {
  /** What it listens on, for the log. */
  where: string;
  /** @returns Why engines can't reach it, or undefined if they can. */
  problem(): string | undefined;
  /** Stops accepting, answers what came in, and removes its socket file. */
  close(): Promise<void>;
}

/** The socket can't be had. */
export class ListenError extends Error {
  /** @param problem Which socket, why, and what to do. */
  constructor(problem: string) {
    super(problem);
    this.name = "ListenError";
  }
}
