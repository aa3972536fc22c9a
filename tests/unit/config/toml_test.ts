import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../lib/config/document.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { problemLines, problems } from "./problems.ts";

Deno.test("toml: what is no TOML, with its line", () => {
  for (
    const [text, line] of [
      ["[volumes]\nallow-user = \n", "3"],
      ['[volumes]\nallow-user = ["a"\nallow-group = []\n', "3"],
      ["[volumes]\n]\n", "2"],
      ["volumes\n", "1"],
    ]
  ) {
    const [first] = problemLines(() => parseConfig("x.toml", text));
    assertEquals(/^\d+/.exec(first)?.[0], line, text);
  }
});

Deno.test("toml: the message says file and line, a line a problem", () => {
  const error = assertThrows(
    () => parseConfig("/etc/x.toml", "[volumes]\na = 1\nb = 2\n"),
    ConfigError,
  );
  assertEquals(
    error.message.split("\n").map((line: string) => line.slice(0, 30)),
    ["/etc/x.toml:2:1: unknown key a", "/etc/x.toml:3:1: unknown key b"],
  );
});

Deno.test("toml: keys and tables that are there twice", () => {
  const twice = (place: string, name: string) =>
    `${place}: ${name} is there twice: keep one of them`;
  for (
    const [text, ...expected] of [
      [
        "[volumes]\nenforce = true\nenforce = false\n",
        twice("3:1", "enforce"),
      ],
      [
        "volumes.enforce = true\nvolumes.enforce = false\n",
        twice("2:9", "enforce"),
      ],
      [
        "volumes = { enforce = true, enforce = false, 'enforce' = true }",
        twice("1:29", "enforce"),
        twice("1:46", "'enforce'"),
      ],
      [
        'volumes = { enforce = true }\nvolumes."enforce" = false',
        twice("2:1", "volumes"),
      ],
      ["[volumes]\n[push]\n[ volumes ]\n", twice("3:3", "volumes")],
      ["volumes.enforce = true\n[volumes]\n", twice("2:2", "volumes")],
      // All of them, with all else that is wrong, in the order of the lines.
      [
        "[volumes]\nenforce = true\nenforce = 1\nallow-user = 1\n" +
        "[pusch]\n[volumes]\nallow-grup = []\n",
        twice("3:1", "enforce"),
        '4:1: allow-user is 1: expected a list of strings, such as ["one", "two"]',
        "5:2: unknown section or key pusch: expected [volumes], [images], " +
        "[push] or [privileges]",
        twice("6:2", "volumes"),
        "7:1: unknown key allow-grup in [volumes]: expected one of enforce, " +
        "allow-user, allow-group, allow-classic-build, allow-bind, allow-service",
      ],
      // Places behind one on the same line are those of the file.
      [
        "push = { enforce = true, enforce = true, block-rhel = 7 }",
        twice("1:26", "enforce"),
        "1:42: block-rhel is 7: expected true or false",
      ],
    ]
  ) {
    assertEquals(
      problems(() => parseConfig("x.toml", text)),
      expected,
      text,
    );
  }
});

Deno.test("toml: escapes that are none get a hint", () => {
  const hint = "is no escape of TOML: write patterns in 'single quotes'";
  assertEquals(
    problems(() =>
      parseConfig(
        "x.toml",
        '[images]\nwhitelist = ["^a\\.b", "^\\(c"]\nblacklist = ["\\x2e"]\n' +
          "default-allow = 1",
      )
    ),
    [
      `2:17: "\\." ${hint}`,
      `2:25: "\\(" ${hint}`,
      `3:15: "\\x" ${hint}`,
      "4:1: default-allow is 1: expected true or false",
    ],
  );
});

Deno.test("toml: what can't be read, with what stands there", () => {
  for (
    const [text, expected] of [
      [
        "[volumes]\nenforce = True # really\n",
        '2:11: not TOML at "True # really": Unexpected character',
      ],
      [
        "[volumes]\nenforce\n\n[push]\n",
        "2:8: not TOML at the end of the line: The key, equals sign, and " +
        "value must be on the same line",
      ],
      [
        'push = "\\',
        "1:10: not TOML at the end of the line: Invalid character in escape " +
        "sequence",
      ],
      // What only later versions of TOML have.
      [
        "push = { enforce = true, }",
        '1:26: not TOML at "}": Trailing comma is not permitted in an inline ' +
        "table",
      ],
    ]
  ) assertEquals(problems(() => parseConfig("x.toml", text)), [expected]);
  const [tooDeep] = problems(() =>
    parseConfig("x.toml", "x = " + "[".repeat(50_000) + "]".repeat(50_000))
  );
  assertEquals(tooDeep.startsWith("not TOML: "), true, tooDeep);
});

Deno.test("toml: names that mean something in JavaScript are only names", () => {
  assertEquals(
    problemLines(() =>
      parseConfig(
        "x.toml",
        "[__proto__]\nenforce = false\n[volumes]\n" +
          "__proto__ = 1\nconstructor.prototype = 1\n",
      )
    ).map((text) => text.replace(/:? expected.*/, "")),
    [
      "1: unknown section or key __proto__",
      "4: unknown key __proto__ in [volumes]",
      "5: unknown key constructor in [volumes]",
    ],
  );
});
