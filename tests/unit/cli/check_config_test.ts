import { assertEquals, assertMatch } from "@std/assert";
import { program, withConfig } from "../program.ts";

Deno.test("check-config: ok, and what would be enforced", async () => {
  await withConfig('[images]\nwhitelist = ["^a:"]', async (file) => {
    const { code, out, err } = await program("check-config", "--config", file);
    assertEquals(code, 0);
    assertMatch(out, /^ok\n# .*\n\[images\]\nwhitelist = \["\^a:"\]\n/);
    assertEquals(err, "");
  });
});

Deno.test("check-config: every mistake, with line and column", async () => {
  const text = '[volumes]\nenforce = 1\n\n[images]\n  whitelist = ["a("]\n';
  await withConfig(text, async (file) => {
    const { code, out, err } = await program("check-config", "--config", file);
    assertEquals(code, 1);
    assertEquals(out, "");
    const [first, second] = err.split("\n");
    assertEquals(first.startsWith(`${file}:2:1: enforce is 1: `), true, first);
    assertEquals(second.startsWith(`${file}:5:16: whitelist: `), true, second);
  });
});

Deno.test("check-config: what it prints can be the settings file", async () => {
  const text = "[images]\nwhitelist = ['^a\\.b:']\nallow-build = true\n";
  await withConfig(text, async (file) => {
    const first = await program("check-config", "--config", file);
    assertMatch(first.err, /^warning: \[images\] covers pulls, not .*\n$/);
    await Deno.writeTextFile(file, first.out.replace(/^ok\n/, ""));
    const again = await program("check-config", "--config", file);
    assertEquals(again, first);
  });
});
