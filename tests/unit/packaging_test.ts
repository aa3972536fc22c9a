/** What the packages bring that a program can read: the example of a config file, and the man page. */

import type { Config } from "../../lib/config/config.ts";
import { loadConfig, parseConfig } from "../../lib/config/load.ts";
import { HELP } from "../../lib/cli/args.ts";
import { Metrics } from "../../lib/metrics.ts";
import { STANDING } from "./standing.ts";
import project from "../../deno.json" with { type: "json" };
import { assert, assertEquals } from "@std/assert";

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

Deno.test("the man page tells of every option, key and count", () => {
  const page = Deno.readTextFileSync(`${ROOT}man/${NAME}.8.md`);
  const words = [
    ...HELP.matchAll(/--[a-z-]+/g),
    ...uncommented().matchAll(/^[a-z-]+(?= =)/gm),
    ...new Metrics().format(STANDING)
      .matchAll(/(?<=# HELP )\S+/g),
  ].map(([word]) => word);
  assert(words.length > 30, words.join(" "));
  assertEquals([...new Set(words)].filter((word) => !page.includes(word)), []);
});
