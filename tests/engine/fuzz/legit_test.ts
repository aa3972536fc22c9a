/**
 * What well-behaved clients send is not refused, in whatever words that mean
 * the same.
 *
 * `LEGIT_ROUNDS`: how often each recording is replayed (1); from 2 on, one of
 * them is to the letter. `FUZZ_SEED`: the seed that was printed.
 */

import fc from "fast-check";
import { sleep } from "../../helpers/programs.ts";
import { engineTest, type Harness } from "../harness.ts";
import { rootFileSystem } from "../images.ts";
import { assert, assertEquals } from "../verdict.ts";
import {
  bytesOf,
  configFor,
  draftOf,
  fillIn,
  type Nuance,
  nuances,
  readRecordings,
  type RecordedCall,
  type Recording,
} from "./legit.ts";
import { tar } from "../tar.ts";

/**
 * An answer to these comes when something else happens, so that nobody waits
 * for it.
 */
const LASTING = /\/(wait|attach|events|logs|stats)\b|^\/exec\/[^/]*\/start/;

/** How long such a call has until the next one is sent, in milliseconds. */
const HEAD_START = 40;

const seed = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() & 0x7fffffff);
const rounds = Number(Deno.env.get("LEGIT_ROUNDS") ?? 1);

/** What one replay came to. */
interface Tally {
  calls: number;
  /** Calls that went well when they were recorded. */
  wanted: number;
  /** Those of them that did so again. */
  good: number;
  /**
   * Messages of the plugin's that were to be expected, each with its number.
   */
  expected: Map<string, number>;
  denied: string[];
}

engineTest("recorded clients are not refused", async (t, h) => {
  const archives = {
    image: await rootFileSystem(h.dockerd.busybox),
    file: tar([{ path: "file", content: new Uint8Array(1) }]),
    context: tar([{
      path: "Dockerfile",
      content: new TextEncoder().encode("FROM base:1\nLABEL a=b\n"),
    }]),
  };
  const dir = `${h.dir}/legit`;
  await Deno.mkdir(dir);
  await Deno.writeTextFile(`${dir}/note`, "from the host\n");
  const base = (await h.image("base:1")).slice("sha256:".length);
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  await h.guard({ config: configFor(dir) });

  for (const [name, recording] of await readRecordings()) {
    await t.step(`${name}: ${recording.client}, seed ${seed}`, async () => {
      const tally: Tally = {
        calls: 0,
        wanted: 0,
        good: 0,
        expected: new Map(),
        denied: [],
      };
      const plans: Nuance[][][] = fc.sample(
        fc.array(
          fc.array(nuances, { maxLength: 3 }),
          {
            minLength: recording.calls.length,
            maxLength: recording.calls.length,
          },
        ),
        { numRuns: rounds, seed },
      );
      if (rounds > 1) plans[0] = recording.calls.map(() => []);
      for (const plan of plans) {
        await replay(h, recording, plan, { dir, base }, archives, tally);
        await tidy(h);
      }
      const listed = [...tally.expected].map(([text, n]) => `; ${n} × ${text}`);
      console.log(
        `${tally.calls} calls, ${tally.good} of ${tally.wanted} as good as when recorded, ` +
          `${tally.denied.length} refused${listed.join("")}`,
      );
      assertEquals(tally.denied, []);
      // A replay in which nothing works would show nothing.
      const unseen = [...tally.expected.values()].reduce((a, b) => a + b, 0);
      assert(unseen > 0 || tally.good > 0.9 * tally.wanted, "too few succeed");
    });
  }
});

async function replay(
  h: Harness,
  { calls }: Recording,
  plan: Nuance[][],
  fixed: Record<string, string>,
  archives: Parameters<typeof draftOf>[2],
  tally: Tally,
): Promise<void> {
  const answers: string[] = [];
  const lasting: Promise<void>[] = [];
  for (const [i, call] of calls.entries()) {
    const fill = (text: string) => fillIn(text, fixed, answers);
    const draft = draftOf(call, fill, archives);
    if (draft.version !== "") draft.version = `/v${h.version.api}`;
    // A build is known to be for one engine: what it builds on is there or not.
    for (const nuance of plan[i]) nuance.on(draft, h.version);
    const bytes = bytesOf(draft);
    const sent = h.send(bytes, 10_000).then((answer) => {
      answers[i] = answer.body;
      count(h, call, answer, () =>
        [
          ...plan[i].map(({ says }) => says),
          JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 2000))),
        ].join("\n"), tally);
    }).catch(() => {
      // An answer without end, or none.
    });
    // The answer to a HEAD says how long a body would be, and has none.
    const lasts = LASTING.test(call.target) || call.status === 101 ||
      call.method === "HEAD";
    if (lasts) {
      lasting.push(sent);
      await Promise.race([sent, sleep(HEAD_START)]);
    } else await sent;
  }
  await tidy(h);
  await Promise.race([Promise.all(lasting), sleep(1000)]);
}

function count(
  h: Harness,
  call: RecordedCall,
  answer: { status: number; message: string; body: string },
  describe: () => string,
  tally: Tally,
): void {
  tally.calls++;
  if (call.status < 400) {
    tally.wanted++;
    if (answer.status < 400) tally.good++;
  }
  const said = /authorization denied by plugin [^:]*: (.*)|^plugin .*/s
    .exec(answer.message || answer.body);
  if (!said) return;
  const text = said[1] ?? said[0];
  // Engines up to 24.0 show no chunked body to plugins.
  const unseen = h.version.major < 25 && call.framing === "chunked" &&
    text.includes("its body is chunked");
  if (unseen) {
    const what = `${call.method} ${call.target.replace(/<<.*?>>|\?.*/g, "…")}`;
    const line = `${what}: ${text}`;
    tally.expected.set(line, (tally.expected.get(line) ?? 0) + 1);
  } else tally.denied.push(`${text}\n${describe()}`);
}

/** Leaves nothing of a replay but the images. */
async function tidy(h: Harness): Promise<void> {
  await h.clear();
  const networks = (await h.api("GET", "/networks")).json<
    { Id: string; Name: string }[]
  >();
  for (const { Id, Name } of networks) {
    if (!["none", "host", "bridge"].includes(Name)) {
      await h.api("DELETE", `/networks/${Id}`);
    }
  }
  await h.api("POST", "/swarm/leave?force=1");
}
