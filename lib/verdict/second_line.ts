/**
 * The second line: what came of a call, before the client has the answer. It
 * holds what the engine recorded of a new container against what its request
 * said.
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import { Call } from "../call/call.ts";
import {
  type EndpointName,
  type Route,
  routeOf,
  type Section,
} from "../call/endpoints.ts";
import { EVERYBODY, type Sections } from "../config/config.ts";
import type { Metrics } from "../metrics.ts";
import { ALLOW, type Decision, deny } from "../policy/decision.ts";
import { decideContainerPrivileges } from "../policy/privileges.ts";
import { decidePush } from "../policy/push.ts";
import { decideContainer } from "../policy/volumes.ts";
import { idIn } from "./answers.ts";
import { describe, describeAlerting, inSettings } from "./describe.ts";
import { exemptSections, settingsFor } from "./exemptions.ts";
import type { LineOptions } from "./options.ts";
import type { ThirdLine } from "./third_line.ts";
import { messageOf } from "../text.ts";

/**
 * Decides whether the client may have the engine's answer to a call; it never
 * throws.
 */
export type SecondLine = (response: AuthzResponse) => Promise<Decision>;

/** What the second line works with. */
export interface SecondLineOptions extends LineOptions {
  /** Told of containers that are removed, or can't be checked. */
  readonly metrics?: Pick<Metrics, "acted">;
}

/** The calls of which more is asked when they are over. */
const LOOKED_AT: ReadonlySet<EndpointName> = new Set([
  "container create",
  "service create",
  "service update",
  "build",
  "image push",
]);

/**
 * Makes the second line.
 *
 * A container that has what a policy forbids got past the first line:
 * its request was read otherwise than the engine reads it, or its image changed
 * in between. It is removed with its anonymous volumes before its client knows
 * its ID, and an alert is logged. Named volumes stay, since they may have been
 * there before.
 *
 * @param options What it works with.
 * @param thirdLine Is told what came of calls.
 * @returns The second line.
 */
export function createSecondLine(
  options: SecondLineOptions,
  thirdLine: Pick<ThirdLine, "served">,
): SecondLine {
  const { engine, log } = options;

  async function decideOnCreate(
    { request, status, body }: AuthzResponse,
    sections: Sections,
    exempt: readonly Section[],
  ): Promise<Decision> {
    const { volumes, privileges } = sections;
    const holds = (section: "volumes" | "privileges") =>
      sections[section]?.enforce && !exempt.includes(section);
    // An answer that is too long to be shown has no status. What it made is the
    // third line's.
    if (status !== 201 || !holds("volumes") && !holds("privileges")) {
      return ALLOW;
    }
    const container = await engine.findContainer(idIn(body, "Id"));
    if (!container) return ALLOW; // Gone already.
    const name = container.id.slice(0, 12);
    const mounts = holds("volumes")
      ? await decideContainer(volumes!, name, engine, container)
      : ALLOW;
    const decision = mounts.allow && holds("privileges")
      ? await decideContainerPrivileges(privileges!, name, container, engine)
      : mounts;
    if (decision.allow) return decision;
    log.error(
      `alert: ${decision.message}: the check before its creation missed ` +
        `it; removing it; its request was ${describeAlerting(request)}`,
    );
    await engine.removeContainer(container.id);
    options.metrics?.acted("removed");
    return decision;
  }

  /** What is pushed can't be taken back, but it can be told. */
  async function lookAfterPush(
    request: AuthzRequest,
    route: Route,
    { push: policy }: Sections,
  ): Promise<void> {
    if (!policy?.enforce) return;
    const decision = await decidePush(policy, new Call(request, route), engine);
    if (decision.allow) return;
    log.error(
      `alert: ${decision.message}: it was pushed, or its name meant another ` +
        "image when the push began",
      { ...describe(request), rule: decision.rule },
    );
  }

  async function decide(
    response: AuthzResponse,
    route: Route,
    sections: Sections,
    exempt: readonly Section[],
  ): Promise<Decision> {
    switch (route.endpoint.name) {
      case "container create":
        return await decideOnCreate(response, sections, exempt);
      case "image push":
        if (!exempt.includes("push")) {
          await lookAfterPush(response.request, route, sections);
        }
    }
    return ALLOW;
  }

  return async (response) => {
    const route = routeOf(response.request);
    if (!route || !LOOKED_AT.has(route.endpoint.name)) return ALLOW;
    const started = performance.now();
    let decision: Decision = ALLOW;
    let exempt: Section[] | undefined;
    let settings = EVERYBODY;
    try {
      const { user } = response.request;
      const { name, sections } = await settingsFor(options, user);
      settings = name;
      exempt = await exemptSections(sections, options.isExempt, user, route);
      decision = await decide(response, route, sections, exempt);
    } catch (error) {
      const { name } = route.endpoint;
      options.metrics?.acted("failed");
      const why = messageOf(error);
      log.error(
        `alert: what came of "${name}" can't be checked: ${why}; its request ` +
          `was ${describeAlerting(response.request)}`,
      );
      if (name === "container create") {
        decision = deny(
          "recheck",
          `the new container can't be checked: ${why}`,
        );
      }
    }
    if (!decision.allow) {
      options.audit?.({
        ...describe(response.request),
        ...inSettings(settings),
        call: route.endpoint.name,
        verdict: "deny",
        rule: decision.rule,
        reason: decision.message,
        seconds: (performance.now() - started) / 1000,
      });
    }
    await thirdLine.served(response, route, exempt, settings);
    return decision;
  };
}
