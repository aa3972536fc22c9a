/**
 * Everything at once: creates, starts, renames, links, tags, builds, services,
 * and restarts of plugin and engine, by exempt users and others. In the end
 * nothing forbidden is there, and nothing innocent is lost.
 *
 * `STORM` is how long it lasts, in seconds (20); `SEED` repeats the choices of
 * another run, though not their timing.
 */

import { eventually } from "../../helpers/waiting.ts";
import {
  hasVolume,
  type Host,
  hostTest,
  type User,
} from "./third_line/host.ts";
import { hold } from "./third_line/held.ts";
import { build } from "./third_line/builds.ts";
import { createService, service, startOwnSwarm } from "./third_line/swarm.ts";
import { BY_LIST } from "./third_line/names.ts";
import { sleep } from "../../helpers/programs.ts";
import { assert, assertEquals } from "../verdict.ts";

const DURATION = Number(Deno.env.get("STORM") ?? 20) * 1000;
const SEED = Number(Deno.env.get("SEED") ?? Date.now() % 1_000_000);

/** More containers of one user than this, and he removes some. */
const MANY = 12;

/**
 * How much more memory the plugin may have in the end than in the middle, in
 * kB.
 */
const MORE_MEMORY = 60_000;

/** How large what it keeps may be, in bytes. */
const STATE_SIZE = 64 * 1024;

/** Random numbers that can be had again (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** What must be there in the end. */
interface Innocent {
  /** Containers whose making was answered, and that nobody removed. */
  containers: Set<string>;
  /** Services of the exempt user. */
  services: Set<string>;
}

/** Does random things until it is over; what fails meanwhile is no matter. */
class Actor {
  #own: string[] = [];
  #at = 0;

  constructor(
    private readonly host: Host,
    private readonly name: string,
    private readonly user: () => User,
    private readonly isExempt: boolean,
    private readonly innocent: Innocent,
    private readonly random: () => number,
  ) {}

  async act(end: number): Promise<void> {
    while (Date.now() < end) {
      await this.#step().catch(() => {});
      await sleep(this.random() * 100);
    }
  }

  async #step(): Promise<void> {
    const fresh = `${this.name}-${this.#at++}`;
    const steps: [weight: number, () => Promise<unknown>][] = [
      [6, () => this.#create(fresh, "plain:1", false)],
      [6, () => this.#create(fresh, "plain:1", true)],
      [4, () => this.#create(fresh, "race:1", true)],
      [4, () => this.#create(fresh, "vol:1", true)],
      [6, () => this.#call("POST", `/containers/${this.#any()}/start`)],
      [2, () => this.#call("POST", `/containers/${this.#any()}/restart?t=0`)],
      [2, () => this.#call("POST", `/containers/stood/start`, true)],
      [4, () => this.#rename()],
      [4, () => this.#tag()],
      [this.isExempt ? 0 : 4, () => this.#heldStart(fresh)],
      [this.isExempt ? 0 : 1, () => this.#build()],
      [1, () => this.#service(fresh)],
      [4, () => this.#remove()],
    ];
    let at = this.random() * steps.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, step] of steps) {
      at -= weight;
      if (at < 0) {
        await step();
        return;
      }
    }
  }

  /** One of his containers. */
  #any(): string {
    return this.#own[Math.floor(this.random() * this.#own.length)] ?? "none";
  }

  async #call(method: string, path: string, unlessExempt = false) {
    if (unlessExempt && this.isExempt) return;
    return await this.user().api(method, path);
  }

  async #create(name: string, image: string, isBad: boolean): Promise<void> {
    if (this.#own.length > MANY) await this.#remove();
    const HostConfig = {
      ...isBad && { Binds: [`${name}-data:/x`] },
      ...this.random() < 0.3 && { RestartPolicy: { Name: "always" } },
    };
    const asked = image === "race:1" && !this.isExempt ? {} : HostConfig;
    const answer = await this.user().api(
      "POST",
      `/containers/create?name=${name}`,
      { Image: image, HostConfig: asked },
    );
    if (answer.status !== 201) return;
    const { Id } = answer.json<{ Id: string }>();
    // What others made of a tag that moved may be anything.
    if (this.isExempt || image === "plain:1" && !isBad) {
      this.innocent.containers.add(Id);
    }
    this.#own.push(Id);
    if (this.random() < 0.6) {
      await this.user().api("POST", `/containers/${Id}/start`);
    }
  }

  async #rename(): Promise<void> {
    // Only of what stands still: a bridge is missing here.
    await this.user().api(
      "POST",
      `/containers/${this.#any()}/rename?name=${this.name}-r${this.#at++}`,
    );
  }

  async #tag(): Promise<void> {
    const image = this.random() < 0.5 ? "plain:1" : "vol:1";
    await this.user().api("POST", `/images/${image}/tag?repo=race&tag=1`);
  }

  async #heldStart(name: string): Promise<void> {
    const held = await hold(
      this.user().socket,
      "POST",
      `/containers/${name}/a/start`,
    );
    const bad = this.random() < 0.5 ? "stood" : this.#any();
    const answer = await this.user().api(
      "POST",
      `/containers/create?name=${name}`,
      { Image: "plain:1", HostConfig: { Links: [`${bad}:a`] } },
    );
    await held.finish();
    if (answer.status === 201) {
      this.innocent.containers.add(answer.json<{ Id: string }>().Id);
      this.#own.push(answer.json<{ Id: string }>().Id);
    }
  }

  async #build(): Promise<void> {
    await build(
      this.host,
      this.user(),
      [
        "FROM plain:1",
        "VOLUME /scratch",
        "RUN sleep 1",
        ...this.random() < 0.5 ? ["RUN false"] : [],
      ],
      this.random() < 0.5 ? "rm=0" : "",
    );
  }

  async #service(name: string): Promise<void> {
    const answer = await createService(
      this.user(),
      service(name, this.random() < 0.5 ? "plain:1" : "race:1", {
        mounts: this.isExempt
          ? [{ Type: "volume", Source: `${name}-data`, Target: "/x" }]
          : [],
      }),
    );
    if (answer.status !== 201) return;
    const { ID } = answer.json<{ ID: string }>();
    if (this.isExempt && this.innocent.services.size < 3) {
      this.innocent.services.add(ID);
    } else {
      await sleep(1000);
      await this.user().api("DELETE", `/services/${ID}`);
    }
  }

  async #remove(): Promise<void> {
    const [id] = this.#own.splice(
      Math.floor(this.random() * this.#own.length),
      1,
    );
    if (!id) return;
    // It may be removed even if the answer gets lost.
    this.innocent.containers.delete(id);
    await this.user().api("DELETE", `/containers/${id}?force=1&v=1`);
  }
}

hostTest("a storm", async (t, host) => {
  console.log(`SEED=${SEED} STORM=${DURATION / 1000}`);
  const random = randomOf(SEED);
  const { h } = host;
  await host.image("plain:1");
  await host.image("vol:1", { changes: ["VOLUME /data"] });
  await h.must("tag", "plain:1", "race:1");
  await h.must("volume", "create", "kept");
  const ran = await h.must(
    ...["run", "-d", "--name=ran", "--restart=always", "-v", "ran-data:/x"],
    "plain:1",
  );
  const stood = await h.must(
    ...["create", "--name=stood", "-v", "stood-data:/x", "plain:1"],
  );
  const before = (await host.things()).volumes;
  await startOwnSwarm(host);
  await host.guard('[volumes]\nallow-user = ["dwalsh"]\n');

  const innocent: Innocent = {
    containers: new Set([ran, stood]),
    services: new Set(),
  };
  const actors = [
    ["eve", false],
    ["dwalsh", true],
    ["", false],
    ["", false],
  ] as const;
  const end = Date.now() + DURATION;
  const storming = Promise.all(actors.map(([name, isExempt], at) =>
    new Actor(
      host,
      `${name || "nobody"}${at}`,
      () => name === "" ? host.stranger : host.as(name),
      isExempt,
      innocent,
      randomOf(SEED + at + 1),
    ).act(end)
  ));

  let middle = 0;
  await t.step("goes on", async () => {
    // In the second half the plugin runs through, so that its memory can be
    // told.
    const half = Date.now() + DURATION / 2;
    while (Date.now() < half) {
      await sleep(DURATION / 10);
      const which = random();
      if (which < 0.3) await host.restartPlugin();
      else if (which < 0.6) await host.crashPlugin();
      else await host.reboot();
    }
    middle = await memoryOf(host);
    if (DURATION > 100_000) {
      await sleep(DURATION / 4);
      await host.reboot();
    }
    await storming;
  });
  await t.step("leaves nothing forbidden", async () => {
    await eventually("only what is innocent has volumes", async () => {
      const bad = await forbidden(host, innocent, before);
      return bad.length === 0;
    }, BY_LIST).catch(async (error) => {
      const bad = await forbidden(host, innocent, before);
      throw new Error(`${error.message}: ${bad.join("\n")}`);
    });
  });
  await t.step("takes nothing innocent", async () => {
    const { containers, volumes } = await host.things();
    const there = new Set(containers.map(({ Id }) => Id));
    const lost = [...innocent.containers].filter((id) => !there.has(id));
    assertEquals(lost, []);
    for (const name of before) assert(volumes.includes(name), name);
    assertEquals((await host.listed("ran"))?.State, "running");
    const services = (await h.api("GET", "/services")).json<
      { ID: string; Spec: { Mode: { Replicated: { Replicas: number } } } }[]
    >();
    for (const id of innocent.services) {
      const { Spec } = services.find(({ ID }) => ID === id) ?? {};
      assertEquals(Spec?.Mode.Replicated.Replicas, 1, id);
    }
  });
  await t.step("leaves the plugin as it was", async () => {
    const now = await memoryOf(host);
    assert(now < middle + MORE_MEMORY, `${middle} kB before, ${now} kB now`);
    await eventually("it has forgotten what is gone", async () => {
      const { containers, volumes } = await host.things();
      const known = new Set([...containers.map(({ Id }) => Id), ...volumes]);
      const kept = await stateOf(host);
      return kept.length < STATE_SIZE &&
        (kept.match(/\b[0-9a-f]{64}\b/g) ?? []).every((id) => known.has(id));
    }, BY_LIST);
    assert(/^HEALTHY \(/.test((await host.monitor("/health")).body));
  });
}, { users: ["dwalsh", "eve"] });

/** What is there and must not be. */
async function forbidden(
  host: Host,
  innocent: Innocent,
  before: string[],
): Promise<string[]> {
  const { containers, volumes } = await host.things();
  // A name that begins so is the exempt user's: an answer that got lost, or a
  // removal, may have left it.
  const right = containers.filter(({ Id, Labels, Names }) =>
    innocent.containers.has(Id) ||
    Names.some((name) => name.startsWith("/dwalsh")) ||
    innocent.services.has(Labels["com.docker.swarm.service.id"])
  );
  const bad = containers.filter((each) =>
    hasVolume(each) && !right.includes(each)
  ).map(({ Id, Names, Image }) => `${Id.slice(0, 12)} ${Names} ${Image}`);
  const used = new Set(
    right.flatMap(({ Mounts }) => Mounts.map(({ Name }) => Name)),
  );
  const free = volumes.filter((name) =>
    !used.has(name) && !before.includes(name) &&
    // His named ones stay when he removes a container.
    !name.startsWith("dwalsh")
  );
  const runs = containers.find(({ Names }) => Names.includes("/stood"))
    ?.State === "running";
  return [...bad, ...free, ...runs ? ["stood runs"] : []];
}

/** How much memory the plugin's process has, in kB. */
async function memoryOf(host: Host): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${host.h.plugin?.pid}/status`);
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

/** What the plugin keeps between its starts. */
async function stateOf(host: Host): Promise<string> {
  let text = "";
  for await (const { name, isFile } of Deno.readDir(`${host.h.dir}/state`)) {
    if (isFile) text += await Deno.readTextFile(`${host.h.dir}/state/${name}`);
  }
  return text;
}
