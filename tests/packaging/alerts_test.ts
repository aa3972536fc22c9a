/** The alerts for Prometheus: promtool can read them, they fire when they should, and what they ask for is counted. */

import { Metrics } from "../../lib/metrics.ts";
import { must, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { assert, assertEquals } from "../engine/verdict.ts";
import { STANDING } from "../unit/standing.ts";

const ALERTS = new URL(
  "../../packaging/prometheus/alerts.yml",
  import.meta.url,
).pathname;
const TESTS = new URL("alerts.test.yml", import.meta.url).pathname;
const noTool = await whyNo({ promtool: "prometheus" });

Deno.test(unless(noTool, {
  name: "alerts: promtool can read them, and they fire when they should",
  fn: async () => {
    const checked = await must(["promtool", "check", "rules", ALERTS]);
    assert(checked.includes("SUCCESS"), checked);
    const tested = await must(["promtool", "test", "rules", TESTS]);
    assert(tested.includes("SUCCESS"), tested);
  },
}));

Deno.test("alerts: each has a test, and what it asks for is counted", async () => {
  const alerts = await Deno.readTextFile(ALERTS);
  const tests = await Deno.readTextFile(TESTS);
  for (const [, name] of alerts.matchAll(/- alert: (\w+)/g)) {
    const times = tests.split(`alertname: ${name}`).length - 1;
    assertEquals(times, 2, name);
  }
  const counts = new Metrics().format(STANDING);
  for (const [name] of alerts.matchAll(/docker_policy_\w+/g)) {
    assert(counts.includes(`# TYPE ${name} `), name);
  }
});
