import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ConfigError } from "../../../lib/config/document.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { Settings } from "../../../lib/config/settings.ts";

Deno.test("settings: good ones are taken over, bad ones change nothing", () => {
  let text = "[volumes]";
  const settings = Settings.open(() => parseConfig("x.toml", text));
  assertEquals(settings.config.volumes?.enforce, true);
  assertEquals(settings.generation, 1);

  text = "[volumes]\nenforce = false";
  settings.reload();
  assertEquals(settings.config.volumes?.enforce, false);
  assertEquals(settings.generation, 2);
  assertEquals(settings.problem, undefined);

  text = "[volumes]\nenforce = 7";
  settings.reload();
  assertEquals(settings.config.volumes?.enforce, false);
  assertEquals(settings.generation, 2);
  assertMatch(settings.problem ?? "", /^x\.toml:2:1: enforce is 7: /);

  text = "[images]";
  settings.reload();
  assertEquals(Object.keys(settings.config), ["images"]);
  assertEquals([settings.generation, settings.problem], [3, undefined]);
});

Deno.test("settings: there is no start with bad ones", () => {
  assertThrows(
    () => Settings.open(() => parseConfig("x.toml", "[volume]")),
    ConfigError,
  );
});
