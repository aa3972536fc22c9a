/**
 * `audit`: what is on this host that the settings would refuse? (The audit log
 * is something else: lib/audit.ts.)
 *
 * @module
 */
import { ConfigError } from "../config/document.ts";
import { loadConfig } from "../config/load.ts";
import { summarizeConfig } from "../config/show.ts";
import { engineEndpoint } from "../engine/address.ts";
import { engineClient } from "../engine/client.ts";
import { connectEngine, EngineError } from "../engine/engine.ts";
import { OwnCalls } from "../engine/own_calls.ts";
import { SILENT } from "../log.ts";
import { printable, shown } from "../text.ts";
import { readArgs, UsageError } from "./args.ts";
import { jsonOf, tableOf } from "./audit_report.ts";
import { type Survey, survey } from "./audit_survey.ts";
import { readWords } from "./words.ts";

/** What `audit` takes, for who mistyped. */
export const AUDIT_USAGE = "usage: docker-policy-plugin audit " +
  "[FILE | --config FILE] [--format table|json] [--host URL] " +
  "[--cert-path DIR] [--tls-verify]";

const HELP = `${AUDIT_USAGE}

Lists what is on this host that the settings would refuse: containers, services
and images, each with the rule and what to do. Without a FILE the settings are
those that the plugin would read. It only asks the engine; the plugin need not
run. Run it as root, on the engine's host.

  --format json    print JSON instead of a table
  --host URL, --cert-path DIR, --tls-verify
                   as for the plugin itself

Exit status: 0 nothing found, 1 something found, 2 nobody can tell of all, or
usage.`;

/** The status with which `audit` ends. */
const EXIT = { clean: 0, found: 1, unknown: 2 };

/**
 * How long the engine may take for an answer, in milliseconds: nobody's call
 * waits for this one, and lists of images can be long.
 */
const PATIENCE = 20_000;

/**
 * Prints on standard output what would be refused; on standard error what could
 * not be looked at.
 *
 * @param words The words behind `audit`.
 * @returns The exit status: 0 if nothing was found, 1 if something was, 2 if
 *   not everything could be looked at.
 * @throws {UsageError} If the words can't be followed.
 */
export async function auditHost(words: readonly string[]): Promise<number> {
  const wish = readWish(words);
  if (!wish) {
    console.log(HELP);
    return EXIT.clean;
  }
  const args = readArgs(wish.options);
  try {
    const config = loadConfig(args.config);
    using client = engineClient(engineEndpoint(args), {
      calls: new OwnCalls(),
      patience: PATIENCE,
    });
    using progress = new Progress();
    const found = await survey({
      config,
      engine: connectEngine(client),
      log: { ...SILENT, error: (message) => console.error(message) },
      progress: (done, total) => progress.show(done, total),
    });
    progress[Symbol.dispose]();
    const lines = wish.format === "json"
      ? [jsonOf(found)]
      : tableOf(found, summarizeConfig(config));
    for (const line of lines) console.log(line);
    return statusOf(found);
  } catch (error) {
    if (error instanceof ConfigError) console.error(error.message);
    else if (error instanceof EngineError) {
      console.error(`${printable(error.message)}${remedyFor(error.message)}`);
    } else throw error;
    return EXIT.unknown;
  }
}

/** Undefined if they ask for help. */
function readWish(words: readonly string[]) {
  const read = readWords(words, ["format"]);
  if (!read) return undefined;
  const files = [...read.rest, ...read.behind, ...read.values("config")];
  if (files.length > 1) throw new UsageError("give one file");
  return {
    options: [...files.map((file) => `--config=${file}`), ...read.engine],
    format: readFormat(read.values("format")),
  };
}

function readFormat(
  [format = "table", ...more]: readonly string[],
): "table" | "json" {
  if (more.length > 0) throw new UsageError("give one --format");
  if (format === "table" || format === "json") return format;
  throw new UsageError(`--format ${format}: give table or json`);
}

function statusOf({ found, unchecked }: Survey): number {
  for (const { kind, name, id, reason } of unchecked) {
    console.error(
      `can't check ${kind} ${shown(name)} (${shown(id)}): ${printable(reason)}`,
    );
  }
  if (unchecked.length > 0) return EXIT.unknown;
  return found.length > 0 ? EXIT.found : EXIT.clean;
}

/** What helps if the engine gives no answer. */
function remedyFor(problem: string): string {
  if (/EACCES|permission denied/i.test(problem)) {
    return "\nrun it as root";
  }
  if (/ENOENT|ECONNREFUSED|no such file|connection refused/i.test(problem)) {
    return "\nis the engine running? --host says where it listens";
  }
  return "";
}

/** When the progress is told first, and how often, in milliseconds. */
const PROGRESS = { first: 1000, interval: 100 };

/** Tells on a terminal how far it is, if it takes long. */
class Progress {
  readonly #isTerminal = Deno.stderr.isTerminal();
  #next = performance.now() + PROGRESS.first;
  #isShown = false;

  show(done: number, total: number): void {
    if (!this.#isTerminal || performance.now() < this.#next) return;
    this.#next = performance.now() + PROGRESS.interval;
    this.#isShown = true;
    this.#write(`checked ${done} of ${total}`);
  }

  /** Takes the line away again. */
  [Symbol.dispose](): void {
    if (this.#isShown) this.#write("");
    this.#isShown = false;
  }

  /** Instead of the line that was there. */
  #write(line: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${line}\u001b[K`));
  }
}
