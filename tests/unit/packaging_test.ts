/** What the packages bring that a program can read: the example of a config file, and the man page. */

import type { Config } from "../../lib/config/config.ts";
import { loadConfig, parseConfig } from "../../lib/config/load.ts";
import { showConfig } from "../../lib/config/show.ts";
import { HELP } from "../../lib/cli/args.ts";
import { Metrics } from "../../lib/metrics.ts";
import { STANDING } from "./standing.ts";
import project from "../../deno.json" with { type: "json" };
import { assert, assertEquals, assertThrows } from "@std/assert";

const ROOT = new URL("../../", import.meta.url).pathname;
const NAME = project.name;
const CONFIG = `${ROOT}packaging/${NAME}.toml`;

/** The policies without what only says where they come from. */
function policies(config: Config): unknown {
  const { volumes, push, ...rest } = config;
  return {
    ...rest,
    volumes: { ...volumes, file: undefined },
    push: { ...push, file: undefined },
  };
}

Deno.test("the example of a config file means the same as no file", async () => {
  const nowhere = "/nonexistent";
  const without = await loadConfig(undefined, {
    config: nowhere,
    old: { volumes: nowhere, images: nowhere },
  });
  assertEquals(
    policies(await parseConfig("example", Deno.readTextFileSync(CONFIG))),
    policies(without),
  );
});

/** The example with all its keys in force. */
function uncommented(): string {
  return Deno.readTextFileSync(CONFIG).replace(/^#(?=\S)/gm, "");
}

Deno.test("what it comments out can be followed, and is the default", async () => {
  const all = await parseConfig("example", uncommented());
  const none = await parseConfig(
    "example",
    "[volumes]\n[images]\n[push]\n[privileges]\n",
  );
  const { allowBind, ...volumes } = all.volumes!;
  const { whitelist, blacklist, ...images } = all.images!;
  assertEquals(
    [
      allowBind?.length,
      whitelist.length,
      blacklist.length,
    ],
    [2, 2, 1],
  );
  const { whitelist: _w, blacklist: _b, ...noImages } = none.images!;
  assertEquals(
    {
      ...{ volumes, images, push: all.push, privileges: all.privileges },
    } as unknown,
    {
      ...{ volumes: none.volumes, images: noImages, push: none.push },
      privileges: none.privileges,
    },
  );
});

Deno.test("docker-policy-plugin(8) tells of every option and count", () => {
  const page = Deno.readTextFileSync(`${ROOT}man/${NAME}.8.md`);
  const words = [
    ...HELP.matchAll(/--[a-z-]+/g),
    ...new Metrics().format(STANDING)
      .matchAll(/(?<=# HELP )\S+/g),
  ].map(([word]) => word);
  assert(words.length > 20, words.join(" "));
  assertEquals([...new Set(words)].filter((word) => !page.includes(word)), []);
});

/** The keys that a section can have, as the reader of the file tells them. */
function keysOf(section: string): string[] {
  const { message } = assertThrows(() =>
    parseConfig("x", `[${section}]\nno-such-key = 1\n`)
  ) as Error;
  return / expected one of (.*)$/m.exec(message)![1].split(", ");
}

const SECTIONS = ["volumes", "images", "push", "privileges"];
const COMMON = keysOf("docker-novolume-plugin");

Deno.test("docker-policy-plugin.toml(5) has every key under its section, with its default", () => {
  const page = Deno.readTextFileSync(`${ROOT}man/${NAME}.toml.5.md`);
  const chapters = Object.fromEntries(
    page.split(/^# /m).map((chapter) => {
      const [title] = chapter.split("\n", 1);
      const keys = [...chapter.matchAll(/^\*\*([a-z-]+)\*\* \((.*)\)$/gm)]
        .map(([, key, default_]) => [key, default_]);
      return [title, Object.fromEntries(keys) as Record<string, string>];
    }),
  );
  assertEquals(Object.keys(chapters["DESCRIPTION"]), ["enforce-nothing"]);
  const all = parseConfig(
    "x",
    SECTIONS.map((section) => `[${section}]\n`).join(""),
  );
  const defaults = showConfig(all);
  for (const [title, keys] of Object.entries(chapters)) {
    const section = /^\[(.*)\]$/.exec(title)?.[1];
    const common = title === "KEYS OF EVERY SECTION";
    if (!section && !common) continue;
    assertEquals(
      Object.keys(keys).sort(),
      (section
        ? keysOf(section).filter((key) => !COMMON.includes(key))
        : COMMON).toSorted(),
    );
    for (const [key, told] of Object.entries(keys)) {
      // Those have no value of their own.
      if (/^default: (as|not given)\b/.test(told)) continue;
      const { [key]: value = [] } = defaults[section ?? "volumes"];
      const text = JSON.stringify(value).replaceAll(",", ", ");
      assertEquals(`${key} ${told}`, `${key} default \`${text}\``);
    }
  }
  for (const section of SECTIONS) assert(chapters[`[${section}]`], section);
});

Deno.test("docs/configure.md and docs/privileges.md have every key", () => {
  const configure = Deno.readTextFileSync(`${ROOT}docs/configure.md`);
  const privileges = Deno.readTextFileSync(`${ROOT}docs/privileges.md`);
  for (const section of SECTIONS) {
    const start = configure.indexOf(`\n[${section}]\n`);
    const end = configure.slice(start).search(/\n\n|\n```/);
    const example = configure.slice(start, start + end);
    for (const key of keysOf(section)) {
      assert(
        new RegExp(`^ +(# )?${key} = `, "m").test(example),
        `docs/configure.md: [${section}] lacks ${key}`,
      );
      if (section !== "privileges") continue;
      assert(
        privileges.includes(`\`${key}`),
        `docs/privileges.md lacks ${key}`,
      );
    }
  }
});
