/**
 * What a service's tasks would get. The engine makes their containers itself,
 * and asks nobody then.
 *
 * @module
 */
import type { Mount } from "../../call/mount.ts";
import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";
import { cleanPath } from "./paths.ts";

/**
 * Lists the paths that a service's mounts cover for sure. A target can be a Go
 * template, and only the node that runs the task knows what swarm makes of it
 * (`expandMounts` in swarmkit's template/expand.go).
 *
 * @param mounts The service's mounts.
 * @returns The paths, cleaned.
 */
export function serviceCoveredPaths(
  mounts: readonly Mount[],
): ReadonlySet<string> {
  return new Set(
    mounts.map(({ target }) => target)
      .filter((target) => !isTemplate(target))
      .map(cleanPath),
  );
}

/**
 * Checks that the sources of a service's mounts say where they lead.
 *
 * @param mounts The service's mounts.
 * @returns The denial if one is a Go template.
 */
export function checkTemplates(mounts: readonly Mount[]): Denial | undefined {
  const template = mounts.find(({ source }) => isTemplate(source));
  return template && deny(
    "volumes/bind",
    `bind mount of ${shown(template.source)} is not allowed: ` +
      "a template can't be checked",
  );
}

/**
 * Checks the name of a service.
 *
 * @param name The service's name.
 * @param allowed Names of services that may have volumes (`allow-service`).
 * @returns The denial if the name is one of them: only users who are exempt
 *   from the policy may give it.
 */
export function checkServiceName(
  name: string,
  allowed: readonly string[],
): Denial | undefined {
  return allowed.includes(name)
    ? deny(
      "volumes/service-name",
      `service name ${shown(name)} is reserved: allow-service in [volumes] ` +
        "lets it have volumes",
    )
    : undefined;
}

function isTemplate(path: string): boolean {
  return path.includes("{{");
}
