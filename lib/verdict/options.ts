import type { Config } from "../config/config.ts";
import type { Engine } from "../engine/engine.ts";
import type { Log } from "../log.ts";
import type { IsExempt } from "./exemptions.ts";

/** What a line works with. */
export interface LineOptions {
  /** The settings; read anew for each call. */
  readonly config: Config;
  readonly engine: Engine;
  readonly isExempt: IsExempt;
  readonly log: Log;
}
