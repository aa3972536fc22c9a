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
  type ForUsers,
  POLICIES,
  type PolicyState,
  type Sections,
  stateOf,
} from "./config.ts";
import { showSection } from "./sections.ts";

/** How many entries of a list the log shows. */
const LOGGED_ENTRIES = 8;

/**
 * Shows the settings, as the monitor API does.
 *
 * @param config The settings.
 * @returns The sections that are on, under the names of the settings file;
 *   patterns as they were written. `from` is the file that a section comes
 *   from. `for` has the settings for some users, as far as they differ.
 */
export function showConfig(
  config: Config,
): Record<string, Record<string, unknown>> {
  const shown: Record<string, Record<string, unknown>> = {};
  for (const name of POLICIES) {
    const { file = "default" } = config[name] ?? {};
    const keys = showSection(name, config);
    if (keys) shown[name] = { from: file, ...keys };
  }
  const { forUsers = [] } = config;
  if (forUsers.length > 0) {
    shown.for = Object.fromEntries(
      forUsers.map((each) => [each.name, showForUsers(each, config)]),
    );
  }
  return shown;
}

/** What is other than for everybody. */
function showForUsers(
  { user, group, sections }: ForUsers,
  everybody: Sections,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    ...(user.length > 0 && { user }),
    ...(group.length > 0 && { group }),
  };
  for (const name of POLICIES) {
    const general = showSection(name, everybody);
    const own = Object.entries(showSection(name, sections) ?? {}).filter((
      [key, value],
    ) =>
      general
        ? JSON.stringify(value) !== JSON.stringify(general[key])
        // Nobody can be exempt from what is not for everybody.
        : key !== "allow-user" && key !== "allow-group"
    );
    if (own.length > 0) shown[name] = Object.fromEntries(own);
  }
  return shown;
}

/**
 * Writes the settings as a settings file.
 *
 * @param config The settings.
 * @returns TOML that means the same settings, with every key, and in comments
 *   the files that they come from.
 */
export function printConfig(config: Config): string {
  const { for: forUsers = {}, ...general } = showConfig(config);
  const sections = Object.entries(general)
    .map(([name, { from, ...keys }]) =>
      `# ${printable(String(from))}\n` + writeToml({ [name]: keys })
    );
  for (const [name, tables] of Object.entries(forUsers)) {
    sections.push(writeToml({ for: { [name]: tables } }));
  }
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
 * @returns A line for each policy, and for each `[for.NAME]`. Long lists and
 *   texts are cut short.
 */
export function describeConfig(config: Config): string[] {
  const sections = showConfig(config);
  const lines = POLICIES.map((name) => {
    const state = stateOf(config, name);
    if (state === "off") return `not enforcing [${name}]`;
    const mode = state === "enforced" ? "enforcing" : "trying out";
    return `${mode} [${name}] ${JSON.stringify(sections[name], shorten)}`;
  });
  const others = Object.entries(sections.for ?? {}).map(([name, keys]) =>
    `other settings in [for.${name}] ${JSON.stringify(keys, shorten)}`
  );
  return [...lines, ...others];
}

/**
 * Says what is enforced, in a few words.
 *
 * @param config The settings.
 * @returns Which policies are enforced, and which are tried out; and which
 *   users have other settings.
 */
export function summarizeConfig(config: Config): string {
  const those = (state: PolicyState) =>
    POLICIES.filter((name) => stateOf(config, name) === state)
      .map((name) => `[${name}]`).join(", ");
  const triedOut = those("tried out");
  const others = (config.forUsers ?? [])
    .map(({ name }) => `[for.${name}]`).join(", ");
  return `enforcing ${those("enforced") || "nothing"}` +
    (triedOut && `; trying out ${triedOut}`) +
    (others && `; other settings in ${others}`);
}

function shorten(_key: string, value: unknown): unknown {
  if (typeof value === "string") return cut(value);
  if (!Array.isArray(value) || value.length <= LOGGED_ENTRIES) return value;
  return [
    ...value.slice(0, LOGGED_ENTRIES),
    `… and ${value.length - LOGGED_ENTRIES} more`,
  ];
}
