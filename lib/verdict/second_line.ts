/**
 * The second line: what came of a call, before the client has the answer. It
 * holds what the engine recorded of a new container against what its request
 * said.
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import { type EndpointName, type Route, routeOf } from "../call/endpoints.ts";
import type { Config } from "../config/config.ts";
import type { ContainerFacts } from "../engine/engine.ts";
import { ALLOW, type Decision, deny } from "../policy/decision.ts";
import { decideContainer } from "../policy/volumes.ts";
import { shown } from "../text.ts";
import { describe } from "./describe.ts";
import type { Exemptions } from "./exemptions.ts";
import type { LineOptions } from "./options.ts";

/** Looks again when the engine has served a call. */
export interface SecondLine {
  /**
   * Takes note of a create that the first line lets through, and holds back
   * calls to a container that may be what comes of one.
   *
   * @param request A call that the first line lets through.
   * @param route Its row in the endpoint table.
   * @returns Whether it may go on. It never throws.
   */
  admit(request: AuthzRequest, route: Route): Promise<Decision>;
  /**
   * Says whether a call is looked at again.
   *
   * @param call The call that was served.
   * @returns Whether the rest of the message has to be read.
   */
  concerns(call: Pick<AuthzRequest, "method" | "uri">): boolean;
  /**
   * Decides whether the client may have the engine's answer.
   *
   * @param response What the engine answered.
   * @returns The decision. It never throws.
   */
  decide(response: AuthzResponse): Promise<Decision>;
}

/**
 * How long a create may take, in milliseconds: if another plugin refuses it
 * after us, we are never told that it is over.
 */
const CREATE_TIME = 30_000;

/** The calls by which a new container could be had before it is checked. */
const CONTAINER_CALLS: ReadonlySet<EndpointName> = new Set([
  "container start",
  "container restart",
  "container rename",
  "container archive",
]);

type VolumesSection = NonNullable<Config["volumes"]>;

/** How much of a request's body an alert shows, in bytes. */
const SHOWN_BODY = 16 * 1024;

/**
 * Makes the second line.
 *
 * A container that has what the volume policy forbids got past the first line:
 * its request was read otherwise than the engine reads it, or its image changed
 * in between. It is removed with its anonymous volumes before its client knows
 * its ID, and an alert is logged. Named volumes stay, since they may have been
 * there before.
 *
 * @param options What it works with.
 * @returns The second line.
 */
export function createSecondLine(options: LineOptions): SecondLine {
  const { engine, isExempt, log } = options;
  /** When the creates that are under way began, the oldest first. */
  const underWay: number[] = [];

  function isCreating(): boolean {
    while (underWay[0] < Date.now() - CREATE_TIME) underWay.shift();
    return underWay.length > 0;
  }

  async function hold(
    request: AuthzRequest,
    policy: VolumesSection,
    subject: string,
  ): Promise<Decision> {
    if (await isExempt(request.user, policy)) return ALLOW;
    const container = await engine.inspectContainer(subject);
    if (container) return await decideContainer(policy, subject, container);
    return isCreating()
      ? deny(
        "recheck",
        `container ${shown(subject)} is not known, or not made yet: ` +
          "try again",
      )
      : ALLOW;
  }

  async function holdOrRefuse(
    request: AuthzRequest,
    policy: VolumesSection,
    subject: string,
  ): Promise<Decision> {
    let decision: Decision;
    try {
      decision = await hold(request, policy, subject);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      decision = deny("recheck", `request can't be checked: ${why}`);
    }
    if (!decision.allow) {
      const { rule, message } = decision;
      log.warning("denied", { ...describe(request), rule, reason: message });
    }
    return decision;
  }

  async function decide(
    { request, status, body }: AuthzResponse,
  ): Promise<Decision> {
    const policy = options.config.volumes;
    if (!policy?.enforce) return ALLOW;
    if (status !== 201 && status !== 0) return ALLOW;
    if (await isExempt(request.user, policy)) return ALLOW;
    const containers = status === 201
      ? [await engine.inspectContainer(containerId(body))]
      : await youngContainers(policy);
    let verdict: Decision = ALLOW;
    for (const container of containers) {
      if (!container) continue; // Gone already.
      const { id } = container;
      const name = id.slice(0, 12);
      const decision = await decideContainer(policy, name, container);
      if (decision.allow) continue;
      verdict = decision;
      log.error(
        `alert: ${decision.message}: the check before its creation missed ` +
          `it; removing it; its request was ${showRequest(request)}`,
      );
      await engine.removeContainer(id);
    }
    return verdict;
  }

  /**
   * An answer that was too long to be shown names no container. If nobody is
   * exempt, nobody may have made a forbidden container that is younger than the
   * oldest create under way.
   */
  async function youngContainers(
    { allowUser, allowGroup }: Exemptions,
  ): Promise<(ContainerFacts | undefined)[]> {
    const [since] = underWay;
    const somebodyIsExempt = allowUser.length > 0 || allowGroup.length > 0;
    if (since === undefined || somebodyIsExempt) return [];
    // The list tells whole seconds, rounded down; the inspect tells all of it.
    const listed = (await engine.listContainers())
      .filter(({ created }) => created + 1000 > since);
    const inspected = await Promise.all(
      listed.map(({ id }) => engine.inspectContainer(id)),
    );
    return inspected.filter((container) =>
      container && container.created >= since
    );
  }

  return {
    async admit(request, { endpoint, subject }) {
      const policy = options.config.volumes;
      if (!policy?.enforce) return ALLOW;
      if (endpoint.name === "container create") {
        underWay.push(Date.now());
        return ALLOW;
      }
      return CONTAINER_CALLS.has(endpoint.name) && isCreating()
        ? await holdOrRefuse(request, policy, subject)
        : ALLOW;
    },

    concerns(call) {
      return options.config.volumes?.enforce === true &&
        routeOf(call)?.endpoint.name === "container create";
    },

    async decide(response) {
      try {
        return await decide(response);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.error(
          `alert: a new container can't be checked: ${why}; its request was ` +
            showRequest(response.request),
        );
        return deny("recheck", `the new container can't be checked: ${why}`);
      } finally {
        underWay.shift();
      }
    },
  };
}

/** `ContainerCreateResponse` in moby's api/types/container. */
function containerId(body = ""): string {
  const { Id } = JSON.parse(
    new TextDecoder().decode(Uint8Array.fromBase64(body)),
  );
  if (typeof Id === "string" && Id !== "") return Id;
  throw new Error("the engine's answer names no container");
}

function showRequest(
  { user, method, uri, headers, body = "" }: AuthzRequest,
) {
  const bytes = Uint8Array.fromBase64(body);
  return JSON.stringify({
    user,
    method,
    uri,
    headers,
    body: new TextDecoder().decode(bytes.subarray(0, SHOWN_BODY)),
    bodyLength: bytes.length,
  });
}
