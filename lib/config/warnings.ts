/**
 * What the administrator is told at start about holes in the settings.
 *
 * @module
 */
import { readBindDirectory } from "../policy/rules/binds.ts";
import { doorsNotCovered } from "../policy/rules/images.ts";
import { type Config, POLICIES, stateOf } from "./config.ts";

/**
 * Finds settings that enforce nothing, and the doors that stand open beside
 * lists that refuse something.
 *
 * @param config The settings.
 * @returns The warnings, a line each.
 */
export function startWarnings(config: Config): string[] {
  if (POLICIES.every((name) => stateOf(config, name) === "off")) {
    return ["nothing is enforced: every policy is off"];
  }
  return [...warnOfDoors(config), ...warnOfPrivileges(config)];
}

/** What makes `[privileges]` worth little. */
function warnOfPrivileges({ volumes, privileges }: Config): string[] {
  if (!privileges) return [];
  return [
    ...(volumes?.allowBind ? [] : [
      "[privileges] DOES NOT HOLD: bind mounts are open, and whoever may mount / " +
      "is root; set allow-bind in [volumes]",
    ]),
    ...(volumes?.allowBind && !volumes.enforce
      ? [
        "[privileges] DOES NOT HOLD while enforce = false in [volumes]: bind " +
        "mounts are open",
      ]
      : []),
    ...(volumes?.allowBind ?? []).map(readBindDirectory)
      .filter(({ readOnly, below }) => below && !readOnly)
      .map(({ written }) =>
        `[privileges] does not hold against who can write below ${written} ` +
        "(allow-bind): a link put in the way of a mount leads anywhere; use " +
        "below = false or read-only = true"
      ),
    ...(privileges.allowPrivileged
      ? ["allow-privileged = true: whoever may run containers is root"]
      : []),
    ...(privileges.allowClassicBuild &&
        !privileges.allowHost.includes("network")
      ? [
        "allow-classic-build = true in [privileges]: such a build can hide that " +
        "it uses the host's network",
      ]
      : []),
  ];
}

function warnOfDoors({ images }: Config): string[] {
  const doors = images ? doorsNotCovered(images) : [];
  if (doors.length === 0) return [];
  return [
    `[images] covers pulls, not what comes in by ${doors.join(", ")}: ` +
    doors.map((door) => `allow-${door} = false`).join(", ") + " closes that" +
    (doors.includes("import")
      ? "; an open import also lets pulls by that are dressed up as one"
      : ""),
  ];
}

/** The engine's own settings, where its packages look for them. */
const DAEMON_FILE = "/etc/docker/daemon.json";

/**
 * Finds what the engine's own settings leave open that no call shows: BuildKit
 * gives its steps the host's network and devices, unless it is told not to
 * (`getEntitlements` in moby's daemon/internal/builder-next/controller.go).
 *
 * @param config The settings.
 * @param file The engine's settings, for tests.
 * @returns The warnings, a line each.
 */
export function engineWarnings(
  { images, privileges }: Config,
  file: string = DAEMON_FILE,
): string[] {
  const isClosed = images && !images.allowBuild;
  if (!privileges || isClosed) return [];
  const wanted = [
    ...(privileges.allowHost.includes("network") ? [] : ["network-host"]),
    "device",
  ];
  const given = readEntitlements(file);
  const missing = wanted.filter((name) => given[name] !== false);
  return missing.length === 0 ? [] : [
    `[privileges] can't see what BuildKit's steps use: set ${
      missing.map((name) => `"${name}": false`).join(" and ")
    } under "builder": { "entitlements": … } in ${file}, or allow-build = false ` +
    "in [images]",
  ];
}

/**
 * What can't be read says nothing: the engine may take its settings elsewhere.
 */
function readEntitlements(file: string): Record<string, unknown> {
  try {
    return JSON.parse(Deno.readTextFileSync(file)).builder?.entitlements ?? {};
  } catch {
    return {};
  }
}

/**
 * Finds policies that are enforced no more, or are off now.
 *
 * @param before The settings that were in force.
 * @param after The settings that are in force now.
 * @returns The warnings, a line each.
 */
export function reloadWarnings(before: Config, after: Config): string[] {
  return POLICIES.flatMap((name) => {
    const was = stateOf(before, name);
    const is = stateOf(after, name);
    return was === is || was === "off" || is === "enforced"
      ? []
      : [`[${name}] was ${was}, and is ${is} now`];
  });
}
