/**
 * `explain`: would a call be allowed, and by which rule?
 *
 * @module
 */
import { InvalidReference } from "../call/reference.ts";
import { ConfigError } from "../config/document.ts";
import { loadConfig } from "../config/load.ts";
import { engineEndpoint } from "../engine/address.ts";
import { OwnCalls } from "../engine/own_calls.ts";
import { engineClient } from "../engine/client.ts";
import { connectEngine, type Engine, EngineError } from "../engine/engine.ts";
import { SILENT } from "../log.ts";
import { shown } from "../text.ts";
import { exemptionCheck } from "../verdict/exemptions.ts";
import { createFirstLine } from "../verdict/first_line.ts";
import { readArgs } from "./args.ts";
import { EXPLAIN_HELP, readQuestion } from "./question.ts";

/**
 * Prints on standard output whether a call would be allowed; on standard error
 * why that can't be said, if it can't.
 *
 * @param words The words behind `explain`.
 * @returns Whether the call would be allowed.
 * @throws {UsageError} If the words name no call that can be explained.
 */
export async function explain(words: readonly string[]): Promise<boolean> {
  const own = words.includes("--")
    ? words.slice(0, words.indexOf("--"))
    : words;
  if (own.includes("--help") || own.includes("-h")) {
    console.log(EXPLAIN_HELP);
    return true;
  }
  try {
    const { request, options } = await readQuestion(
      words,
      () => new Response(Deno.stdin.readable).bytes(),
    );
    const args = readArgs(options);
    const asked: string[] = [];
    const decide = createFirstLine({
      config: loadConfig(args.config),
      engine: noting(
        asked,
        connectEngine(
          engineClient(engineEndpoint(args), { calls: new OwnCalls() }),
        ),
      ),
      isExempt: exemptionCheck(),
      log: SILENT,
    });
    const decision = await decide(request);
    if (decision.allow) {
      const because = decision.because ? `: ${decision.because}` : "";
      console.log(`allowed${because}`);
      return true;
    }
    const { rule, message } = decision;
    if (rule === "engine") {
      const about = asked.length > 0 ? `, asked about ${asked.join(", ")}` : "";
      console.error(`can't tell without ${args.host}${about}: ${message}`);
    } else console.log(`refused by ${rule}: ${message}`);
    return false;
  } catch (error) {
    const known = error instanceof ConfigError ||
      error instanceof EngineError || error instanceof InvalidReference;
    if (!known) throw error;
    console.error(error.message);
    return false;
  }
}

/** The engine, with what it is asked about written down. */
function noting(asked: string[], engine: Engine): Engine {
  return new Proxy(engine, {
    get(target, property) {
      const question = target[property as keyof Engine] as (
        ...args: unknown[]
      ) => unknown;
      return (...args: unknown[]) => {
        const [name] = args.filter((arg) => typeof arg === "string");
        if (name !== undefined) asked.push(shown(name));
        return question.apply(target, args);
      };
    },
  });
}
