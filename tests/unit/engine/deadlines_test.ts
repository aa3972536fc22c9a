import { assertEquals } from "@std/assert";
import { Deadlines } from "../../../lib/engine/deadlines.ts";

function passed(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("deadlines: each is over in its turn, unless it is cleared", async () => {
  const deadlines = new Deadlines(60);
  const over: string[] = [];
  const begin = (name: string) => {
    const deadline = deadlines.begin();
    deadline.onOver = () => over.push(name);
    return deadline;
  };
  const first = begin("first");
  const cleared = begin("cleared");
  cleared.clear();
  await passed(30);
  begin("second");
  assertEquals(over, []);
  while (over.length < 2) await passed(10);
  assertEquals(over, ["first", "second"]);
  assertEquals([first.isOver, cleared.isOver], [true, false]);

  // And once more, when none has been running for a while.
  begin("third");
  while (over.length < 3) await passed(10);
  assertEquals(over, ["first", "second", "third"]);
});

Deno.test("deadlines: none is over before its time", async () => {
  const deadlines = new Deadlines(50);
  deadlines.begin().clear();
  await passed(25);
  const begun = performance.now();
  const late = deadlines.begin(); // The watch is on for the one before.
  while (!late.isOver) await passed(1);
  assertEquals(performance.now() - begun >= 50, true);
});
