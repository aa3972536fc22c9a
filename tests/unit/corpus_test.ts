/**
 * The corpus without an engine: the attacks in `tests/corpus/` are denied, and
 * what the recorded clients in `tests/corpus/legit/` send is allowed, as each
 * generation of engines would show it. `tests/engine/` does the same for real.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseConfig } from "../../lib/config/load.ts";
import { connectEngine } from "../../lib/engine/engine.ts";
import { openLog } from "../../lib/log.ts";
import { exemptionCheck } from "../../lib/verdict/exemptions.ts";
import { createFirstLine } from "../../lib/verdict/first_line.ts";
import type { Decision } from "../../lib/policy/decision.ts";
import { CONFIGS, load, readCorpus } from "../engine/fuzz/corpus.ts";
import {
  bytesOf,
  configFor,
  draftOf,
  fillIn,
  nuances,
  readRecordings,
} from "../engine/fuzz/legit.ts";
import { APIS, NAMES, stubEngine } from "./engine_stub.ts";
import { shownOf, type View, VIEWS } from "./engine_view.ts";

/** Of the other words that mean the same, as many as there are calls. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 1);

/** The folder that the recordings' bind mounts come from. */
const DIR = "/var/tmp/legit";

/** Bodies that no plugin is shown. */
const ARCHIVES = {
  image: new Uint8Array(2048),
  file: new Uint8Array(2048),
  context: new Uint8Array(2048),
};

const ENGINES: { name: string; major: number; view: View }[] = [
  { name: "20.10", major: 20, view: VIEWS.upTo24 },
  { name: "20.10 with Debian's patches", major: 20, view: VIEWS.from25 },
  { name: "26.1", major: 26, view: VIEWS.from25 },
  { name: "28.5", major: 28, view: VIEWS.from25 },
  { name: "28.5 with Debian's patches", major: 28, view: VIEWS.from29_3_1 },
  { name: "29.3.1", major: 29, view: VIEWS.from29_3_1 },
];

/** Decides about requests, one behind another. */
type Plugin = (bytes: Uint8Array) => Promise<Decision[]>;

async function pluginBefore(
  { major, view }: typeof ENGINES[number],
  config: string,
): Promise<Plugin> {
  const decide = createFirstLine({
    config: await parseConfig("corpus.toml", config),
    engine: connectEngine(stubEngine(major)),
    isExempt: exemptionCheck(() => Promise.resolve([])),
    log: openLog({ debug: false, journal: false, format: "text" }, () => {}),
  });
  return async (bytes) => {
    const decisions: Decision[] = [];
    for (const request of shownOf(bytes, view)) {
      decisions.push(await decide(request));
    }
    return decisions;
  };
}

const corpus = await readCorpus();
for (const engine of ENGINES) {
  const { name: version, major } = engine;
  Deno.test(`corpus: attacks, as Docker ${version} shows them`, async (t) => {
    const plugins = {
      volumes: await pluginBefore(engine, CONFIGS.volumes),
      doors: await pluginBefore(engine, CONFIGS.doors),
      privileges: await pluginBefore(engine, CONFIGS.privileges),
    };
    for (const [name, entry] of corpus) {
      if (entry.store === "containerd" && major < 28) continue;
      await t.step(`${name}: ${entry.title}`, async () => {
        const { bytes, answers } = load({ names: () => NAMES }, entry);
        const decisions = await plugins[entry.target ?? "volumes"](bytes);
        assertEquals(decisions.length, answers);
        const denials = decisions.filter((each) => !each.allow);
        if (entry.line === "third") return assertEquals(denials, []);
        assert(denials.length > 0, "it is allowed");
        for (const { rule } of denials) {
          assert(entry.rules?.includes(rule) ?? true, rule);
        }
      });
    }
  });
}

const recordings = await readRecordings();
for (const engine of ENGINES) {
  const { name: version, major, view } = engine;
  Deno.test(`corpus: clients, as Docker ${version} shows them`, async (t) => {
    const plugin = await pluginBefore(engine, configFor(DIR));
    for (const [name, { client, calls }] of recordings) {
      await t.step(`${name}: ${client}`, async () => {
        const respelled = fc.sample(
          fc.array(nuances, { maxLength: 3 }),
          { numRuns: calls.length, seed: SEED },
        );
        for (const plan of [[], respelled]) {
          for (const [i, call] of calls.entries()) {
            const nuance = plan[i] ?? [];
            const draft = draftOf(call, fill, ARCHIVES);
            for (const { on } of nuance) on(draft, { major, ...APIS[major] });
            const [decision, ...more] = await plugin(bytesOf(draft));
            assertEquals(more, []);
            const says = nuance.map((each) => each.says).join(", ");
            const isUnseen = call.framing === "chunked" && !view.chunked;
            const what = `${call.method} ${call.target} ${says}`;
            if (decision.allow) continue;
            assert(isUnseen, `${what}: ${decision.message}`);
            assertEquals(decision.rule, "unreadable");
          }
        }
      });
    }
  });
}

/** The IDs of a recording are those of nothing. */
function fill(text: string): string {
  return fillIn(text, { dir: DIR, base: "5".repeat(64) }, []);
}
