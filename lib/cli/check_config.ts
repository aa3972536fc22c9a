/**
 * `check-config`: can the settings be followed, and what would be enforced?
 *
 * @module
 */
import { ConfigError } from "../config/document.ts";
import { loadConfig } from "../config/load.ts";
import { printConfig } from "../config/show.ts";
import { startWarnings } from "../config/warnings.ts";
import { readArgs } from "./args.ts";

/**
 * Prints `ok` and the settings as TOML on standard output, warnings on standard
 * error; or every mistake on standard error.
 *
 * @param words The words behind `check-config`.
 * @returns Whether the settings can be followed.
 * @throws {UsageError} If there is an option that doesn't exist.
 */
export function checkConfig(words: readonly string[]): boolean {
  const { config: file } = readArgs(words);
  try {
    const config = loadConfig(file);
    console.log(`ok\n${printConfig(config).trimEnd()}`);
    for (const text of startWarnings(config)) console.error(`warning: ${text}`);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return false;
  }
}
