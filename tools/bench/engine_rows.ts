/**
 * A real engine, with the plugin in front and without.
 *
 * @module
 */
import { whyNoEngine } from "../../tests/engine/dockerd.ts";
import type { Harness } from "../../tests/engine/harness.ts";
import { request } from "../../tests/engine/raw_http.ts";
import type { Bench } from "./bench.ts";
import { type Call, Load } from "./load.ts";
import { createBody } from "./messages.ts";
import { cpuOf } from "./servers.ts";
import { compare, type Measure } from "./stats.ts";

/** How many containers `docker ps` has to tell of. */
const CONTAINERS = 300;

/** How many slices each side gets, and of how many rounds. */
const PAIRS = 12;
const ROUNDS = 10;

const IMAGE = "bench:1";

interface Case {
  what: string;
  /** One round. */
  calls(imageId: string): Call[];
  target?: number;
}

const CASES: Case[] = [
  { what: "engine: ping", calls: () => [call("GET", "/_ping", "OK")] },
  {
    what: "engine: create and remove, image by tag",
    calls: () => createAndRemove(IMAGE),
    target: 1.10,
  },
  {
    what: "engine: create and remove, image by ID",
    calls: createAndRemove,
    target: 1.10,
  },
  {
    what: `engine: list of ${CONTAINERS} containers`,
    calls: () => [call("GET", "/containers/json?all=1", "bench-0")],
    target: 1.15,
  },
];

function createAndRemove(image: string): Call[] {
  return [
    create("round", image),
    call("DELETE", "/containers/round", "HTTP/1.1 204"),
  ];
}

function create(name: string, image: string): Call {
  return call(
    "POST",
    `/containers/create?name=${name}`,
    '"Id":',
    JSON.parse(createBody(image)),
  );
}

function call(
  method: string,
  target: string,
  expect: string,
  body?: Record<string, unknown>,
): Call {
  return { bytes: Uint8Array.from(request(method, target, { body })), expect };
}

/**
 * Measures what the plugin adds to an engine's own work.
 *
 * @param bench Where the rows go.
 */
export async function engineRows(bench: Bench): Promise<void> {
  const cases = CASES.filter(({ what }) => bench.wants(what));
  if (cases.length === 0) return;
  const missing = await whyNoEngine();
  if (missing) return bench.progress(`no rows with an engine: ${missing}`);

  bench.progress("starting an engine");
  // Not before it is known that there can be one: loading it says what is skipped without.
  const { Harness } = await import("../../tests/engine/harness.ts");
  const harness = await Harness.start();
  try {
    bench.engine = harness.version.full;
    const imageId = await harness.image(IMAGE);
    await harness.guard();
    for (const { what, calls, target } of cases) {
      bench.progress(what);
      if (what.includes("list of")) makeContainers(harness);
      const sides = [true, false].map((guarded) =>
        side(harness, calls(imageId), guarded)
      );
      bench.add({
        what,
        base: "no plugin",
        unit: "ms",
        cells: [await compare(sides[0], sides[1], PAIRS)],
        target,
      });
    }
  } finally {
    await harness.stop();
  }
}

function makeContainers({ dockerd }: Harness): void {
  const load = new Load(dockerd.socket, 1);
  for (let at = 0; at < CONTAINERS; at++) {
    load.run([create(`bench-${at}`, IMAGE)], { count: 1 });
  }
  load.close();
}

function side(
  { dockerd, plugin, pluginName }: Harness,
  calls: Call[],
  guarded: boolean,
): Measure {
  return async () => {
    await dockerd.setPlugins(guarded ? [pluginName] : []);
    const pids = [await dockerd.pid(), ...plugin ? [plugin.pid] : []];
    const cpu = () => pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
    const load = new Load(dockerd.socket, 1);
    load.run(calls, { count: 1 }); // The engine meets the plugin at the first call.
    const before = cpu();
    const times = load.run(calls, { count: ROUNDS });
    const used = cpu() - before;
    load.close();
    return { times, cpu: used };
  };
}
