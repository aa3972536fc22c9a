/**
 * The volume policy: bind mounts and tmpfs are the only storage that a container
 * gets.
 *
 * @module
 */
import type { ContainerFacts, Engine, ImageFacts } from "../engine/engine.ts";
import type { Call } from "../call/call.ts";
import { type Mount, readMount } from "../call/mount.ts";
import { readServiceSpec, type ServiceSpec } from "../call/service.ts";
import type { Struct } from "../call/struct.ts";
import { Unreadable } from "../call/unreadable.ts";
import { olderThan } from "../version.ts";
import type { BindRules } from "./rules/binds.ts";
import { ALLOW, type Decision, type Denial, deny } from "./decision.ts";
import { shown } from "../text.ts";
import { cleanPath } from "./rules/paths.ts";
import { parsePlatform } from "../call/platform.ts";

/** What an administrator can set about volumes. */
export interface VolumesPolicy {
  /** Whether `docker build` without BuildKit, which can leave volumes, is open. */
  readonly allowClassicBuild: boolean;
  /** Where bind mounts may come from; undefined where they may from anywhere. */
  readonly allowBind?: BindRules;
}

/**
 * Judges a guarded call.
 *
 * @param policy The administrator's settings.
 * @param call The call as the engine reads it.
 * @param engine The engine, for what only it knows.
 * @returns The decision.
 * @throws {Unreadable} where the call cannot be read as the engine reads it.
 * @throws {EngineError} where the engine cannot be asked.
 */
export function judgeVolumes(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> | Decision {
  switch (call.endpoint.name) {
    case "container create":
      return judgeCreate(policy, call, engine);
    case "container start":
      return judgeStart(policy, call, engine);
    case "container restart":
    case "container archive":
    // Else it could take another's name between our look and the engine's.
    case "container rename":
      return judgeContainer(policy, call.subject, engine);
    case "container update":
      return judgeUpdate(policy, call, engine);
    case "service create":
      return judgeServiceCreate(policy, call, engine);
    case "service update":
      return judgeServiceUpdate(policy, call, engine);
    case "build":
      return judgeBuild(policy, call);
    default:
      return ALLOW; // No row of the endpoint table comes here.
  }
}

/**
 * `-v`, `--mount`, `--volumes-from`, `VOLUME`: what daemon/create_unix.go and
 * daemon/volumes.go make of a create request.
 */
function judgeCreate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> | Decision {
  const body = call.body();
  const host = readStorage(body.struct("HostConfig"));
  const denied = judgeStorage(policy, host) ??
    // Up to 26.1 engines read HostConfig's fields here too, where there is no
    // HostConfig (runconfig/config_unix.go).
    judgeStorage(policy, readStorage(body));
  if (denied) return denied;

  const covered = () => coveredPaths(host);
  const uncovered = findUncovered(body.keys("Volumes"), covered);
  if (uncovered !== undefined) {
    return refuse("anonymous", `anonymous volume at ${shown(uncovered)}`);
  }
  const image = body.string("Image");
  // Without one the engine has nothing to take more volumes from.
  return image === "" ? ALLOW : judgeImage(image, covered, call, engine);
}

/** The image's `VOLUME`s, less what the container covers. */
function judgeImage(
  name: string,
  covered: () => Set<string>,
  call: Call,
  engine: Engine,
): Promise<Decision> | Decision {
  const judge = (image?: ImageFacts): Decision => {
    if (!image) return ALLOW; // The engine's own 404 is the right answer.
    const uncovered = findUncovered(image.volumes, covered);
    return uncovered === undefined ? ALLOW : declares(name, uncovered);
  };
  const platform = call.query.get("platform");
  if (platform) {
    return platformOf(platform, call, engine)
      .then((platform) => engine.inspectImage(name, platform))
      .then(judge);
  }
  return engine.inspectImage(name).then(judge);
}

function declares(image: string, path: string): Denial {
  return refuse(
    "image",
    `image ${shown(image)} declares VOLUME ${shown(path)}`,
  );
}

/** The first of some paths where nothing is mounted; mostly there are none. */
function findUncovered(
  paths: readonly string[],
  covered: () => Set<string>,
): string | undefined {
  if (paths.length === 0) return undefined;
  const mounted = covered();
  return paths.find((path) => !mounted.has(cleanPath(path)));
}

/**
 * The platform that picks one of several images behind a name; only the
 * containerd image store keeps several.
 */
async function platformOf(text: string, call: Call, engine: Engine) {
  // `platform` came with API 1.41 (postContainersCreate).
  const ignored = call.apiVersion !== undefined &&
    olderThan(call.apiVersion, "1.41");
  if (ignored) return undefined;
  if (!await engine.keepsPlatforms()) return undefined;
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

async function judgeStart(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  // Only then does `start` take a HostConfig (postContainersStart in 20.10);
  // a version that is not in the path is a later one.
  if (call.apiVersion !== undefined && olderThan(call.apiVersion, "1.24")) {
    if (call.mayHaveHiddenBody) call.body(); // Throws, saying why.
    if (call.hasBody) {
      const body = call.body();
      const denied =
        judgeStorage(policy, readStorage(body.struct("HostConfig"))) ??
          judgeStorage(policy, readStorage(body));
      if (denied) return denied;
    }
  }
  return await judgeContainer(policy, call.subject, engine);
}

/** A restart policy starts the container at the engine's next start. */
async function judgeUpdate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const restart = call.body().struct("RestartPolicy")?.string("Name") ?? "";
  return restart === "" || restart === "no"
    ? ALLOW
    : await judgeContainer(policy, call.subject, engine);
}

/** A container that is there already, whoever made it and when. */
async function judgeContainer(
  policy: VolumesPolicy,
  name: string,
  engine: Engine,
): Promise<Decision> {
  const container = await engine.inspectContainer(name);
  if (!container) return ALLOW; // The engine's own 404 is the right answer.
  // A name can be the beginning of another's ID, and mean that one as soon as
  // its bearer is renamed or gone (GetContainer in moby's daemon/container.go).
  const namesakes = /^[0-9a-f]+$/.test(name) && container.names.includes(name)
    ? (await engine.listContainers()).filter(({ id }) => id.startsWith(name))
    : [];
  for (const one of [container, ...namesakes]) {
    const decision = judgeContainerMounts(policy, name, one);
    if (!decision.allow) return decision;
  }
  return ALLOW;
}

/**
 * Judges what a container really has, as its inspect shows it.
 *
 * @param policy The administrator's settings.
 * @param name What to call the container.
 * @param container Its inspect.
 * @returns The decision.
 */
export function judgeContainerMounts(
  policy: VolumesPolicy,
  name: string,
  container: ContainerFacts,
): Decision {
  for (const { type, name: volume, source, destination } of container.mounts) {
    if (type === "bind") {
      const denied = policy.allowBind?.judge(source);
      if (denied) return denied;
    }
    if (isHarmless(type)) continue;
    const what = type !== "volume"
      ? `a mount of type ${shown(type)}`
      : isAnonymous(volume)
      ? "an anonymous volume"
      : `volume "${shown(volume)}"`;
    return refuse(
      "container",
      `container ${shown(name)} has ${what} at ${shown(destination)}`,
    );
  }
  return ALLOW;
}

async function judgeServiceCreate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  return await judgeService(
    policy,
    readServiceSpec(call.body()),
    undefined,
    engine,
  );
}

async function judgeServiceUpdate(
  policy: VolumesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const service = await engine.inspectService(call.subject);
  // `rollback` is read from the query alone (updateService in moby's
  // daemon/server/router/swarm/cluster_routes.go).
  if (call.query.get("rollback") !== "previous") {
    return await judgeService(
      policy,
      readServiceSpec(call.body()),
      service?.spec,
      engine,
    );
  }
  if (!service?.previousSpec) return ALLOW; // The engine refuses it itself.
  return await judgeService(
    policy,
    service.previousSpec,
    service.spec,
    engine,
  );
}

/** The engine makes the tasks' containers itself, and asks nobody then. */
async function judgeService(
  policy: VolumesPolicy,
  spec: ServiceSpec,
  current: ServiceSpec | undefined,
  engine: Engine,
): Promise<Decision> {
  const denied = judgeMounts(policy, spec.mounts);
  if (denied) return denied;
  const template = policy.allowBind &&
    spec.mounts.find(({ source }) => isTemplate(source));
  if (template) {
    return deny(
      "volumes/bind",
      `bind mount of ${shown(template.source)} is not allowed: ` +
        "a template can't be checked",
    );
  }
  if (spec.image === "") return ALLOW; // No container task.

  const covered = serviceCoveredPaths(spec);
  if (current?.image === spec.image) {
    const uncovers = !serviceCoveredPaths(current).isSubsetOf(covered);
    if (!uncovers) return ALLOW;
  }

  const image = await engine.inspectImage(spec.image);
  const name = shown(spec.image);
  if (!image) {
    return refuse(
      "service-image",
      `image ${name} is not on this host, so that its volumes can't be seen: ` +
        "pull it first",
    );
  }
  const uncovered = findUncovered(image.volumes, () => covered);
  if (uncovered !== undefined) return declares(spec.image, uncovered);
  // A tag is pulled again before each task (pullImage in moby's
  // daemon/cluster/executor/container/adapter.go), and may be another image by
  // then.
  if (!/^(.+@)?sha256:[0-9a-f]{64}$/.test(spec.image)) {
    return refuse(
      "service-tag",
      `service image ${name} is not pinned, and the engine pulls a tag again ` +
        `for each task: name it by digest or by image ID (${image.id})`,
    );
  }
  return ALLOW;
}

/**
 * What a service's mounts cover for sure. A target can be a Go template, which
 * swarm expands on the node (`expandMounts` in swarmkit's template/expand.go), to
 * who knows what.
 */
function serviceCoveredPaths({ mounts }: ServiceSpec): Set<string> {
  return new Set(
    mounts.map(({ target }) => target)
      .filter((target) => !isTemplate(target))
      .map(cleanPath),
  );
}

function isTemplate(path: string): boolean {
  return path.includes("{{");
}

/** A failing step of a classic build leaves the volumes of its container. */
function judgeBuild(policy: VolumesPolicy, call: Call): Decision {
  if (policy.allowClassicBuild) return ALLOW;
  if (call.query.get("version") === "2" && !call.mayHaveHiddenBody) {
    return ALLOW;
  }
  return refuse(
    "classic-build",
    "a classic build can leave volumes behind: build with BuildKit",
  );
}

/** The fields of the engine's HostConfig that bring storage, or cover a path. */
interface Storage {
  binds: string[];
  mounts: Mount[];
  volumesFrom: string[];
  tmpfs: string[];
}

function readStorage(hostConfig: Struct | undefined): Storage {
  return {
    binds: hostConfig?.strings("Binds") ?? [],
    mounts: hostConfig?.structs("Mounts").map(readMount) ?? [],
    volumesFrom: hostConfig?.strings("VolumesFrom") ?? [],
    tmpfs: hostConfig?.keys("Tmpfs") ?? [],
  };
}

function judgeStorage(
  policy: VolumesPolicy,
  storage: Storage,
): Denial | undefined {
  if (policy.allowBind && storage.binds.length > MAX_SOURCES) return tooMany();
  for (const bind of storage.binds) {
    const { source, target } = splitBind(bind);
    if (source.startsWith("/")) {
      const denied = policy.allowBind?.judge(source);
      if (denied) return denied;
      continue;
    }
    return source === ""
      ? refuse("anonymous", `anonymous volume at ${shown(target)}`)
      : refuse("named", `named volume "${shown(source)}"`);
  }
  const denied = judgeMounts(policy, storage.mounts);
  if (denied) return denied;
  const [from] = storage.volumesFrom;
  return from === undefined
    ? undefined
    : refuse("volumes-from", `--volumes-from ${shown(from)}`);
}

/** As many as nobody has; following the links of each takes its time. */
const MAX_SOURCES = 500;

function judgeMounts(
  policy: VolumesPolicy,
  mounts: readonly Mount[],
): Denial | undefined {
  if (policy.allowBind && mounts.length > MAX_SOURCES) return tooMany();
  for (const mount of mounts) {
    const denied = mount.type === "bind"
      ? policy.allowBind?.judge(mount.source)
      : judgeMount(mount);
    if (denied) return denied;
  }
}

function tooMany(): Denial {
  return deny(
    "volumes/bind",
    `more than ${MAX_SOURCES} bind mounts are not allowed: ` +
      "they can't all be checked",
  );
}

function judgeMount({ type, source, target }: Mount): Denial | undefined {
  if (isHarmless(type)) return undefined;
  if (type !== "volume") {
    return refuse(
      "mount-type",
      `mount of type ${shown(type) || '""'} at ${shown(target)}`,
    );
  }
  return source === ""
    ? refuse("anonymous", `anonymous volume at ${shown(target)}`)
    : refuse("named", `named volume "${shown(source)}"`);
}

/** An image mount is read-only, and brings no storage. */
function isHarmless(mountType: string): boolean {
  return mountType === "bind" || mountType === "tmpfs" || mountType === "image";
}

/** The engine names anonymous volumes itself; 28 does not always tell how. */
function isAnonymous(volume: string): boolean {
  return volume === "" || /^[0-9a-f]{64}$/.test(volume);
}

/** `ParseMountRaw` in moby's daemon/volume/mounts/linux_parser.go. */
function splitBind(bind: string): { source: string; target: string } {
  const [first, second] = bind.split(":");
  return second === undefined
    ? { source: "", target: first }
    : { source: first, target: second };
}

/**
 * Where the engine finds something mounted already, and so makes no volume:
 * `HasMountFor` in moby's daemon/container/container_unix.go, which compares the
 * keys of Tmpfs as they are.
 */
function coveredPaths(storage: Storage): Set<string> {
  return new Set([
    ...storage.binds.map((bind) => cleanPath(splitBind(bind).target)),
    ...storage.mounts.map(({ target }) => cleanPath(target)),
    ...storage.tmpfs,
  ]);
}

function refuse(rule: string, what: string): Denial {
  return deny(`volumes/${rule}`, `volumes are not allowed: ${what}`);
}
