import { assertEquals } from "@std/assert";
import { CallsUnderWay } from "../../../lib/verdict/calls_under_way.ts";
import { FakeClock, isOver } from "../fake_clock.ts";

const LIMIT = 10_000;
const LONG = 1_000_000;

/** A test that no timing decides. */
function test(name: string, run: (clock: FakeClock) => Promise<void>): void {
  Deno.test(`calls under way: ${name}`, async () => {
    using clock = new FakeClock();
    await run(clock);
    assertEquals(clock.timers, 0);
  });
}

test("none are over at once", async () => {
  const calls = new CallsUnderWay(LIMIT);
  assertEquals(await isOver(calls.over(Date.now(), LONG)), true);
  calls.end("nobody");
  assertEquals(await isOver(calls.over(Date.now(), LONG)), true);
});

test("those that began before are waited for, each", async (clock) => {
  const calls = new CallsUnderWay(LIMIT);
  calls.begin("a");
  calls.begin("b");
  const over = calls.over(Date.now(), LONG);
  calls.end("a");
  assertEquals(await isOver(over), false);
  await clock.pass(1);
  calls.end("b");
  assertEquals(await isOver(over), true);
});

test("those that began later are not", async (clock) => {
  const calls = new CallsUnderWay(LIMIT);
  const before = Date.now();
  await clock.pass(1);
  calls.begin("a");
  assertEquals(await isOver(calls.over(before, LONG)), true);
  calls.begin("b");
  const over = calls.over(Date.now(), LONG);
  await clock.pass(1);
  calls.begin("b");
  calls.end("a");
  calls.end("b"); // Which of b's two is not known: the later one.
  assertEquals(await isOver(over), false);
  calls.end("b");
  assertEquals(await isOver(over), true);
});

test("of calls that can't be told apart, the oldest counts to the end", async (clock) => {
  const calls = new CallsUnderWay(LIMIT);
  calls.begin("a");
  const over = calls.over(Date.now(), LONG);
  // A storm of others hides nothing.
  for (let i = 0; i < 10; i++) {
    await clock.pass(10);
    calls.begin("a");
    calls.end("a");
  }
  assertEquals(await isOver(over), false);
  calls.end("a");
  assertEquals(await isOver(over), true);
});

test("a call that is not reported is over after its limit", async (clock) => {
  for (const limit of [LIMIT, 100]) {
    const calls = new CallsUnderWay(limit);
    calls.begin("a");
    const over = calls.over(Date.now(), LONG);
    await clock.pass(limit - 1);
    assertEquals(await isOver(over), false);
    await clock.pass(1);
    assertEquals(await isOver(over), true);
    // Its late end takes no other with it.
    await clock.pass(1);
    calls.begin("b");
    calls.end("a");
    assertEquals(await isOver(calls.over(Date.now(), 0)), true);
    const other = calls.over(Date.now(), LONG);
    assertEquals(await isOver(other), false);
    calls.end("b");
    assertEquals(await isOver(other), true);
  }
});

test("nobody waits longer than wanted", async (clock) => {
  const calls = new CallsUnderWay(LIMIT);
  calls.begin("a");
  const over = calls.over(Date.now(), 3000);
  await clock.pass(2999);
  assertEquals(await isOver(over), false);
  await clock.pass(1);
  assertEquals(await isOver(over), true);
});

test("all are over with the engine", async () => {
  const calls = new CallsUnderWay(LIMIT);
  for (const kind of ["a", "b", "b"]) calls.begin(kind);
  const waits = [1, 2, 3].map(() => calls.over(Date.now(), LONG));
  assertEquals(await isOver(Promise.race(waits)), false);
  calls.clear();
  assertEquals(await isOver(Promise.all(waits)), true);
});

test("what is kept of them is kept up to date, and no more", async (clock) => {
  const begun = new Map([["old", [Date.now() - LIMIT]]]);
  const calls = new CallsUnderWay(LIMIT, begun);
  assertEquals(await isOver(calls.over(Date.now(), LONG)), true);
  assertEquals(begun.size, 0);
  calls.begin("a");
  const first = Date.now();
  await clock.pass(5);
  calls.begin("a");
  assertEquals([...begun], [["a", [first, first + 5]]]);
  calls.end("a");
  assertEquals([...begun], [["a", [first]]]);
  calls.end("a");
  assertEquals(begun.size, 0);
});

test("a clock that is set ends no call, and keeps none", async (clock) => {
  for (const step of [400 * 86_400_000, -400 * 86_400_000, 3_600_000]) {
    const calls = new CallsUnderWay(LIMIT);
    calls.begin("a");
    const before = Date.now();
    const earlier = calls.over(before, LONG);
    clock.set(step);
    await clock.pass(1000);
    assertEquals(await isOver(earlier), false);
    // What was made before it was set, and what after.
    const waits = [before, Date.now()].map((time) => calls.over(time, LONG));
    await clock.pass(LIMIT - 1001);
    assertEquals(await isOver(Promise.race([earlier, ...waits])), false);
    await clock.pass(1);
    assertEquals(await isOver(Promise.all([earlier, ...waits])), true);
    // All is as ever after a while.
    await clock.pass(LIMIT);
    const then = Date.now();
    await clock.pass(1);
    calls.begin("b");
    assertEquals(await isOver(calls.over(then, LONG)), true);
  }
});

test("what is never over is not kept for ever", async (clock) => {
  const begun = new Map<string, number[]>();
  const calls = new CallsUnderWay(LIMIT, begun);
  for (const kind of ["a", "b", "a"]) calls.begin(kind);
  await clock.pass(LIMIT);
  calls.begin("c");
  assertEquals([...begun.keys()], ["c"]);
});
