/**
 * The words behind a command that asks the engine: options of its own, and
 * those of the plugin that it passes on to `readArgs`.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { inLongForm, UsageError } from "./args.ts";

/** What the words behind a command say. */
export interface Words {
  /** Those that are no option, nor an option's value. */
  readonly rest: readonly string[];
  /** Those behind `--`. */
  readonly behind: readonly string[];
  /** The options that say how the engine is reached, for `readArgs`. */
  readonly engine: readonly string[];
  /**
   * @param name An option with a value.
   * @returns Its values, in order; empty ones too.
   */
  values(name: string): readonly string[];
}

/** The plugin's options with a value that say how the engine is reached. */
const ENGINE = ["host", "cert-path"];

/**
 * Reads the words behind a command. Its options are `--config`, those that say
 * how the engine is reached, `--help`, and its own.
 *
 * @param words The words.
 * @param own The command's own options, all with a value.
 * @returns What they say; undefined if they ask for help.
 * @throws {UsageError} If an option is unknown.
 */
export function readWords(
  words: readonly string[],
  own: readonly string[] = [],
): Words | undefined {
  const end = words.indexOf("--");
  const texts = ["config", ...ENGINE, ...own];
  const parsed: Record<string, unknown> = parseArgs(
    inLongForm(end < 0 ? words : words.slice(0, end), texts),
    {
      string: ["_", ...texts],
      boolean: ["tls-verify", "help"],
      collect: texts,
      alias: { help: "h" },
      unknown: (word: string) => {
        if (word.startsWith("-") && word !== "-") {
          throw new UsageError(`unknown option ${word}`);
        }
      },
    },
  );
  if (parsed.help) return undefined;
  const values = (name: string) => parsed[name] as string[];
  return {
    rest: values("_"),
    behind: end < 0 ? [] : words.slice(end + 1),
    engine: [
      ...ENGINE.flatMap((name) =>
        values(name).map((value) => `--${name}=${value}`)
      ),
      ...(parsed["tls-verify"] ? ["--tls-verify"] : []),
    ],
    values,
  };
}
