/**
 * What judges calls, put together. It is loaded when the first message has come: an
 * engine's first question is who we are, and that can be answered before.
 *
 * @module
 */
import { connectEngine, type Engine } from "../engine/engine.ts";
import type { EngineEndpoint } from "../engine/address.ts";
import { engineClient, type Send } from "../engine/client.ts";
import { exemptionCheck } from "./exemptions.ts";
import { createJudge, type Judge } from "./request.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { createRecheck, type Recheck } from "./response.ts";
import type { Settings } from "../config/settings.ts";

/** What judges calls, before they are served and after. */
export interface Policies {
  judge: Judge;
  recheck: Recheck;
}

/** The same, with the engine that they ask. */
export type LoadedPolicies = Policies & { engine: Engine };

/**
 * Puts it together.
 *
 * @param options The settings, read anew for each call, where the engine is, and
 *   what is told of verdicts and questions.
 * @returns What judges calls.
 */
export function createPolicies(
  { settings, endpoint, log, metrics }: {
    settings: Settings;
    endpoint: EngineEndpoint;
    log: Log;
    metrics: Metrics;
  },
): LoadedPolicies {
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
  const recheck = createRecheck(options);
  return { judge: createJudge(options, recheck.admit), recheck, engine };
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
