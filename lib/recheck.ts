/**
 * The second line: what the engine recorded of a new container, against what its
 * request said.
 *
 * @module
 */
import type { JudgeOptions } from "./judge.ts";
import { ALLOW, type Decision, deny } from "./policy/decision.ts";
import { judgeContainerMounts } from "./policy/volumes.ts";
import { matchEndpoint } from "./request/endpoints.ts";
import { parseTarget } from "./request/uri.ts";
import type { AuthzRequest, AuthzResponse } from "./wire.ts";

/** Looks again when the engine has served a call. */
export interface Recheck {
  /**
   * @param call The call that was served.
   * @returns Whether the rest of the message has to be read.
   */
  concerns(call: Pick<AuthzRequest, "method" | "uri">): boolean;
  /**
   * @param response What the engine answered.
   * @returns Whether the client may have it. It never throws.
   */
  judge(response: AuthzResponse): Promise<Decision>;
}

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
export function createRecheck(options: JudgeOptions): Recheck {
  const { engine, isExempt, log } = options;

  async function judge(
    { request, status, body }: AuthzResponse,
  ): Promise<Decision> {
    const policy = options.config.volumes;
    if (!policy?.enforce) return ALLOW;
    if (status === 0) {
      log.warning(
        "a create was answered at too great length to be checked again: " +
          showRequest(request),
      );
    }
    if (status !== 201) return ALLOW;
    if (await isExempt(request.user, policy)) return ALLOW;
    const id = containerId(body);
    const container = await engine.inspectContainer(id);
    if (!container) return ALLOW; // Gone already.
    const decision = judgeContainerMounts(policy, id.slice(0, 12), container);
    if (decision.allow) return ALLOW;
    log.error(
      `alert: ${decision.message}: the check before its creation missed it; ` +
        `removing it; its request was ${showRequest(request)}`,
    );
    await engine.removeContainer(id);
    return decision;
  }

  return {
    concerns({ method, uri }) {
      if (!options.config.volumes?.enforce) return false;
      const { path } = parseTarget(uri);
      return matchEndpoint(method, path)?.endpoint.name === "container create";
    },

    async judge(response) {
      try {
        return await judge(response);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.error(
          `alert: a new container can't be checked: ${why}; its request was ` +
            showRequest(response.request),
        );
        return deny("recheck", `the new container can't be checked: ${why}`);
      }
    },
  };
}

/** `ContainerCreateResponse` in moby's api/types/container. */
function containerId(body?: Uint8Array): string {
  const { Id } = JSON.parse(new TextDecoder().decode(body));
  if (typeof Id === "string" && Id !== "") return Id;
  throw new Error("the engine's answer names no container");
}

function showRequest({ user, method, uri, headers, body }: AuthzRequest) {
  return JSON.stringify({
    user,
    method,
    uri,
    headers,
    body: new TextDecoder().decode(body?.subarray(0, SHOWN_BODY)),
    bodyLength: body?.length ?? 0,
  });
}
