/**
 * Finds the settings file, and reads it.
 *
 * @module
 */
import { messageOf, shown } from "../text.ts";
import {
  allSettings,
  type Config,
  CONFIG_FILE,
  DEFAULTS,
  ENFORCE_NOTHING,
  OLD_FILES,
  POLICIES,
  stateOf,
} from "./config.ts";
import {
  ConfigError,
  type Document,
  type Problem,
  withoutPlaces,
} from "./document.ts";
import { parseOldImages } from "./old_images.ts";
import { parseOldVolumes } from "./old_volumes.ts";
import { FOR, readForUsers } from "./for_users.ts";
import { readSections } from "./sections.ts";
import { parseToml } from "./toml.ts";

/**
 * Reads the settings.
 *
 * A policy is on if its section is in the file. Without any file, the volume
 * and push policies are on for everybody.
 *
 * @param file The file to read; without one, {@link CONFIG_FILE}, and if that
 *   is missing {@link OLD_FILES}.
 * @param files Where those are, for tests.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} If a file can't be read or followed.
 */
export function loadConfig(
  file?: string,
  files = { config: CONFIG_FILE, old: OLD_FILES },
): Config {
  if (file !== undefined) return parseFile(file, readFile(file));
  const text = readIfThere(files.config);
  if (text !== undefined) return parseConfig(files.config, text);

  const volumes = readIfThere(files.old.volumes);
  const images = readIfThere(files.old.images);
  if (volumes === undefined && images === undefined) return DEFAULTS;
  return {
    ...(volumes !== undefined && parseOldVolumes(files.old.volumes, volumes)),
    ...(images !== undefined && parseOldImages(files.old.images, images)),
  };
}

/**
 * Reads settings that somebody else has read from a file.
 *
 * @param file The file's name; a `.json` is docker-image-policy's.
 * @param bytes What is in it.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} With all that is wrong.
 */
export function readConfig(file: string, bytes: Uint8Array): Config {
  return parseFile(file, decode(file, bytes));
}

function parseFile(file: string, text: string): Config {
  return file.endsWith(".json")
    ? parseOldImages(file, text)
    : parseConfig(file, text);
}

/**
 * Reads the text of a settings file.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} With all that is wrong.
 */
export function parseConfig(file: string, text: string): Config {
  const whole = parseToml(file, text);
  const document = withSections(whole);
  const { problems } = document;
  const general = new Map(document.table);
  general.delete(FOR);
  const sections = readSections({ ...document, table: general });
  const config = { ...sections, ...readForUsers(document, sections) };
  // An editor, a full disk or a template can leave an empty file behind.
  const isMeant = whole.table.get(ENFORCE_NOTHING)?.value.content === true;
  const isEmpty = allSettings(config).every(({ sections }) =>
    POLICIES.every((name) => stateOf(sections, name) === "off")
  );
  if (isEmpty && !isMeant && problems.length === 0) {
    problems.push({
      file,
      message: "it has no section, so that nothing would be enforced: write " +
        "[volumes], [images], [push] or [privileges], or " +
        `${ENFORCE_NOTHING} = true if that is meant`,
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** Takes {@link ENFORCE_NOTHING} out of a file. */
function withSections({ file, table, problems }: Document): Document {
  const sections = new Map(table);
  sections.delete(ENFORCE_NOTHING);
  const entry = table.get(ENFORCE_NOTHING);
  const content = entry?.value.content ?? false;
  if (typeof content !== "boolean") {
    const given = shown(JSON.stringify(withoutPlaces(entry!.value)));
    problems.push({
      file,
      place: entry!.place,
      message: `${ENFORCE_NOTHING} is ${given}: expected true or false`,
    });
  } else if (content && sections.size > 0) {
    problems.push({
      file,
      place: entry!.place,
      message:
        `${ENFORCE_NOTHING} = true goes with no section: remove it, or ` +
        "all sections",
    });
  }
  return { file, table: sections, problems };
}

function readIfThere(file: string): string | undefined {
  try {
    Deno.lstatSync(file); // A link to nowhere is a mistake, not a missing file.
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
  }
  return readFile(file);
}

function readFile(file: string): string {
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(file);
  } catch (error) {
    // The rest names a function of Deno's.
    const [why] = messageOf(error).split(" (os error ", 1);
    throw new ConfigError([{ file, message: `can't be read: ${why}` }]);
  }
  return decode(file, bytes);
}

/** Editors on Windows put a byte order mark first; it is left out. */
function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(badLines(file, bytes));
  }
}

/** The first byte of each line that is not UTF-8. */
function badLines(file: string, bytes: Uint8Array): Problem[] {
  return new TextDecoder().decode(bytes).split("\n").flatMap((line, at) => {
    const column = line.indexOf("\ufffd") + 1;
    const message = "not UTF-8: save the file in that encoding";
    return column === 0
      ? []
      : [{ file, place: { line: at + 1, column }, message }];
  });
}
