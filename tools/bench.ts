/**
 * `deno task bench [--only REGEX] [--against DIR]`: what the plugin costs.
 *
 * Each row compares the plugin with a base: an engine without a plugin, or a
 * server that does nothing but allow. They take turns, call by call, so that
 * whatever else the machine does hits both alike.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { which, whyNoEngine } from "../tests/engine/dockerd.ts";
import { Harness } from "../tests/engine/harness.ts";
import { request } from "../tests/engine/raw_http.ts";
import { Registry } from "../tests/engine/registry.ts";
import {
  bareCommand,
  Engine,
  IMAGE,
  type PluginCommand,
  pluginCommand,
  REPOSITORY,
  startPlugin,
} from "./bench/servers.ts";

const HELP = `usage: deno task bench [--only REGEX] [--against DIR]

--only REGEX   measure only the rows whose name matches
--against DIR  measure the plugin of another checkout ("before") in the same run

It needs root and dockerd, and docker-registry for the row with a pull.
DPP_PLUGIN names a program to measure in place of this checkout's plugin, such
as dist/docker-policy-plugin.`;

const PULL = "pull, up to date";
const CONTAINERS = 300;
const LAUNCHES = 20;
const MESSAGES = 200_000;
const CONNECTIONS = 8;

async function main(): Promise<void> {
  const args: { help: boolean; only: string; against?: string } = parseArgs(
    Deno.args,
    {
      boolean: ["help"],
      string: ["only", "against"],
      alias: { h: "help" },
      default: { only: "" },
      unknown: (arg: string) => fail(`unknown argument ${arg}\n${HELP}`, 2),
    },
  );
  if (args.help) return console.log(HELP);
  const missing = await whyNoEngine();
  if (missing) fail(missing, 1);

  const begin = performance.now();
  const only = new RegExp(args.only);
  const plugins = [pluginCommand()];
  if (args.against) plugins.unshift(pluginCommand(args.against));
  const engines: Engine[] = [];
  const rows: Row[] = [];
  try {
    for (const plugin of [undefined, ...plugins]) {
      const engine = new Engine(await Harness.start());
      engines.push(engine);
      await engine.prepare(plugin);
    }
    rows.push(...await measureCalls(engines, only));
    rows.push(...await measureProcesses(engines[0].harness, plugins, only));
  } finally {
    for (const engine of engines) await engine.stop();
  }
  if (rows.length === 0) fail(`no row's name matches ${args.only}`, 2);

  const cpus = Deno.readTextFileSync("/proc/cpuinfo");
  const [, cpu = "unknown"] = /model name\s*: (.*)/.exec(cpus) ?? [];
  const seconds = Math.round((performance.now() - begin) / 1000);
  console.log(
    `Docker ${engines[0].harness.version.full}, Deno ${Deno.version.deno}, ` +
      `${navigator.hardwareConcurrency} × ${cpu}, ` +
      `load ${Deno.loadavg()[0].toFixed(1)}, ${seconds} seconds\n`,
  );
  console.log(formatTable(rows));
}

function fail(problem: string, status: number): never {
  console.error(`bench: ${problem}`);
  Deno.exit(status);
}

/** A line of the table. */
interface Row {
  what: string;
  /** What the plugin is compared with. */
  base: string;
  unit: "ms" | "MB";
  /** For the base and then each plugin, one number a round. */
  values: number[][];
}

/** API calls that are measured. */
interface Calls {
  what: string;
  rounds: number;
  /** Prepares an engine. */
  setUp?(engine: Engine): Promise<void>;
  /** Does one round, and gives the time in milliseconds. */
  round(engine: Engine): Promise<number>;
}

// The list is last: among so many containers, other calls take longer.
const CALLS: Calls[] = [
  {
    what: "ping",
    rounds: 1000,
    round: (engine) => timed(() => engine.call("GET", "/_ping")),
  },
  {
    what: "create and remove",
    rounds: 150,
    round: (engine) =>
      timed(async () => {
        await engine.create("bench");
        await engine.remove("bench");
      }),
  },
  {
    what: "start",
    rounds: 30,
    round: async (engine) => {
      await engine.create("bench");
      const path = "/containers/bench/start";
      const time = await timed(() => engine.call("POST", path));
      await engine.remove("bench");
      return time;
    },
  },
  {
    what: "create, start and remove",
    rounds: 30,
    round: (engine) =>
      timed(async () => {
        await engine.create("bench");
        await engine.call("POST", "/containers/bench/start");
        await engine.remove("bench");
      }),
  },
  {
    what: PULL,
    rounds: 150,
    setUp: async ({ harness }) => {
      await Registry.start(harness, 5001);
      await harness.must("tag", IMAGE, `${REPOSITORY}:1`);
      await harness.must("push", `${REPOSITORY}:1`);
    },
    round: (engine) => {
      const path = `/images/create?fromImage=${REPOSITORY}&tag=1`;
      return timed(() => engine.call("POST", path));
    },
  },
  {
    what: `list of ${CONTAINERS} containers`,
    rounds: 100,
    setUp: async (engine) => {
      for (let n = 0; n < CONTAINERS; n++) await engine.create(`bench-${n}`);
    },
    round: (engine) =>
      timed(() => engine.call("GET", "/containers/json?all=1")),
  },
];

/** Measures engines: one without a plugin, then one for each plugin. */
async function measureCalls(engines: Engine[], only: RegExp): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { what, rounds, setUp, round } of CALLS) {
    if (!only.test(what)) continue;
    if (what === PULL && !await which("docker-registry")) {
      console.error(`SKIPPED: bench: ${PULL}: install docker-registry`);
      continue;
    }
    console.error(`bench: ${what}`);
    for (const engine of engines) await setUp?.(engine);
    const values = await takeTurns(engines, rounds, round);
    rows.push({ what, base: "no plugin", unit: "ms", values });
  }
  return rows;
}

/** Measures plugins, which ask the engine, and a server that only allows. */
async function measureProcesses(
  harness: Harness,
  plugins: PluginCommand[],
  only: RegExp,
): Promise<Row[]> {
  const rows: Row[] = [];
  const add = (what: string, unit: Row["unit"], values: number[][]) => {
    if (only.test(what)) rows.push({ what, base: "bare server", unit, values });
  };
  const programs = [bareCommand, ...plugins];
  const socket = `${harness.dir}/process.sock`;
  const launch = "launch to first answer";
  if (only.test(launch)) {
    console.error(`bench: ${launch}`);
    const values = await takeTurns(programs, LAUNCHES, async (program) => {
      const begin = performance.now();
      await using _plugin = await startPlugin(program, socket, harness);
      return performance.now() - begin;
    });
    add(launch, "ms", values);
  }
  const idle = "memory, idle";
  const used = `memory after ${MESSAGES / 1000},000 messages`;
  if (only.test(idle) || only.test(used)) {
    console.error("bench: memory");
    const messages = await record(harness);
    const atFirst: number[][] = [];
    const atLast: number[][] = [];
    for (const program of programs) {
      await using plugin = await startPlugin(program, socket, harness);
      await post(socket, messages, messages.length);
      atFirst.push([memoryOf(plugin)]);
      await post(socket, messages, MESSAGES);
      atLast.push([memoryOf(plugin)]);
    }
    add(idle, "MB", atFirst);
    add(used, "MB", atLast);
  }
  return rows;
}

/** The resident memory, in MB. */
function memoryOf({ pid }: Deno.ChildProcess): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024 / 1e6;
}

/** Records what an engine posts to a plugin for some common commands. */
async function record(harness: Harness): Promise<Uint8Array[]> {
  const messages: Uint8Array[] = [];
  const path = `${harness.dir}/run/recorder.sock`;
  const recorder = Deno.serve({ path, onListen() {} }, async (message) => {
    const { pathname } = new URL(message.url);
    const body = await message.text();
    if (pathname === "/Plugin.Activate") {
      return Response.json({ Implements: ["authz"] });
    }
    messages.push(request("POST", pathname, { body }));
    return Response.json({ Allow: true });
  });
  await harness.dockerd.setPlugins(["recorder"]);
  // The container stays: plugins ask the engine for it.
  await harness.must("create", "--name=recorded", "-v=/srv:/srv:ro", IMAGE);
  await harness.must("inspect", "recorded");
  await harness.must("ps");
  await harness.dockerd.setPlugins([]);
  await recorder.shutdown();
  return messages;
}

/** Posts messages to a plugin, again and again; it must allow them all. */
async function post(
  path: string,
  messages: Uint8Array[],
  count: number,
): Promise<void> {
  let sent = 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    // As the engine does, and `fetch` does not, head and body go out together.
    using connection = await Deno.connect({ transport: "unix", path });
    const writer = connection.writable.getWriter();
    const buffer = new Uint8Array(4096);
    while (sent < count) {
      await writer.write(messages[sent++ % messages.length]);
      const length = await connection.read(buffer) ?? 0;
      const answer = new TextDecoder().decode(buffer.subarray(0, length));
      if (!answer.endsWith('"Allow":true}')) throw new Error(answer);
    }
  }));
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** Measures each side once a round, after a tenth as many rounds to warm up. */
async function takeTurns<Side>(
  sides: Side[],
  rounds: number,
  measure: (side: Side) => Promise<number>,
): Promise<number[][]> {
  const values: number[][] = sides.map(() => []);
  for (let round = -Math.ceil(rounds / 10); round < rounds; round++) {
    const order = sides.map((_, at) => at);
    // What is first in one round is last in the next.
    if (round % 2 === 0) order.reverse();
    for (const at of order) {
      const value = await measure(sides[at]);
      if (round >= 0) values[at].push(value);
    }
  }
  return values;
}

/** Makes a Markdown table of medians, with quartiles of the rounds' ratios. */
function formatTable(rows: Row[]): string {
  const two = rows[0].values.length > 2;
  const sides = two ? ["base", "before", "after"] : ["base", "plugin"];
  const pairs = two ? [[1, 0], [2, 0], [2, 1]] : [[1, 0]];
  const ratios = pairs.map(([a, b]) => `${sides[a]} : ${sides[b]}`);
  const lines = [
    ["what", "against", ...sides, ...ratios],
    ...rows.map(({ what, base, unit, values }) => [
      what,
      base,
      ...values.map((side) => `${digits(quantile(side, 0.5))} ${unit}`),
      ...pairs.map(([a, b]) => ratio(values[a], values[b])),
    ]),
  ];
  const widths = lines[0].map((_, column) =>
    Math.max(...lines.map((line) => line[column].length))
  );
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)));
  return lines.map((line) =>
    `| ${line.map((text, at) => text.padEnd(widths[at])).join(" | ")} |`
  ).join("\n");
}

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function ratio(subject: number[], base: number[]): string {
  const ratios = subject.map((value, round) => value / base[round]);
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) =>
    digits(quantile(ratios, share))
  );
  return ratios.length > 1 ? `${middle} (${low}–${high})` : middle;
}

function quantile(numbers: number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))];
}

await main();
