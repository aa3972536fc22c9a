/**
 * What the administrator is told at start about holes in the settings.
 *
 * @module
 */
import { runSystemctl, type Systemctl } from "../engine/activation.ts";
import { readBindDirectory } from "../policy/rules/binds.ts";
import { doorsNotCovered } from "../policy/rules/images.ts";
import {
  allSettings,
  type Config,
  EVERYBODY,
  POLICIES,
  type Sections,
  stateOf,
} from "./config.ts";

/**
 * Finds settings that enforce nothing, what the file says without effect, and
 * the doors that stand open beside lists that refuse something.
 *
 * @param config The settings.
 * @returns The warnings, a line each.
 */
export function startWarnings(config: Config): string[] {
  const all = allSettings(config);
  const isOff = (sections: Sections) =>
    POLICIES.every((name) => stateOf(sections, name) === "off");
  if (all.every(({ sections }) => isOff(sections))) {
    return ["nothing is enforced: every policy is off"];
  }
  const warnOf = (sections: Sections) => [
    ...warnOfDoors(sections),
    ...warnOfPrivileges(sections),
  ];
  const general = warnOf(config);
  return [
    ...config.remarks ?? [],
    ...general,
    ...all.filter(({ name }) => name !== EVERYBODY).flatMap((
      { name, sections },
    ) =>
      warnOf(sections).filter((warning) => !general.includes(warning))
        .map((warning) => `for the users of [for.${name}]: ${warning}`)
    ),
  ];
}

/** What makes `[privileges]` worth little. */
function warnOfPrivileges({ volumes, privileges }: Sections): string[] {
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

function warnOfDoors({ images }: Sections): string[] {
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

/** The engine's service, as its packages call it. */
const ENGINE_SERVICE = "docker.service";

/**
 * Finds what the engine's own settings leave open that no call shows: BuildKit
 * gives its steps the host's network and devices, unless it is told not to
 * (`getEntitlements` in moby's daemon/internal/builder-next/controller.go), and
 * opens device files of images, unless the engine's service may not.
 *
 * @param config The settings.
 * @param options For tests: the engine's settings, and how systemd is asked.
 * @returns The warnings, a line each.
 */
export async function engineWarnings(
  config: Config,
  { file = DAEMON_FILE, systemctl = runSystemctl }: {
    file?: string;
    systemctl?: Systemctl;
  } = {},
): Promise<string[]> {
  const builders = allSettings(config).map(({ sections }) => sections)
    .filter(mayBuild);
  if (builders.length === 0) return [];
  return [
    ...new Set(
      builders.flatMap((sections) => warnOfEntitlements(sections, file)),
    ),
    ...await warnOfDevices(systemctl),
  ];
}

function mayBuild({ images, privileges }: Sections): boolean {
  return privileges !== undefined && privileges.allowBuildkit &&
    (images?.allowBuild ?? true);
}

/** Without systemd, or with another name of the service, nobody knows. */
async function warnOfDevices(systemctl: Systemctl): Promise<string[]> {
  const told = await systemctl(
    ...["show", "-p", "LoadState", "-p", "DevicePolicy", ENGINE_SERVICE],
  ).catch(() => "");
  const isOpen = /^LoadState=loaded$/m.test(told) &&
    /^DevicePolicy=auto$/m.test(told);
  return isOpen
    ? [
      "allow-buildkit = true in [privileges], and the engine may open devices: " +
      "BuildKit writes to those that an image brings along; set " +
      `DevicePolicy=closed in ${ENGINE_SERVICE} (docs/privileges.md, Builds)`,
    ]
    : [];
}

function warnOfEntitlements(
  { privileges }: Sections,
  file: string,
): string[] {
  if (!privileges) return [];
  const wanted = [
    ...(privileges.allowHost.includes("network") ? [] : ["network-host"]),
    "device",
  ];
  const given = readEntitlements(file);
  const missing = wanted.filter((name) => given[name] !== false);
  return missing.length === 0 ? [] : [
    `[privileges] can't see what BuildKit's steps use: set ${
      missing.map((name) => `"${name}": false`).join(" and ")
    } under "builder": { "entitlements": … } in ${file}, or allow-buildkit = ` +
    "false",
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
 * Finds policies that are enforced no more, or are off now, for everybody or
 * for the users of a `[for.NAME]`; and each `[for.NAME]` that is gone.
 *
 * @param before The settings that were in force.
 * @param after The settings that are in force now.
 * @returns The warnings, a line each.
 */
export function reloadWarnings(before: Config, after: Config): string[] {
  const now = allSettings(after);
  return allSettings(before).flatMap(({ name, sections }) => {
    const same = now.find((each) => each.name === name);
    const whose = name === EVERYBODY ? "" : ` in [for.${name}]`;
    const gone = same
      ? []
      : [`[for.${name}] is gone: its users have what everybody has`];
    const weaker = POLICIES.flatMap((policy) => {
      const was = stateOf(sections, policy);
      const is = stateOf(same?.sections ?? after, policy);
      return was === is || was === "off" || is === "enforced" ||
          // It is told of everybody's.
          whose !== "" && sections[policy] === before[policy]
        ? []
        : [`[${policy}]${whose} was ${was}, and is ${is} now`];
    });
    return [...gone, ...weaker];
  });
}
