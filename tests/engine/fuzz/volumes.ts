/**
 * The target of attacks on the volume policy: containers, a volume and services
 * from before the plugin.
 */

import { posix } from "node:path";
import type { Harness, ServiceSpec } from "../harness.ts";
import { request } from "../raw_http.ts";
import { count, type Target } from "./target.ts";
import { seedsFor } from "./volume_seeds.ts";

/** Names in {@link World.containers}. */
export type Victim =
  /** Has the named volume `keep` at /data. */
  | "old-named"
  /** Has an anonymous volume at /old. */
  | "old-anonymous"
  /** Has those of old-named. */
  | "old-from"
  /** Has the volume that its image declares. */
  | "old-image"
  /** Has nothing. */
  | "plain";

/** The engine's state when no attack has got through. */
export interface World {
  h: Harness;
  /** Whether the plugin is in front. */
  guarded: boolean;
  /** IDs of images: `plain` declares nothing, all others a VOLUME /data. */
  images: { plain: string; volume: string; [more: string]: string };
  /** IDs of containers. */
  containers: Record<Victim, string>;
  /** Names of all volumes. */
  volumes: string[];
  /** Services without tasks, if the engine is in a swarm. */
  services?: {
    /** Never had a mount. */
    plain: ServiceState;
    /** Has none now; its previous spec had a volume. */
    old: ServiceState;
  };
}

/** A service, as far as an update needs it. */
export interface ServiceState {
  id: string;
  version: number;
}

/** What every container of the attacks runs. */
export const COMMAND = ["sleep", "600"];

/**
 * Makes the world on a fresh engine, and puts the plugin in front of it.
 *
 * @param h the engine, which no plugin guards yet
 * @param moreImages makes more images with a VOLUME /data, and tells their IDs
 *   by name
 * @returns the target
 */
export async function volumesTarget(
  h: Harness,
  moreImages?: (h: Harness) => Promise<Record<string, string>>,
): Promise<Target> {
  const images = {
    ...await moreImages?.(h),
    plain: await h.image("plain:1"),
    volume: await h.image("vol:1", {
      changes: ["VOLUME /data"],
      files: { "which": "vol" },
    }),
  };
  const containers = {
    "old-named": await makeContainer(h, "old-named", {
      HostConfig: { Binds: ["keep:/data"] },
    }),
    "old-anonymous": await makeContainer(h, "old-anonymous", {
      Volumes: { "/old": {} },
    }),
    "old-from": await makeContainer(h, "old-from", {
      HostConfig: { VolumesFrom: ["old-named"] },
    }),
    "old-image": await makeContainer(h, "old-image", { Image: "vol:1" }),
    plain: await makeContainer(h, "plain", {}),
  };
  const world: World = {
    h,
    guarded: true,
    images,
    containers,
    volumes: (await h.state()).volumes,
  };
  const swarm = await h.api("POST", "/swarm/init", {
    ListenAddr: "127.0.0.1:2377",
    AdvertiseAddr: "127.0.0.1",
  });
  if (swarm.status === 200) {
    world.services = {
      plain: await makeService(h, serviceSpec("svc-plain", images.plain)),
      old: await makeOldService(h, images.plain),
    };
  }
  await h.guard();
  return {
    h,
    arsenal: "volumes",
    seeds: () => seedsFor(world),
    glance: async () =>
      `${await count(`${h.dir}/data/containers`)} ` +
      `${await count(`${h.dir}/data/volumes`)}`,
    inspectAndMend: async () => [
      ...await inspectContainers(world),
      ...await inspectVolumes(world),
      ...await inspectServices(world),
    ],
    unguarded: (work) => unguarded(world, work),
    names: () => names(world),
  };
}

function names(
  { containers, images, services }: World,
): Map<string, string> {
  return new Map([
    ...Object.entries(containers).flatMap(([name, id]) => [
      [`container ${name}`, id] as const,
      [`short container ${name}`, id.slice(0, 12)] as const,
    ]),
    ...Object.entries(images).map(([name, id]) =>
      [`image ${name}`, id] as const
    ),
    ...Object.entries(services ?? {}).flatMap(([name, { id, version }]) => [
      [`service ${name}`, id] as const,
      [`version ${name}`, String(version)] as const,
    ]),
  ]);
}

/** Makes a container, and does not start it. */
async function makeContainer(
  h: Harness,
  name: string,
  more: { HostConfig?: Record<string, unknown>; [more: string]: unknown },
): Promise<string> {
  const answer = await h.api("POST", `/containers/create?name=${name}`, {
    Image: "plain:1",
    Cmd: COMMAND,
    ...more,
    HostConfig: { NetworkMode: "none", ...more.HostConfig },
  });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.body}`);
  return answer.json<{ Id: string }>().Id;
}

/**
 * The spec of a service that has no tasks, since each would cost a container.
 *
 * @param name of the service
 * @param image that its tasks would have
 * @param mounts that its tasks would have
 */
export function serviceSpec(
  name: string,
  image: string,
  mounts: Record<string, unknown>[] = [],
): ServiceSpec {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Command: COMMAND,
        Mounts: mounts as { Target: string }[],
      },
    },
    Mode: { Replicated: { Replicas: 0 } },
  };
}

async function makeService(
  h: Harness,
  spec: ServiceSpec,
): Promise<ServiceState> {
  const answer = await h.api("POST", "/services/create", { ...spec });
  if (answer.status !== 201) throw new Error(`${spec.Name}: ${answer.body}`);
  return inspectService(h, answer.json<{ ID: string }>().ID);
}

async function inspectService(h: Harness, id: string): Promise<ServiceState> {
  const { Version } = (await h.api("GET", `/services/${id}`)).json<
    { Version: { Index: number } }
  >();
  return { id, version: Version.Index };
}

/**
 * A service that had a volume once, so that rolling it back brings it again.
 */
async function makeOldService(
  h: Harness,
  image: string,
): Promise<ServiceState> {
  const name = "svc-old";
  const mounts = [{ Type: "volume", Source: "keep", Target: "/data" }];
  const { id, version } = await makeService(
    h,
    serviceSpec(name, image, mounts),
  );
  const answer = await h.send(
    request("POST", `/services/${id}/update?version=${version}`, {
      body: { ...serviceSpec(name, image) },
    }),
  );
  if (answer.status !== 200) throw new Error(`${name}: ${answer.body}`);
  return inspectService(h, id);
}

/** Does something as if there were no plugin, also if there is none anyway. */
async function unguarded<T>(
  world: World,
  work: () => Promise<T>,
): Promise<T> {
  if (!world.guarded) return await work();
  world.guarded = false;
  try {
    return await world.h.withoutPlugin(work);
  } finally {
    world.guarded = true;
  }
}

/** A container, as `GET /containers/json` lists it. */
interface Listed {
  Id: string;
  Names: string[];
  State: string;
  Mounts: { Type: string; Name?: string; Destination: string }[];
}

/** A service, as `GET /services` lists it. */
interface ListedService {
  ID: string;
  Version: { Index: number };
  Spec: ServiceSpec;
  PreviousSpec?: ServiceSpec;
}

/** Whether a mount is storage that the policy forbids. */
function isForbidden(type: string): boolean {
  return !["bind", "tmpfs", "image"].includes(type);
}

async function inspectContainers(world: World): Promise<string[]> {
  const { h, containers } = world;
  const found: string[] = [];
  const list = (await h.api("GET", "/containers/json?all=1")).json<Listed[]>();
  for (const { Id, Names, State, Mounts } of list) {
    const name = (Names?.[0] ?? Id).replace(/^\//, "");
    const bad = Mounts.filter(({ Type }) => isForbidden(Type)).map((mount) =>
      `${mount.Type} ${mount.Name ?? ""} at ${mount.Destination}`
    ).join(", ");
    const victim = Object.values(containers).includes(Id);
    if (bad !== "" && (!victim || Id === containers.plain)) {
      found.push(`container ${name} (${State}) has ${bad}`);
    } else if (bad !== "" && State === "running") {
      found.push(`container ${name} is running, with ${bad}`);
    }
    if (bad !== "" && victim && Id !== containers.plain) {
      const restart = (await h.container(Id))?.restart ?? "";
      if (restart !== "" && restart !== "no") {
        found.push(`container ${name} has the restart policy ${restart}`);
        await h.api("POST", `/containers/${Id}/update`, {
          RestartPolicy: { Name: "no" },
        });
      }
    }
    if (!victim) await h.api("DELETE", `/containers/${Id}?force=1&v=1`);
    else if (State !== "created" && State !== "exited") {
      await h.api("POST", `/containers/${Id}/kill`);
    }
  }
  for (const [name, id] of Object.entries(containers)) {
    if (list.some(({ Id }) => Id === id)) continue;
    throw new Error(`the attacks' container ${name} is gone`);
  }
  const plain = list.find(({ Id }) => Id === containers.plain);
  if (plain && (plain.State !== "created" || plain.Mounts.length > 0)) {
    await h.api("DELETE", `/containers/${plain.Id}?force=1&v=1`);
    containers.plain = await makeContainer(h, "plain", {});
  }
  return found;
}

async function inspectVolumes(world: World): Promise<string[]> {
  const { h } = world;
  const found: string[] = [];
  const { Volumes } = (await h.api("GET", "/volumes")).json<
    { Volumes: { Name: string }[] | null }
  >();
  for (const { Name: name } of Volumes ?? []) {
    if (world.volumes.includes(name)) continue;
    found.push(`volume ${name} was made`);
    await h.api("DELETE", `/volumes/${name}?force=1`);
  }
  for (const name of world.volumes) {
    const mark = `${h.dir}/data/volumes/${name}/_data/${MARK}`;
    if (await Deno.lstat(mark).catch(() => undefined) === undefined) continue;
    found.push(`volume ${name} was written to`);
    await Deno.remove(mark);
  }
  return found;
}

/** The file that the attacks on `PUT /containers/{name}/archive` bring. */
export const MARK = "written-by-an-attack";

async function inspectServices(world: World): Promise<string[]> {
  const { h, services } = world;
  if (!services) return [];
  const found: string[] = [];
  const list = (await h.api("GET", "/services")).json<ListedService[]>();
  for (const { ID, Version, Spec, PreviousSpec } of list) {
    const bad = forbiddenIn(world, Spec);
    if (bad !== "") found.push(`service ${Spec.Name} has ${bad}`);
    if (ID === services.plain.id && bad === "") {
      services.plain.version = Version.Index;
    } else if (ID === services.plain.id) {
      await h.api("DELETE", `/services/${ID}`);
      services.plain = await makeService(
        h,
        serviceSpec("svc-plain", world.images.plain),
      );
    } else if (ID === services.old.id) {
      // Updated by whatever it was, it can't be rolled back to its volume any
      // more.
      if (bad === "" && PreviousSpec && forbiddenIn(world, PreviousSpec)) {
        services.old.version = Version.Index;
        continue;
      }
      await h.api("DELETE", `/services/${ID}`);
      services.old = await unguarded(
        world,
        () => makeOldService(h, world.images.plain),
      );
    } else {
      await h.api("DELETE", `/services/${ID}`);
    }
  }
  return found;
}

/** What the policy forbids in a service's spec, in words; "" for nothing. */
function forbiddenIn({ images }: World, spec: ServiceSpec): string {
  const { ContainerSpec } = spec.TaskTemplate;
  if (!ContainerSpec) return "";
  const mounts = ContainerSpec.Mounts ?? [];
  const bad = mounts.find(({ Type }) => isForbidden(Type ?? "bind"));
  if (bad) return `a mount of type ${bad.Type} at ${bad.Target}`;
  // An image that is not one of ours can't be run here at all; neither can a name
  // that only holds an ID as its tag.
  const [, hex] =
    /^(?:.*@sha256:|sha256:)?([0-9a-f]{64})$/.exec(ContainerSpec.Image) ?? [];
  const declares =
    Object.entries(images).some(([name, id]) =>
      name !== "plain" && hex === id.slice(7)
    ) ||
    /^(docker\.io\/)?(library\/)?vol(:1)?(@|$)/.test(ContainerSpec.Image);
  const covered = mounts.some(({ Target }) =>
    !Target?.includes("{{") && cleaned(Target ?? "") === "/data"
  );
  return declares && !covered ? "an image with a VOLUME at /data" : "";
}

/** A path as the engine compares it. */
function cleaned(path: string): string {
  return posix.normalize(path).replace(/(.)\/$/, "$1");
}
