import { assertEquals } from "@std/assert";
import { olderThan } from "../../lib/version.ts";

Deno.test("version: versions compare number by number", () => {
  for (
    const [older, newer] of [
      ["1.23", "1.24"],
      ["1.9", "1.10"],
      ["1.24", "2.0"],
      ["1", "1.1"],
      ["1.24", "1.24.1"],
      ["", "1.24"],
      ["...", "1.24"],
      ["1..9", "1.1"],
      [".99", "1.24"],
    ]
  ) {
    assertEquals(olderThan(older, newer), true, `${older} < ${newer}`);
    assertEquals(olderThan(newer, older), false, `${newer} < ${older}`);
  }
  for (
    const [one, other] of [
      ["1.24", "1.24"],
      ["1.24", "1.24."],
      ["1.24", "1.24.0"],
      ["1.24", "01.024"],
    ]
  ) {
    assertEquals(olderThan(one, other), false, `${one} < ${other}`);
    assertEquals(olderThan(other, one), false, `${other} < ${one}`);
  }
});
