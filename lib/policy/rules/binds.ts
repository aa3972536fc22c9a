import { type Denial, deny } from "../decision.ts";
import { shown } from "../../text.ts";
import { cleanPath } from "./paths.ts";

/** Where bind mounts may come from. */
export interface BindRules {
  /** The directories as they were written. */
  readonly sources: readonly string[];
  /**
   * Judges the source of a bind mount.
   *
   * @param source Absolute path on the host.
   * @returns The denial, or undefined where it lies under one of the directories.
   */
  judge(source: string): Denial | undefined;
}

/**
 * Follows the symbolic links of a path on the host, as the engine will when it
 * mounts it.
 *
 * @param path Absolute path, cleaned.
 * @returns The path without links, of which the last components may not exist;
 *   undefined where it can't be followed.
 */
export type FollowLinks = (path: string) => string | undefined;

/**
 * Makes the rules out of what the administrator wrote.
 *
 * @param sources Absolute directories; a component `*` stands for any one.
 * @param follow Follows the symbolic links of a path.
 * @returns The rules. Links are followed anew at each judgement.
 */
export function bindRules(
  sources: readonly string[],
  follow: FollowLinks,
): BindRules {
  return {
    sources,
    judge(source) {
      const path = follow(cleanPath(source));
      if (
        path !== undefined &&
        sources.some((directory) => liesUnder(path, directory, follow))
      ) {
        return undefined;
      }
      const where = path === undefined || path === cleanPath(source)
        ? ""
        : ` (${shown(path)})`;
      return deny(
        "volumes/bind",
        `bind mount of ${shown(source)}${where} is not allowed: ` +
          `only below ${sources.join(", ") || "no directory at all"}`,
      );
    },
  };
}

/** The directory counts too: it shows no more than what lies under it. */
function liesUnder(
  path: string,
  directory: string,
  follow: FollowLinks,
): boolean {
  const [, fixed, rest] = /^((?:\/[^/*][^/]*|\/\*[^/]+)*\/?)(.*)$/s
    .exec(cleanPath(directory)) ?? [];
  const base = follow(cleanPath(fixed));
  if (base === undefined) return false;
  const wanted = [...parts(base), ...parts(rest)];
  const given = parts(path);
  return wanted.length <= given.length &&
    wanted.every((part, at) => part === "*" || part === given[at]);
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
