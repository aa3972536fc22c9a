import { assertEquals, assertThrows } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { ConfigError } from "../../../lib/config/document.ts";
import { loadConfig, parseConfig } from "../../../lib/config/load.ts";
import { showConfig } from "../../../lib/config/show.ts";
import { problems } from "./problems.ts";

/** Runs with files of these texts in a directory of its own. */
function withFiles(
  texts: { config?: string; volumes?: string; images?: string },
  test: (
    files: Parameters<typeof loadConfig>[1] & object,
    directory: string,
  ) => void,
): void {
  const directory = Deno.makeTempDirSync();
  const files = {
    config: `${directory}/new.toml`,
    old: {
      volumes: `${directory}/novolume.conf`,
      images: `${directory}/image-policy.json`,
    },
  };
  try {
    for (
      const [file, text] of [
        [files.config, texts.config],
        [files.old.volumes, texts.volumes],
        [files.old.images, texts.images],
      ] as const
    ) {
      if (text !== undefined) Deno.writeTextFileSync(file, text);
    }
    test(files, directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function sections(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(showConfig(config)).map(([name, section]) => [
      name,
      String((section as { from: string }).from).replace(/.*\//, ""),
    ]),
  );
}

Deno.test("load: which file counts", () => {
  const novolume = "[docker-novolume-plugin]\n";
  for (
    const [texts, expected] of [
      [{}, { volumes: "default", push: "default" }],
      [{ config: "[images]\n" }, { images: "new.toml" }],
      [{ config: "enforce-nothing = true" }, {}],
      [{ volumes: novolume }, { volumes: "novolume.conf" }],
      [{ images: "{}" }, { images: "image-policy.json" }],
      [
        { volumes: novolume, images: "{}" },
        { volumes: "novolume.conf", images: "image-policy.json" },
      ],
      // The new one replaces them all, however bad they are.
      [
        { config: "[push]\n", volumes: "?", images: "?" },
        { push: "new.toml" },
      ],
    ] as const
  ) {
    withFiles(texts, (files) =>
      assertEquals(
        sections(loadConfig(undefined, files)),
        expected,
        JSON.stringify(texts),
      ));
  }
});

Deno.test("load: --config names the file, and its form", () => {
  withFiles(
    { config: "[volumes]\n", images: '{"whitelist":["^a:"]}' },
    (files, directory) => {
      assertEquals(sections(loadConfig(files.config)), {
        volumes: "new.toml",
      });
      assertEquals(
        sections(loadConfig(files.old.images)),
        { images: "image-policy.json" },
      );
      assertEquals(
        (problems(() => loadConfig(`${directory}/missing.toml`)))[0]
          .startsWith("can't be read: "),
        true,
      );
    },
  );
});

Deno.test("load: a file that is there and can't be read is a mistake", () => {
  withFiles({ volumes: "[docker-novolume-plugin]\n" }, (files) => {
    Deno.symlinkSync("/nowhere/at/all", files.config);
    const [problem, ...others] = problems(() => loadConfig(undefined, files));
    assertEquals(problem.startsWith("can't be read: "), true);
    assertEquals(others, []);
  });
  withFiles({}, (files) => {
    Deno.mkdirSync(files.config);
    assertThrows(() => loadConfig(undefined, files), ConfigError);
  });
});

Deno.test("load: bytes that are not UTF-8, and a byte order mark", () => {
  withFiles({}, (files) => {
    const write = (...parts: (string | number)[]) =>
      Deno.writeFileSync(
        files.config,
        Uint8Array.from(parts.flatMap((part) =>
          typeof part === "string" ? [...new TextEncoder().encode(part)] : part
        )),
      );
    write("[volumes]\n# Ä ", 0xe4, "\nenforce = true # ", 0xff, "\n");
    const notUtf8 = "not UTF-8: save the file in that encoding";
    assertEquals(problems(() => loadConfig(files.config)), [
      `2:5: ${notUtf8}`,
      `3:18: ${notUtf8}`,
    ]);
    write(0xef, 0xbb, 0xbf, "[volumes]\n");
    assertEquals(sections(loadConfig(files.config)), { volumes: "new.toml" });
    write(0xef, 0xbb, 0xbf, "volume = 1\n");
    assertEquals(
      problems(() => loadConfig(files.config))[0].slice(0, 4),
      "1:1:",
    );
  });
});

Deno.test("load: the old file of volumes holds nothing else", () => {
  withFiles(
    { volumes: "[images]\n[docker-novolume-plugin]\nallow-user = 1\n" },
    (files) =>
      assertEquals(problems(() => loadConfig(undefined, files)), [
        "1:2: [images] does not belong here: write it to " +
        "/etc/docker/docker-policy-plugin.toml",
        '3:1: allow-user is 1: expected a list of strings, such as ["one", "two"]',
      ]),
  );
});

Deno.test("load: a file without a section is a mistake, unless it says so", () => {
  const none = "it has no section, so that nothing would be enforced: write " +
    "[volumes], [images], [push] or [privileges], or enforce-nothing = true " +
    "if that is meant";
  for (
    const [text, expected] of [
      ["", [none]],
      ["# [volumes]\n", [none]],
      ["enforce-nothing = false", [none]],
      ["enforce-nothing = 1", [
        "enforce-nothing is 1: expected true or false",
      ]],
      ["enforce-nothing = true\n[push]", [
        "enforce-nothing = true goes with no section: remove it, or all sections",
      ]],
    ] as [string, string[]][]
  ) {
    const error: ConfigError = assertThrows(
      () => parseConfig("x.toml", text),
      ConfigError,
    );
    assertEquals(error.problems.map(({ message }) => message), expected);
  }
  assertEquals(parseConfig("x.toml", "enforce-nothing = true"), {});
  const { push } = parseConfig("x.toml", "enforce-nothing = false\n[push]");
  assertEquals(push?.enforce, true);
});
