import type { FollowedPath } from "../../engine/host_paths.ts";
import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";
import { cleanPath } from "./paths.ts";

/** A bind mount that is to be made, or was made. */
export interface Bind {
  /** Path on the host, as it was sent. */
  readonly source: string;
  readonly readOnly: boolean;
}

/** An entry of `allow-bind`: a directory, or with what is allowed there. */
export type BindEntry = string | {
  readonly path: string;
  /** Whether only mounts that can't write are allowed. */
  readonly readOnly?: boolean;
  /** Whether what lies below it may be mounted too, not only itself. */
  readonly below?: boolean;
};

/** A directory below which bind mounts may come from, as an admin wrote it. */
export interface BindDirectory {
  /** As it was written. A component `*` stands for any one. */
  readonly written: string;
  /** What is in front of the first `*`, cleaned. */
  readonly fixed: string;
  /** The components from the first `*` on. */
  readonly rest: readonly string[];
  readonly readOnly: boolean;
  readonly below: boolean;
}

/** A directory, and where its `fixed` part leads. */
export type FollowedDirectory = BindDirectory & FollowedPath;

/**
 * Reads a directory of `allow-bind`.
 *
 * @param entry Absolute path; a component `*` stands for any one.
 * @returns The directory, of which `fixed` is on the host's file system.
 */
export function readBindDirectory(entry: BindEntry): BindDirectory {
  const { path: written, readOnly = false, below = true } =
    typeof entry === "string" ? { path: entry } : entry;
  const components = componentsOf(cleanPath(written));
  const star = components.indexOf("*");
  const end = star < 0 ? components.length : star;
  return {
    written,
    fixed: `/${components.slice(0, end).join("/")}`,
    rest: components.slice(end),
    readOnly,
    below,
  };
}

/**
 * Checks where a bind mount comes from.
 *
 * @param bind The mount.
 * @param path Where its source leads, as the engine will mount it.
 * @param directories Where bind mounts may come from.
 * @param places What is dangerous, and never below a directory by accident.
 * @returns The denial if it lies below none of the directories, or may write
 *   where it must not, or shows a dangerous place that none of them names. A
 *   directory itself may be mounted too: it shows no more than what lies below
 *   it.
 */
export function checkBind(
  { source, readOnly }: Bind,
  { real, problem }: FollowedPath,
  directories: readonly FollowedDirectory[],
  places: readonly string[] = [],
): Denial | undefined {
  const refused = `bind mount of ${shown(source)}`;
  if (problem !== undefined) {
    return deny("volumes/bind", `${refused} is not allowed: ${problem}`);
  }
  const fitting = directories
    .filter((each) => real !== undefined && liesBelow(real, each));
  const place = real === undefined
    ? undefined
    : places.find((place) => isWithin(real, place) || isWithin(place, real));
  const named = place === undefined
    ? fitting
    : fitting.filter((each) => isWithin(each.real ?? "", place));
  if (named.some((each) => readOnly || !each.readOnly)) return undefined;
  if (named.length > 0) {
    return deny(
      "volumes/bind-read-only",
      `${refused} is not allowed: only read-only`,
    );
  }
  if (fitting.length > 0) {
    return deny(
      "volumes/bind-protected",
      `${refused} is not allowed: ${place} must be named in allow-bind`,
    );
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

/**
 * Places whose files make root of who can read or write them: the engine's and
 * containerd's, the kernel's, those through which systemd takes orders, and the
 * plugin's own. The engine tells where it keeps its containers.
 */
export const DANGEROUS_PLACES = [
  ...["/proc", "/sys", "/dev", "/run/systemd", "/run/dbus"],
  ...["/run/docker.sock", "/run/docker", "/run/containerd", "/etc/docker"],
  // Where docs/engine-29.md moves the engine's socket.
  "/run/docker-engine",
  ...["/etc/containerd", "/var/lib/docker", "/var/lib/containerd"],
  ...["/var/lib/docker-policy-plugin", "/run/docker-policy-plugin"],
];

function isWithin(path: string, directory: string): boolean {
  const parts = componentsOf(directory);
  return componentsOf(path).slice(0, parts.length).join("/") ===
    parts.join("/");
}

function liesBelow(
  path: string,
  { real, rest, below }: FollowedDirectory,
): boolean {
  if (real === undefined) return false;
  const wanted = [...componentsOf(real), ...rest];
  const given = componentsOf(path);
  const fixed = wanted.length - rest.length;
  return (wanted.length === given.length ||
    below && wanted.length < given.length) &&
    wanted.every((each, at) =>
      each === given[at] || (each === "*" && at >= fixed)
    );
}

function componentsOf(path: string): string[] {
  return path.split("/").filter((component) => component !== "");
}
