/**
 * The administrator's settings, out of the TOML file or those of the plugins
 * that this one replaces.
 *
 * @module
 */
import { escape } from "@std/regexp";
import { parse } from "@std/toml";
import type { Exemptions } from "./identity.ts";
import type { VolumesPolicy } from "./policy/volumes.ts";

/** Where the settings are looked for. */
export const CONFIG_FILE = "/etc/docker/docker-policy-plugin.toml";

/** The file of docker-novolume-plugin, read where {@link CONFIG_FILE} is not. */
export const NOVOLUME_FILE =
  "/etc/docker/plugins/auth/docker-novolume-plugin.conf";

/** The policies that are on, each with its settings. */
export interface Config {
  volumes?: VolumesPolicy & Exemptions;
  /** The files that were read; none where the defaults hold. */
  files: string[];
}

/** Something in a file that can't be followed. */
export interface Problem {
  file: string;
  /** Counted from 1; missing where the file can't be read at all. */
  line?: number;
  message: string;
}

/** A file that can't be followed, with everything that is wrong with it. */
export class ConfigError extends Error {
  /** @param problems What is wrong, in the order of the file. */
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.name = "ConfigError";
  }
}

function formatProblem({ file, line, message }: Problem): string {
  return `${file}${line === undefined ? "" : `:${line}`}: ${message}`;
}

/**
 * Reads the settings.
 *
 * A policy is on where its section stands in the file. Without any file, the
 * volume policy is on for everybody.
 *
 * @param file The file to read; without one, {@link CONFIG_FILE}, and where that
 *   is missing the files of the plugins that this one replaces.
 * @param files Where those are, for tests.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} where a file can't be read or followed.
 */
export function loadConfig(
  file?: string,
  files = { config: CONFIG_FILE, novolume: NOVOLUME_FILE },
): Config {
  if (file !== undefined) return parseConfig(file, readFile(file));
  for (const candidate of [files.config, files.novolume]) {
    const text = readIfThere(candidate);
    if (text !== undefined) return parseConfig(candidate, text);
  }
  return { volumes: VOLUMES_DEFAULTS, files: [] };
}

const VOLUMES_DEFAULTS = {
  allowUser: [],
  allowGroup: [],
  allowClassicBuild: true,
};

/**
 * Reads the text of a settings file.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings.
 * @throws {ConfigError} with all that is wrong.
 */
export function parseConfig(file: string, text: string): Config {
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    throw new ConfigError([syntaxProblem(file, error)]);
  }

  const problems: Problem[] = [];
  const config: Config = { files: [file] };
  for (const [name, value] of Object.entries(document)) {
    const section = new Section(file, text, name, value, problems);
    switch (name) {
      case "volumes":
        config.volumes = {
          ...readExemptions(section),
          allowClassicBuild: section.boolean("allow-classic-build", true),
        };
        break;
      case "docker-novolume-plugin":
        config.volumes = { ...VOLUMES_DEFAULTS, ...readExemptions(section) };
        break;
      default:
        section.unknown();
    }
    section.done();
  }
  if (document.volumes && document["docker-novolume-plugin"]) {
    problems.push({
      file,
      line: locate(text, "docker-novolume-plugin"),
      message: "[docker-novolume-plugin] is the old name of [volumes]: " +
        "keep one of them",
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function readExemptions(section: Section): Exemptions {
  return {
    allowUser: section.strings("allow-user"),
    allowGroup: section.strings("allow-group"),
  };
}

/** A table of the file, read key by key; what is left over is a mistake. */
class Section {
  readonly #table: Record<string, unknown> = {};
  readonly #known = new Set<string>();

  constructor(
    readonly file: string,
    readonly text: string,
    readonly name: string,
    value: unknown,
    readonly problems: Problem[],
  ) {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      this.#table = value as Record<string, unknown>;
    } else {
      this.#problem(undefined, `expected a table [${name}]`);
    }
  }

  strings(key: string): string[] {
    const value = this.#take(key) ?? [];
    if (Array.isArray(value) && value.every((v) => typeof v === "string")) {
      return value;
    }
    this.#problem(
      key,
      `${key} is ${JSON.stringify(value)}: expected a list of strings, ` +
        `such as ["one", "two"]`,
    );
    return [];
  }

  boolean(key: string, whenMissing: boolean): boolean {
    const value = this.#take(key) ?? whenMissing;
    if (typeof value === "boolean") return value;
    this.#problem(
      key,
      `${key} is ${JSON.stringify(value)}: expected true or false`,
    );
    return whenMissing;
  }

  unknown(): void {
    this.#problem(
      undefined,
      `unknown section or key ${this.name}: expected [volumes]`,
    );
    for (const key of Object.keys(this.#table)) this.#known.add(key);
  }

  done(): void {
    for (const key of Object.keys(this.#table)) {
      if (this.#known.has(key)) continue;
      this.#problem(
        key,
        `unknown key ${key} in [${this.name}]: expected one of ` +
          [...this.#known].join(", "),
      );
    }
  }

  #take(key: string): unknown {
    this.#known.add(key);
    return this.#table[key];
  }

  #problem(key: string | undefined, message: string): void {
    this.problems.push({
      file: this.file,
      line: locate(this.text, this.name, key),
      message,
    });
  }
}

/**
 * Finds the line of a section or of a key in it. The parser keeps no positions;
 * this looks for the usual spellings, and falls back to the section's line.
 */
function locate(
  text: string,
  section: string,
  key?: string,
): number | undefined {
  const lines = text.split("\n");
  const quoted = (name: string) => `["']?${escape(name)}["']?`;
  const head = lines.findIndex((line) =>
    new RegExp(
      `^\\s*(\\[+\\s*${quoted(section)}\\s*[\\].]|${quoted(section)}\\s*[.=])`,
    )
      .test(line)
  );
  if (head < 0) return undefined;
  if (key === undefined) return head + 1;
  const line = lines.findIndex((line, at) =>
    at >= head &&
    new RegExp(`(^|\\.|\\{|,)\\s*${quoted(key)}\\s*[.=]`).test(line)
  );
  return (line < 0 ? head : line) + 1;
}

function syntaxProblem(file: string, error: unknown): Problem {
  const text = error instanceof Error ? error.message : String(error);
  const [, line, rest] = /^Parse error on line (\d+), column \d+: (.*)$/s
    .exec(text) ?? [];
  return line === undefined
    ? { file, message: text }
    : { file, line: Number(line), message: rest };
}

function readFile(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new ConfigError([{
      file,
      message: `can't be read: ${
        error instanceof Error ? error.message : String(error)
      }`,
    }]);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    Deno.lstatSync(file); // A link to nowhere is a mistake, not a missing file.
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
  }
  return readFile(file);
}
