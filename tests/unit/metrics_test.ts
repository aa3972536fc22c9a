import { assertEquals, assertMatch } from "@std/assert";
import { Metrics } from "../../lib/metrics.ts";
import { whyNo } from "../helpers/programs.ts";
import { STANDING as WELL } from "./standing.ts";
import { unless } from "../helpers/unless.ts";

const STANDING = { ...WELL, generation: 4, reloaded: false, left: 7 };

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
  metrics.acted("stopped");
  metrics.acted("stopped");
  metrics.taskRemoved("s1");
  metrics.taskRemoved("s1");

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
      'docker_policy_containers_undone_total{deed="removed"} 0',
      'docker_policy_containers_undone_total{deed="stopped"} 2',
      'docker_policy_tasks_removed_total{service_id="s1"} 2',
      "docker_policy_following_events 1",
      "docker_policy_containers_left_alone 7",
      "docker_policy_config_generation 4",
      "docker_policy_config_last_reload_successful 0",
      'docker_policy_section{section="volumes",state="enforced"} 1',
      'docker_policy_section{section="volumes",state="off"} 0',
      'docker_policy_section{section="images",state="tried_out"} 1',
      'docker_policy_section{section="push",state="off"} 1',
      'docker_policy_monitor_served{address="127.0.0.1:5006"} 1',
      "docker_policy_audit_lost_total 0",
    ]
  ) assertEquals(lines.includes(line), true, line);
  assertMatch(
    lines.at(-2) ?? "",
    /^docker_policy_build_info\{version="1\.2\.3",deno="[\d.]+"\} 1$/,
  );
});

Deno.test("metrics: a stranger's services do not fill the memory", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 1100; i++) metrics.taskRemoved(`s${i}`);
  metrics.taskRemoved("s0");
  const lines = metrics.format(STANDING).split("\n")
    .filter((line) => line.startsWith("docker_policy_tasks_removed_total{"));
  assertEquals(lines.length, 1001);
  assertEquals(lines[0].endsWith(" 2"), true, lines[0]);
  assertEquals(
    lines.at(-1),
    'docker_policy_tasks_removed_total{service_id="others"} 100',
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
    metrics.taskRemoved("s1");
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
