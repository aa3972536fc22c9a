/**
 * From an AuthZ request to a decision.
 *
 * @module
 */
import type { Config } from "./config.ts";
import { type Engine, EngineError } from "./engine.ts";
import type { Exemptions } from "./identity.ts";
import type { Log } from "./log.ts";
import { ALLOW, type Decision, deny, shown } from "./policy/decision.ts";
import { judgeImages } from "./policy/doors.ts";
import { judgePushes } from "./policy/pushes.ts";
import { judgeVolumes } from "./policy/volumes.ts";
import { Call } from "./request/call.ts";
import { matchEndpoint, type Section } from "./request/endpoints.ts";
import { Unreadable } from "./request/unreadable.ts";
import { parseTarget } from "./request/uri.ts";
import type { AuthzRequest } from "./wire.ts";

/** What a judge works with. */
export interface JudgeOptions {
  config: Config;
  engine: Engine;
  /** Whether a user is exempt from a policy. */
  isExempt: (user: string, exemptions: Exemptions) => Promise<boolean>;
  log: Log;
}

/** Decides whether the engine may serve a call; it never throws. */
export type Judge = (request: AuthzRequest) => Promise<Decision>;

/**
 * Makes the judge.
 *
 * @param options What it works with.
 * @returns The judge. Whatever goes wrong in it is a denial, and is logged.
 */
export function createJudge(
  { config, engine, isExempt, log }: JudgeOptions,
): Judge {
  async function judge(request: AuthzRequest): Promise<Decision> {
    const target = parseTarget(request.uri);
    const match = matchEndpoint(request.method, target.path);
    if (!match) return ALLOW;
    let call: Call | undefined;
    for (const section of match.endpoint.judges) {
      const policy = config[section];
      if (!policy || await isExempt(request.user, policy)) continue;
      call ??= new Call(request, match, target);
      const decision = await judgeSection(section, call);
      if (!decision.allow) return decision;
    }
    return ALLOW;
  }

  function judgeSection(
    section: Section,
    call: Call,
  ): Promise<Decision> | Decision {
    switch (section) {
      case "volumes":
        return config.volumes
          ? judgeVolumes(config.volumes, call, engine)
          : ALLOW;
      case "images":
        return config.images ? judgeImages(config.images, call, engine) : ALLOW;
      case "push":
        return config.push ? judgePushes(config.push, call, engine) : ALLOW;
    }
  }

  return async (request) => {
    let decision: Decision;
    try {
      decision = await judge(request);
    } catch (error) {
      decision = denyFor(error, log);
    }
    if (!decision.allow) {
      log.warning(`denied ${describe(request)}: ${decision.message}`);
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      log.debug(`allowed ${describe(request)}`);
    }
    return decision;
  };
}

function denyFor(error: unknown, log: Log): Decision {
  if (error instanceof Unreadable) {
    return deny("unreadable", `request can't be checked: ${error.message}`);
  }
  if (error instanceof EngineError) {
    return deny("engine", `engine can't be asked: ${error.message}`);
  }
  log.error(
    `bug: ${error instanceof Error ? error.stack ?? error : String(error)}`,
  );
  return deny(
    "bug",
    "docker-policy-plugin failed on this request: see its log",
  );
}

function describe({ user, method, uri }: AuthzRequest): string {
  return `user=${user === "" ? "-" : JSON.stringify(shown(user))} ` +
    `${shown(method, 20)} ${shown(uri, 500)}`;
}
