/**
 * Paths that get an anonymous volume unless something is mounted there: those
 * of a request's `Volumes`, and of an image's `VOLUME`s.
 *
 * @module
 */
import { shown } from "../../text.ts";
import type { Denial } from "../decision.ts";
import { cleanPath } from "./paths.ts";
import { denyStorage, denyVolume, splitBind, type Storage } from "./volumes.ts";

/**
 * Lists the paths where the engine finds something mounted already, and so
 * makes no volume: `HasMountFor` in moby's daemon/container/container_unix.go,
 * which compares the keys of Tmpfs as they are.
 *
 * @param storage What a create request asks for.
 * @returns The paths, all but those of Tmpfs cleaned.
 */
export function coveredPaths(storage: Storage): ReadonlySet<string> {
  return new Set([
    ...storage.binds.map((bind) => cleanPath(splitBind(bind).target)),
    ...storage.mounts.map(({ target }) => cleanPath(target)),
    ...storage.tmpfs,
  ]);
}

/**
 * Checks the paths of a request's `Volumes`.
 *
 * @param paths Paths in the container, as they were sent.
 * @param covered Where something is mounted.
 * @returns The denial if a path is not covered.
 */
export function checkVolumes(
  paths: readonly string[],
  covered: ReadonlySet<string>,
): Denial | undefined {
  const uncovered = findUncovered(paths, covered);
  return uncovered === undefined ? undefined : denyVolume("", uncovered);
}

/**
 * Checks the `VOLUME`s of an image.
 *
 * @param image The image as the request names it.
 * @param paths What it declares as `VOLUME`.
 * @param covered Where something is mounted.
 * @returns The denial if a path is not covered.
 */
export function checkImageVolumes(
  image: string,
  paths: readonly string[],
  covered: ReadonlySet<string>,
): Denial | undefined {
  const uncovered = findUncovered(paths, covered);
  return uncovered === undefined ? undefined : denyStorage(
    "image",
    `image ${shown(image)} declares VOLUME ${shown(uncovered)}`,
  );
}

function findUncovered(
  paths: readonly string[],
  covered: ReadonlySet<string>,
): string | undefined {
  return paths.find((path) => !covered.has(cleanPath(path)));
}
