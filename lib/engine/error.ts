/** The engine gave no usable answer, or can't be asked at all. */
export class EngineError extends Error {
  /** @param problem What went wrong, and with which engine. */
  constructor(problem: string) {
    super(problem);
    this.name = "EngineError";
  }
}

/** The engine does not do what it is told. */
export class EngineRefusal extends EngineError {
  /**
   * @param status HTTP status of its answer.
   * @param problem Which call, and its words.
   */
  constructor(readonly status: number, problem: string) {
    super(problem);
  }
}

/** The engine's answer is longer than anything that is legitimate. */
export class EngineTooMuch extends EngineError {
  /**
   * @param problem Which engine.
   * @param beginning How the answer begins.
   */
  constructor(problem: string, readonly beginning: string) {
    super(problem);
  }
}
