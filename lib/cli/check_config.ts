/**
 * `check-config`: can the settings be followed, and what would be enforced?
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/document.ts";
import { loadConfig, readConfig } from "../config/load.ts";
import { printConfig } from "../config/show.ts";
import { startWarnings } from "../config/warnings.ts";
import { UsageError } from "./args.ts";

/** What `check-config` takes, for who mistyped. */
export const CHECK_CONFIG_USAGE =
  "usage: docker-policy-plugin check-config [FILE | - | --config FILE]";

const HELP = `${CHECK_CONFIG_USAGE}

Says "ok" and prints what would be enforced, or names every mistake. Without a
FILE it reads what the plugin would read; "-" is the standard input. Nothing is
changed, and no engine is asked.

Exit status: 0 the settings can be followed, 1 not, 2 usage.`;

/** Names of the standard input. */
const STDIN = ["-", "/dev/stdin"];

/**
 * Prints `ok` and the settings as TOML on standard output, warnings on standard
 * error; or every mistake on standard error.
 *
 * @param words The words behind `check-config`.
 * @param readInput Reads the standard input.
 * @returns Whether the settings can be followed.
 * @throws {UsageError} If there is an option that doesn't exist.
 */
export async function checkConfig(
  words: readonly string[],
  readInput: () => Promise<Uint8Array>,
): Promise<boolean> {
  const wish = readWords(words);
  if (wish === "help") {
    console.log(HELP);
    return true;
  }
  try {
    const { file } = wish;
    const config: Config = file !== undefined && STDIN.includes(file)
      ? readConfig("standard input", await readInput())
      : loadConfig(file);
    console.log(`ok\n${printConfig(config).trimEnd()}`);
    for (const text of startWarnings(config)) console.error(`warning: ${text}`);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return false;
  }
}

function readWords(words: readonly string[]): { file?: string } | "help" {
  const parsed = parseArgs(
    words.map((word) => word.replace(/^-(?=config\b)/, "--")),
    {
      string: ["config", "_"],
      boolean: ["help"],
      collect: ["config"],
      alias: { help: "h" },
      unknown: (word: string) => {
        if (word.startsWith("-") && word !== "-") {
          throw new UsageError(`unknown option ${word}`);
        }
      },
    },
  );
  if (parsed.help) return "help";
  const files = [...parsed._ as string[], ...parsed.config as string[]];
  if (files.length > 1) throw new UsageError("give one file");
  if (files.includes("")) throw new UsageError("give the name of a file");
  return { file: files.at(0) };
}
