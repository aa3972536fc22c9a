/**
 * docker-novolume-plugin's file: TOML with one table.
 *
 * @module
 */
import { type Config, CONFIG_FILE, DEFAULTS } from "./config.ts";
import { ConfigError } from "./document.ts";
import { readSections } from "./sections.ts";
import { parseToml } from "./toml.ts";

/**
 * Reads docker-novolume-plugin's file. It turns the volume policy on even if it
 * says nothing.
 *
 * @param file Its name, for messages.
 * @param text Its TOML.
 * @returns The settings.
 * @throws {ConfigError} With all that is wrong.
 */
export function parseOldVolumes(file: string, text: string): Config {
  const document = parseToml(file, text);
  const { table, problems } = document;
  const { volumes = { file, ...DEFAULTS.volumes }, ...others } = readSections(
    document,
  );
  for (const name of Object.keys(others)) {
    problems.push({
      file,
      place: table.get(name)?.place,
      message: `[${name}] does not belong here: write it to ${CONFIG_FILE}`,
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { volumes };
}
