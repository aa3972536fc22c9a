/**
 * The lines that decide on calls, put together.
 *
 * @module
 */
import type { AuditEvent } from "../audit.ts";
import { allSettings } from "../config/config.ts";
import { Http2Watch } from "../config/http2.ts";
import type { Settings } from "../config/settings.ts";
import type { EngineEndpoint } from "../engine/address.ts";
import { type EngineClient, engineClient } from "../engine/client.ts";
import { connectEngine } from "../engine/engine.ts";
import { usersEndpoint } from "../engine/h2c.ts";
import { Presence } from "../engine/presence.ts";
import { OwnCalls } from "../engine/own_calls.ts";
import type { AuthzRequest } from "../call/authz.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { exemptionCheck } from "./exemptions.ts";
import { createFirstLine, type FirstLine } from "./first_line.ts";
import { follow } from "./follow.ts";
import { Kept } from "./kept.ts";
import { createSecondLine, type SecondLine } from "./second_line.ts";
import { createThirdLine } from "./third_line.ts";

/** What decides on calls. */
export interface Lines {
  /** Before the engine serves a call. */
  firstLine: FirstLine;
  /** When it has, before the client has the answer. */
  secondLine: SecondLine;
  /** To be called if the engine asks who we are, as it does at its start. */
  activated(): void;
}

/** The same, with the watch over what the engine has, and over itself. */
export interface AllLines extends Lines {
  /** Whether users get past all this by HTTP/2. */
  http2: Pick<Http2Watch, "warning" | "logWarning">;
  /** @returns Why nobody looks at what the host has, if nobody does. */
  unwatched(): string | undefined;
  /** @returns Why a restart will forget whose containers are, if it will. */
  forgetful(): string | undefined;
  /** @returns How many containers are left alone that a policy refuses. */
  left(): number;
  /** Looks at all containers again: the settings are other ones now. */
  settingsChanged(): void;
  /** Writes down until when the host was watched. */
  close(): Promise<void>;
}

/**
 * Puts the lines together.
 *
 * @param options The settings, read anew for each call, where the engine is,
 *   what is told of verdicts and questions, and the directory for what outlives
 *   the process.
 * @returns What decides on calls.
 */
export function createLines(
  { settings, endpoint, log, metrics, audit, stateDirectory }: {
    settings: Settings;
    endpoint: EngineEndpoint;
    log: Log;
    metrics: Metrics;
    audit?: (event: AuditEvent) => void;
    stateDirectory: string | undefined;
  },
): AllLines {
  const calls = new OwnCalls();
  const engine = connectEngine(
    timed(engineClient(endpoint, { calls }), metrics),
  );
  const presence = new Presence(endpoint);
  const http2 = new Http2Watch({
    engine,
    endpoint: () => usersEndpoint(endpoint),
    config: () => settings.config,
    log,
  });
  const heard = () => {
    presence.heard();
    following.hurry();
    http2.heard();
  };
  const kept = Kept.open(stateDirectory);
  if (kept.problem) log.error(kept.problem);
  // Not to be spread: a copy would keep the settings of that moment.
  const options = {
    get config() {
      return settings.config;
    },
    engine,
    isExempt: exemptionCheck(),
    isOwnCall: (request: AuthzRequest) => calls.recognize(request),
    heard,
    kept,
    log,
    metrics,
    audit,
    observe: metrics.decided.bind(metrics),
    arrived: () => following.arrived(),
  };
  const thirdLine = createThirdLine(options);
  const following = follow({
    engine,
    thirdLine,
    log,
    isWanted: () =>
      allSettings(settings.config).some(({ sections }) =>
        [sections.volumes, sections.images, sections.privileges].some(Boolean)
      ),
    presence,
    begins() {
      http2.engineStarts();
      http2.heard();
    },
  });
  return {
    firstLine: createFirstLine(options, thirdLine),
    secondLine: createSecondLine(options, thirdLine),
    activated() {
      // An engine asks so at its start, or if it is told of the plugin.
      if (following.problem() !== undefined) thirdLine.engineEnded();
      presence.heard();
      following.hurry();
      // It has to finish its start before it answers.
      http2.engineStarts();
    },
    http2,
    unwatched: following.problem,
    forgetful: () => kept.problem,
    left: thirdLine.left,
    settingsChanged: following.settingsChanged,
    async close() {
      if (following.problem() === undefined) kept.watchedUntil = Date.now();
      following.close();
      await kept.save();
    },
  };
}

/** Counts what the engine is asked. */
function timed(client: EngineClient, metrics: Metrics): EngineClient {
  return {
    ...client,
    async send(request) {
      const started = performance.now();
      const count = (result: "ok" | "not_found" | "failed") =>
        metrics.asked(result, (performance.now() - started) / 1000);
      try {
        const answer = await client.send(request);
        count(
          answer.status < 400
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
    },
  };
}
