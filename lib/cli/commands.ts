/**
 * What the program does other than serving: `check-config` and `explain`.
 *
 * @module
 */
import { type Args, readArgs } from "./args.ts";
import { ConfigError, loadConfig, showConfig } from "../config/config.ts";
import { connectEngine, type Engine, EngineError } from "../engine/engine.ts";
import { engineEndpoint } from "../engine/address.ts";
import { engineClient } from "../engine/client.ts";
import { readQuestion } from "./question.ts";
import { exemptionCheck } from "../verdict/exemptions.ts";
import { createFirstLine } from "../verdict/first_line.ts";
import type { Log } from "../log.ts";
import { InvalidReference } from "../call/reference.ts";
import { startWarnings } from "../config/warnings.ts";

/** What a command says. */
export interface Answer {
  text: string;
  /** Whether the settings can be followed, or the call would be allowed. */
  ok: boolean;
}

/**
 * Says whether the settings can be followed, and what they would enforce.
 *
 * @param args The command line: `--config`.
 * @returns `ok` and the settings in force, or every mistake in the file.
 */
export async function checkConfig(args: Args): Promise<Answer> {
  try {
    const config = await loadConfig(args.config);
    const warnings = startWarnings(config).map((text) => `warning: ${text}`);
    const shown = JSON.stringify(showConfig(config), null, 2);
    return { text: ["ok", shown, ...warnings].join("\n"), ok: true };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { text: error.message, ok: false };
  }
}

/**
 * Says whether a call would be allowed, and by which rule.
 *
 * @param words The words behind `explain`.
 * @returns The verdict, or what the engine would have to be asked for it.
 * @throws {UsageError} where the words say nothing that can be explained.
 */
export async function explain(words: readonly string[]): Promise<Answer> {
  try {
    const { request, options } = await readQuestion(
      words,
      () => new Response(Deno.stdin.readable).bytes(),
    );
    const args = readArgs(options);
    const asked: string[] = [];
    const decide = createFirstLine({
      config: await loadConfig(args.config),
      engine: noting(
        asked,
        connectEngine(engineClient(engineEndpoint(args))),
      ),
      isExempt: exemptionCheck(),
      log: SILENT,
    });
    const decision = await decide(request);
    if (decision.allow) {
      const because = decision.because ? `: ${decision.because}` : "";
      return { text: `allowed${because}`, ok: true };
    }
    const { rule, message } = decision;
    return {
      text: rule === "engine"
        ? `can't tell without ${args.host} (${asked.join(", ")}): ${message}`
        : `refused by ${rule}: ${message}`,
      ok: false,
    };
  } catch (error) {
    const known = error instanceof ConfigError ||
      error instanceof EngineError || error instanceof InvalidReference;
    if (!known) throw error;
    return { text: error.message, ok: false };
  }
}

/** The engine, with the questions that it is asked written down. */
function noting(asked: string[], engine: Engine): Engine {
  return new Proxy(engine, {
    get(target, property) {
      const question = target[property as keyof Engine] as (
        ...args: unknown[]
      ) => unknown;
      return (...args: unknown[]) => {
        const words = args.filter((arg) => typeof arg === "string");
        asked.push([String(property), ...words].join(" "));
        return question.apply(target, args);
      };
    },
  });
}

const SILENT: Log = {
  error() {},
  warning() {},
  info() {},
};
