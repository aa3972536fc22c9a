/**
 * The volume policy: bind mounts and tmpfs are the only storage that a
 * container gets.
 *
 * @module
 */
import { usesBuildKit } from "../call/build.ts";
import type { Call } from "../call/call.ts";
import { readMount } from "../call/mount.ts";
import { parsePlatform, type Platform } from "../call/platform.ts";
import { readServiceSpec, type ServiceSpec } from "../call/service.ts";
import type { Struct } from "../call/struct.ts";
import { Unreadable } from "../call/unreadable.ts";
import type { ContainerFacts, Engine } from "../engine/engine.ts";
import { shown } from "../text.ts";
import { olderThan } from "../version.ts";
import { ALLOW, type Decision } from "./decision.ts";
import { decideBinds } from "./binds.ts";
import type { Bind, BindEntry } from "./rules/binds.ts";
import {
  checkImageVolumes,
  checkVolumes,
  coveredPaths,
} from "./rules/covered.ts";
import {
  checkServiceName,
  checkTemplates,
  serviceCoveredPaths,
} from "./rules/services.ts";
import {
  bindSources,
  checkBuild,
  checkContainer,
  checkImagePlatform,
  checkLinks,
  checkMounts,
  checkStorage,
  type Storage,
} from "./rules/volumes.ts";

/** What an administrator can set about volumes. */
export interface VolumesPolicy {
  /**
   * Whether `docker build` without BuildKit, which can leave volumes, is open.
   */
  readonly allowClassicBuild: boolean;
  /**
   * The directories that bind mounts may come from; a component `*` stands for
   * any one. Undefined if they may come from anywhere.
   */
  readonly allowBind?: readonly BindEntry[];
  /** Names of services whose tasks may have volumes. */
  readonly allowService: readonly string[];
}

/**
 * Decides on a guarded call.
 *
 * @param policy The administrator's settings.
 * @param call The call as the engine reads it.
 * @param engine The engine, for what only it knows.
 * @returns The decision.
 * @throws {Unreadable} If the call cannot be read as the engine reads it.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decideVolumes(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  switch (call.endpoint.name) {
    case "container create":
      return await decideCreate(policy, call, engine);
    case "container start":
      return await decideStart(policy, call, engine);
    case "container restart":
    case "container archive":
    // Otherwise it could take another's name between our look and the engine's.
    case "container rename":
      return await decideNamedContainer(policy, call.subject, engine);
    case "container update":
      return await decideUpdate(policy, call, engine);
    case "service create":
      return await decideServiceCreate(policy, call, engine);
    case "service update":
      return await decideServiceUpdate(policy, call, engine);
    case "build":
      return decideBuild(policy, call);
    default:
      throw new Error(`[volumes] has no case for ${call.endpoint.name}`);
  }
}

/**
 * Decides on what a container really has, whoever made it and when.
 *
 * @param policy The administrator's settings.
 * @param name What to call the container.
 * @param engine The engine, which tells where it keeps its own files.
 * @param containers The container, and others that the name may mean.
 * @returns The decision.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decideContainer(
  policy: VolumesPolicy,
  name: string,
  engine: Pick<Engine, "hostFacts">,
  ...containers: ContainerFacts[]
): Promise<Decision> {
  for (const { mounts } of containers) {
    const denied = checkContainer(name, mounts);
    if (denied) return denied;
  }
  return await decideBinds(
    policy.allowBind,
    containers.flatMap(bindsOf),
    engine,
  );
}

/**
 * Lists the bind mounts that a container has.
 *
 * @param container The container.
 * @returns Its bind mounts.
 */
export function bindsOf({ mounts }: Pick<ContainerFacts, "mounts">): Bind[] {
  return mounts.filter(({ type }) => type === "bind")
    .map(({ source, readOnly = false }) => ({ source, readOnly }));
}

/**
 * `-v`, `--mount`, `--volumes-from`, `VOLUME`: what daemon/create_unix.go and
 * daemon/volumes.go make of a create request.
 */
async function decideCreate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const body = call.body();
  const host = readStorage(body.struct("HostConfig"));
  const storage = await decideStorage(policy, host, body, engine);
  if (!storage.allow) return storage;
  const covered = coveredPaths(host);
  const denied = checkVolumes(body.keys("Volumes"), covered) ??
    checkLinks(body.struct("HostConfig")?.strings("Links") ?? []) ??
    checkLinks(body.strings("Links"));
  if (denied) return denied;

  const name = body.string("Image");
  // Without one the engine has nothing to take more volumes from.
  if (name === "") return ALLOW;
  const platform = await readPlatform(call, engine);
  const image = await engine.inspectImage(name, platform);
  if (!image) return ALLOW; // The engine's own 404 is the right answer.
  return checkImageVolumes(name, image.volumes, covered) ??
    checkImagePlatform(name, image.platform) ?? ALLOW;
}

/**
 * Reads the platform that picks one of several images behind a name; only the
 * containerd image store keeps several.
 */
async function readPlatform(
  call: Call,
  engine: Engine,
): Promise<Platform | undefined> {
  const text = call.query.get("platform") ?? "";
  // `platform` came with API 1.41 (postContainersCreate).
  const ignored = call.apiVersion !== undefined &&
    olderThan(call.apiVersion, "1.41");
  if (text === "" || ignored || !await engine.keepsPlatforms()) {
    return undefined;
  }
  const platform = parsePlatform(text);
  if (!platform) {
    throw new Unreadable(
      `platform "${shown(text)}" is unclear: write it as linux/amd64`,
    );
  }
  if (!await engine.inspectsPlatforms()) {
    throw new Unreadable(
      `this engine can't tell the image of platform ${shown(text)}: ` +
        "use Docker Engine 28.1 or later, or leave the platform out",
    );
  }
  return platform;
}

async function decideStart(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (call.startTakesHostConfig) {
    if (call.mayHaveHiddenBody) {
      throw new Unreadable(
        "before API 1.24 it may carry a HostConfig, and the engine shows " +
          "none: ask for a later API version",
      );
    }
    if (call.hasBody) {
      const body = call.body();
      const host = readStorage(body.struct("HostConfig"));
      const storage = await decideStorage(policy, host, body, engine);
      if (!storage.allow) return storage;
    }
  }
  return await decideNamedContainer(policy, call.subject, engine);
}

/** A restart policy starts the container at the engine's next start. */
async function decideUpdate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const restart = call.body().struct("RestartPolicy")?.string("Name") ?? "";
  return restart === "" || restart === "no"
    ? ALLOW
    : await decideNamedContainer(policy, call.subject, engine);
}

async function decideNamedContainer(
  policy: VolumesPolicy,
  name: string,
  engine: Engine,
): Promise<Decision> {
  // If there is none, the engine's own 404 is the right answer.
  const containers = await engine.findContainers(name);
  return await decideContainer(policy, name, engine, ...containers);
}

async function decideServiceCreate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const spec = readServiceSpec(call.body());
  return await decideServiceSpec(policy, spec, undefined, engine);
}

async function decideServiceUpdate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const service = await engine.inspectService(call.subject);
  // `rollback` is read from the query alone (updateService in moby's
  // daemon/server/router/swarm/cluster_routes.go).
  const spec = call.query.get("rollback") === "previous"
    ? service?.previousSpec
    : readServiceSpec(call.body());
  // Without a previous spec the engine refuses it itself.
  return spec
    ? await decideServiceSpec(policy, spec, service?.spec, engine)
    : ALLOW;
}

async function decideServiceSpec(
  policy: VolumesPolicy,
  spec: ServiceSpec,
  current: ServiceSpec | undefined,
  engine: Engine,
): Promise<Decision> {
  const denied = checkServiceName(spec.name, policy.allowService) ??
    checkServiceName(current?.name ?? "", policy.allowService) ??
    checkMounts(spec.mounts) ??
    (policy.allowBind && checkTemplates(spec.mounts));
  if (denied) return denied;
  const binds = spec.mounts.filter(({ type }) => type === "bind");
  const sources = await decideBinds(
    policy.allowBind,
    binds.map(({ source, readOnly = false }) => ({ source, readOnly })),
    engine,
  );
  if (!sources.allow) return sources;
  if (spec.image === "") return ALLOW; // No container task.

  // What arrives as a task is decided on by the host that runs it: an image
  // that is not here, or a tag that is another image by then, can't be looked
  // at now.
  let image;
  try {
    image = await engine.inspectImage(spec.image);
  } catch (error) {
    if (error instanceof Unreadable) return ALLOW;
    throw error;
  }
  const covered = serviceCoveredPaths(spec.mounts);
  return checkImageVolumes(spec.image, image?.volumes ?? [], covered) ?? ALLOW;
}

function decideBuild(policy: VolumesPolicy, call: Call): Decision {
  return policy.allowClassicBuild
    ? ALLOW
    : checkBuild(usesBuildKit(call)) ?? ALLOW;
}

/**
 * Decides on the storage that a body asks for, in its HostConfig and, for
 * engines up to 26.1, in the same fields of the body itself, which they read if
 * there is no HostConfig (runconfig/config_unix.go).
 */
async function decideStorage(
  policy: VolumesPolicy,
  host: Storage,
  body: Struct,
  engine: Engine,
): Promise<Decision> {
  const atTop = readStorage(body);
  const sources = [...bindSources(host), ...bindSources(atTop)];
  return checkStorage(host) ?? checkStorage(atTop) ??
    await decideBinds(policy.allowBind, sources, engine);
}

function readStorage(hostConfig: Struct | undefined): Storage {
  return {
    binds: hostConfig?.strings("Binds") ?? [],
    mounts: hostConfig?.structs("Mounts").map(readMount) ?? [],
    volumesFrom: hostConfig?.strings("VolumesFrom") ?? [],
    tmpfs: hostConfig?.keys("Tmpfs") ?? [],
  };
}
