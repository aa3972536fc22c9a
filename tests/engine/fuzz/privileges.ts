/**
 * The target of attacks on the privilege policy: containers from before the
 * plugin that have what nobody may have, and one that has nothing.
 *
 * What got through is read from the engine's own inspect, by rules that are
 * written here again: the plugin's own would be wrong in the same places.
 */

import type { Harness, ServiceSpec } from "../harness.ts";
import { tar } from "../tar.ts";
import { CONFIGS } from "./corpus.ts";
import { seedsFor } from "./privilege_seeds.ts";
import { count, type Target } from "./target.ts";

/** Names of the containers from before. */
export type Victim =
  /** Never started; has a capability. */
  | "old-capable"
  /** Never started; has the root of the host. */
  | "old-bind"
  /** Runs, among the host's processes. */
  | "old-pid"
  /** Runs, and has nothing. */
  | "plain"
  /** Never started; has nothing. */
  | "idle";

/** The engine's state when no attack has got through. */
export interface World {
  h: Harness;
  guarded: boolean;
  containers: Record<Victim, string>;
  images: string[];
  volumes: string[];
  /** IDs of the execs that were looked at. */
  execs: Set<string>;
  /** A service without tasks, if the engine is in a swarm. */
  service?: { id: string; version: number };
}

/** The folder that bind mounts may come from. */
export const ALLOWED = "/srv";

/** What every container of the attacks runs. */
export const COMMAND = ["sleep", "600"];

/** The file that an archive brings. */
export const MARK = "written-by-an-attack";

/** What the containers from before have. */
const have = (h: Harness): Record<Victim, Record<string, unknown>> => ({
  "old-capable": { CapAdd: ["SYS_ADMIN"] },
  "old-bind": { Binds: [`${outside(h)}:/host`] },
  "old-pid": { PidMode: "host" },
  plain: {},
  idle: {},
});

/** A folder that no bind mount may come from. */
const outside = (h: Harness) => `${h.dir}/outside`;

const RUNS: readonly Victim[] = ["old-pid", "plain"];

/**
 * Makes the world on a fresh engine, and puts the plugin in front of it.
 *
 * @param h the engine, which no plugin guards yet
 * @returns the target
 */
export async function privilegesTarget(h: Harness): Promise<Target> {
  await h.image("plain:1");
  await Deno.mkdir(outside(h));
  const swarm = await h.api("POST", "/swarm/init", {
    ListenAddr: "127.0.0.1:2377",
    AdvertiseAddr: "127.0.0.1",
  });
  const containers = {} as World["containers"];
  for (const name of Object.keys(have(h)) as Victim[]) {
    containers[name] = await makeVictim(h, name);
  }
  const world: World = {
    h,
    guarded: true,
    containers,
    execs: new Set(),
    images: await imageIds(h),
    volumes: (await h.state()).volumes,
  };
  if (swarm.status === 200) world.service = await makeService(h);
  await h.guard({ config: CONFIGS.privileges });
  return {
    h,
    arsenal: "privileges",
    seeds: () => seedsFor(world),
    glance: async () =>
      `${await count(`${h.dir}/data/containers`)} ` +
      `${await count(`${h.dir}/data/volumes`)}`,
    inspectAndMend: async () => [
      ...await inspectContainers(world),
      ...await inspectVolumes(world),
      ...await inspectImages(world),
      ...await inspectServices(world),
    ],
    unguarded: (work) => unguarded(world, work),
    names: () =>
      new Map([
        ...Object.entries(world.containers).map(([name, id]) =>
          [`container ${name}`, id] as const
        ),
        ...world.service
          ? [
            ["service plain", world.service.id] as const,
            ["version plain", String(world.service.version)] as const,
          ]
          : [],
      ]),
  };
}

async function makeVictim(h: Harness, name: Victim): Promise<string> {
  const answer = await h.api("POST", `/containers/create?name=${name}`, {
    Image: "plain:1",
    Cmd: COMMAND,
    HostConfig: { NetworkMode: "none", ...have(h)[name] },
  });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.body}`);
  if (RUNS.includes(name)) {
    const started = await h.api("POST", `/containers/${name}/start`);
    if (started.status !== 204) throw new Error(`${name}: ${started.body}`);
  }
  return answer.json<{ Id: string }>().Id;
}

/**
 * The spec of a service that has no tasks, since each would cost a container.
 *
 * @param name of the service
 * @param container more of its ContainerSpec
 * @param task more of its TaskTemplate
 */
export function serviceSpec(
  name: string,
  container: Record<string, unknown> = {},
  task: Record<string, unknown> = {},
): ServiceSpec {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: "plain:1", Command: COMMAND, ...container },
      ...task,
    },
    Mode: { Replicated: { Replicas: 0 } },
  };
}

async function makeService(h: Harness): Promise<World["service"]> {
  const answer = await h.api("POST", "/services/create", {
    ...serviceSpec("svc-plain"),
  });
  if (answer.status !== 201) throw new Error(`svc-plain: ${answer.body}`);
  const { ID } = answer.json<{ ID: string }>();
  const { Version } = (await h.api("GET", `/services/${ID}`)).json<
    { Version: { Index: number } }
  >();
  return { id: ID, version: Version.Index };
}

/** Does something as if there were no plugin, also if there is none anyway. */
async function unguarded<T>(world: World, work: () => Promise<T>): Promise<T> {
  if (!world.guarded) return await work();
  world.guarded = false;
  try {
    return await world.h.withoutPlugin(work);
  } finally {
    world.guarded = true;
  }
}

async function imageIds(h: Harness): Promise<string[]> {
  return (await h.api("GET", "/images/json?all=1")).json<{ Id: string }[]>()
    .map(({ Id }) => Id);
}

/** A container's inspect, as far as it tells of privileges. */
interface Inspect {
  Id: string;
  Name: string;
  State: { Running: boolean };
  ExecIDs: string[] | null;
  HostConfig: Record<string, unknown>;
  Mounts: { Type: string; Source: string; Propagation?: string }[];
}

async function inspectContainers(world: World): Promise<string[]> {
  const { h, containers } = world;
  const found: string[] = [];
  const list = (await h.api("GET", "/containers/json?all=1")).json<
    { Id: string }[]
  >();
  for (const [name, id] of Object.entries(containers)) {
    if (list.some(({ Id }) => Id === id)) continue;
    throw new Error(`the attacks' container ${name} is gone`);
  }
  for (const { Id } of list) {
    const answer = await h.api("GET", `/containers/${Id}/json`);
    if (answer.status !== 200) continue;
    const inspect = answer.json<Inspect>();
    const [victim] = (Object.entries(containers) as [Victim, string][])
      .find(([, id]) => id === Id) ?? [];
    const bad = victim && victim !== "idle"
      ? await changedIn(world, victim, inspect)
      : forbiddenIn(inspect);
    if (bad.length > 0) found.push(`${inspect.Name} has ${bad.join(", ")}`);
    if (!victim) await h.api("DELETE", `/containers/${Id}?force=1&v=1`);
    else if (victim === "idle" && (bad.length > 0 || inspect.State.Running)) {
      await h.api("DELETE", `/containers/${Id}?force=1`);
      containers.idle = await makeVictim(h, victim);
    } else await mend(world, victim, inspect);
  }
  return found;
}

/** Not by making it anew: the plugin would take that away. */
async function mend(
  world: World,
  victim: Victim,
  { Id, Name, State, HostConfig, ExecIDs }: Inspect,
): Promise<void> {
  const { h } = world;
  for (const id of ExecIDs ?? []) world.execs.add(id);
  const calls: [path: string, body?: Record<string, unknown>][] = [];
  if (State.Running && !RUNS.includes(victim)) calls.push(["kill"]);
  if (!State.Running && RUNS.includes(victim)) calls.push(["start"]);
  if (Name !== `/${victim}`) calls.push([`rename?name=${victim}`]);
  if (restartOf(HostConfig) !== "no") {
    calls.push(["update", { RestartPolicy: { Name: "no" } }]);
  }
  if (calls.length === 0) return;
  await unguarded(world, async () => {
    for (const [path, body] of calls) {
      await h.api("POST", `/containers/${Id}/${path}`, body);
    }
  });
}

function restartOf(host: Record<string, unknown>): string {
  return (host.RestartPolicy as { Name: string }).Name || "no";
}

/** What was done to a container from before. */
async function changedIn(
  { h, execs: known }: World,
  victim: Victim,
  { State, ExecIDs, HostConfig, Name }: Inspect,
): Promise<string[]> {
  const found: string[] = [];
  const execs = await Promise.all(
    (ExecIDs ?? []).filter((id) => !known.has(id))
      .map((id) => h.api("GET", `/exec/${id}/json`)),
  );
  const isPrivileged = execs.some((answer) =>
    answer.status === 200 &&
    answer.json<{ ProcessConfig: { privileged?: boolean } }>().ProcessConfig
      .privileged
  );
  if (isPrivileged) found.push("a privileged exec");
  if (victim === "plain") return found;
  if (execs.length > 0) found.push("an exec");
  if (State.Running && !RUNS.includes(victim)) found.push("been started");
  if (Name !== `/${victim}`) found.push(`become ${Name}`);
  const restart = restartOf(HostConfig);
  if (restart !== "no") found.push(`the restart policy ${restart}`);
  const mark = `${outside(h)}/${MARK}`;
  if (victim === "old-bind" && await Deno.lstat(mark).catch(() => undefined)) {
    await Deno.remove(mark);
    found.push("been written to");
  }
  return found;
}

/** Capabilities that the engine gives every container. */
const ORDINARY = new Set(
  ("AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE " +
    "NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT").split(" "),
);

/** Whether a field says anything. */
function says(value: unknown): boolean {
  return Array.isArray(value)
    ? value.length > 0
    : typeof value === "object" && value !== null
    ? Object.keys(value).length > 0
    : Boolean(value);
}

/** Fields that say nothing in a container that has nothing. */
const EMPTY = [
  ...["Privileged", "Devices", "DeviceRequests", "DeviceCgroupRules"],
  ...["Sysctls", "CgroupParent", "OomKillDisable", "Annotations", "Cgroup"],
  ...["VolumesFrom", "Links", "CpuRealtimeRuntime", "CpuRealtimePeriod"],
];

/** What a new container has that it may not have. */
function forbiddenIn({ HostConfig: host, Mounts }: Inspect): string[] {
  const found = EMPTY.filter((field) => says(host[field]));
  const texts = (field: string) => (host[field] ?? []) as string[];
  const capabilities = texts("CapAdd").filter((name) =>
    !ORDINARY.has(name.toUpperCase().replace(/^CAP_/, ""))
  );
  if (capabilities.length > 0) found.push(`CapAdd ${capabilities}`);
  for (
    const field of ["PidMode", "NetworkMode", "IpcMode", "UTSMode"] as const
  ) {
    const mode = String(host[field] ?? "");
    if (mode === "host" || mode.startsWith("container:")) {
      found.push(`${field} ${mode}`);
    }
  }
  const options = texts("SecurityOpt").filter((option) =>
    /unconfined|disable|label|=f|:f|=0|:0|=F|:F|\{/.test(option)
  );
  if (options.length > 0) found.push(`SecurityOpt ${options}`);
  if (Array.isArray(host.MaskedPaths) && !says(host.MaskedPaths)) {
    found.push("no masked paths");
  }
  if (Array.isArray(host.ReadonlyPaths) && !says(host.ReadonlyPaths)) {
    found.push("no read-only paths");
  }
  if (!["", "runc"].includes(String(host.Runtime ?? ""))) found.push("Runtime");
  if (Number(host.OomScoreAdj ?? 0) < 0) found.push("OomScoreAdj");
  const { Type } = host.LogConfig as { Type: string };
  if (!["json-file", "local", "journald", "none"].includes(Type)) {
    found.push(`log driver ${Type}`);
  }
  const ulimits = (host.Ulimits ?? []) as { Name: string; Hard: number }[];
  if (
    ulimits.some(({ Name, Hard }) => /^(rtprio|nice)$/i.test(Name) && Hard)
  ) found.push("Ulimits");
  const tmpfs = Object.values((host.Tmpfs ?? {}) as Record<string, string>);
  if (tmpfs.some((each) => /(^|,)r?bind(,|$)/.test(each))) found.push("Tmpfs");
  for (const { Type, Source, Propagation } of Mounts) {
    if (
      Type === "bind" && !`${Source}/`.startsWith(`${ALLOWED}/`)
    ) found.push(`a bind mount of ${Source}`);
    if (/^r?shared$/.test(Propagation ?? "")) found.push(Propagation!);
    if (Type === "volume") found.push(`a volume of ${Source}`);
  }
  return found;
}

/** A volume that is anything but a folder of the engine's. */
async function inspectVolumes(world: World): Promise<string[]> {
  const { h } = world;
  const found: string[] = [];
  const { Volumes } = (await h.api("GET", "/volumes")).json<
    { Volumes: { Name: string; Driver: string; Options: unknown }[] | null }
  >();
  for (const { Name, Driver, Options } of Volumes ?? []) {
    if (world.volumes.includes(Name)) continue;
    const { device } = (Options ?? {}) as { device?: string };
    if (device !== undefined && device !== "tmpfs" || Driver !== "local") {
      found.push(`volume ${Name} is ${JSON.stringify(Options)}`);
    }
    await h.api("DELETE", `/volumes/${Name}?force=1`);
  }
  return found;
}

/** None of the calls may make one. */
async function inspectImages(world: World): Promise<string[]> {
  const made = (await imageIds(world.h))
    .filter((id) => !world.images.includes(id));
  for (const id of made) await world.h.api("DELETE", `/images/${id}?force=1`);
  return made.map((id) => `image ${id} was made`);
}

async function inspectServices(world: World): Promise<string[]> {
  const { h, service } = world;
  if (!service) return [];
  const answer = await h.api("GET", "/services");
  if (answer.status !== 200) throw new Error("the swarm is gone");
  const found: string[] = [];
  const list = answer.json<
    { ID: string; Version: { Index: number }; Spec: ServiceSpec }[]
  >();
  for (const { ID, Version, Spec } of list) {
    const bad = await forbiddenInSpec(h, Spec);
    if (bad.length > 0) found.push(`service ${Spec.Name} has ${bad.join()}`);
    if (ID === service.id && bad.length === 0) service.version = Version.Index;
    else {
      await h.api("DELETE", `/services/${ID}`);
      if (ID === service.id) {
        world.service = await unguarded(world, () => makeService(h));
      }
    }
  }
  return found;
}

async function forbiddenInSpec(
  h: Harness,
  { TaskTemplate: task, ...spec }: ServiceSpec,
): Promise<string[]> {
  const container = (task.ContainerSpec ?? {}) as Record<string, unknown>;
  const found = ["Sysctls"].filter((field) => says(container[field]));
  if (says(task.PluginSpec)) found.push("PluginSpec");
  const capabilities = (container.CapabilityAdd ?? []) as string[];
  if (
    capabilities.some((name) => !ORDINARY.has(name.replace(/^CAP_/, "")))
  ) found.push(`CapabilityAdd ${capabilities}`);
  if (Number(container.OomScoreAdj ?? 0) < 0) found.push("OomScoreAdj");
  const { SELinuxContext, Seccomp, AppArmor } = (container.Privileges ??
    {}) as Record<string, Record<string, unknown> | undefined>;
  if (SELinuxContext?.Disable || SELinuxContext?.Type) found.push("SELinux");
  if (!["", "default", undefined].includes(Seccomp?.Mode as string)) {
    found.push(`Seccomp ${Seccomp?.Mode}`);
  }
  if (!["", "default", undefined].includes(AppArmor?.Mode as string)) {
    found.push(`AppArmor ${AppArmor?.Mode}`);
  }
  const driver = (task.LogDriver ?? {}) as { Name?: string };
  if (
    !["", "json-file", "local", "journald", "none"].includes(driver.Name ?? "")
  ) found.push(`log driver ${driver.Name}`);
  const networks = [task.Networks, spec.Networks]
    .flatMap((list) => (list ?? []) as { Target: string }[]);
  for (const { Target } of networks) {
    const network = await h.api("GET", `/networks/${Target}`);
    const { Driver } = network.json<{ Driver?: string }>();
    if (Driver === "host") found.push("the host's network");
  }
  const mounts = (container.Mounts ?? []) as {
    Type?: string;
    Source?: string;
    BindOptions?: { Propagation?: string };
  }[];
  for (const { Type, Source, BindOptions } of mounts) {
    if (
      (Type ?? "bind") === "bind" &&
      !`${Source}/`.startsWith(`${ALLOWED}/`)
    ) found.push(`a bind mount of ${Source}`);
    if (/shared/.test(BindOptions?.Propagation ?? "")) found.push("shared");
    if (Type === "volume") found.push("a volume");
  }
  return found;
}

/** An archive with one file. */
export function archive(): Uint8Array {
  return tar([{ path: MARK, content: new Uint8Array() }]);
}
