/**
 * The process as such: its start, its memory, its size.
 *
 * @module
 */
import type { Bench } from "./bench.ts";
import { sleepSync } from "./libc.ts";
import { type Call, Load } from "./load.ts";
import { ACTIVATE, create, PING, response, TAGGED_IMAGE } from "./messages.ts";
import { type Program, Server, type SocketKind } from "./servers.ts";
import { compare, type Measure } from "./stats.ts";
import type { Cell } from "./table.ts";

/** How often each side is started. */
const STARTS = 15;

/** How many calls a server has behind it when its memory is looked at. */
const CALLS = 200_000;

/** What share of an engine's calls each is, more or less. */
const MIX: Call[] = [PING, response(1000), PING, response(1000)].concat(
  create(TAGGED_IMAGE),
);

/** Long answers that a server has seen when its memory is looked at. */
const LONG_ANSWERS = 500;

/**
 * Measures start and memory.
 *
 * @param bench Where the rows go.
 */
export async function processRows(bench: Bench): Promise<void> {
  for (const kind of bench.kinds) await startRow(bench, kind);
  await memoryRows(bench);
  sizeRow(bench);
}

async function startRow(bench: Bench, kind: SocketKind): Promise<void> {
  const what = `${kind} socket: start to first answer`;
  if (!bench.wants(what)) return;
  bench.progress(what);
  bench.add({
    what,
    base: bench.floorName("unread"),
    unit: "ms",
    cells: [
      await compare(
        start(bench.plugin(), kind, bench.socket("start-plugin")),
        start(bench.floor("unread"), kind, bench.socket("start-floor")),
        STARTS,
      ),
    ],
    target: 1.3,
  });
}

/** From the start of the process on; on a passed socket, from the call that has systemd start it. */
function start(
  program: Program,
  kind: SocketKind,
  socket: string,
): Measure {
  return async () => {
    let begin = performance.now();
    const server = Server.start(program, kind, socket);
    if (kind === "own") server.waitUntilListening();
    else {
      server.waitUntilBound();
      begin = performance.now();
    }
    const load = new Load(socket, 1);
    load.run([ACTIVATE], { count: 1 });
    const time = (performance.now() - begin) * 1000;
    const cpu = server.cpu();
    load.close();
    await server.stop();
    return { times: [time], cpu };
  };
}

async function memoryRows(bench: Bench): Promise<void> {
  const names = [
    "memory, idle",
    `memory after ${CALLS / 1000},000 calls`,
    `memory after ${LONG_ANSWERS} responses of 4 MB`,
  ];
  if (!names.some((name) => bench.wants(name))) return;
  bench.progress("memory");
  const stub = bench.startStub();
  try {
    const subject = await memoryOf(bench.plugin(), bench.socket("memory"));
    const base = await memoryOf(bench.floor("read"), bench.socket("memory"));
    const floor = bench.floorName("read");
    const add = (what: string, base: string, cell: Cell, target?: number) =>
      bench.add({ what, base, unit: "MB", cells: [cell], target });
    add(names[0], floor, amounts(subject.idle, base.idle));
    add(names[1], floor, amounts(subject.end, base.end), 1.3);
    add(names[1], "after half", amounts(subject.end, subject.half), 1.05);
    add(names[2], floor, amounts(subject.long, base.long));
  } finally {
    await stub.stop();
  }
}

async function memoryOf(program: Program, socket: string) {
  const server = Server.start(program, "own", socket);
  try {
    server.waitUntilListening();
    const load = new Load(socket, 8);
    load.run([ACTIVATE], { count: 1 });
    sleepSync(1000);
    const idle = server.memory();
    const calls = () => load.run(MIX, { count: CALLS / 2 / MIX.length });
    calls();
    const half = server.memory();
    calls();
    const end = server.memory();
    load.run([response(4_000_000)], { count: LONG_ANSWERS });
    const long = server.memory();
    load.close();
    return { idle, half, end, long };
  } finally {
    await server.stop();
  }
}

function amounts(subject: number, base: number): Cell {
  return {
    ratio: subject / base,
    subject: { median: subject },
    base: { median: base },
  };
}

function sizeRow(bench: Bench): void {
  const what = "executable";
  if (!bench.wants(what)) return;
  const file = new URL("../../dist/docker-policy-plugin", import.meta.url);
  try {
    const size = Deno.statSync(file).size / 1e6;
    const deno = Deno.statSync(Deno.execPath()).size / 1e6;
    bench.add({
      what,
      base: "deno itself",
      unit: "MB",
      cells: [amounts(size, deno)],
    });
  } catch {
    bench.progress("no row for the executable: there is none in dist/");
  }
}
