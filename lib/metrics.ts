/**
 * What the plugin counts, in the text format of Prometheus
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * There is no client library: it would be the largest thing that the plugin
 * loads, for two additions at each API call.
 *
 * @module
 */

/** What became of an API call. */
export interface Observation {
  /** The row of the endpoint table, or `other`. */
  endpoint: string;
  verdict: "allow" | "deny" | "would_deny";
  /** The rule that refused; empty if none did. */
  rule: string;
  /** How long the verdict took. */
  seconds: number;
}

/** What the second or the third line did to a container. */
export type Deed =
  | "removed"
  | "task_removed"
  | "stopped"
  | "would_be_removed"
  | "would_be_stopped"
  | "failed";

type Verdicts = Record<Observation["verdict"], number>;

/** The state of the plugin when its metrics are read. */
export interface Standing {
  version: string;
  /** How often settings were taken over, the start included. */
  generation: number;
  /** Whether the last attempt to do so succeeded. */
  reloaded: boolean;
  /** Whether the third line looks at what the host has. */
  following: boolean;
  /** How many containers are left alone that a policy refuses. */
  left: number;
  /** What each policy does. */
  states: readonly (readonly [name: string, state: string])[];
  /** The addresses of the monitor API, and whether each is served. */
  monitors: readonly (readonly [address: string, isServed: boolean])[];
  /** How many events the audit log has lost. */
  auditLost: number;
}

/** What a policy may do. */
const STATES = ["enforced", "tried out", "off"];

/** As many services are counted by themselves. */
const SERVICES = 1000;

/** Upper bounds of the histograms' buckets, in seconds. */
const BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

class Histogram {
  readonly #counts = new Array<number>(BUCKETS.length).fill(0);
  #count = 0;
  #sum = 0;

  observe(seconds: number): void {
    this.#count++;
    this.#sum += seconds;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#counts[bucket]++;
  }

  *lines(name: string): Generator<string> {
    let below = 0;
    for (const [at, bound] of BUCKETS.entries()) {
      below += this.#counts[at];
      yield `${name}_bucket{le="${bound}"} ${below}`;
    }
    yield `${name}_bucket{le="+Inf"} ${this.#count}`;
    yield `${name}_sum ${this.#sum}`;
    yield `${name}_count ${this.#count}`;
  }
}

/** The counts since the start. */
export class Metrics {
  /** By endpoint and rule, and then by verdict. */
  readonly #decisions = new Map<string, Map<string, Verdicts>>();
  readonly #latency = new Histogram();
  readonly #asked = { ok: 0, not_found: 0, failed: 0 };
  readonly #askLatency = new Histogram();
  readonly #deeds: Record<Deed, number> = {
    removed: 0,
    task_removed: 0,
    stopped: 0,
    would_be_removed: 0,
    would_be_stopped: 0,
    failed: 0,
  };
  readonly #services = new Map<string, number>();

  /**
   * Counts a verdict.
   *
   * @param observation What became of an API call.
   */
  decided({ endpoint, verdict, rule, seconds }: Observation): void {
    let rules = this.#decisions.get(endpoint);
    if (!rules) this.#decisions.set(endpoint, rules = new Map());
    let verdicts = rules.get(rule);
    if (!verdicts) {
      rules.set(rule, verdicts = { allow: 0, deny: 0, would_deny: 0 });
    }
    verdicts[verdict]++;
    this.#latency.observe(seconds);
  }

  /**
   * Counts a question to the engine.
   *
   * @param result What came of it.
   * @param seconds How long it took.
   */
  asked(result: "ok" | "not_found" | "failed", seconds: number): void {
    this.#asked[result]++;
    this.#askLatency.observe(seconds);
  }

  /** @param deed What the second or the third line did to a container. */
  acted(deed: Deed): void {
    this.#deeds[deed]++;
  }

  /** @param service ID of a service of which a task was removed. */
  taskRemoved(service: string): void {
    const isKnown = this.#services.has(service);
    const name = isKnown || this.#services.size < SERVICES ? service : "others";
    this.#services.set(name, (this.#services.get(name) ?? 0) + 1);
  }

  /**
   * Writes the counts.
   *
   * @param standing The state of the plugin now.
   * @returns The text format.
   */
  format(standing: Standing): string {
    return [...this.#lines(standing)].join("\n") + "\n";
  }

  *#lines(standing: Standing): Generator<string> {
    yield* this.#callLines();
    yield* this.#containerLines(standing);
    yield* programLines(standing);
  }

  /** Of the engine's calls, and of ours to it. */
  *#callLines(): Generator<string> {
    const decisions = "docker_policy_decisions_total";
    yield* head(decisions, "counter", "Verdicts on calls of the engine's API.");
    for (const [endpoint, rules] of this.#decisions) {
      for (const [rule, verdicts] of rules) {
        for (const [verdict, count] of Object.entries(verdicts)) {
          if (count === 0) continue;
          // All three are names from the source: no client can write into them.
          yield `${decisions}{endpoint="${endpoint}",verdict="${verdict}",` +
            `rule="${rule}"} ${count}`;
        }
      }
    }
    const latency = "docker_policy_decision_duration_seconds";
    yield* head(latency, "histogram", "Time that a verdict took.");
    yield* this.#latency.lines(latency);

    const asked = "docker_policy_engine_requests_total";
    yield* head(asked, "counter", "Questions to the engine, by their result.");
    for (const [result, count] of Object.entries(this.#asked)) {
      yield `${asked}{result="${result}"} ${count}`;
    }
    const askLatency = "docker_policy_engine_request_duration_seconds";
    yield* head(
      askLatency,
      "histogram",
      "Time that the engine took to answer.",
    );
    yield* this.#askLatency.lines(askLatency);
  }

  /** Of what the host has. */
  *#containerLines({ following, left }: Standing): Generator<string> {
    const deeds = "docker_policy_containers_undone_total";
    yield* head(
      deeds,
      "counter",
      "Containers that a policy refuses, by what was done to them.",
    );
    for (const [deed, count] of Object.entries(this.#deeds)) {
      yield `${deeds}{deed="${deed}"} ${count}`;
    }
    const tasks = "docker_policy_tasks_removed_total";
    yield* head(tasks, "counter", "Tasks that were removed, by service.");
    for (const [service, count] of this.#services) {
      yield `${tasks}{service_id="${service}"} ${count}`;
    }
    const follows = "docker_policy_following_events";
    yield* head(follows, "gauge", "Whether the host's containers are watched.");
    yield `${follows} ${Number(following)}`;
    const leftAlone = "docker_policy_containers_left_alone";
    yield* head(
      leftAlone,
      "gauge",
      "Refused containers that ran before, and are left alone.",
    );
    yield `${leftAlone} ${left}`;
  }
}

/** Of the settings, and of the program itself. */
function* programLines(standing: Standing): Generator<string> {
  const { version, generation, reloaded } = standing;
  const config = "docker_policy_config_generation";
  yield* head(config, "gauge", "Times that settings were taken over.");
  yield `${config} ${generation}`;
  const reload = "docker_policy_config_last_reload_successful";
  yield* head(reload, "gauge", "Whether the last settings were taken over.");
  yield `${reload} ${Number(reloaded)}`;

  const section = "docker_policy_section";
  yield* head(section, "gauge", "What a section's policy does.");
  for (const [name, state] of standing.states) {
    for (const each of STATES) {
      const label = each.replace(" ", "_");
      yield `${section}{section="${name}",state="${label}"} ` +
        Number(each === state);
    }
  }
  const monitor = "docker_policy_monitor_served";
  yield* head(monitor, "gauge", "Whether an address of this API is served.");
  for (const [address, isServed] of standing.monitors) {
    yield `${monitor}{address=${JSON.stringify(address)}} ${Number(isServed)}`;
  }
  const lost = "docker_policy_audit_lost_total";
  yield* head(lost, "counter", "Events that the audit log has lost.");
  yield `${lost} ${standing.auditLost}`;

  const build = "docker_policy_build_info";
  yield* head(build, "gauge", "What runs here.");
  yield `${build}{version="${version}",deno="${Deno.version.deno}"} 1`;
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}
