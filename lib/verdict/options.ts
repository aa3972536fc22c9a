import type { AuditEvent } from "../audit.ts";
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
  /** Told what became of each guarded call. */
  readonly audit?: (event: AuditEvent) => void;
}
