import { assertEquals, assertMatch } from "@std/assert";
import { program, withConfig } from "../program.ts";

const NOWHERE = "--host=unix:///nowhere.sock";

Deno.test("explain: the verdict, by which rule, and whether the engine is needed", async () => {
  const text = '[volumes]\nallow-user = ["dwalsh"]\n' +
    '[images]\nwhitelist = ["^alpine:"]\nblacklist = ["^docker:"]\n';
  await withConfig(text, async (file) => {
    for (
      const [words, code, said] of [
        [["pull", "alpine:3"], 0, /^allowed: whitelisted by \^alpine:$/m],
        [["pull", "library/docker"], 1, /^refused by images\/blacklisted: /],
        [["run", "--", "-v", "d:/x", "b"], 1, /^refused by volumes\/named: /],
        [
          ["run", "--", "-v", "/d:/x", "b"],
          1,
          /^can't tell .*inspectImage b/,
        ],
        [
          ["--user", "dwalsh", "run", "--", "-v", "d:/x", "b"],
          0,
          /^allowed: dwalsh is exempt from \[volumes\]$/m,
        ],
      ] as [string[], number, RegExp][]
    ) {
      const answer = await program(
        "explain",
        "--config",
        file,
        NOWHERE,
        ...words,
      );
      assertMatch(answer.out, said);
      assertEquals(answer.code, code, answer.err);
    }
  });
});

Deno.test("explain: settings with mistakes", async () => {
  await withConfig("[volume]", async (file) => {
    const { code, out, err } = await program(
      ...["explain", "--config", file, "pull", "alpine"],
    );
    assertEquals([code, out], [1, ""]);
    assertEquals(err.startsWith(`${file}:1:2: unknown section`), true, err);
  });
});
