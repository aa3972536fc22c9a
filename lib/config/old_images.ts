/**
 * docker-image-policy's file: JSON with two lists and a default.
 *
 * @module
 */
import { foldKey } from "../call/fold.ts";
import { type Config, FOR_ALL } from "./config.ts";
import { ConfigError } from "./document.ts";
import { parseJson } from "./json.ts";
import { SectionReader } from "./section_reader.ts";

/** The keys of the file. */
const KEYS = ["whitelist", "blacklist", "defaultAllow"];

/**
 * Reads docker-image-policy's file. Keys are found as Go finds them, whatever
 * their letter case, and `null` stands for a key that is missing.
 *
 * @param file Its name, for messages.
 * @param text Its JSON.
 * @returns The settings. Builds and loads stay open, as they were; an import
 *   was always refused, since it names no image to pull.
 * @throws {ConfigError} With all that is wrong.
 */
export function parseOldImages(file: string, text: string): Config {
  const nameOf = (written: string) =>
    KEYS.find((key) => foldKey(key) === foldKey(written)) ?? written;
  const document = parseJson(file, text, nameOf);
  const section = new SectionReader(document, "");
  const images = {
    file,
    ...FOR_ALL,
    whitelist: section.patterns("whitelist"),
    blacklist: section.patterns("blacklist"),
    defaultAllow: section.boolean("defaultAllow", false),
    allowBuild: true,
    allowLoad: true,
    allowImport: false,
  };
  section.done();
  if (document.problems.length > 0) throw new ConfigError(document.problems);
  return { images };
}
