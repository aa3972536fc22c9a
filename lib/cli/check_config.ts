/**
 * `check-config`: can the settings be followed, and what would be enforced?
 *
 * @module
 */
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/document.ts";
import { loadConfig, readConfig } from "../config/load.ts";
import { printConfig } from "../config/show.ts";
import { startWarnings } from "../config/warnings.ts";
import type { EngineAddress } from "../engine/address.ts";
import { EngineError } from "../engine/error.ts";
import { USUAL_HOST } from "../engine/h2c.ts";
import { readArgs, UsageError } from "./args.ts";
import { checkHost, usualHostWarnings } from "./check_host.ts";
import { readWords } from "./words.ts";

/** What `check-config` takes, for who mistyped. */
export const CHECK_CONFIG_USAGE = "usage: docker-policy-plugin check-config " +
  "[FILE | - | --config FILE] [--host [URL]] [--cert-path DIR] [--tls-verify]";

const HELP = `${CHECK_CONFIG_USAGE}

Says "ok" and prints what would be enforced, or names every mistake. Without a
FILE it reads what the plugin would read; "-" is the standard input. Nothing is
changed.

  --host [URL]     also look whether users get around the settings on this host:
                   the address that they have (default
                   ${USUAL_HOST})
  --cert-path DIR, --tls-verify
                   as for the plugin itself

Exit status: 0 the settings can be followed, and with --host nothing is known to
get around them; 1 not; 2 the engine can't be asked, or usage.`;

/** Names of the standard input. */
const STDIN = ["-", "/dev/stdin"];

/** The status with which `check-config` ends. */
const EXIT = { ok: 0, bad: 1, unknown: 2 };

/** What was asked for. */
interface Wish {
  /** The settings file; undefined for what the plugin would read. */
  file?: string;
  /** Where users find the engine; undefined if it is not to be asked. */
  address?: EngineAddress;
}

/**
 * Prints `ok` and the settings as TOML on standard output, warnings on standard
 * error; or every mistake on standard error.
 *
 * @param words The words behind `check-config`.
 * @param readInput Reads the standard input.
 * @returns The exit status: 0 if the settings can be followed, and hold on the
 *   host if that was to be looked at; 1 if not; 2 if the engine can't be asked.
 * @throws {UsageError} If the words can't be followed.
 */
export async function checkConfig(
  words: readonly string[],
  readInput: () => Promise<Uint8Array>,
): Promise<number> {
  const wish = readWish(words);
  if (!wish) {
    console.log(HELP);
    return EXIT.ok;
  }
  const { file, address } = wish;
  try {
    const config: Config = file !== undefined && STDIN.includes(file)
      ? readConfig("standard input", await readInput())
      : loadConfig(file);
    console.log(`ok\n${printConfig(config).trimEnd()}`);
    warn(startWarnings(config));
    if (address) {
      const { told, warnings, holds } = await checkHost(config, address);
      // What is printed stays a settings file.
      for (const line of told) console.log(`# ${line}`);
      warn(warnings);
      return holds ? EXIT.ok : EXIT.bad;
    }
    // A file that is named may be meant for another host.
    if (file === undefined) warn(await usualHostWarnings(config));
    return EXIT.ok;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof EngineError) {
      console.error(error.message);
      return error instanceof EngineError ? EXIT.unknown : EXIT.bad;
    }
    throw error;
  }
}

function warn(texts: readonly string[]): void {
  for (const text of texts) console.error(`warning: ${text}`);
}

/** Undefined if they ask for help. */
function readWish(words: readonly string[]): Wish | undefined {
  const read = readWords(withHost(words));
  if (!read) return undefined;
  const { rest, behind, engine, values } = read;
  const files = [...rest, ...behind, ...values("config")];
  if (files.length > 1) throw new UsageError("give one file");
  if (files.includes("")) throw new UsageError("give the name of a file");
  if (engine.length > 0 && values("host").length === 0) {
    throw new UsageError(`${engine[0].replace(/=.*/, "")} needs a --host`);
  }
  return {
    file: files.at(0),
    ...(engine.length > 0 && { address: readArgs(engine) }),
  };
}

/**
 * Gives `--host` its address, unless the next word is one: here alone it needs
 * none.
 */
function withHost(words: readonly string[]): string[] {
  return words.map((word, index) =>
    /^--?host$/.test(word) && !words.at(index + 1)?.includes("://")
      ? `--host=${USUAL_HOST}`
      : word
  );
}
