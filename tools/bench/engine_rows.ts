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
import { cpuOf, floor, Server } from "./servers.ts";
import { compare, type Measure } from "./stats.ts";

/** How many containers `docker ps` has to tell of. */
const CONTAINERS = 300;

/** How many slices each side gets, and of how many rounds. */
const PAIRS = 16;
const ROUNDS = 10;

const IMAGE = "bench:1";

/** What may stand in front of the engine. */
type Front = "plugin" | "floor as plugin" | "no plugin";

interface Case {
  what: string;
  /** One round. */
  calls(imageId: string): Call[];
  base: Front;
  target?: number;
}

const CASES: Case[] = [
  against("ping", ping, "no plugin"),
  against("ping", ping, "floor as plugin"),
  against("create and remove, by tag", byTag, "no plugin", 1.10),
  against("create and remove, by tag", byTag, "floor as plugin"),
  against("create and remove, by ID", createAndRemove, "no plugin", 1.10),
  against(`list of ${CONTAINERS} containers`, list, "no plugin", 1.15),
];

function against(
  what: string,
  calls: Case["calls"],
  base: Front,
  target?: number,
): Case {
  return { what: `engine: ${what}`, calls, base, target };
}

function ping(): Call[] {
  return [call("GET", "/_ping", "OK")];
}

function list(): Call[] {
  return [call("GET", "/containers/json?all=1", "bench-0")];
}

function byTag(): Call[] {
  return createAndRemove(IMAGE);
}

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
  const { dir, pluginName } = harness;
  const bareName = `${pluginName}-floor`;
  const bareSocket = `${dir}/run/${bareName}.sock`;
  const bare = Server.start(floor("plugin"), "own", bareSocket);
  try {
    bench.engine = harness.version.full;
    bare.waitUntilListening();
    const imageId = await harness.image(IMAGE);
    await harness.guard();
    const fronts: Record<Front, string[]> = {
      "plugin": [pluginName],
      "floor as plugin": [bareName],
      "no plugin": [],
    };
    const pids = [await harness.dockerd.pid(), harness.plugin!.pid, bare.pid];
    for (const { what, calls, base, target } of cases) {
      bench.progress(`${what}, against ${base}`);
      if (calls === list) makeContainers(harness);
      const [subject, other] = (["plugin", base] as const).map((front) =>
        side(harness, fronts[front], calls(imageId), pids)
      );
      bench.add({
        what,
        base,
        unit: "ms",
        cells: [await compare(subject, other, PAIRS)],
        target,
      });
    }
  } finally {
    await harness.stop();
    await bare.stop();
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
  { dockerd }: Harness,
  plugins: string[],
  calls: Call[],
  pids: number[],
): Measure {
  const cpu = () => pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
  return async () => {
    await dockerd.setPlugins(plugins);
    const load = new Load(dockerd.socket, 1);
    load.run(calls, { count: 1 }); // The engine meets the plugin at the first call.
    const before = cpu();
    const times = load.run(calls, { count: ROUNDS });
    const used = cpu() - before;
    load.close();
    return { times, cpu: used };
  };
}
