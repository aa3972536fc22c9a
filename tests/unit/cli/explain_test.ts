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
          /^can't tell without unix:\/\/\/nowhere.sock, asked about b: engine /,
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
      assertMatch(answer.out + answer.err, said);
      assertEquals(answer.err === "", !said.source.startsWith("^can't tell"));
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

Deno.test("explain: what is no image is named, and nothing escaped twice", async () => {
  for (
    const [image, shown] of [
      ["a b", 'invalid reference format: "a b"'],
      [
        "AB",
        'invalid reference format: repository name must be lowercase: "AB"',
      ],
      ["a\u001b[31m", 'invalid reference format: "a\\u001b[31m"'],
    ]
  ) {
    const { code, out, err } = await program("explain", "pull", image);
    assertEquals([code, out, err], [1, "", `${shown}\n`]);
  }
});
