/** The engine gave no usable answer, or can't be asked at all. */
export class EngineError extends Error {
  /** @param problem What went wrong, and with which engine. */
  constructor(problem: string) {
    super(problem);
    this.name = "EngineError";
  }
}
