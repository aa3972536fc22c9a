import { assertEquals, assertMatch } from "@std/assert";
import { program, programWith, withConfig } from "../program.ts";

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

Deno.test("check-config: a file may be named, or come by standard input", async () => {
  await withConfig("[push]", async (file) => {
    for (const words of [[file], ["-config", file], [`--config=${file}`]]) {
      const { code, out } = await program("check-config", ...words);
      assertEquals([code, out.includes("\n[push]\n")], [0, true]);
    }
    const { code, err } = await program("check-config", file, file);
    assertEquals([code, err.split("\n")[0]], [
      2,
      "docker-policy-plugin: give one file",
    ]);
  });
  for (const name of ["-", "/dev/stdin"]) {
    const good = await programWith("[push]", "check-config", name);
    assertMatch(good.out, /^ok\n# standard input\n\[push\]\n/);
    const bad = await programWith("\n[pusch]", "check-config", name);
    assertEquals([bad.code, bad.out], [1, ""]);
    assertMatch(bad.err, /^standard input:2:2: unknown section or key pusch: /);
  }
});

Deno.test("check-config: a file that enforces nothing has to say so", async () => {
  for (const text of ["", "# all of it is gone\n", "enforce-nothing = false"]) {
    const { code, err } = await programWith(text, "check-config", "-");
    assertEquals(code, 1);
    assertMatch(err, /^standard input: it has no section, so that nothing /);
  }
  const { code, out, err } = await programWith(
    "enforce-nothing = true",
    "check-config",
    "-",
  );
  assertEquals([code, out, err], [
    0,
    "ok\nenforce-nothing = true\n",
    "warning: nothing is enforced: every policy is off\n",
  ]);
});
