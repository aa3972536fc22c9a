/**
 * The administrator's settings, out of the TOML file or those of the plugins
 * that this one replaces.
 *
 * @module
 */
import { escape } from "@std/regexp";
import type { Exemptions } from "../verdict/exemptions.ts";
import type { ImagesPolicy } from "../policy/rules/images.ts";
import type { Pattern } from "../policy/rules/patterns.ts";
import type { PushPolicy } from "../policy/rules/push.ts";
import type { VolumesPolicy } from "../policy/volumes.ts";
import { foldKey } from "../call/fold.ts";

/** Where the settings are looked for. */
export const CONFIG_FILE = "/etc/docker/docker-policy-plugin.toml";

/** Old files, read together where {@link CONFIG_FILE} does not exist. */
export const OLD_FILES = {
  /** docker-novolume-plugin's. */
  volumes: "/etc/docker/plugins/auth/docker-novolume-plugin.conf",
  /** docker-image-policy's. */
  images: "/etc/docker/docker-image-policy.json",
};

/** A policy's settings. */
type PolicySection<Policy> = Policy & Exemptions & {
  /** Whether it refuses; otherwise it only logs what it would refuse. */
  readonly enforce: boolean;
  /** The file they come from; none for the defaults. */
  readonly file?: string;
};

/** The policies that are on, each with its settings. */
export interface Config {
  readonly volumes?: PolicySection<VolumesPolicy>;
  readonly images?: PolicySection<ImagesPolicy>;
  readonly push?: PolicySection<PushPolicy>;
}

/** A place in a file: line and column, counted from 1. */
export interface Place {
  line: number;
  column: number;
}

/** Something in a file that can't be followed. */
export interface Problem {
  file: string;
  /** Where, counted from 1; missing where the file can't be read at all. */
  place?: Place;
  message: string;
}

/** A file that can't be followed, with everything that is wrong with it. */
export class ConfigError extends Error {
  /** @param problems What is wrong. */
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.name = "ConfigError";
  }
}

function formatProblem({ file, place, message }: Problem): string {
  return place
    ? `${file}:${place.line}:${place.column}: ${message}`
    : `${file}: ${message}`;
}

/**
 * Reads the settings.
 *
 * A policy is on where its section stands in the file. Without any file, the
 * volume and push policies are on for everybody.
 *
 * @param file The file to read; without one, {@link CONFIG_FILE}, and where that
 *   is missing {@link OLD_FILES}.
 * @param files Where those are, for tests.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} where a file can't be read or followed.
 */
export async function loadConfig(
  file?: string,
  files = { config: CONFIG_FILE, old: OLD_FILES },
): Promise<Config> {
  if (file !== undefined) {
    const text = readFile(file);
    return file.endsWith(".json")
      ? await parseOldImages(file, text)
      : await parseConfig(file, text);
  }
  const text = readIfThere(files.config);
  if (text !== undefined) return await parseConfig(files.config, text);

  const volumes = readIfThere(files.old.volumes);
  const images = readIfThere(files.old.images);
  if (volumes === undefined && images === undefined) return DEFAULTS;
  return {
    ...(volumes !== undefined &&
      await parseOldVolumes(files.old.volumes, volumes)),
    ...(images !== undefined &&
      await parseOldImages(files.old.images, images)),
  };
}

const FOR_ALL = { enforce: true, allowUser: [], allowGroup: [] };

const DEFAULTS = {
  volumes: { ...FOR_ALL, allowClassicBuild: true },
  push: {
    ...FOR_ALL,
    blockRhel: true,
    namePrefixes: ["rhel"],
    registries: ["registry.redhat.io", "registry.access.redhat.com"],
  },
} satisfies Config;

/**
 * Reads the text of a settings file.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings.
 * @throws {ConfigError} with all that is wrong.
 */
export async function parseConfig(
  file: string,
  text: string,
): Promise<Config> {
  const { parse } = await import("@std/toml"); // Not without a file.
  const problems = repetitions(file, text);
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    throw new ConfigError(
      problems.length > 0 ? problems : [syntaxProblem(file, error)],
    );
  }

  const config: { -readonly [Name in keyof Config]: Config[Name] } = {};
  for (const [name, value] of Object.entries(document)) {
    const section = new Table(file, text, name, value, problems);
    switch (name) {
      case "volumes":
        config.volumes = {
          file,
          ...readCommon(section),
          allowClassicBuild: section.boolean(
            "allow-classic-build",
            DEFAULTS.volumes.allowClassicBuild,
          ),
          ...section.binds("allow-bind"),
        };
        break;
      case OLD_VOLUMES_SECTION:
        config.volumes = {
          file,
          ...DEFAULTS.volumes,
          ...readCommon(section),
        };
        break;
      case "images": {
        const defaultAllow = section.boolean("default-allow", false);
        config.images = {
          file,
          whitelist: await section.patterns("whitelist"),
          blacklist: await section.patterns("blacklist"),
          defaultAllow,
          allowBuild: section.boolean("allow-build", defaultAllow),
          allowLoad: section.boolean("allow-load", defaultAllow),
          allowImport: section.boolean("allow-import", defaultAllow),
          ...readCommon(section),
        };
        break;
      }
      case "push":
        config.push = {
          file,
          blockRhel: section.boolean("block-rhel", DEFAULTS.push.blockRhel),
          namePrefixes: section.strings(
            "name-prefixes",
            DEFAULTS.push.namePrefixes,
          ),
          registries: section.strings("registries", DEFAULTS.push.registries),
          ...readCommon(section),
        };
        break;
      default:
        section.unknown("[volumes], [images] or [push]");
    }
    section.done();
  }
  if (document.volumes && document[OLD_VOLUMES_SECTION]) {
    problems.push({
      file,
      place: placeOfKey(text, OLD_VOLUMES_SECTION),
      message: `[${OLD_VOLUMES_SECTION}] is the old name of [volumes]: ` +
        "keep one of them",
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** The one table in docker-novolume-plugin's file. */
const OLD_VOLUMES_SECTION = "docker-novolume-plugin";

function readCommon(section: Table): Exemptions & { enforce: boolean } {
  return {
    enforce: section.boolean("enforce", true),
    allowUser: section.strings("allow-user"),
    allowGroup: section.strings("allow-group"),
  };
}

/**
 * Reads docker-novolume-plugin's file, which counts as its section even where it
 * says nothing.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings.
 * @throws {ConfigError} with all that is wrong.
 */
export async function parseOldVolumes(
  file: string,
  text: string,
): Promise<Config> {
  const { volumes, ...others } = await parseConfig(file, text);
  const [stray] = Object.keys(others);
  if (stray === undefined) {
    return { volumes: volumes ?? { file, ...DEFAULTS.volumes } };
  }
  throw new ConfigError([{
    file,
    place: placeOfKey(text, stray),
    message: `[${stray}] does not belong here: write it to ${CONFIG_FILE}`,
  }]);
}

/**
 * Reads docker-image-policy's file. Keys are found as Go finds them, and unknown
 * ones are ignored, as they were.
 *
 * @param file Its name, for messages.
 * @param text Its JSON.
 * @returns The settings. Builds and loads stay open, as they were; an import was
 *   always refused, since it names no image to pull.
 * @throws {ConfigError} with all that is wrong.
 */
export async function parseOldImages(
  file: string,
  text: string,
): Promise<Config> {
  const keys: Record<string, unknown> = {};
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document !== "object" || !document || Array.isArray(document)) {
      throw new SyntaxError("expected an object (line 1 column 1)");
    }
    for (const [key, value] of Object.entries(document)) {
      keys[foldKey(key)] = value;
    }
  } catch (error) {
    throw new ConfigError([syntaxProblem(file, error)]);
  }

  const problems: Problem[] = [];
  const section = new Table(file, text, "", keys, problems);
  const images = {
    file,
    whitelist: await section.patterns("whitelist"),
    blacklist: await section.patterns("blacklist"),
    defaultAllow: section.boolean("defaultallow", false),
    allowBuild: true,
    allowLoad: true,
    allowImport: false,
    ...FOR_ALL,
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return { images };
}

/**
 * Shows the settings in force, as the monitor API does.
 *
 * @param config The settings.
 * @returns The sections that are on, under the names of the settings file, each
 *   with the file it comes from; patterns as they were written.
 */
export function showConfig(config: Config): Record<string, unknown> {
  const { volumes, images, push } = config;
  const common = (
    { enforce, allowUser, allowGroup }: Exemptions & { enforce: boolean },
  ) => ({
    enforce,
    "allow-user": allowUser,
    "allow-group": allowGroup,
  });
  const texts = (patterns: readonly Pattern[]) =>
    patterns.map(({ source }) => source);
  return {
    ...(volumes && {
      volumes: {
        from: volumes.file ?? "default",
        "allow-classic-build": volumes.allowClassicBuild,
        ...(volumes.allowBind && { "allow-bind": volumes.allowBind }),
        ...common(volumes),
      },
    }),
    ...(images && {
      images: {
        from: images.file,
        whitelist: texts(images.whitelist),
        blacklist: texts(images.blacklist),
        "default-allow": images.defaultAllow,
        "allow-build": images.allowBuild,
        "allow-load": images.allowLoad,
        "allow-import": images.allowImport,
        ...common(images),
      },
    }),
    ...(push && {
      push: {
        from: push.file ?? "default",
        "block-rhel": push.blockRhel,
        "name-prefixes": push.namePrefixes,
        registries: push.registries,
        ...common(push),
      },
    }),
  };
}

/** A table of the file, read key by key; what is left over is a mistake. */
class Table {
  readonly #table: Record<string, unknown> = {};
  readonly #known = new Set<string>();
  readonly #isTable: boolean = true;

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
      this.#isTable = false;
    }
  }

  strings(key: string, whenMissing: string[] = []): string[] {
    const value = this.#take(key) ?? whenMissing;
    if (Array.isArray(value) && value.every((v) => typeof v === "string")) {
      return value;
    }
    this.#wrong(key, value, `a list of strings, such as ["one", "two"]`);
    return whenMissing;
  }

  boolean(key: string, whenMissing: boolean): boolean {
    const value = this.#take(key) ?? whenMissing;
    if (typeof value === "boolean") return value;
    this.#wrong(key, value, "true or false");
    return whenMissing;
  }

  async patterns(key: string): Promise<Pattern[]> {
    const texts = this.strings(key);
    if (texts.length === 0) return [];
    // Regular expressions are the largest thing that can be loaded.
    const { readPattern } = await import("../policy/rules/patterns.ts");
    return texts.flatMap((pattern) => {
      try {
        return [readPattern(pattern)];
      } catch (error) {
        this.#problem(
          placeOfValue(this.text, pattern) ??
            placeOfKey(this.text, this.name, key),
          `${key}: ${messageOf(error)}`,
        );
        return [];
      }
    });
  }

  binds(key: string): { allowBind?: string[] } {
    if (this.#table[key] === undefined) {
      this.#known.add(key);
      return {};
    }
    const sources = this.strings(key);
    const relative = sources.find((source) => !source.startsWith("/"));
    if (relative !== undefined) {
      this.#wrong(key, relative, 'absolute directories, such as "/srv/"');
    }
    return { allowBind: sources };
  }

  unknown(expected: string): void {
    this.#problem(
      placeOfKey(this.text, this.name),
      `unknown section or key ${this.name}: expected ${expected}`,
    );
    for (const key of Object.keys(this.#table)) this.#known.add(key);
  }

  done(): void {
    if (!this.#isTable && this.#known.size > 0) {
      this.#problem(
        placeOfKey(this.text, this.name),
        `expected a table [${this.name}]`,
      );
    }
    for (const key of Object.keys(this.#table)) {
      if (this.#known.has(key)) continue;
      this.#problem(
        placeOfKey(this.text, this.name, key),
        `unknown key ${key} in [${this.name}]: expected one of ` +
          [...this.#known].join(", "),
      );
    }
  }

  #take(key: string): unknown {
    this.#known.add(key);
    return this.#table[key];
  }

  #wrong(key: string, value: unknown, expected: string): void {
    this.#problem(
      placeOfKey(this.text, this.name, key),
      `${key} is ${JSON.stringify(value)}: expected ${expected}`,
    );
  }

  #problem(place: Place | undefined, message: string): void {
    this.problems.push({ file: this.file, place, message });
  }
}

/**
 * Finds a section, or a key in it. The parsers keep no positions; this looks for
 * the usual spellings, and falls back to the section's place.
 */
function placeOfKey(
  text: string,
  section: string,
  key?: string,
): Place | undefined {
  const quoted = (name: string) => `["']?${escape(name)}["']?`;
  const head = section === "" ? 0 : text.search(
    new RegExp(
      `(?<=^[ \\t]*)(\\[+\\s*${quoted(section)}\\s*[\\].]|${
        quoted(section)
      }\\s*[.=])`,
      "m",
    ),
  );
  if (head < 0) return undefined;
  if (key === undefined) return placeAt(text, head);
  const at = text.slice(head).search(
    new RegExp(`(?<=(^|[.{,])[ \\t]*)${quoted(key)}\\s*[.=:]`, "im"),
  );
  return placeAt(text, head + Math.max(at, 0));
}

/**
 * Finds sections and keys that are there twice. TOML forbids it; the parser joins
 * or replaces keys without a word, and puts repeated sections down to something
 * else.
 */
function repetitions(file: string, text: string): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  let section = "";
  const lines = /^[ \t]*(?:\[([^\]]+)\]|(["']?)([\w-]+)\2[ \t]*=)/gm;
  for (const found of text.matchAll(lines)) {
    const [, head, , key] = found;
    if (head !== undefined) section = head.trim();
    const name = key === undefined ? `[${section}]` : `${key} in [${section}]`;
    if (seen.has(name)) {
      problems.push({
        file,
        place: placeAt(text, found.index),
        message: `${name} is there twice: keep one of them`,
      });
    }
    seen.add(name);
  }
  return problems;
}

/** Finds a string, in the spellings of TOML and JSON. */
function placeOfValue(text: string, value: string): Place | undefined {
  const at = [JSON.stringify(value), `'${value}'`]
    .map((spelling) => text.indexOf(spelling))
    .find((at) => at >= 0);
  return at === undefined ? undefined : placeAt(text, at);
}

function placeAt(text: string, at: number): Place {
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: lines[lines.length - 1].length + 1 };
}

/** Both parsers tell the place in their message, each in its own way. */
function syntaxProblem(file: string, error: unknown): Problem {
  const text = messageOf(error);
  const [, line, column, rest] =
    /^Parse error on line (\d+), column (\d+): (.*)$/s.exec(text) ??
      /^(?=.*\(line (\d+) column (\d+)\))(.*)$/s.exec(text) ?? [];
  return line === undefined ? { file, message: text } : {
    file,
    // At the end of the file the parser says column 0.
    place: { line: Number(line), column: Math.max(Number(column), 1) },
    message: rest,
  };
}

function readFile(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new ConfigError([{
      file,
      message: `can't be read: ${messageOf(error)}`,
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
