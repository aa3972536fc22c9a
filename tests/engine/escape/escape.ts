/**
 * Ways from the engine's API to root on the host, and the test that tries each
 * of them twice: with no plugin, where it must lead there, and with
 * `[privileges]`, where it must not.
 *
 * A way that leads nowhere with no plugin shows nothing with it. So a way that
 * can't be tried on this machine says why, and is skipped with that reason; it
 * must be refused all the same.
 *
 * @module
 */
import { unless } from "../../helpers/unless.ts";
import { type DockerdOptions, engineMajor } from "../dockerd.ts";
import { engineTest, type Harness } from "../harness.ts";
import { assert } from "../verdict.ts";
import { Host } from "./host.ts";

/** One way. */
export interface Way {
  readonly name: string;
  /** Who describes it: addresses, CVEs, files of moby. */
  readonly sources: readonly string[];
  /** What stands there already, made when there was no plugin. */
  readonly before?: (host: Host) => Promise<unknown>;
  /** Goes the way, as far as it leads: a call that fails does not end it. */
  readonly attempt: (host: Host) => Promise<unknown>;
  /** Whether it led to the host. */
  readonly proof: Proof;
  /** Why it can't be tried here with no plugin, if it can't. */
  readonly cannot?: Reason;
  /** The engines that go it: major versions, both included. */
  readonly engines?: { readonly from?: number; readonly to?: number };
  /** Why the engine itself does not go it; the plugin need not refuse it. */
  readonly closed?: string;
  /** Keys for `[privileges]`, if it is closed by them and not by default. */
  readonly keys?: string;
  /** Whether the client keeps the denial to itself. */
  readonly isQuiet?: boolean;
  /** Why the plugin does not close it, and what does. */
  readonly open?: Reason;
}

/** A reason, or what finds out whether there is one. */
export type Reason = string | ((host: Host) => Promise<string | undefined>);

/** Tells from what came back, or from the host, whether a way led there. */
export type Proof = (host: Host) => boolean | Promise<boolean>;

/** A secret of the host was read. */
export const reads: Proof = (host) => host.output.includes(host.secret);

/** A file of the host was written. */
export const writes: Proof = (host) => host.written();

/** A process of the host was seen. */
export const sees: Proof = (host) => host.output.includes(host.process);

/**
 * The container says that it has what it must not have: for what can't be used
 * without harm to the machine that runs the tests.
 *
 * @param text What it says, on a line of its own.
 */
export function says(text: string): Proof {
  return (host) => host.output.split(/\r?\n/).includes(text);
}

/** More of the engine that a family of ways needs. */
export interface EscapeOptions extends DockerdOptions {
  /** Done once, before anything is tried. */
  prepare?: (host: Host) => Promise<void>;
}

/** They take six minutes of an engine, so that one generation tries them. */
const ELSEWHERE = Deno.env.has("ESCAPES") || await engineMajor() === 28
  ? undefined
  : "tried with ENGINE=28, and elsewhere by hand: ESCAPES=1";

/**
 * Registers the test of a family of ways.
 *
 * @param name Of the test.
 * @param ways The family.
 * @param options For the engine.
 */
export function escapeTest(
  name: string,
  ways: readonly Way[],
  { prepare, ...options }: EscapeOptions = {},
): void {
  engineTest(name, async (t, h) => {
    const host = await Host.make(h);
    try {
      await prepare?.(host);
      const here = ways.filter((way) => onThisEngine(h, way));
      for (const way of here) await tryAlone(t, host, way);
      for (const way of here) await way.before?.(host);
      const byKeys = Map.groupBy(here, ({ keys = "" }) => keys);
      for (const [keys, group] of byKeys) {
        await h.guard({ config: policy(host, keys) });
        for (const way of group) await tryGuarded(t, host, way);
      }
    } finally {
      await host.remove();
    }
  }, { ...options, skip: ELSEWHERE });
}

/** The strictest settings that still allow a bind mount. */
function policy(host: Host, keys: string): string {
  return `[privileges]\n${keys}\n` +
    `[volumes]\nallow-bind = ["${host.allowed}/"]\n`;
}

function onThisEngine(h: Harness, { engines }: Way): boolean {
  const { from = 0, to = Infinity } = engines ?? {};
  return from <= h.version.major && h.version.major <= to;
}

async function reason(
  host: Host,
  why: Reason | undefined,
): Promise<string | undefined> {
  return typeof why === "function" ? await why(host) : why;
}

/** What the plugin says of a way that it knows, or of what nobody could read. */
const DENIAL =
  /^privileges: |volume|bind mount|^docker build |request can't be checked/;

/** With no plugin. */
async function tryAlone(
  t: Deno.TestContext,
  host: Host,
  way: Way,
): Promise<void> {
  await t.step(unless(await reason(host, way.cannot), {
    name: `${way.closed ? "closed by the engine" : "open"}: ${way.name}`,
    fn: async () => {
      const clean = await remember(host);
      await way.before?.(host);
      await host.begin();
      await way.attempt(host);
      const led = await way.proof(host);
      await clean();
      if (way.closed) assert(!led, `the engine lets it pass: ${host.output}`);
      else assert(led, `it leads nowhere: ${host.output}`);
    },
  }));
}

/** With the plugin. */
async function tryGuarded(
  t: Deno.TestContext,
  host: Host,
  way: Way,
): Promise<void> {
  await t.step(unless(await reason(host, way.open), {
    name: `refused: ${way.name}`,
    fn: async () => {
      const clean = await remember(host);
      await host.begin();
      await way.attempt(host);
      const led = await way.proof(host);
      await clean();
      assert(!led, `it led to the host: ${host.output}`);
      if (way.closed || way.isQuiet) return;
      assert(host.denials.length > 0, `not refused: ${host.output}`);
      for (const denial of host.denials) {
        assert(DENIAL.test(denial), denial);
      }
    },
  }));
}

/** Notes what the engine has, and returns what removes all that came since. */
async function remember({ h }: Host): Promise<() => Promise<void>> {
  const lists: [list: string, each: (id: string) => string][] = [
    ["/services", (id) => `/services/${id}`],
    ["/containers/json?all=1", (id) => `/containers/${id}?force=1&v=1`],
    ["/volumes", (name) => `/volumes/${name}?force=1`],
    ["/networks", (id) => `/networks/${id}`],
    ["/plugins", (id) => `/plugins/${id}?force=1`],
  ];
  const ids = async (list: string) => {
    const answer = await h.api("GET", list);
    if (answer.status !== 200) return [];
    const body = answer.json<
      Item[] | null | { Volumes: Item[] | null }
    >();
    const items = Array.isArray(body) ? body : body?.Volumes ?? [];
    return items.map(({ Id, ID, Name }) => Id ?? ID ?? Name ?? "");
  };
  const before = new Set<string>();
  for (const [list] of lists) {
    for (const id of await ids(list)) before.add(id);
  }
  return () =>
    // What is there by then, made with or without the plugin's leave.
    h.withoutPlugin(async () => {
      for (const [list, target] of lists) {
        for (const id of await ids(list)) {
          if (!before.has(id)) await h.api("DELETE", target(id));
        }
      }
    });
}

/** What a list of the engine's tells of one thing. */
type Item = { Id?: string; ID?: string; Name?: string };
