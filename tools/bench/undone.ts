/**
 * `deno run -A tools/bench/undone.ts [TIMES]`: how long what the policy forbids
 * is there before the third line has undone it, by the engine's own clock. The
 * engine asks a plugin that allows everything and lets ours watch.
 *
 * @module
 */
import { Harness } from "../../tests/engine/harness.ts";
import { Host } from "../../tests/engine/verdict/third_line/host.ts";

const TIMES = Number(Deno.args[0] ?? 200);

/** How long to wait for the end of one, in milliseconds. */
const PATIENCE = 70_000;

/** When the engine did something to a container, in milliseconds. */
type Times = Map<string, number>;

const harness = await Harness.start();
try {
  const host = new Host(harness);
  await host.image("plain:1");
  const old: string[] = [];
  for (let n = 0; n < TIMES; n++) {
    old.push(await create(`old-${n}`));
  }
  await host.guard();
  const times = await follow();
  await host.behindItsBack(async () => {
    const made: number[] = [];
    for (let n = 0; n < TIMES; n++) {
      const id = await create(`new-${n}`);
      made.push(await between(times, `create ${id}`, `destroy ${id}`));
    }
    tell("made, until it is gone", made);
    const started: number[] = [];
    for (const id of old) {
      await harness.api("POST", `/containers/${id}/start`);
      started.push(await between(times, `start ${id}`, `die ${id}`));
    }
    tell("started, until it is stopped", started);
  });
} finally {
  await harness.stop();
}
Deno.exit();

async function create(name: string): Promise<string> {
  const answer = await harness.api("POST", `/containers/create?name=${name}`, {
    Image: "plain:1",
    Volumes: { "/x": {} },
  });
  return answer.json<{ Id: string }>().Id;
}

/** Notes the times of all events from now on. */
async function follow(): Promise<Times> {
  const times: Times = new Map();
  const connection = await Deno.connect({
    transport: "unix",
    path: harness.dockerd.socket,
  });
  const get = "GET /events HTTP/1.1\r\nHost: docker\r\n\r\n";
  await connection.write(new TextEncoder().encode(get));
  (async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of connection.readable) {
      const lines = (text + decoder.decode(bytes)).split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        if (!line.startsWith("{")) continue;
        const { Action, Actor, timeNano } = JSON.parse(line);
        times.set(`${Action} ${Actor?.ID}`, timeNano / 1e6);
      }
    }
  })();
  return times;
}

async function between(
  times: Times,
  from: string,
  to: string,
): Promise<number> {
  const end = Date.now() + PATIENCE;
  while (!times.has(from) || !times.has(to)) {
    if (Date.now() > end) throw new Error(`no ${to}`);
    await new Promise((done) => setTimeout(done, 5));
  }
  return times.get(to)! - times.get(from)!;
}

function tell(what: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const [median, worst] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
    .map((time) => Math.round(time!));
  const version = harness.version.full;
  console.log(
    `Docker ${version}: ${what}: ${times.length} times, median ${median} ms, ` +
      `worst ${worst} ms, load ${Deno.loadavg()[0].toFixed(1)}`,
  );
}
