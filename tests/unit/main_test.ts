import { assertEquals, assertMatch } from "@std/assert";
import { program } from "./program.ts";

Deno.test("main: a mistyped command line prints its usage, and exits 2", async () => {
  for (const words of [["explain"], ["check-config", "--frob"], ["--frob"]]) {
    const { code, err } = await program(...words);
    assertEquals(code, 2);
    assertMatch(err, /^docker-policy-plugin: .*\nusage: docker-policy-plugin/);
  }
});
