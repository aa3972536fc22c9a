/**
 * The plugin by itself, with a stand-in for the engine behind it, against servers that look at nothing.
 *
 * @module
 */
import type { Bench } from "./bench.ts";
import { type Call, Load } from "./load.ts";
import {
  create,
  CREATED,
  patterns,
  PING,
  PINNED_IMAGE,
  PULL,
  response,
  START,
  TAGGED_IMAGE,
  UNKNOWN_IMAGE,
} from "./messages.ts";
import { pin, PROCESSORS } from "./pin.ts";
import { type Program, Server, type SocketKind } from "./servers.ts";
import { compare, type Measure } from "./stats.ts";

const CONNECTIONS = [1, 8, 64];

/** How many slices each side gets, and how long one takes, in milliseconds: short ones find the machine alike. */
const PAIRS = 24;
const SLICE = 25;

/** How long the first slice takes, which is not counted: V8 compiles what it sees often. */
const WARM_UP = 200;

type Name = "plugin" | "ten" | "thousand" | "unread" | "again" | "read";

interface Case {
  what: string;
  call: Call;
  subject: Name;
  base: Name;
  target?: number;
}

const CASES: Case[] = [
  against("floor again", PING, "again", "unread"),
  against("ping", PING, "plugin", "unread", 1.5),
  against("ping", PING, "plugin", "read"),
  against("start", START, "plugin", "read"),
  against("pull, ten patterns", PULL, "ten", "read"),
  against("pull, 1,000 patterns", PULL, "thousand", "read"),
  against("pull, 1,000 patterns", PULL, "thousand", "ten", 3),
  against("response, 1 KB", response(1000), "plugin", "read"),
  against("response, 100 KB", response(100_000), "plugin", "read"),
  against("response, 4 MB", response(4_000_000), "plugin", "read", 1.2),
  // A create that is under way makes the plugin look twice at others: the creates last.
  against("response of create", CREATED, "plugin", "read"),
  against("create, image by ID", create(PINNED_IMAGE), "plugin", "read", 1.5),
  against("create, image by tag", create(TAGGED_IMAGE), "plugin", "read"),
  against("create, image unknown", create(UNKNOWN_IMAGE), "plugin", "read"),
];

function against(
  what: string,
  call: Call,
  subject: Name,
  base: Name,
  target?: number,
): Case {
  return { what, call, subject, base, target };
}

/**
 * Measures the plugin on one kind of socket.
 *
 * @param bench Where the rows go.
 * @param kind The kind of socket.
 */
export async function socketRows(
  bench: Bench,
  kind: SocketKind,
): Promise<void> {
  const cases = CASES.map((each) => ({
    ...each,
    what: `${kind} socket: ${each.what}`,
  })).filter(({ what }) => bench.wants(what));
  if (cases.length === 0) return;

  const programs: Record<Name, Program> = {
    plugin: bench.plugin(),
    ten: bench.plugin(patterns(10)),
    thousand: bench.plugin(patterns(1000)),
    unread: bench.floor("unread"),
    again: bench.floor("unread"),
    read: bench.floor("read"),
  };
  const stub = bench.startStub();
  const servers = new Map<Name, Server>();
  try {
    for (const name of new Set(cases.flatMap((c) => [c.subject, c.base]))) {
      const socket = bench.socket(`${kind}-${name}`);
      servers.set(name, Server.start(programs[name], kind, socket));
    }
    for (const server of servers.values()) server.waitUntilListening();
    pin(stub.pid, PROCESSORS.slice(0, 1));
    for (const { what, call, subject, base, target } of cases) {
      const cells = [];
      for (const connections of CONNECTIONS) {
        place([...servers.values()], connections);
        bench.progress(`${what}, ${connections} connections`);
        const sides = [subject, base].map((name) =>
          side(servers.get(name)!, call, connections)
        );
        cells.push(await compare(sides[0].measure, sides[1].measure, PAIRS));
        for (const { close } of sides) close();
      }
      bench.add({
        what,
        base: base === "ten"
          ? "ten patterns"
          : bench.floorName(base === "read" ? "read" : "unread"),
        unit: call.bytes.length > 1e6 ? "ms" : "µs",
        cells,
        target,
      });
    }
  } finally {
    pin(Deno.pid, PROCESSORS);
    for (const server of [...servers.values(), stub]) await server.stop();
  }
}

/**
 * Puts client and server on one processor where they take turns anyway, which spares them waking each other on another
 * one, and on two where there is always something to do for both. What stands in for the engine goes with the client.
 */
function place(servers: Server[], connections: number): void {
  const [here, there = here] = PROCESSORS;
  pin(Deno.pid, [here]);
  for (const { pid } of servers) {
    pin(pid, [connections === 1 ? here : there]);
  }
}

function side(server: Server, call: Call, connections: number) {
  const load = new Load(server.socket, connections);
  let milliseconds = WARM_UP;
  const measure: Measure = () => {
    const before = server.cpu();
    const times = load.run([call], { milliseconds });
    milliseconds = SLICE;
    return { times, cpu: server.cpu() - before };
  };
  return { measure, close: () => load.close() };
}
