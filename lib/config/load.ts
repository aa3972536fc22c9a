/**
 * Finds the settings file, and reads it.
 *
 * @module
 */
import { type Config, CONFIG_FILE, DEFAULTS, OLD_FILES } from "./config.ts";
import { ConfigError, type Problem } from "./document.ts";
import { parseOldImages } from "./old_images.ts";
import { parseOldVolumes } from "./old_volumes.ts";
import { readSections } from "./sections.ts";
import { parseToml } from "./toml.ts";

/**
 * Reads the settings.
 *
 * A policy is on if its section is in the file. Without any file, the volume and
 * push policies are on for everybody.
 *
 * @param file The file to read; without one, {@link CONFIG_FILE}, and if that is
 *   missing {@link OLD_FILES}.
 * @param files Where those are, for tests.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} If a file can't be read or followed.
 */
export function loadConfig(
  file?: string,
  files = { config: CONFIG_FILE, old: OLD_FILES },
): Config {
  if (file !== undefined) {
    const text = readFile(file);
    return file.endsWith(".json")
      ? parseOldImages(file, text)
      : parseConfig(file, text);
  }
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
 * Reads the text of a settings file.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings, every key with its value or default.
 * @throws {ConfigError} With all that is wrong.
 */
export function parseConfig(file: string, text: string): Config {
  const document = parseToml(file, text);
  const config = readSections(document);
  if (document.problems.length > 0) throw new ConfigError(document.problems);
  return config;
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
    const why = error instanceof Error ? error.message : String(error);
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
