/** The lines, put together. */
import { assertEquals } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import { Settings } from "../../../lib/config/settings.ts";
import { openLog } from "../../../lib/log.ts";
import { Metrics } from "../../../lib/metrics.ts";
import { createLines } from "../../../lib/verdict/lines.ts";

Deno.test({
  name: "settings that are read again hold for the next call",
  // It follows an engine for as long as the process lives.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    let text = "[volumes]\n";
    const settings = Settings.open(() => parseConfig("settings.toml", text));
    const { firstLine } = createLines({
      settings,
      endpoint: { host: "unix:///nowhere", to: { path: "/nowhere" } },
      log: openLog({ debug: false, journal: false, format: "text" }, () => {}),
      metrics: new Metrics(),
      stateDirectory: undefined,
    });
    const build = async () => {
      const { allow } = await firstLine({
        user: "",
        method: "POST",
        uri: "/build",
        headers: {},
      });
      return allow;
    };
    // The timers of following don't keep a process alive.
    const alive = setInterval(() => {}, 1000);
    assertEquals(await build(), true);
    text = "[volumes]\nallow-classic-build = false\n";
    settings.reload();
    assertEquals(await build(), false);
    clearInterval(alive);
  },
});
