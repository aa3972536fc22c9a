import { assertEquals } from "@std/assert";
import {
  type ContainerEvent,
  EngineError,
  type EventStream,
} from "../../../lib/engine/engine.ts";
import { openLog } from "../../../lib/log.ts";
import { follow, type Following } from "../../../lib/verdict/follow.ts";
import type { ThirdLine } from "../../../lib/verdict/third_line.ts";
import { FakeClock, isOver, settled } from "../fake_clock.ts";
import { idOf } from "./host.ts";

const RETRY = 5000;
const ROUND = 20_000;
const ARRIVAL = 2000;
const NOT_UP = "the engine is stopped, or has not said anything yet";
const NOT_ASKED =
  "the engine does not ask this plugin: name it in authorization-plugins";

/** An event stream that a test writes. */
class Stream implements EventStream {
  isClosed = false;
  readonly #all = new TransformStream<ContainerEvent, ContainerEvent>();
  readonly #writer = this.#all.writable.getWriter();
  readonly events = this.#all.readable;

  close(): void {
    this.isClosed = true;
  }

  async tell(action: ContainerEvent["action"], digit = ""): Promise<void> {
    await this.#writer.write({ action, id: digit && idOf(digit) });
    await settled();
  }

  async end(): Promise<void> {
    await this.#writer.close();
    await settled();
  }

  async break(why: string): Promise<void> {
    await this.#writer.abort(new Error(why));
    await settled();
  }
}

/** An engine, a third line that notes what it is told, and the following. */
class World {
  isUp = true;
  isSame = false;
  isWanted = true;
  asksUs = true;
  /** Why the stream can't be had; undefined if it can. */
  noStream: string | undefined;
  /** What becomes of a look. */
  look: () => Promise<void> = () => Promise.resolve();
  readonly streams: Stream[] = [];
  readonly told: string[] = [];
  /** How often events began to come. */
  begun = 0;
  readonly log: string[] = [];
  readonly following: Following;
  readonly #start = Date.now();
  #stop = Promise.withResolvers<void>();

  constructor(state: Partial<World> = {}) {
    Object.assign(this, state);
    const tell = (what: string) => {
      this.told.push(what);
      return Promise.resolve();
    };
    const thirdLine: Partial<ThirdLine> = {
      made: (id) => tell(`made ${id[0]}`),
      started: (id) => tell(`started ${id[0]}`),
      gone: (id) => void tell(`gone ${id[0]}`),
      lookAround: (since) => {
        const ago = since === undefined ? "" : ` ${since - this.#start}`;
        tell(`look${ago}`);
        return this.look();
      },
      engineEnded: () => void tell("engine ended"),
      settingsChanged: () => void tell("settings changed"),
    };
    // deno-lint-ignore no-this-alias -- it is asked later, and anew
    const world = this;
    this.following = follow({
      engine: {
        followContainers: () => {
          tell("stream");
          if (this.noStream !== undefined) {
            return Promise.reject(new EngineError(this.noStream));
          }
          const stream = new Stream();
          this.streams.push(stream);
          return Promise.resolve(stream);
        },
        asksUs: () => this.asksUs,
      },
      thirdLine: thirdLine as ThirdLine,
      isWanted: () => this.isWanted,
      presence: {
        isUp: () => Promise.resolve(this.isUp),
        stops: () => this.#stop.promise,
        get isSame() {
          return world.isSame;
        },
      },
      begins: () => this.begun++,
      log: openLog(
        { debug: false, journal: true, format: "text" },
        (line) => this.log.push(line),
      ),
    });
  }

  /** The engine begins to stop. */
  async stop(): Promise<void> {
    this.isUp = false;
    this.#stop.resolve();
    this.#stop = Promise.withResolvers();
    await settled();
  }

  /** What was told since it was asked last. */
  get news(): string[] {
    return this.told.splice(0);
  }

  get stream(): Stream {
    return this.streams.at(-1)!;
  }
}

/** A test that no timing decides. */
function test(name: string, run: (clock: FakeClock) => Promise<void>): void {
  Deno.test(`follow: ${name}`, async () => {
    using clock = new FakeClock();
    await run(clock);
  });
}

test("the stream first, and then all containers", async () => {
  const world = new World();
  assertEquals(world.following.problem(), "not yet");
  await settled();
  assertEquals(world.news, ["stream", "look 0"]);
  assertEquals(world.following.problem(), undefined);
  assertEquals(world.log, ["<6>following the engine's events"]);
});

test("each stream of an engine that asks us is told of", async (clock) => {
  const world = new World({ asksUs: false });
  await settled();
  assertEquals([world.streams.length, world.begun], [1, 0]);
  world.asksUs = true;
  await clock.pass(2 * RETRY);
  assertEquals([world.streams.length, world.begun], [2, 1]);
  await world.stream.end();
  await clock.pass(2 * RETRY);
  assertEquals([world.streams.length, world.begun], [3, 2]);
});

test("events are told as they come", async () => {
  const world = new World();
  await settled();
  world.news;
  await world.stream.tell("create", "1");
  await world.stream.tell("start", "1");
  await world.stream.tell("lost");
  await world.stream.tell("destroy", "1");
  assertEquals(world.news, ["made 1", "started 1", "gone 1"]);
});

test("events are told while all containers are looked at", async () => {
  const look = Promise.withResolvers<void>();
  const world = new World({ look: () => look.promise });
  await settled();
  await world.stream.tell("create", "1");
  await world.stream.tell("start", "2");
  assertEquals(world.news, ["stream", "look 0", "made 1", "started 2"]);
  assertEquals(world.following.problem(), "not yet");
  look.resolve();
  await settled();
  assertEquals(world.following.problem(), undefined);
});

test("all are looked at again three times a minute", async (clock) => {
  const world = new World();
  await settled();
  world.news;
  await clock.pass(ROUND - 1);
  assertEquals(world.news, []);
  await clock.pass(1);
  assertEquals(world.news, ["look"]);
  await clock.pass(10 * ROUND);
  assertEquals(world.news, Array(10).fill("look"));
  assertEquals(world.streams.length, 1);
});

test("a look that fails is tried again, and does not end the stream", async (clock) => {
  const world = new World({
    look: () => Promise.reject(new EngineError("silence")),
  });
  await settled();
  assertEquals(world.following.problem(), "silence");
  assertEquals(world.log, ["<3>can't look at all containers: silence"]);
  await clock.pass(RETRY);
  // It is the first one still: what was there before is left alone.
  assertEquals(world.news, ["stream", "look 0", "look 0"]);
  world.look = () => Promise.resolve();
  await clock.pass(RETRY);
  assertEquals(world.news, ["look 0"]);
  assertEquals(world.following.problem(), undefined);
  // A later one leaves nothing alone.
  world.look = () => Promise.reject(new EngineError("silence"));
  await clock.pass(ROUND);
  assertEquals(world.following.problem(), "silence");
  world.look = () => Promise.resolve();
  await clock.pass(ROUND);
  assertEquals(world.following.problem(), undefined);
  assertEquals(world.news, ["look", "look"]);
  assertEquals([world.streams.length, world.stream.isClosed], [1, false]);
});

test("an engine that is not up is left in peace", async (clock) => {
  const world = new World({ isUp: false });
  await clock.pass(10 * RETRY);
  assertEquals(world.news, []);
  assertEquals(world.following.problem(), NOT_UP);
  // It is said once.
  assertEquals(world.log, [`<4>can't follow the engine's events: ${NOT_UP}`]);
  world.isUp = true;
  await clock.pass(2 * RETRY);
  const [stream, look] = world.news;
  assertEquals([stream, look.replace(/\d+/, "N")], ["stream", "look N"]);
  assertEquals(world.following.problem(), undefined);
});

test("an engine that does not ask the plugin is none of its business", async (clock) => {
  const world = new World({ asksUs: false });
  await settled();
  assertEquals(world.news, ["stream"]);
  assertEquals(world.following.problem(), NOT_ASKED);
  assertEquals(world.stream.isClosed, true);
  world.asksUs = true;
  await clock.pass(2 * RETRY);
  assertEquals(world.following.problem(), undefined);
  world.news;
  // An administrator takes it out of the engine's settings.
  world.asksUs = false;
  await clock.pass(ROUND);
  assertEquals(world.following.problem(), NOT_ASKED);
  assertEquals(world.stream.isClosed, true);
  assertEquals(world.news[0], "look");
});

test("what was made while it was not asked counts as made before", async (clock) => {
  const world = new World({ asksUs: false });
  await clock.pass(ROUND);
  world.asksUs = true;
  await clock.pass(2 * RETRY);
  const [since] = world.news.filter((what) => what.startsWith("look"))
    .map((what) => Number(what.slice("look ".length)));
  assertEquals(since > ROUND - 2 * RETRY && since <= ROUND, true, `${since}`);
});

test("a stream that can't be had is tried again", async (clock) => {
  const world = new World({ noStream: "no way" });
  await settled();
  assertEquals(world.following.problem(), "no way");
  await clock.pass(3 * RETRY);
  assertEquals(world.log, ["<4>can't follow the engine's events: no way"]);
  assertEquals(world.news.filter((what) => what !== "stream"), []);
  world.noStream = undefined;
  await clock.pass(2 * RETRY);
  assertEquals(world.following.problem(), undefined);
});

test("a stream that ends is taken up again", async (clock) => {
  for (const why of [undefined, "aborted"]) {
    const world = new World();
    await settled();
    world.isSame = true;
    await (why ? world.stream.break(why) : world.stream.end());
    assertEquals(
      world.following.problem(),
      why ?? "the engine has ended them",
    );
    assertEquals(world.stream.isClosed, true);
    world.news;
    await clock.pass(2 * RETRY);
    // The same engine: what was started meanwhile was started in our sight.
    assertEquals(world.news, ["stream", "look"]);
    assertEquals(world.following.problem(), undefined);
    // One round a minute, however many streams there were.
    await clock.pass(ROUND);
    assertEquals(world.news, ["look"]);
  }
});

test("closed, it lets go of the stream, and takes up none", async (clock) => {
  const world = new World();
  await settled();
  world.news;
  world.following.close();
  assertEquals(world.stream.isClosed, true);
  await world.stream.end();
  await clock.pass(2 * RETRY);
  assertEquals(world.news, []);
  // Nothing is wrong: calls are not held up meanwhile.
  assertEquals(world.following.problem(), undefined);
});

test("an engine that stops has ended its calls", async (clock) => {
  const world = new World();
  await settled();
  world.news;
  await world.stop();
  assertEquals(world.news, ["engine ended"]);
  assertEquals(world.following.problem(), "the engine stops");
  assertEquals(world.stream.isClosed, true);
  await clock.pass(ROUND);
  assertEquals(world.news, []);
  assertEquals(world.following.problem(), NOT_UP);
  // The next one has started containers before it serves its API.
  world.isUp = true;
  await clock.pass(2 * RETRY);
  const looks = world.news.filter((what) => /^look \d+$/.test(what));
  assertEquals(looks.length, 1);
});

test("a look that outlives its stream tells nothing of the next one", async (clock) => {
  const look = Promise.withResolvers<void>();
  const world = new World({ look: () => look.promise });
  await settled();
  world.noStream = "no way";
  await world.stream.end();
  look.resolve();
  await settled();
  assertEquals(world.following.problem(), "the engine has ended them");
  await clock.pass(2 * RETRY);
  assertEquals(world.following.problem(), "no way");
});

test("who does not want it has no problem", async (clock) => {
  const world = new World({ isWanted: false });
  await clock.pass(ROUND);
  assertEquals([world.news, world.following.problem()], [[], undefined]);
  assertEquals(await isOver(world.following.arrived()), true);
  // Switched on: what was made until then may stay.
  world.isWanted = true;
  await clock.pass(2 * RETRY);
  const since = Number(world.news[1].slice("look ".length));
  assertEquals(since > ROUND - 2 * RETRY, true, `${since}`);
});

test("a clock that is set makes what was there no younger", async (clock) => {
  for (const step of [26 * 365 * 86_400_000, -3_600_000]) {
    const world = new World({ isUp: false });
    await clock.pass(ROUND);
    clock.set(step);
    world.isUp = true;
    await clock.pass(2 * RETRY);
    const since = Number(world.news[1].slice("look ".length)) - step;
    assertEquals(since > ROUND - 2 * RETRY && since <= ROUND, true, `${since}`);
    world.following.close();
  }
});

test("other settings have all looked at again, as at the first time", async (clock) => {
  const world = new World();
  await clock.pass(1000);
  world.news;
  world.following.settingsChanged();
  await settled();
  assertEquals(world.news, ["settings changed", "look 1000"]);
  assertEquals(world.following.problem(), undefined);
  // And then as before.
  await clock.pass(ROUND);
  assertEquals(world.news, ["look"]);
  assertEquals(world.streams.length, 1);
});

test("other settings also while all are looked at, and if that fails", async (clock) => {
  const first = Promise.withResolvers<void>();
  const world = new World({ look: () => first.promise });
  await clock.pass(1000);
  world.following.settingsChanged();
  await settled();
  assertEquals(world.news, ["stream", "look 0", "settings changed"]);
  world.look = () => Promise.reject(new EngineError("silence"));
  first.resolve();
  await settled();
  assertEquals(world.news, ["look 1000"]);
  world.look = () => Promise.resolve();
  await clock.pass(RETRY);
  assertEquals(world.news, ["look 1000"]);
  await clock.pass(ROUND);
  assertEquals(world.news, ["look"]);
});

test("other settings wake no engine that is not up", async (clock) => {
  const world = new World({ isUp: false });
  world.following.settingsChanged();
  await clock.pass(ROUND);
  assertEquals(world.news, ["settings changed"]);
});

test("a call waits for the first look", async () => {
  const look = Promise.withResolvers<void>();
  const world = new World({ look: () => look.promise });
  const arrived = world.following.arrived();
  assertEquals(await isOver(arrived), false);
  look.resolve();
  assertEquals(await isOver(arrived), true);
  assertEquals(await isOver(world.following.arrived()), true);
});

test("a call waits for no longer than two seconds", async (clock) => {
  const world = new World({ look: () => new Promise(() => {}) });
  const arrived = world.following.arrived();
  await clock.pass(ARRIVAL - 1);
  assertEquals(await isOver(arrived), false);
  await clock.pass(1);
  assertEquals(await isOver(arrived), true);
});

test("a call does not wait if nobody can look for now", async () => {
  for (const state of [{ isUp: false }, { noStream: "no way" }]) {
    const world = new World(state);
    assertEquals(await isOver(world.following.arrived()), true);
  }
  const world = new World({ look: () => Promise.reject(new Error("no")) });
  assertEquals(await isOver(world.following.arrived()), true);
});

test("a call has the next attempt made at once", async (clock) => {
  const world = new World({ isUp: false });
  await clock.pass(1000);
  world.isUp = true;
  assertEquals(world.news, []);
  const arrived = world.following.arrived();
  assertEquals(await isOver(arrived), true);
  assertEquals(world.following.problem(), undefined);
});

test("also one that comes while there is a pause", async (clock) => {
  const world = new World({ isUp: false });
  await settled();
  world.isUp = true;
  const arrived = world.following.arrived();
  await clock.pass(100);
  assertEquals(await isOver(arrived), true);
  assertEquals(world.following.problem(), undefined);
});

test("so does an engine that says something; but not without a pause", async (clock) => {
  const world = new World({ noStream: "no way" });
  await settled();
  for (let i = 0; i < 20; i++) {
    world.following.hurry();
    await clock.pass(50);
  }
  const attempts = world.news.length;
  assertEquals(attempts > 5 && attempts < 12, true, `${attempts}`);
});
