import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";
import { cleanPath } from "./paths.ts";

/** A directory below which bind mounts may come from, as an admin wrote it. */
export interface BindDirectory {
  /** As it was written. A component `*` stands for any one. */
  readonly written: string;
  /** What is in front of the first `*`, cleaned. */
  readonly fixed: string;
  /** The components from the first `*` on. */
  readonly rest: readonly string[];
}

/** Where a path on the host leads. */
export interface HostPath {
  /** The path without links; undefined if they can't be followed. */
  readonly real?: string;
  /** Why they can't be followed, if the path alone does not show it. */
  readonly problem?: string;
}

/** A directory, and where its `fixed` part leads. */
export type FollowedDirectory = BindDirectory & HostPath;

/**
 * Reads a directory of `allow-bind`.
 *
 * @param written Absolute path; a component `*` stands for any one.
 * @returns The directory, of which `fixed` is on the host's file system.
 */
export function readBindDirectory(written: string): BindDirectory {
  const components = componentsOf(cleanPath(written));
  const star = components.indexOf("*");
  const end = star < 0 ? components.length : star;
  return {
    written,
    fixed: `/${components.slice(0, end).join("/")}`,
    rest: components.slice(end),
  };
}

/**
 * Checks where a bind mount comes from.
 *
 * @param source The path as it was sent.
 * @param path Where it leads, as the engine will mount it.
 * @param directories Where bind mounts may come from.
 * @returns The denial if it lies below none of the directories. A directory
 *   itself may be mounted too: it shows no more than what lies below it.
 */
export function checkBind(
  source: string,
  { real, problem }: HostPath,
  directories: readonly FollowedDirectory[],
): Denial | undefined {
  const refused = `bind mount of ${shown(source)}`;
  if (problem !== undefined) {
    return deny("volumes/bind", `${refused} is not allowed: ${problem}`);
  }
  if (
    real !== undefined && directories.some((each) => liesBelow(real, each))
  ) {
    return undefined;
  }
  const where = real === undefined || real === cleanPath(source)
    ? ""
    : ` (${shown(real)})`;
  const allowed = directories.map(({ written }) => written).join(", ");
  return deny(
    "volumes/bind",
    `${refused}${where} is not allowed: ` +
      `only below ${allowed || "no directory at all"}`,
  );
}

function liesBelow(
  path: string,
  { real, rest }: FollowedDirectory,
): boolean {
  if (real === undefined) return false;
  const wanted = [...componentsOf(real), ...rest];
  const given = componentsOf(path);
  const fixed = wanted.length - rest.length;
  return wanted.length <= given.length &&
    wanted.every((each, at) =>
      each === given[at] || (each === "*" && at >= fixed)
    );
}

function componentsOf(path: string): string[] {
  return path.split("/").filter((component) => component !== "");
}
