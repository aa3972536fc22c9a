import { assertEquals } from "@std/assert";
import { foldKey } from "../../../lib/call/fold.ts";

Deno.test("fold: keys fold as in Go", () => {
  for (
    const [key, folded] of [
      ["Binds", "binds"],
      ["BINDS", "binds"],
      ["binds", "binds"],
      ["Bind\u017f", "binds"], // ſ
      ["\u212aernelMemory", "kernelmemory"], // K, the Kelvin sign
      ["HO\u017fTCONFIG", "hostconfig"],
      ["", ""],
      // These fold to no ASCII letter in Go.
      ["B\u0131nds", "b\u0131nds"], // dotless i
      ["B\u0130nds", "b\u0130nds"], // I with a dot
      ["\uff22inds", "\uff22inds"], // full-width B
      ["Bind\u00df", "bind\u00df"], // ß
      ["Binds ", "binds "],
      ["Binds\u0000", "binds\u0000"],
    ]
  ) {
    assertEquals(foldKey(key), folded, JSON.stringify(key));
  }
});
