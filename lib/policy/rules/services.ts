/**
 * What a service's tasks would get. The engine makes their containers itself,
 * and asks nobody then.
 *
 * @module
 */
import type { Mount } from "../../call/mount.ts";
import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";
import { checkImageVolumes } from "./covered.ts";
import { cleanPath } from "./paths.ts";
import { denyStorage } from "./volumes.ts";

/** What is known of a service's image. */
export interface ServiceImage {
  /** Image ID, `sha256:…`. */
  readonly id: string;
  /** Paths that it declares as `VOLUME`. */
  readonly volumes: readonly string[];
}

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
 * Checks the image of a service.
 *
 * @param name The image as the service names it.
 * @param image What the engine knows of it; undefined if it has no such image.
 * @param covered Where something is mounted for sure.
 * @returns The denial if its tasks may get a volume.
 */
export function checkServiceImage(
  name: string,
  image: ServiceImage | undefined,
  covered: ReadonlySet<string>,
): Denial | undefined {
  if (!image) {
    return denyStorage(
      "service-image",
      `image ${shown(name)} is not on this host, so that its volumes can't ` +
        "be seen: pull it first",
    );
  }
  const denied = checkImageVolumes(name, image.volumes, covered);
  if (denied) return denied;
  // A tag is pulled again before each task (pullImage in moby's
  // daemon/cluster/executor/container/adapter.go), and may be another image by
  // then.
  return /^(.+@)?sha256:[0-9a-f]{64}$/.test(name) ? undefined : denyStorage(
    "service-tag",
    `service image ${shown(name)} is not pinned, and the engine pulls a tag ` +
      `again for each task: name it by digest or by image ID (${image.id})`,
  );
}

function isTemplate(path: string): boolean {
  return path.includes("{{");
}
