/**
 * From an AuthZ request to a decision.
 *
 * @module
 */
import type { Config } from "../config/config.ts";
import { type Engine, EngineError } from "../engine/engine.ts";
import { type Exemptions, IdentityError } from "./exemptions.ts";
import type { Fields, Log } from "../log.ts";
import type { Observation } from "../metrics.ts";
import {
  ALLOW,
  allow,
  type Decision,
  type Denial,
  deny,
} from "../policy/decision.ts";
import { shown } from "../text.ts";
import { judgeImages } from "../policy/images.ts";
import { judgePushes } from "../policy/push.ts";
import { judgeVolumes } from "../policy/volumes.ts";
import type { Recheck } from "./response.ts";
import { Call } from "../call/call.ts";
import { type Route, routeOf, type Section } from "../call/endpoints.ts";
import { Unreadable } from "../call/unreadable.ts";
import type { AuthzRequest } from "../call/authz.ts";

/** What a judge works with. */
export interface JudgeOptions {
  /** The settings; read anew for each call. */
  readonly config: Config;
  readonly engine: Engine;
  /** Whether a user is exempt from a policy. */
  readonly isExempt: (
    user: string,
    exemptions: Exemptions,
  ) => Promise<boolean> | boolean;
  readonly log: Log;
  /** Told of every verdict. */
  readonly observe?: (observation: Observation) => void;
}

/**
 * Decides whether the engine may serve a call; it never throws. Of most calls it
 * need not think, and so has no promise to make.
 */
export type Judge = (request: AuthzRequest) => Promise<Decision> | Decision;

/**
 * Makes the judge.
 *
 * @param options What it works with.
 * @param admit Has the last word on a guarded call that no policy refuses.
 * @returns The judge. Whatever goes wrong in it is a denial, and is logged.
 */
export function createJudge(
  options: JudgeOptions,
  admit?: Recheck["admit"],
): Judge {
  const { engine, isExempt, log, observe } = options;

  return (request) => {
    const started = performance.now();
    const route = routeOf(request);
    if (route) return judgeGuarded(request, route, started);
    conclude(request, "other", started);
    return ALLOW;
  };

  async function judgeGuarded(
    request: AuthzRequest,
    route: Route,
    started: number,
  ): Promise<Decision> {
    const { config } = options;
    let denial: Denial | undefined;
    let enforced = true;
    const reasons: string[] = [];
    try {
      for (const section of route.endpoint.judges) {
        const policy = config[section];
        if (!policy) continue;
        const exempt = isExempt(request.user, policy);
        if (exempt instanceof Promise ? await exempt : exempt) {
          reasons.push(`${shown(request.user)} is exempt from [${section}]`);
          continue;
        }
        const judged = judgeSection(section, config, request, route);
        const decision = judged instanceof Promise ? await judged : judged;
        if (decision.allow) {
          if (decision.because) reasons.push(decision.because);
          continue;
        }
        denial = decision;
        enforced = policy.enforce;
        if (enforced) break;
        // What a policy on trial would refuse, the next may refuse for good.
        logDenial("would deny", request, decision);
        reasons.push(
          `[${section}] is only tried out, and would refuse it: ` +
            decision.message,
        );
      }
    } catch (error) {
      denial = denyFor(error);
      enforced = true;
    }
    conclude(request, route.endpoint.name, started, denial, enforced);
    if (denial && enforced) return denial;
    const held = admit?.(request, route) ?? ALLOW;
    const admitted = held instanceof Promise ? await held : held;
    if (!admitted.allow) return admitted;
    return reasons.length > 0 ? allow(reasons.join("; ")) : ALLOW;
  }

  function conclude(
    request: AuthzRequest,
    endpoint: string,
    started: number,
    denial?: Denial,
    enforced = true,
  ): void {
    observe?.({
      endpoint,
      verdict: !denial ? "allow" : enforced ? "deny" : "would_deny",
      rule: denial?.rule ?? "",
      seconds: (performance.now() - started) / 1000,
    });
    if (denial && enforced) logDenial("denied", request, denial);
    else if (request.method !== "GET" && request.method !== "HEAD") {
      log.debug?.("allowed", describe(request));
    }
  }

  /** What goes wrong in a policy is that policy's denial. */
  function judgeSection(
    section: Section,
    config: Config,
    request: AuthzRequest,
    route: Route,
  ): Promise<Decision> | Decision {
    try {
      const decision = ask(section, config, new Call(request, route));
      return decision instanceof Promise ? decision.catch(denyFor) : decision;
    } catch (error) {
      return denyFor(error);
    }
  }

  function ask(
    section: Section,
    config: Config,
    call: Call,
  ): Promise<Decision> | Decision {
    switch (section) {
      case "volumes":
        return judgeVolumes(config.volumes!, call, engine);
      case "images":
        return judgeImages(config.images!, call, engine);
      case "push":
        return judgePushes(config.push!, call, engine);
    }
  }

  function denyFor(error: unknown): Denial {
    if (error instanceof Unreadable) {
      return deny("unreadable", `request can't be checked: ${error.message}`);
    }
    if (error instanceof EngineError) {
      return deny("engine", `engine can't be asked: ${error.message}`);
    }
    if (error instanceof IdentityError) {
      return deny("identity", `user can't be looked up: ${error.message}`);
    }
    log.error(
      `bug: ${error instanceof Error ? error.stack ?? error : String(error)}`,
    );
    return deny(
      "bug",
      "docker-policy-plugin failed on this request: see its log",
    );
  }

  function logDenial(what: string, request: AuthzRequest, denial: Denial) {
    const { rule, message } = denial;
    log.warning(what, { ...describe(request), rule, reason: message });
  }
}

/**
 * Names a call by what an administrator searches the journal for.
 *
 * @param request The call.
 * @returns User, method and path.
 */
export function describe({ user, method, uri }: AuthzRequest): Fields {
  return {
    user: user === "" ? "-" : shown(user),
    method: shown(method, 20),
    path: shown(uri, 500),
  };
}
