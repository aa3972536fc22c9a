import { assertEquals } from "@std/assert";
import { openLog } from "../lib/log.ts";

function logged(debug: boolean, journal: boolean): string[] {
  const lines: string[] = [];
  const log = openLog(debug, journal, (line) => lines.push(line));
  log.error("it broke");
  log.warning("denied x");
  log.info("listening");
  log.debug("allowed y");
  return lines;
}

Deno.test("log: plain on a terminal", () => {
  assertEquals(logged(true, false), [
    "error: it broke",
    "warning: denied x",
    "info: listening",
    "debug: allowed y",
  ]);
});

Deno.test("log: with priorities for the journal", () => {
  assertEquals(logged(true, true), [
    "<3>it broke",
    "<4>denied x",
    "<6>listening",
    "<7>allowed y",
  ]);
});

Deno.test("log: debug events only where they are wanted", () => {
  assertEquals(logged(false, false).length, 3);
  assertEquals(logged(false, true).at(-1), "<6>listening");
});

Deno.test("log: an event is one line", () => {
  const lines: string[] = [];
  const log = openLog(false, true, (line) => lines.push(line));
  log.error("bug: TypeError\n    at judge\n<0>forged\n");
  assertEquals(lines, ["<3>bug: TypeError\\n    at judge\\n<0>forged\\n"]);
});
