/**
 * The lines that decide on calls, put together.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import type { EngineEndpoint } from "../engine/address.ts";
import { engineClient, type Send } from "../engine/client.ts";
import { connectEngine, type Engine } from "../engine/engine.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { exemptionCheck } from "./exemptions.ts";
import { createFirstLine, type FirstLine } from "./first_line.ts";
import { createSecondLine, type SecondLine } from "./second_line.ts";

/** What decides on calls. */
export interface Lines {
  /** Before the engine serves a call. */
  firstLine: FirstLine;
  /** When it has, before the client has the answer. */
  secondLine: SecondLine;
}

/**
 * Puts the lines together.
 *
 * @param options The settings, read anew for each call, where the engine is,
 *   and what is told of verdicts and questions.
 * @returns What decides on calls, and the engine that is asked.
 */
export function createLines(
  { settings, endpoint, log, metrics }: {
    settings: Settings;
    endpoint: EngineEndpoint;
    log: Log;
    metrics: Metrics;
  },
): Lines & { engine: Engine } {
  const engine = connectEngine(timed(engineClient(endpoint), metrics));
  const options = {
    get config() {
      return settings.config;
    },
    engine,
    isExempt: exemptionCheck(),
    log,
    observe: metrics.decided.bind(metrics),
  };
  const secondLine = createSecondLine(options);
  const firstLine = createFirstLine(options, secondLine.admit);
  return { firstLine, secondLine, engine };
}

/** Counts what the engine is asked. */
function timed(send: Send, metrics: Metrics): Send {
  return async (path, method) => {
    const started = performance.now();
    const count = (result: "ok" | "not_found" | "failed") =>
      metrics.asked(result, (performance.now() - started) / 1000);
    try {
      const answer = await send(path, method);
      count(
        answer.status < 300
          ? "ok"
          : answer.status === 404
          ? "not_found"
          : "failed",
      );
      return answer;
    } catch (error) {
      count("failed");
      throw error;
    }
  };
}
