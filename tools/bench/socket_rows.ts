/**
 * The plugin by itself, with a stand-in for the engine behind it, against servers that look at nothing.
 *
 * @module
 */
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
import type { Bench } from "./bench.ts";
import { floor, plugin, Server, type SocketKind, STUB } from "./servers.ts";
import { compare, type Measure } from "./stats.ts";

const CONNECTIONS = [1, 8, 64];

/** How many slices each side gets, and how long one takes, in milliseconds. */
const PAIRS = 12;
const SLICE = 60;

/** The servers of one kind of socket. */
type Name = "plugin" | "ten" | "thousand" | "unread" | "again" | "read";

interface Case {
  what: string;
  call: Call;
  subject: Name;
  base: Name;
  target?: number;
}

/** What each server is called in the table. */
const SHOWN: Record<Name, string> = {
  plugin: "plugin",
  ten: "ten patterns",
  thousand: "1,000 patterns",
  unread: "floor",
  again: "floor",
  read: "floor that reads",
};

const CASES: Case[] = [
  against("floor again", PING, "again", "unread"),
  against("ping", PING, "plugin", "unread", 1.5),
  against("create, image by ID", create(PINNED_IMAGE), "plugin", "read", 1.5),
  against("create, image by tag", create(TAGGED_IMAGE), "plugin", "read"),
  against("create, image unknown", create(UNKNOWN_IMAGE), "plugin", "read"),
  against("start", START, "plugin", "unread"),
  against("pull, ten patterns", PULL, "ten", "unread"),
  against("pull, 1,000 patterns", PULL, "thousand", "unread"),
  against("pull, 1,000 patterns", PULL, "thousand", "ten", 3),
  against("response, 1 KB", response(1000), "plugin", "read"),
  against("response, 100 KB", response(100_000), "plugin", "read"),
  against("response, 4 MB", response(4_000_000), "plugin", "read", 1.2),
  against("response of create", CREATED, "plugin", "read"),
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

  const { dir } = bench;
  const host = `unix://${dir}/stub.sock`;
  const settings = (name: Name, text: string) => {
    const config = `${dir}/${name}.toml`;
    Deno.writeTextFileSync(config, text);
    return { host, config };
  };
  const programs = {
    plugin: plugin(settings("plugin", "[volumes]\n")),
    ten: plugin(settings("ten", patterns(10))),
    thousand: plugin(settings("thousand", patterns(1000))),
    unread: floor("unread"),
    again: floor("unread"),
    read: floor("read"),
  };
  const running = [Server.start(STUB, "own", `${dir}/stub.sock`)];
  const servers = new Map<Name, Server>();
  try {
    for (const name of new Set(cases.flatMap((c) => [c.subject, c.base]))) {
      const other = bench.against && SHOWN[name].startsWith("floor")
        ? plugin({ ...settings("plugin", "[volumes]\n"), root: bench.against })
        : programs[name];
      const server = Server.start(other, kind, `${dir}/${kind}-${name}.sock`);
      running.push(server);
      servers.set(name, server);
    }
    for (const server of running) server.waitUntilListening();
    for (const { what, call, subject, base, target } of cases) {
      const cells = [];
      for (const connections of CONNECTIONS) {
        bench.progress(`${what}, ${connections} connections`);
        const sides = [subject, base].map((name) =>
          side(servers.get(name)!, call, connections, bench.slow)
        );
        cells.push(
          await compare(sides[0].measure, sides[1].measure, PAIRS * bench.slow),
        );
        for (const { close } of sides) close();
      }
      bench.add({
        what,
        base: bench.against && SHOWN[base].startsWith("floor")
          ? "other"
          : SHOWN[base],
        unit: call.bytes.length > 1e6 ? "ms" : "µs",
        cells,
        target,
      });
    }
  } finally {
    for (const server of running) await server.stop();
  }
}

function side(server: Server, call: Call, connections: number, slow: number) {
  const load = new Load(server.socket, connections);
  const measure: Measure = () => {
    const before = server.cpu();
    const times = load.run([call], { milliseconds: SLICE * Math.min(slow, 1) });
    return { times, cpu: server.cpu() - before };
  };
  return { measure, close: () => load.close() };
}
