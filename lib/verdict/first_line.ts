/**
 * The first line: whether the engine may serve a call.
 *
 * @module
 */
import type { AuthzRequest } from "../call/authz.ts";
import { Call } from "../call/call.ts";
import { type Route, routeOf, type Section } from "../call/endpoints.ts";
import { Unreadable } from "../call/unreadable.ts";
import { allSettings, EVERYBODY, type Sections } from "../config/config.ts";
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
import { requireOneService } from "../policy/one_service.ts";
import { decidePrivileges } from "../policy/privileges.ts";
import { decidePush } from "../policy/push.ts";
import type { BindEntry } from "../policy/rules/binds.ts";
import { decideVolumes } from "../policy/volumes.ts";
import { shown } from "../text.ts";
import { describe, inSettings } from "./describe.ts";
import { IdentityError, settingsFor } from "./exemptions.ts";
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

/** A policy does not hold for the user. */
const EXEMPT = "exempt";

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
    let settings = EVERYBODY;
    let denial: Denial | undefined;
    let enforced = true;
    const reasons: string[] = [];
    const exempt: Section[] = [];
    try {
      const { name, sections } = await settingsFor(options, request.user);
      settings = name;
      for (const section of route.endpoint.policies) {
        const policy = sections[section];
        if (!policy) continue;
        const decision = await decideSection(
          section,
          sections,
          request,
          route,
        );
        if (decision === EXEMPT) {
          reasons.push(`${shown(request.user)} is exempt from [${section}]`);
          exempt.push(section);
          continue;
        }
        if (decision.allow) {
          if (decision.because) reasons.push(decision.because);
          continue;
        }
        denial = decision;
        enforced = policy.enforce;
        if (enforced) break;
        // What a policy on trial would refuse, the next may refuse for good.
        logDenial("would deny", request, decision, settings);
        reasons.push(
          `[${section}] is only tried out, and would refuse it: ` +
            decision.message,
        );
      }
    } catch (error) {
      denial = denyFor(error);
      enforced = true;
    }
    const { name: endpoint } = route.endpoint;
    conclude(request, endpoint, started, denial, enforced, settings);
    options.audit?.({
      ...describe(request),
      ...inSettings(settings),
      call: endpoint,
      verdict: verdictOf(denial, enforced),
      rule: denial?.rule ?? "",
      reason: denial?.message ?? reasons.join("; "),
      seconds: secondsSince(started),
    });
    if (denial && enforced) return denial;
    await thirdLine?.allowed(request, route, exempt, settings);
    return reasons.length > 0 ? allow(reasons.join("; ")) : ALLOW;
  }

  function conclude(
    request: AuthzRequest,
    endpoint: string,
    started: number,
    denial?: Denial,
    enforced = true,
    settings = EVERYBODY,
  ): void {
    observe?.({
      endpoint,
      verdict: verdictOf(denial, enforced),
      rule: denial?.rule ?? "",
      seconds: secondsSince(started),
    });
    if (denial && enforced) logDenial("denied", request, denial, settings);
    else if (request.method !== "GET" && request.method !== "HEAD") {
      log.debug?.("allowed", {
        ...describe(request),
        ...inSettings(settings),
      });
    }
  }

  /** What goes wrong in a policy is that policy's denial. */
  async function decideSection(
    section: Section,
    sections: Sections,
    request: AuthzRequest,
    route: Route,
  ): Promise<Decision | typeof EXEMPT> {
    try {
      if (await isExempt(request.user, sections[section]!)) return EXEMPT;
      const call = new Call(request, route);
      if (call.endpoint.name === "service update") {
        await requireOneService(call, engine);
      }
      switch (section) {
        case "volumes":
          return await decideVolumes(sections.volumes!, call, engine);
        case "images":
          return await decideImages(sections.images!, call, engine);
        case "push":
          return await decidePush(sections.push!, call, engine);
        case "privileges":
          return await decidePrivileges(
            {
              ...sections.privileges!,
              allowBind: await bindsOf(request, sections),
              mountable: allSettings(options.config)
                .flatMap(({ sections }) => sections.volumes?.allowBind ?? []),
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
    { volumes }: Sections,
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

  function logDenial(
    what: string,
    request: AuthzRequest,
    { rule, message }: Denial,
    settings: string,
  ): void {
    log.warning(what, {
      ...describe(request),
      ...inSettings(settings),
      rule,
      reason: message,
    });
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
