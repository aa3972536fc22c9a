/**
 * The first line: whether the engine may serve a call.
 *
 * @module
 */
import type { AuthzRequest } from "../call/authz.ts";
import { Call } from "../call/call.ts";
import { type Route, routeOf, type Section } from "../call/endpoints.ts";
import { Unreadable } from "../call/unreadable.ts";
import type { Config } from "../config/config.ts";
import { EngineError } from "../engine/engine.ts";
import type { Observation } from "../metrics.ts";
import {
  ALLOW,
  allow,
  type Decision,
  type Denial,
  deny,
} from "../policy/decision.ts";
import { decideImages } from "../policy/images.ts";
import { decidePrivileges } from "../policy/privileges.ts";
import { decidePush } from "../policy/push.ts";
import type { BindEntry } from "../policy/rules/binds.ts";
import { decideVolumes } from "../policy/volumes.ts";
import { shown } from "../text.ts";
import { describe } from "./describe.ts";
import { IdentityError } from "./exemptions.ts";
import type { LineOptions } from "./options.ts";
import type { ThirdLine } from "./third_line.ts";

/** What the first line works with. */
export interface FirstLineOptions extends LineOptions {
  /** Recognizes the plugin's own calls to the engine, which need no verdict. */
  readonly isOwnCall?: (request: AuthzRequest) => boolean;
  /** Told of each call of somebody's: it shows that the engine is up. */
  readonly heard?: () => void;
  /** Waits until somebody looks at what the host has. */
  readonly arrived?: () => Promise<void>;
  /** Told of every verdict. */
  readonly observe?: (observation: Observation) => void;
}

/** Decides whether the engine may serve a call; it never throws. */
export type FirstLine = (request: AuthzRequest) => Promise<Decision>;

/**
 * Makes the first line.
 *
 * @param options What it works with.
 * @param thirdLine Is told of guarded calls that may go on.
 * @returns The first line. Whatever goes wrong in it is a denial, and is
 *   logged.
 */
export function createFirstLine(
  options: FirstLineOptions,
  thirdLine?: Pick<ThirdLine, "allowed">,
): FirstLine {
  const { engine, isExempt, isOwnCall, log, observe } = options;

  return async (request) => {
    const started = performance.now();
    if (isOwnCall?.(request)) return ALLOW;
    options.heard?.();
    const route = routeOf(request);
    if (route) {
      await options.arrived?.();
      return await decideGuarded(request, route, started);
    }
    conclude(request, "other", started);
    return ALLOW;
  };

  async function decideGuarded(
    request: AuthzRequest,
    route: Route,
    started: number,
  ): Promise<Decision> {
    const { config } = options;
    let denial: Denial | undefined;
    let enforced = true;
    const reasons: string[] = [];
    const exempt: Section[] = [];
    try {
      for (const section of route.endpoint.policies) {
        const policy = config[section];
        if (!policy) continue;
        if (await isExempt(request.user, policy)) {
          reasons.push(`${shown(request.user)} is exempt from [${section}]`);
          exempt.push(section);
          continue;
        }
        const decision = await decideSection(section, config, request, route);
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
    options.audit?.({
      ...describe(request),
      call: route.endpoint.name,
      verdict: verdictOf(denial, enforced),
      rule: denial?.rule ?? "",
      reason: denial?.message ?? reasons.join("; "),
      seconds: secondsSince(started),
    });
    if (denial && enforced) return denial;
    await thirdLine?.allowed(request, route, exempt);
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
      verdict: verdictOf(denial, enforced),
      rule: denial?.rule ?? "",
      seconds: secondsSince(started),
    });
    if (denial && enforced) logDenial("denied", request, denial);
    else if (request.method !== "GET" && request.method !== "HEAD") {
      log.debug?.("allowed", describe(request));
    }
  }

  /** What goes wrong in a policy is that policy's denial. */
  async function decideSection(
    section: Section,
    config: Config,
    request: AuthzRequest,
    route: Route,
  ): Promise<Decision> {
    try {
      const call = new Call(request, route);
      switch (section) {
        case "volumes":
          return await decideVolumes(config.volumes!, call, engine);
        case "images":
          return await decideImages(config.images!, call, engine);
        case "push":
          return await decidePush(config.push!, call, engine);
        case "privileges":
          return await decidePrivileges(
            {
              ...config.privileges!,
              allowBind: await bindsOf(request, config),
            },
            call,
            engine,
          );
      }
    } catch (error) {
      return denyFor(error);
    }
  }

  /** Where the user's bind mounts may come from; undefined for anywhere. */
  async function bindsOf(
    { user }: AuthzRequest,
    { volumes }: Config,
  ): Promise<readonly BindEntry[] | undefined> {
    return volumes?.enforce && !await isExempt(user, volumes)
      ? volumes.allowBind
      : undefined;
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

function verdictOf(
  denial: Denial | undefined,
  enforced: boolean,
): Observation["verdict"] {
  return !denial ? "allow" : enforced ? "deny" : "would_deny";
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
