/**
 * Shows the settings in force: as JSON, as TOML, as lines of the log.
 *
 * @module
 */
import { stringify } from "@std/toml";
import { cut, printable } from "../text.ts";
import {
  type Config,
  ENFORCE_NOTHING,
  POLICIES,
  type PolicyState,
  stateOf,
} from "./config.ts";
import {
  showImages,
  showPrivileges,
  showPush,
  showVolumes,
} from "./sections.ts";

/** How many entries of a list the log shows. */
const LOGGED_ENTRIES = 8;

/**
 * Shows the settings, as the monitor API does.
 *
 * @param config The settings.
 * @returns The sections that are on, under the names of the settings file;
 *   patterns as they were written. `from` is the file that a section comes from.
 */
export function showConfig(
  { volumes, images, push, privileges }: Config,
): Record<string, Record<string, unknown>> {
  const from = ({ file = "default" }: { file?: string }) => ({ from: file });
  return {
    ...(volumes && { volumes: { ...from(volumes), ...showVolumes(volumes) } }),
    ...(images && { images: { ...from(images), ...showImages(images) } }),
    ...(push && { push: { ...from(push), ...showPush(push) } }),
    ...(privileges && {
      privileges: { ...from(privileges), ...showPrivileges(privileges) },
    }),
  };
}

/**
 * Writes the settings as a settings file.
 *
 * @param config The settings.
 * @returns TOML that means the same settings, with every key, and in comments
 *   the files that they come from.
 */
export function printConfig(config: Config): string {
  const sections = Object.entries(showConfig(config))
    .map(([name, { from, ...keys }]) =>
      `# ${printable(String(from))}\n` + writeToml({ [name]: keys })
    );
  return sections.join("\n") || `${ENFORCE_NOTHING} = true\n`;
}

/** JSON's strings are TOML's, except that TOML wants DEL escaped too. */
function writeToml(table: Record<string, unknown>): string {
  return stringify(table).trimStart().replaceAll("\u007f", "\\u007f");
}

/**
 * Says in the log what is enforced.
 *
 * @param config The settings.
 * @returns A line for each policy. Long lists and texts are cut short.
 */
export function describeConfig(config: Config): string[] {
  const sections = showConfig(config);
  return POLICIES.map((name) => {
    const state = stateOf(config, name);
    if (state === "off") return `not enforcing [${name}]`;
    const mode = state === "enforced" ? "enforcing" : "trying out";
    return `${mode} [${name}] ${JSON.stringify(sections[name], shorten)}`;
  });
}

/**
 * Says what is enforced, in a few words.
 *
 * @param config The settings.
 * @returns Which policies are enforced, and which are tried out.
 */
export function summarizeConfig(config: Config): string {
  const those = (state: PolicyState) =>
    POLICIES.filter((name) => stateOf(config, name) === state)
      .map((name) => `[${name}]`).join(", ");
  const triedOut = those("tried out");
  return `enforcing ${those("enforced") || "nothing"}` +
    (triedOut && `; trying out ${triedOut}`);
}

function shorten(_key: string, value: unknown): unknown {
  if (typeof value === "string") return cut(value);
  if (!Array.isArray(value) || value.length <= LOGGED_ENTRIES) return value;
  return [
    ...value.slice(0, LOGGED_ENTRIES),
    `… and ${value.length - LOGGED_ENTRIES} more`,
  ];
}
