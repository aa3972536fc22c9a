import { assertEquals, assertMatch } from "@std/assert";
import { Metrics } from "../../lib/metrics.ts";
import { whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";

const STANDING = { version: "1.2.3", generation: 4, reloaded: false };

Deno.test("metrics: what was decided and asked, in Prometheus's text format", () => {
  const metrics = new Metrics();
  for (const seconds of [0.0004, 0.03, 60]) {
    metrics.decided({ endpoint: "other", verdict: "allow", rule: "", seconds });
  }
  metrics.decided({
    endpoint: "container create",
    verdict: "deny",
    rule: "volumes/named",
    seconds: 0.002,
  });
  metrics.asked("ok", 0.001);
  metrics.asked("failed", 5);

  const lines = metrics.format(STANDING).split("\n");
  for (
    const line of [
      'docker_policy_decisions_total{endpoint="other",verdict="allow",rule=""} 3',
      'docker_policy_decisions_total{endpoint="container create",verdict="deny",rule="volumes/named"} 1',
      'docker_policy_decision_duration_seconds_bucket{le="0.0001"} 0',
      'docker_policy_decision_duration_seconds_bucket{le="0.0005"} 1',
      'docker_policy_decision_duration_seconds_bucket{le="0.05"} 3',
      'docker_policy_decision_duration_seconds_bucket{le="5"} 3',
      'docker_policy_decision_duration_seconds_bucket{le="+Inf"} 4',
      "docker_policy_decision_duration_seconds_count 4",
      'docker_policy_engine_requests_total{result="ok"} 1',
      'docker_policy_engine_requests_total{result="not_found"} 0',
      'docker_policy_engine_requests_total{result="failed"} 1',
      "docker_policy_config_generation 4",
      "docker_policy_config_last_reload_successful 0",
    ]
  ) assertEquals(lines.includes(line), true, line);
  assertMatch(
    lines.at(-2) ?? "",
    /^docker_policy_build_info\{version="1\.2\.3",deno="[\d.]+"\} 1$/,
  );
});

Deno.test(unless(await whyNo({ promtool: "prometheus" }), {
  name: "metrics: promtool has nothing against them",
  async fn() {
    const metrics = new Metrics();
    metrics.decided({
      endpoint: "image push",
      verdict: "would_deny",
      rule: "push/rhel",
      seconds: 0.01,
    });
    metrics.asked("not_found", 0.01);
    const check = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdin = check.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(metrics.format(STANDING)));
    await stdin.close();
    const { code, stdout, stderr } = await check.output();
    const said = new TextDecoder().decode(stdout) +
      new TextDecoder().decode(stderr);
    assertEquals({ code, said }, { code: 0, said: "" });
  },
}));
