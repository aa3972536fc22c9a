import { assertEquals, assertMatch } from "@std/assert";
import {
  type Engine,
  EngineError,
  EngineTooMuch,
} from "../../../lib/engine/engine.ts";
import { FakeClock, isOver, settled } from "../fake_clock.ts";
import { NO_OPTIONS } from "../../../lib/call/container_options.ts";
import { call, Create, Host, idOf, mountsOf } from "./host.ts";

const DATA = mountsOf("data");
/** How long it takes to be sure that no answer comes any more. */
const HAND_OVER = 35_000;
const RESTART = 180_000;
const HOUR = 3_600_000;

/** A test that no timing decides. */
function test(name: string, run: (clock: FakeClock) => Promise<void>): void {
  Deno.test(`third line: ${name}`, async () => {
    using clock = new FakeClock();
    await run(clock);
  });
}

/** Looks at all containers, as if nobody had watched until now. */
async function arrive(host: Host, since = Date.now()): Promise<void> {
  await host.thirdLine.lookAround(since);
}

test("a container that was made as it may be stays", async () => {
  const host = await Host.open();
  await arrive(host);
  for (const [digit, mounts] of [["1", []], ["2", ["/srv"]]] as const) {
    await host.thirdLine.made(host.add(digit, mountsOf(...mounts)));
  }
  assertEquals([host.names, host.done, host.log], ["12", [], []]);
});

test("one with a volume is removed, with what was made for it", async () => {
  const host = await Host.open();
  await arrive(host);
  const created = Date.now();
  await host.thirdLine.made(host.add("1", mountsOf("data", "", "/srv")));
  assertEquals(host.done, [
    "remove 1",
    `remove volume data ${created}`,
    `remove volume ${idOf("f")} ${created}`,
  ]);
  assertEquals(host.deeds, ["removed"]);
  assertEquals(host.log, [
    "<3>alert: container 111111111111 was made against the policy, and is " +
    `removed id=${idOf("1")} name=c1 image=b:1 ` +
    `mounts=volume:data:/x0,volume:${idOf("f")}:/x1,bind:/srv:/x2 ` +
    "rule=volumes/container " +
    'reason="volumes are not allowed: container 111111111111 has volume ' +
    '\\"data\\" at /x0" call="no answer to a create named it"',
  ]);
});

test("a volume goes with the last container that uses it", async () => {
  const asked: [name: string, orMade?: number][] = [];
  const answers = [5, 5, undefined, undefined];
  const host = await Host.open("[volumes]", {
    removeVolume: (name, _since, orMade) => {
      asked.push([name, orMade]);
      return Promise.resolve(answers.shift());
    },
  });
  await arrive(host);
  for (const digit of ["1", "2", "3", "4"]) {
    await host.thirdLine.made(host.add(digit, mountsOf("data")));
  }
  assertEquals(asked, [
    ["data", undefined],
    ["data", 5],
    ["data", 5],
    // It is another one now.
    ["data", undefined],
  ]);
});

test("nobody writes into the log by a container's names", async () => {
  const host = await Host.open();
  await arrive(host);
  await host.thirdLine.made(host.add("1", mountsOf("a\n<0>b"), {
    image: "x\n<0>forged",
    names: ["n\u001b[2J", "y".repeat(100_000)],
  }));
  assertEquals(host.log.length, 1);
  // deno-lint-ignore no-control-regex -- none may be left
  assertEquals(/[\u0000-\u001f]/.test(host.log[0]), false);
  assertEquals(host.log[0].length < 3000, true);
});

test("a container is decided on once", async () => {
  const host = await Host.open();
  await arrive(host);
  const id = host.add("1");
  await Promise.all([host.thirdLine.made(id), host.thirdLine.made(id)]);
  await host.thirdLine.made(id);
  assertEquals(host.asked, [id]);
  // Gone, and none with its ID comes again; but nothing is kept of it.
  host.thirdLine.gone(id);
  await host.thirdLine.made(id);
  assertEquals(host.asked, [id, id]);
});

test("it waits while a create is under way", async (clock) => {
  const host = await Host.open();
  await arrive(host);
  const create = await Create.begin(host);
  const made = host.thirdLine.made(host.add("1", DATA));
  assertEquals([await isOver(made), host.done], [false, []]);
  // Its start changes nothing.
  await host.thirdLine.started(host.start(idOf("1")));
  await create.end(201, idOf("1"));
  assertEquals(await isOver(made), true);
  assertEquals(host.done[0], "remove 1");
  assertEquals(clock.timers, 0);
});

test("what an exempt user made stays, also when it starts", async () => {
  const host = await Host.open();
  await arrive(host);
  const create = await Create.begin(host, ["volumes"]);
  const made = host.thirdLine.made(host.add("1", DATA));
  await create.end(201, idOf("1"));
  await made;
  await host.thirdLine.started(host.start(idOf("1")));
  await host.thirdLine.lookAround();
  // Also after a restart, of the plugin or of the host.
  host.restart();
  await arrive(host);
  await host.thirdLine.started(idOf("1"));
  await host.thirdLine.lookAround();
  assertEquals([host.names, host.done, host.log], ["1", [], []]);
  assertEquals(host.thirdLine.left(), 0);
  // And it is forgotten with the container.
  host.thirdLine.gone(idOf("1"));
  assertEquals(host.kept.containers.size, 0);
});

test("exempt from another policy is not exempt from this one", async () => {
  const host = await Host.open("[volumes]\n[images]");
  await arrive(host);
  const create = await Create.begin(host, ["images"]);
  const made = host.thirdLine.made(host.add("1", DATA));
  await create.end(201, idOf("1"));
  await made;
  assertEquals(host.names, "");
});

test("a hidden answer makes a container nobody's", async () => {
  const host = await Host.open();
  await arrive(host);
  const create = await Create.begin(host, ["volumes"]);
  const made = host.thirdLine.made(host.add("1", DATA));
  await create.end(0);
  await made;
  assertEquals(host.names, "");
});

test("an answer that names nothing is said, and goes on", async () => {
  const host = await Host.open();
  await arrive(host);
  const create = await Create.begin(host, ["volumes"]);
  await create.end(201);
  assertEquals(host.log.length, 1);
  assertMatch(
    host.log[0],
    /^<3>can't note whose container or service it is: .* user=alice method=POST path=\/containers\/create$/,
  );
  // It is over all the same.
  await host.thirdLine.made(host.add("1", DATA));
  assertEquals(host.names, "");
});

test("a create that is never answered delays for a minute", async (clock) => {
  const host = await Host.open();
  await arrive(host);
  await Create.begin(host);
  const made = host.thirdLine.made(host.add("1", DATA));
  await clock.pass(59_000);
  assertEquals([await isOver(made), host.names], [false, "1"]);
  await clock.pass(1000);
  assertEquals([await isOver(made), host.names], [true, ""]);
});

test("one that goes away while it waits is no error", async () => {
  const host = await Host.open();
  await arrive(host);
  await host.thirdLine.made(idOf("1")); // Gone before it was looked at.
  const create = await Create.begin(host);
  const made = host.thirdLine.made(host.add("1", DATA));
  await settled();
  host.containers.delete(idOf("1"));
  host.thirdLine.gone(idOf("1"));
  await create.end(201, idOf("1"));
  await made;
  assertEquals([host.done, host.log, host.deeds], [[], [], []]);
  assertEquals(host.kept.undecided.size, 0);
});

test("one from before that is started is stopped, and stays", async () => {
  const host = await Host.open();
  const id = host.add("1", mountsOf("data", ""), { created: 0 });
  await arrive(host);
  await host.thirdLine.started(host.start(id));
  assertEquals([host.names, host.done], ["1", ["stop 1"]]);
  assertEquals(host.deeds, ["stopped"]);
  assertEquals(host.log.length, 1);
  assertMatch(
    host.log[0],
    /^<3>alert: container 111111111111 was started against the policy, and is stopped id=1{64} .* rule=volumes\/container /,
  );
  // And so each time.
  await host.thirdLine.started(host.start(id));
  assertEquals(host.done, ["stop 1", "stop 1"]);
});

test("what an exempt user started may run", async () => {
  const host = await Host.open();
  const id = host.add("1", DATA, { created: 0 });
  host.add("2", DATA, { created: 0 });
  await arrive(host);
  const [request, route] = call("POST /containers/c1/start");
  await host.thirdLine.allowed(request, route, ["volumes"]);
  // The ID counts that was meant when he asked, whoever has the name by then.
  host.containers.get(id)!.names[0] = "other";
  host.containers.get(idOf("2"))!.names[0] = "c1";
  await host.thirdLine.started(host.start(id));
  await host.thirdLine.started(host.start(idOf("2")));
  assertEquals(host.done, ["stop 2"]);
});

test("what ran before the plugin came is left alone, and counted", async () => {
  const host = await Host.open();
  const id = host.add("1", DATA, { created: 0, running: true });
  host.add("2", [], { created: 0, running: true });
  host.add("3", DATA, { created: 0 });
  await arrive(host);
  assertEquals([host.done, host.thirdLine.left()], [[], 1]);
  assertEquals(host.log, [
    "<4>container 111111111111 ran before the plugin came, and is left alone " +
    `id=${id} name=c1 rule=volumes/container reason="volumes are not ` +
    'allowed: container 111111111111 has volume \\"data\\" at /x0"',
  ]);
  // Also when it restarts by its policy, and when all are looked at.
  await host.thirdLine.started(id);
  await host.thirdLine.lookAround();
  assertEquals([host.done, host.deeds, host.log.length], [[], [], 1]);
  // And after a restart of the plugin, without another word.
  host.restart();
  await arrive(host);
  assertEquals([host.thirdLine.left(), host.log.length], [1, 1]);
  host.thirdLine.gone(id);
  assertEquals(host.thirdLine.left(), 0);
});

test("one that restarts all the time ran before, too", async () => {
  // Its start is told before the first look has come to it.
  const host = await Host.open();
  const id = host.add("1", DATA, { created: 0, running: true });
  const started = host.thirdLine.started(id);
  await arrive(host);
  await started;
  await host.thirdLine.started(id);
  assertEquals([host.done, host.thirdLine.left()], [[], 1]);
});

test("what stood still is stopped if it runs after a restart of the plugin", async () => {
  for (const isNewEngine of [false, true]) {
    const host = await Host.open();
    const id = host.add("1", DATA, { created: 0 });
    host.add("2", [], { created: 0 });
    await arrive(host);
    assertEquals([...host.kept.stood], [id]);
    host.restart();
    // An engine that is started starts containers by itself.
    if (isNewEngine) host.thirdLine.engineEnded();
    host.start(id);
    await arrive(host);
    assertEquals(host.done, isNewEngine ? [] : ["stop 1"]);
    assertEquals(host.thirdLine.left(), isNewEngine ? 1 : 0);
  }
});

test("what can't be read at the first look keeps it from no other", async () => {
  // An inspect waits for the container's lock, which docker cp can hold.
  const locked = new Set([idOf("1"), idOf("2")]);
  const host = await Host.open("[volumes]\n[privileges]", {
    ...BINDS,
    inspectOptions: (id) =>
      locked.has(id)
        ? Promise.reject(new EngineError("no answer"))
        : Promise.resolve({ options: NO_OPTIONS }),
  });
  host.add("1", DATA, { created: 0, running: true });
  host.add("2", DATA, { created: 0 });
  host.add("3", DATA, { created: 0, running: true });
  await arrive(host);
  assertEquals([host.deeds, host.thirdLine.left()], [["failed", "failed"], 1]);
  // It ran before, whenever it is that this can be told.
  await host.thirdLine.lookAround();
  await host.thirdLine.started(idOf("1"));
  assertEquals([host.done, host.thirdLine.left()], [[], 1]);
  locked.clear();
  await host.thirdLine.lookAround();
  assertEquals([host.done, host.thirdLine.left()], [[], 2]);
  await host.thirdLine.started(host.start(idOf("2")));
  assertEquals(host.done, ["stop 2"]);
});

test("a look that its engine does not outlive decides on nothing later", async () => {
  const asked = Promise.withResolvers<void>();
  const host = await Host.open("[volumes]", {
    stopForGood: () => asked.promise,
  });
  const id = host.add("1", DATA, { created: 0 });
  await arrive(host);
  host.start(id);
  const look = host.thirdLine.lookAround();
  await settled();
  host.thirdLine.engineEnded();
  asked.resolve();
  await look;
  // The next engine starts it by itself.
  await host.thirdLine.started(id);
  await arrive(host);
  assertEquals([host.done, host.thirdLine.left()], [[], 1]);
});

test("what is started before the first look is decided on after it", async () => {
  const host = await Host.open();
  const id = host.add("1", DATA, { created: 0 });
  await host.thirdLine.started(id);
  // It stands still again when the look comes to it.
  await arrive(host);
  await settled();
  assertEquals(host.done, ["stop 1"]);
});

test("at its arrival, what is younger counts as made in our sight", async (clock) => {
  const since = Date.now();
  const host = await Host.open();
  host.add("1", DATA, { created: since - HOUR, running: true });
  host.add("2", DATA, { created: since + 2000, running: true });
  host.add("3", [], { created: since + 2000, running: true });
  await clock.pass(5000);
  await arrive(host, since);
  await clock.pass(1);
  assertEquals([host.names, host.done[0]], ["13", "remove 2"]);
});

test("an answer that comes after a restart still counts", async (clock) => {
  const since = Date.now();
  const host = await Host.open();
  // The plugin before sees the request, the one after it the response.
  const create = await Create.begin(host, ["volumes"]);
  host.restart();
  host.add("1", DATA, { created: since + 2000 });
  await clock.pass(5000);
  await arrive(host, since);
  await clock.pass(HAND_OVER - 1);
  await create.end(201, idOf("1"));
  await clock.pass(HOUR);
  assertEquals([host.names, host.done], ["1", []]);
});

test("after a restart within three minutes, what was made meanwhile counts", async (clock) => {
  const until = Date.now();
  for (
    const [away, removed] of [
      [RESTART - 1, "12"],
      [RESTART, "2"],
    ] as const
  ) {
    const host = await Host.open();
    host.kept.watchedUntil = Date.now();
    host.add("0", DATA, { created: Date.now() - 5000, running: true });
    await clock.pass(10_000);
    host.add("1", DATA, { running: true });
    await clock.pass(away - 10_000);
    host.add("2", DATA, { created: Date.now() + 1000, running: true });
    await arrive(host);
    await clock.pass(HAND_OVER);
    const gone = host.done.filter((deed) => /^remove .$/.test(deed));
    assertEquals(gone.map((deed) => deed.at(-1)).join(""), removed);
    assertEquals(host.thirdLine.left(), 3 - removed.length);
  }
  assertEquals(Date.now() > until, true);
});

test("by a clock that is behind, nothing is new", async (clock) => {
  for (const watchedUntil of [0, Date.now()]) {
    const host = await Host.open();
    host.kept.watchedUntil = watchedUntil;
    host.add("1", DATA, { running: true });
    clock.set(-26 * 365 * 86_400_000);
    await arrive(host);
    await clock.pass(HAND_OVER);
    assertEquals([host.names, host.done], ["1", []]);
    clock.set(26 * 365 * 86_400_000);
  }
});

test("a clock that was ahead shelters nothing", async (clock) => {
  const host = await Host.open();
  const since = Date.now();
  host.kept.watchedUntil = since + HOUR;
  await clock.pass(1000);
  host.add("1", DATA, { running: true });
  await arrive(host, since);
  await clock.pass(HAND_OVER);
  assertEquals(host.names, "");
});

test("in the second in question, the engine is asked for more", async (clock) => {
  const time = Date.now() + 1000;
  for (const [later, stays] of [[1, false], [0, true], [-500, true]]) {
    const asked: string[] = [];
    const host = await Host.open("[volumes]", {
      madeAt: (id) => {
        asked.push(id);
        return Promise.resolve(time + Number(later));
      },
    });
    host.add("1", DATA, { created: time - 500, running: true });
    host.add("2", DATA, { created: time, running: true });
    host.add("3", DATA, { created: time - 1000, running: true });
    await arrive(host, time);
    await clock.pass(HAND_OVER);
    assertEquals(asked, [idOf("1")]);
    assertEquals(host.names, stays ? "13" : "3");
  }
});

test("what was undecided at the end is decided on after it", async (clock) => {
  const host = await Host.open();
  await arrive(host);
  await Create.begin(host);
  host.thirdLine.made(host.add("1", DATA));
  host.thirdLine.made(host.add("2"));
  await settled();
  assertEquals([...host.kept.undecided], [idOf("1")]);
  host.restart();
  // Even after long: it was refused.
  await clock.pass(HOUR);
  host.done.length = 0;
  host.add("1", DATA, { created: 0, running: true });
  host.kept.undecided.add(idOf("1"));
  await arrive(host);
  await clock.pass(HAND_OVER);
  assertEquals(host.done[0], "remove 1");
  assertEquals(host.kept.undecided.size, 0);
});

test("a look at all finds what events did not tell", async () => {
  const host = await Host.open();
  const old = host.add("1", DATA, { created: 0 });
  await arrive(host);
  host.add("2", DATA, { created: 0 });
  host.start(old);
  await host.thirdLine.lookAround();
  await settled();
  assertEquals(host.done.slice(0, 2).toSorted(), ["remove 2", "stop 1"]);
  host.done.length = 0;
  await host.thirdLine.lookAround();
  await settled();
  assertEquals(host.done, []);
});

test("what is gone is forgotten, what came meanwhile is not", async () => {
  const entered = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const host: Host = await Host.open("[volumes]", {
    async *listContainers() {
      const listed = [...host.containers.values()];
      entered.resolve();
      await goOn.promise;
      yield* listed;
    },
  });
  await host.kept.keep("containers", idOf("9"), "exempt", "volumes");
  host.kept.stood.add(idOf("8"));
  const look = host.thirdLine.lookAround();
  await entered.promise;
  // An exempt user's create, answered while all are looked at.
  const create = await Create.begin(host, ["volumes"]);
  const made = host.thirdLine.made(host.add("1", DATA));
  await create.end(201, idOf("1"));
  await made;
  goOn.resolve();
  await look;
  assertEquals([...host.kept.containers.keys()], [idOf("1")]);
  assertEquals(host.kept.stood.size, 0);
  await host.thirdLine.started(host.start(idOf("1")));
  await host.thirdLine.lookAround();
  assertEquals([host.names, host.done], ["1", []]);
});

test("one that can't be stopped does not keep it from others", async () => {
  let fails = true;
  const host: Host = await Host.open("[volumes]", {
    stopForGood: (id) => {
      if (fails && id === idOf("1")) {
        return Promise.reject(new EngineError("its lock is held"));
      }
      host.done.push(`stop ${id[0]}`);
      return Promise.resolve();
    },
  });
  host.add("1", DATA, { created: 0 });
  host.add("2", DATA, { created: 0 });
  await arrive(host);
  for (const digit of ["1", "2"]) host.start(idOf(digit));
  await host.thirdLine.lookAround();
  assertEquals(host.done, ["stop 2"]);
  assertEquals(host.deeds, ["failed", "stopped"]);
  assertEquals(
    host.log[0],
    "<3>container 111111111111 can't be checked: its lock is held " +
      `id=${idOf("1")}`,
  );
  // The next look tries again.
  fails = false;
  await host.thirdLine.lookAround();
  assertEquals(host.done.slice(1), ["stop 1", "stop 2"]);
});

test("an engine that fails is asked again at the next look", async () => {
  let fails = true;
  const host: Host = await Host.open("[volumes]", {
    findContainer: (id) =>
      fails
        ? Promise.reject(new EngineError("silence"))
        : Promise.resolve(host.containers.get(id)),
  });
  await arrive(host);
  await host.thirdLine.made(host.add("1", DATA));
  assertEquals([host.names, host.deeds], ["1", ["failed"]]);
  assertEquals(host.log, [
    `<3>container 111111111111 can't be checked: silence id=${idOf("1")}`,
  ]);
  fails = false;
  await host.thirdLine.lookAround();
  await settled();
  assertEquals([host.names, host.deeds], ["", ["failed", "removed"]]);
});

test("it acts on no engine that does not ask the plugin", async () => {
  const host = await Host.open();
  const old = host.add("1", DATA, { created: 0 });
  await arrive(host);
  host.asksUs = false;
  await host.thirdLine.made(host.add("2", DATA));
  await host.thirdLine.started(host.start(old));
  await host.thirdLine.made(host.addTask("3", "db", "data"));
  assertEquals([host.names, host.done], ["123", []]);
  assertEquals(host.deeds, ["failed", "failed", "failed"]);
  assertMatch(host.log[0], /: the engine does not ask this plugin id=/);
});

test("a task is removed, and its service has none any more", async () => {
  const host = await Host.open();
  await arrive(host);
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  assertEquals(host.done.map((deed) => deed.replace(/ \d{2,}$/, "")), [
    "remove 1",
    "remove volume data",
    "scale db-id",
  ]);
  await host.thirdLine.made(host.addTask("2", "db", "data"));
  await host.thirdLine.made(host.addTask("3", "other", "data"));
  assertEquals(host.deeds, ["task_removed", "task_removed", "task_removed"]);
  // One alert a service.
  const alerts = host.log.filter((line) => line.startsWith("<3>alert: "));
  assertEquals(alerts.length, 2);
  assertMatch(
    alerts[0],
    /^<3>alert: container 111111111111 is a task against the policy, and is removed; so are others of its service .* service=db service_id=db-id$/,
  );
  assertEquals(
    host.log[1],
    "<4>service db has no tasks any more service_id=db-id",
  );
});

test("a task whose removal failed at first has its alert", async () => {
  let fails = true;
  const host: Host = await Host.open("[volumes]", {
    removeContainer: (id) => {
      if (fails) return Promise.reject(new EngineError("busy"));
      host.containers.delete(id);
      return Promise.resolve();
    },
  });
  await arrive(host);
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  fails = false;
  await host.thirdLine.lookAround();
  await settled();
  const alerts = host.log.filter((line) => line.startsWith("<3>alert: "));
  assertEquals(alerts.length, 1, host.log.join("\n"));
});

test("labels make no task", async () => {
  const host = await Host.open('[volumes]\nallow-service = ["db"]');
  await arrive(host);
  const id = host.addTask("1", "db", "data");
  host.tasks.delete(id);
  await host.thirdLine.made(id);
  assertEquals(host.deeds, ["removed"]);
  // And that engines write labels on tasks spares a question about the others.
  const plain = await Host.open("[volumes]", {
    isTask: () => Promise.reject(new EngineError("asked")),
  });
  await arrive(plain);
  await plain.thirdLine.made(plain.add("1", DATA));
  assertEquals(plain.deeds, ["removed"]);
});

test("services that an administrator names may have volumes", async () => {
  const host = await Host.open('[volumes]\nallow-service = ["db"]');
  await arrive(host);
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  await host.thirdLine.made(host.addTask("2", "db2", "data"));
  assertEquals(host.names, "1");
});

test("so may those that an exempt user made on this host", async () => {
  const host = await Host.open();
  await arrive(host);
  const create = await Create.begin(
    host,
    ["volumes"],
    "POST /services/create",
  );
  await create.end(201, "db-id");
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  // Whoever changes it last answers for it.
  const [request, route] = call("POST /services/db/update?version=1", {});
  await host.thirdLine.allowed(request, route, []);
  await host.thirdLine.served({ request, status: 400 }, route, []);
  await host.thirdLine.made(host.addTask("0", "db", "data")); // It was refused.
  await host.thirdLine.served({ request, status: 200 }, route, []);
  await host.thirdLine.made(host.addTask("2", "db", "data"));
  assertEquals(host.names, "10");
  await host.thirdLine.allowed(request, route, ["volumes"]);
  await host.thirdLine.made(host.addTask("3", "db", "data"));
  assertEquals(host.names, "103");
});

test("[images] decides on tasks, by their service's image", async () => {
  const config = '[images]\nwhitelist = ["^alpine:"]';
  const host = await Host.open(config);
  await arrive(host);
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  assertMatch(
    host.log[0],
    / rule=images\/not-whitelisted reason="image evil:1 is not allowed: /,
  );
  host.tasks.set(host.addTask("2", "db"), "alpine:3");
  await host.thirdLine.made(idOf("2"));
  // Any other container came through the front door, or was here before.
  await host.thirdLine.made(host.add("3", DATA));
  assertEquals(host.names, "23");
});

test("a policy on trial is only logged", async () => {
  const host = await Host.open("[volumes]\nenforce = false");
  const old = host.add("1", DATA, { created: 0 });
  await arrive(host);
  await host.thirdLine.made(host.add("2", DATA));
  await host.thirdLine.made(host.addTask("3", "db", "data"));
  await host.thirdLine.started(host.start(old));
  assertEquals([host.names, host.done], ["123", []]);
  assertEquals(host.deeds, [
    "would_be_removed",
    "would_be_removed",
    "would_be_stopped",
  ]);
  assertEquals(host.log.map((line) => line.replace(/ id=.*/, "")), [
    "<3>alert: container 222222222222 would be removed",
    "<3>alert: container 333333333333 would be removed",
    "<3>alert: container 111111111111 would be stopped",
  ]);
});

test("a policy on trial does not say the same each minute", async () => {
  const host = await Host.open("[volumes]\nenforce = false");
  await arrive(host);
  await host.thirdLine.made(host.add("1", DATA));
  await host.thirdLine.started(host.start(idOf("1")));
  const said = host.log.length;
  for (let i = 0; i < 5; i++) await host.thirdLine.lookAround();
  assertEquals(host.log.length, said);
});

test("of two policies, the one in force decides", async () => {
  const host = await Host.open("[volumes]\nenforce = false\n[images]");
  await arrive(host);
  await host.thirdLine.made(host.addTask("1", "db", "data"));
  assertEquals([host.names, host.deeds], ["", ["task_removed"]]);
});

test("without a policy it leaves everything alone", async () => {
  const host = await Host.open("[push]");
  await arrive(host);
  await host.thirdLine.made(host.add("1", DATA));
  await host.thirdLine.made(host.addTask("2", "db", "data"));
  await host.thirdLine.started(host.start(idOf("1")));
  assertEquals([host.names, host.done, host.log], ["12", [], []]);
});

test("one whose description can't be read is removed", async () => {
  const tooMuch = {
    findContainer: () => Promise.reject(new EngineTooMuch("too long", "")),
  };
  const host = await Host.open("[volumes]", tooMuch);
  await arrive(host);
  await host.thirdLine.made(host.add("1"));
  assertEquals([host.done, host.deeds], [["remove 1"], ["removed"]]);
  assertEquals(host.log, [
    "<3>alert: container 111111111111 can't be checked, and is removed: its " +
    `labels are too long to be read id=${idOf("1")}`,
  ]);
  for (const config of ["[volumes]\nenforce = false", "[push]"]) {
    const trial = await Host.open(config, tooMuch);
    await arrive(trial);
    await trial.thirdLine.made(trial.add("1"));
    assertEquals(trial.done, [], config);
  }
});

test("what other settings refuse is left alone, also if it restarts first", async () => {
  for (const restarts of [false, true]) {
    const host = await Host.open("");
    const id = host.add("1", DATA, { created: 0, running: true });
    const stopped = host.add("2", DATA, { created: 0 });
    await arrive(host);
    await host.set("[volumes]");
    host.thirdLine.settingsChanged();
    if (restarts) await host.thirdLine.started(id);
    await arrive(host);
    await host.thirdLine.started(id);
    assertEquals([host.done, host.thirdLine.left()], [[], 1]);
    // And what did not run is not.
    await host.thirdLine.started(host.start(stopped));
    assertEquals(host.done, ["stop 2"]);
  }
});

test("a round that other settings come into does not end their first look", async () => {
  const entered = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let waits = false;
  const host: Host = await Host.open("", {
    async *listContainers() {
      if (waits) {
        entered.resolve();
        await goOn.promise;
      }
      yield* [...host.containers.values()];
    },
  });
  const id = host.add("1", DATA, { created: 0, running: true });
  await arrive(host);
  waits = true;
  const round = host.thirdLine.lookAround();
  await entered.promise;
  await host.set("[volumes]");
  host.thirdLine.settingsChanged();
  goOn.resolve();
  await round;
  await host.thirdLine.started(id);
  assertEquals(host.done, []);
  await arrive(host);
  assertEquals([host.done, host.thirdLine.left()], [[], 1]);
});

test("settings of the moment count", async () => {
  const host = await Host.open("");
  await arrive(host);
  await host.thirdLine.made(host.add("1", DATA));
  await host.set("[volumes]");
  // As after a reload: what runs by then is left alone.
  host.start(idOf("1"));
  await arrive(host);
  await host.thirdLine.started(idOf("1"));
  await host.thirdLine.made(host.add("2", DATA));
  assertEquals([host.names, host.thirdLine.left()], ["1", 1]);
});

const BINDS: Partial<Engine> = {
  hostFacts: () =>
    Promise.resolve({
      rootDirectory: "/var/lib/docker",
    } as Awaited<ReturnType<Engine["hostFacts"]>>),
};
const OPS = `
[for.ops]
user = ["olga"]
[for.ops.volumes]
allow-bind = ["/srv/", "/opt/"]
`;
const FOR_USERS = `
[volumes]
allow-bind = ["/srv/"]
[for.interns]
user = ["ian"]
[for.interns.volumes]
allow-bind = []
${OPS}`;
const SERVICES = "POST /services/create";

/** A container with a bind mount that a user of a \`[for.NAME]\` makes. */
async function makeFor(host: Host, settings: string, source: string) {
  const create = await Create.begin(host, [], undefined, settings);
  const made = host.thirdLine.made(host.add("1", mountsOf(source)));
  await create.end(201, idOf("1"));
  await made;
}

test("what a user with other settings made is judged by them", async () => {
  for (
    const [settings, source, expected] of [
      ["ops", "/opt/x", []],
      ["ops", "/etc", ["remove 1"]],
      ["", "/opt/x", ["remove 1"]],
      ["interns", "/srv/x", ["remove 1"]],
    ] as [string, string, string[]][]
  ) {
    const host = await Host.open(FOR_USERS, BINDS);
    await arrive(host);
    await makeFor(host, settings, source);
    assertEquals(host.done, expected, `${settings} ${source}`);
    // Also after a restart, of the plugin or of the host.
    host.restart();
    await arrive(host);
    if (expected.length === 0) {
      await host.thirdLine.started(host.start(idOf("1")));
      await host.thirdLine.lookAround();
      assertEquals([host.done, host.log], [[], []]);
    }
  }
});

test("an alert says by whose settings", async () => {
  const host = await Host.open(FOR_USERS, BINDS);
  await arrive(host);
  await makeFor(host, "ops", "/etc");
  assertMatch(host.log[0], / reason="bind mount of \/etc .*" for=ops call=/);
});

test("who may have less takes nothing from others by a start", async () => {
  for (const settings of ["interns", "ops"]) {
    const host = await Host.open(FOR_USERS, BINDS);
    await arrive(host);
    await makeFor(host, "", "/srv/x");
    host.start(idOf("1"));
    const start = call("POST /containers/c1/start", undefined, "ian");
    await host.thirdLine.allowed(...start, [], settings);
    await host.thirdLine.started(idOf("1"));
    await host.thirdLine.lookAround();
    assertEquals([host.done, host.log], [[], []]);
  }
});

test("who may have less keeps nothing by what others may", async () => {
  const host = await Host.open(FOR_USERS, BINDS);
  await arrive(host);
  await makeFor(host, "", "/srv/x");
  // The answer came late; the second line has it in any case.
  await host.kept.judgeBy("containers", idOf("1"), "interns");
  await host.thirdLine.started(host.start(idOf("1")));
  assertEquals(host.done, ["stop 1"]);
  // Unless somebody starts it who may.
  host.start(idOf("1"));
  const start = call("POST /containers/c1/start", undefined, "eve");
  await host.thirdLine.allowed(...start, [], "");
  await host.thirdLine.started(idOf("1"));
  assertEquals(host.done, ["stop 1"]);
});

test("without their settings everybody's hold again", async () => {
  for (const left of ["", OPS.replaceAll("for.ops", "for.admins")]) {
    const host = await Host.open(FOR_USERS, BINDS);
    await arrive(host);
    await makeFor(host, "ops", "/opt/x");
    await host.set(`[volumes]\nallow-bind = ["/srv/"]\n${left}`);
    host.thirdLine.settingsChanged();
    await arrive(host);
    assertEquals(host.done, []);
    await host.thirdLine.started(host.start(idOf("1")));
    assertEquals(host.done, ["stop 1"]);
    // What runs when they go is left alone.
    const other = await Host.open(FOR_USERS, BINDS);
    await arrive(other);
    await makeFor(other, "ops", "/opt/x");
    other.start(idOf("1"));
    await other.set('[volumes]\nallow-bind = ["/srv/"]');
    other.thirdLine.settingsChanged();
    await arrive(other);
    await other.thirdLine.lookAround();
    assertEquals([other.done, other.thirdLine.left()], [[], 1]);
  }
});

test("a service of theirs is judged by their settings", async () => {
  for (
    const [settings, source, expected] of [
      ["ops", "/opt/x", []],
      ["", "/opt/x", ["remove 1", "scale web-id"]],
    ] as [string, string, string[]][]
  ) {
    const host = await Host.open(FOR_USERS, BINDS);
    await arrive(host);
    const create = await Create.begin(host, [], SERVICES, settings);
    const made = host.thirdLine.made(host.addTask("1", "web", source));
    await create.end(201, "web-id");
    await made;
    await host.thirdLine.lookAround();
    assertEquals(host.done, expected, settings);
  }
});

test("the milder of several settings counts, also on trial", async () => {
  const host = await Host.open(
    '[volumes]\nallow-bind = []\n[for.a]\nuser = ["a"]\n' +
      "[for.a.volumes]\nenforce = false\n",
    BINDS,
  );
  await arrive(host);
  await makeFor(host, "a", "/opt/x");
  assertEquals([host.done, host.deeds], [[], ["would_be_removed"]]);
});

test("settings of their own don't keep what can't be read", async () => {
  const host = await Host.open(FOR_USERS, {
    ...BINDS,
    findContainer: () => Promise.reject(new EngineTooMuch("too long", "")),
  });
  await arrive(host);
  await host.kept.judgeBy("containers", idOf("1"), "ops");
  await host.thirdLine.made(host.add("1"));
  assertEquals(host.done, ["remove 1"]);
});
