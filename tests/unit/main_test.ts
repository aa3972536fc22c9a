import { assertEquals, assertMatch } from "@std/assert";
import { program } from "./program.ts";

Deno.test("main: a mistyped command line prints its usage, and exits 2", async () => {
  for (
    const words of [
      ["audit", "--frob"],
      ["explain"],
      ["check-config", "--frob"],
      ["health", "frob"],
      ["--frob"],
      ["--host", "frob"],
      ["--socket", "/a", "--socket", "/b"],
      ["frob\u001b[31m"],
    ]
  ) {
    const { code, out, err } = await program(...words);
    assertEquals([code, out], [2, ""]);
    assertMatch(err, /^docker-policy-plugin: .*\nusage: docker-policy-plugin/);
    assertEquals(err.includes("\u001b"), false);
  }
});

Deno.test("main: each command has a help", async () => {
  const commands = ["audit", "check-config", "explain", "health"];
  for (const command of [[], ...commands.map((each) => [each])]) {
    for (const help of ["-h", "--help"]) {
      const { code, out, err } = await program(...command, help);
      assertEquals([code, err], [0, ""]);
      const usage = ["usage: docker-policy-plugin", ...command].join(" ");
      assertEquals(out.startsWith(usage), true, out);
    }
  }
});
