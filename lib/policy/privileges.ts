/**
 * The privilege policy: a container gets nothing that makes root on the host.
 *
 * @module
 */
import { usesBuildKit } from "../call/build.ts";
import type { Call } from "../call/call.ts";
import {
  type ContainerOptions,
  NO_OPTIONS,
  readEndpointSysctls,
  readExec,
  readHostConfig,
  readServiceOptions,
  type ServiceOptions,
} from "../call/container_options.ts";
import { isObject, parseJsonText } from "../call/json.ts";
import { Struct } from "../call/struct.ts";
import { Unreadable } from "../call/unreadable.ts";
import type { ContainerFacts, Engine } from "../engine/engine.ts";
import { followLinks } from "../engine/host_paths.ts";
import { findProfiles } from "../engine/seccomp_profiles.ts";
import { shown } from "../text.ts";
import { decideBinds, findSwappable } from "./binds.ts";
import { ALLOW, type Decision, type Denial, deny } from "./decision.ts";
import type { Bind, BindEntry } from "./rules/binds.ts";
import { checkNetwork } from "./rules/networks.ts";
import {
  checkExec,
  checkPrivileges,
  denyOption,
  joinedContainers,
  mayHaveDevice,
  normalSecurityOpt,
  type PrivilegesPolicy,
} from "./rules/privileges.ts";
import { cleanPath } from "./rules/paths.ts";
import { checkTop } from "./rules/top.ts";
import { checkVolumeDriver } from "./rules/volume_drivers.ts";
import { bindsOf } from "./volumes.ts";

/** The settings that the policy goes by. */
export interface PrivilegesSettings extends PrivilegesPolicy {
  /**
   * Where bind mounts of the user may come from, if `[volumes]` says so: it is
   * also what an exec, a copy or an export may show.
   */
  readonly allowBind?: readonly BindEntry[];
  /**
   * Where bind mounts of any user may come from: who may mount a directory can
   * put links below it.
   */
  readonly mountable?: readonly BindEntry[];
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
export async function decidePrivileges(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  switch (call.endpoint.name) {
    case "container create":
      return await decideCreate(policy, call, engine);
    case "container start":
      return await decideStart(policy, call, engine);
    case "container restart":
      return await decideStartCall(policy, call, engine);
    case "container update":
      return await decideUpdate(policy, call, engine);
    // Otherwise it could take another's name between our look and the engine's.
    case "container rename":
    case "container archive read":
    case "container archive stat":
    case "container copy":
    case "container export":
      return await decideNamedContainer(policy, call.subject, engine);
    case "container top":
      return checkTop(call.query.get("ps_args") ?? "") ?? ALLOW;
    case "container archive":
      return await decideArchive(policy, call, engine);
    case "container attach":
    case "container attach websocket":
      return await decideAttach(policy, call, engine);
    case "container commit":
      call.requireNoForm();
      return await decideNamedContainer(
        policy,
        call.query.get("container") ?? "",
        engine,
      );
    case "exec create":
      return await decideExecCreate(policy, call, engine);
    case "exec start":
      return await decideExecStart(policy, call, engine);
    case "checkpoint create":
    case "checkpoint list":
    case "checkpoint delete":
      return await decideCheckpoint(policy, call, engine);
    case "service create":
      return await decideService(
        policy,
        readServiceOptions(call.body()),
        engine,
      );
    case "service update":
      return await decideServiceUpdate(policy, call, engine);
    case "build":
      return await decideBuild(policy, call, engine);
    case "build session":
    case "build connection":
      return policy.allowBuildkit ? ALLOW : denyBuildKit();
    case "network create":
      return decideNetworkCreate(policy, call);
    case "network connect":
      return await decideNetworkConnect(policy, call, engine);
    case "volume create":
      return decideVolumeCreate(policy, call);
    case "plugin pull":
    case "plugin upgrade":
    case "plugin create":
    case "plugin enable":
    case "plugin disable":
    case "plugin set":
    case "plugin remove":
      return policy.allowPlugins
        ? ALLOW
        : denyOption("plugin", `docker ${call.endpoint.name}`, "allow-plugins");
    case "swarm inspect":
    case "swarm unlock key":
    case "swarm init":
    case "swarm join":
    case "swarm leave":
    case "swarm update":
    case "swarm unlock":
    case "node update":
    case "node remove":
      return policy.allowSwarm
        ? ALLOW
        : denyOption("swarm", `docker ${call.endpoint.name}`, "allow-swarm");
    default:
      throw new Error(`[privileges] has no case for ${call.endpoint.name}`);
  }
}

/**
 * Decides on what the engine recorded of a container, whoever made it and when.
 *
 * @param policy The administrator's settings.
 * @param name What to call the container.
 * @param container The container.
 * @param engine The engine.
 * @returns The decision.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decideContainerPrivileges(
  policy: PrivilegesSettings,
  name: string,
  container: Pick<ContainerFacts, "id" | "mounts">,
  engine: Engine,
): Promise<Decision> {
  const recorded = await engine.inspectOptions(container.id);
  if (!recorded) return ALLOW; // Gone.
  const decision = await decideOptions(policy, recorded.options, engine, {
    recorded: true,
  });
  const binds = decision.allow
    ? await decideBinds(policy.allowBind, bindsOf(container), engine)
    : decision;
  return binds.allow ? binds : inContainer(name, binds);
}

function inContainer(name: string, { rule, message }: Denial): Denial {
  const what = message.replace(/^privileges: /, "");
  return deny(rule, `privileges: container ${shown(name)}: ${what}`);
}

async function decideCreate(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const body = call.body();
  const host = await decideBody(policy, body, engine, {
    image: body.string("Image"),
  });
  if (!host.allow) return host;
  const endpoints = body.struct("NetworkingConfig")
    ?.structMap("EndpointsConfig").values() ?? [];
  return await decideOptions(
    { ...policy, require: [] },
    { ...NO_OPTIONS, sysctls: readEndpointSysctls(endpoints) },
    engine,
  );
}

/** What else decides on a container's options. */
interface Circumstances {
  /** The image whose user counts if none is named. */
  readonly image?: string;
  readonly recorded?: boolean;
}

/**
 * Decides on a HostConfig and, for engines up to 26.1, on the same fields of
 * the body itself, which they read if there is no HostConfig.
 */
async function decideBody(
  policy: PrivilegesSettings,
  body: Struct,
  engine: Engine,
  circumstances: Circumstances,
): Promise<Decision> {
  const user = body.string("User");
  const inner = body.struct("HostConfig");
  const atTop = { ...readHostConfig(body), user };
  if (!inner) return await decideOptions(policy, atTop, engine, circumstances);
  const host = { ...readHostConfig(inner), user };
  const decision = await decideOptions(policy, host, engine, circumstances);
  // What is required stands in HostConfig, if there is one.
  return decision.allow
    ? await decideOptions({ ...policy, require: [] }, atTop, engine)
    : decision;
}

async function decideOptions(
  policy: PrivilegesSettings,
  options: ContainerOptions,
  engine: Engine,
  { image = "", recorded = false }: Circumstances = {},
): Promise<Decision> {
  const host = await engine.hostFacts();
  const securityOpt = options.securityOpt.map(normalSecurityOpt);
  const profiles = await findProfiles(securityOpt, policy.allowSecurityOpt);
  const asksImage = image !== "" && options.user === "" &&
    policy.require.includes("user");
  const images = asksImage ? await engine.inspectEveryPlatform(image) : [];
  // Without the image the engine makes nothing: its 404 is the right answer, and
  // has the client pull it. What comes by then is looked at when it is made.
  const required = asksImage && images.length === 0
    ? policy.require.filter((each) => each !== "user")
    : policy.require;
  for (const imageUser of images.length > 0 ? images.map(userOf) : [""]) {
    const denied = checkPrivileges({
      policy: { ...policy, require: required },
      options,
      host,
      recorded,
      profiles,
      imageUser,
    });
    if (denied) return denied;
  }
  const devices = await decideDevices(policy, options);
  if (!devices.allow) return devices;
  return await decideOthers(policy, options, engine);
}

function userOf({ user }: { user: string }): string {
  return user;
}

/** The engine follows links of devices (daemon/pkg/oci/devices_linux.go). */
async function decideDevices(
  policy: PrivilegesSettings,
  { devices }: ContainerOptions,
): Promise<Decision> {
  if (policy.allowPrivileged) return ALLOW;
  for (const device of devices) {
    const { real } = await followLinks(cleanPath(device), { steps: 400 });
    if (real === undefined || !mayHaveDevice(policy, real)) {
      const where = real === undefined ? "" : ` (${shown(real)})`;
      return denyOption(
        "device",
        `--device ${shown(device)}${where}`,
        "allow-devices",
      );
    }
  }
  return ALLOW;
}

/** Containers whose namespaces are joined, or that are linked to. */
async function decideOthers(
  policy: PrivilegesSettings,
  options: ContainerOptions,
  engine: Engine,
): Promise<Decision> {
  const linked = options.links.map((link) =>
    link.split(":")[0].replace(/^\//, "")
  );
  for (const name of new Set([...joinedContainers(options), ...linked])) {
    const decision = await decideNamedContainer(policy, name, engine);
    if (!decision.allow) return decision;
  }
  return ALLOW;
}

/** What a container lacks is asked for at its start alone. */
async function decideNamedContainer(
  policy: PrivilegesSettings,
  name: string,
  engine: Engine,
): Promise<Decision> {
  return await decideStartOf({ ...policy, require: [] }, name, engine);
}

/** If there is no such container, the engine's own 404 is the right answer. */
async function decideStartOf(
  policy: PrivilegesSettings,
  name: string,
  engine: Engine,
): Promise<Decision> {
  if (name === "") return ALLOW;
  for (const container of await engine.findContainers(name)) {
    const decision = await decideContainerPrivileges(
      policy,
      name,
      container,
      engine,
    );
    if (!decision.allow) return decision;
  }
  return ALLOW;
}

async function decideStart(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (call.startTakesHostConfig) {
    if (call.mayHaveHiddenBody) call.body(); // Throws, saying why.
    if (call.hasBody) {
      const decision = await decideBody(policy, call.body(), engine, {});
      if (!decision.allow) return decision;
    }
  }
  const { isExperimental } = await engine.hostFacts();
  if (isExperimental) call.requireNoForm();
  return checkCheckpoint(
    call.query.get("checkpoint"),
    call.query.get("checkpoint-dir"),
  ) ??
    await decideStartCall(policy, call, engine);
}

/** The engine follows bind mounts only when it has read the call to its end. */
async function decideStartCall(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const start = await decideStartOf(policy, call.subject, engine);
  if (!start.allow || !policy.allowBind || !call.mayHaveHiddenBody) {
    return start;
  }
  const { mountable = policy.allowBind } = policy;
  for (const container of await engine.findContainers(call.subject)) {
    const bind = await findSwappable(mountable, bindsOf(container));
    if (bind) return inContainer(call.subject, denyLateBody(bind));
  }
  return ALLOW;
}

function denyLateBody({ source }: Bind): Denial {
  return deny(
    "privileges/late-body",
    `privileges: a call whose body may come late is not allowed, since a link ` +
      `could be put in the way of its bind mount of ${shown(source)} ` +
      'meanwhile: send it without a Content-Type, or with "Content-Length: 0", ' +
      "as docker-java 3.5 or later does",
  );
}

/**
 * An archive is unpacked as root, whoever the container's user is: programs of
 * root's and devices too. The engine follows links in the container, so that
 * any path there may lead below a bind mount.
 */
async function decideArchive(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const named = await decideNamedContainer(policy, call.subject, engine);
  if (!named.allow || !policy.require.includes("user")) return named;
  for (const container of await engine.findContainers(call.subject)) {
    const bind = bindsOf(container).find(({ readOnly }) => !readOnly);
    if (bind) {
      return inContainer(call.subject, denyUnpacking(bind));
    }
  }
  return ALLOW;
}

function denyUnpacking({ source }: Bind): Denial {
  return deny(
    "privileges/require-user",
    "privileges: docker cp into it is not allowed, since that unpacks as root " +
      `and ${shown(source)} is mounted for writing (require = "user" in ` +
      "[privileges])",
  );
}

/** Who attaches can speak to its process, whose user is the container's. */
async function decideAttach(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const require = policy.require.filter((each) => each === "user");
  return await decideStartOf({ ...policy, require }, call.subject, engine);
}

/**
 * The engine makes, lists, reads and removes directories there, as root. Not
 * all of its versions check that a name is no path (`RestrictedNamePattern` in
 * moby's daemon/names).
 */
function checkCheckpoint(name = "", directory = ""): Denial | undefined {
  if (directory !== "") {
    return denyOption("checkpoint", `--checkpoint-dir ${shown(directory)}`);
  }
  return name === "" || /^[a-zA-Z0-9][\w.-]*$/.test(name)
    ? undefined
    : denyOption("checkpoint", `a checkpoint ${shown(name)}`);
}

async function decideCheckpoint(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const isCreate = call.endpoint.name === "checkpoint create";
  const denied = isCreate
    ? checkCheckpoint(
      call.body().string("CheckpointID"),
      call.body().string("CheckpointDir"),
    )
    : checkCheckpoint(undefined, call.query.get("dir"));
  return denied ??
    await decideNamedContainer(policy, call.subject, engine);
}

async function decideUpdate(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const body = call.body();
  const options = readHostConfig(body);
  const decision = await decideOptions(
    { ...policy, require: [] },
    options,
    engine,
  );
  if (!decision.allow) return decision;
  if (
    policy.require.includes("pids-limit") && options.pidsLimit !== undefined &&
    options.pidsLimit <= 0
  ) {
    return denyOption(
      "require-pids-limit",
      `--pids-limit ${options.pidsLimit}`,
    );
  }
  return await decideNamedContainer(policy, call.subject, engine);
}

async function decideExecCreate(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const exec = readExec(call.body());
  return await decideExec(policy, exec, call.subject, engine);
}

/** It may have been made by somebody who may have more. */
async function decideExecStart(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const exec = await engine.inspectExec(call.subject);
  return exec ? await decideExec(policy, exec, exec.container, engine) : ALLOW;
}

async function decideExec(
  policy: PrivilegesSettings,
  exec: { privileged: boolean; user: string },
  container: string,
  engine: Engine,
): Promise<Decision> {
  for (const user of await usersOf(policy, exec, container, engine)) {
    const denied = checkExec(policy, { ...exec, user });
    if (denied) return denied;
  }
  return await decideNamedContainer(policy, container, engine);
}

/** The user that an exec names, or those of all that its container may be. */
async function usersOf(
  { require }: PrivilegesSettings,
  { user }: { user: string },
  name: string,
  engine: Engine,
): Promise<string[]> {
  if (user !== "" || !require.includes("user")) return [user];
  const containers = await engine.findContainers(name);
  if (containers.length === 0) return [""];
  const recorded = await Promise.all(
    containers.map(({ id }) => engine.inspectOptions(id)),
  );
  return recorded.map((each) => each?.options.user ?? "");
}

async function decideServiceUpdate(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const options = call.query.get("rollback") === "previous"
    ? await engine.inspectPreviousService(call.subject)
    : readServiceOptions(call.body());
  // Without a previous spec the engine refuses it itself.
  return options ? await decideService(policy, options, engine) : ALLOW;
}

async function decideService(
  policy: PrivilegesSettings,
  { container, image, networks, resources, isPlugin }: ServiceOptions,
  engine: Engine,
): Promise<Decision> {
  if (isPlugin) {
    return policy.allowPlugins ? ALLOW : denyOption(
      "plugin",
      "a service of engine plugins",
      "allow-plugins",
    );
  }
  const resource = resources.find((kind) =>
    !policy.allowDevices.includes(kind)
  );
  if (resource !== undefined) {
    return denyOption(
      "device",
      `--generic-resource ${shown(resource)}`,
      "allow-devices",
    );
  }
  if (!policy.allowHost.includes("network")) {
    for (const network of networks) {
      const isHost = network === "host" ||
        await engine.networkDriver(network) === "host";
      if (isHost) {
        return denyOption(
          "host-network",
          `--network ${shown(network)}`,
          "allow-host",
        );
      }
    }
  }
  return await decideOptions(policy, container, engine, { image });
}

/** Multi-value or not, one of these is enough (build_routes.go in moby). */
async function decideBuild(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (!policy.allowClassicBuild && !usesBuildKit(call)) {
    return denyOption(
      "classic-build",
      "a classic build, whose options can hide from this plugin,",
      "allow-classic-build",
    );
  }
  if (!policy.allowBuildkit && usesBuildKit(call)) return denyBuildKit();
  const get = (name: string) => call.query.get(name) ?? "";
  const securityOpt = get("securityopt");
  const ulimits = readList(get("ulimits"), "ulimits");
  return await decideOptions({ ...policy, require: [] }, {
    ...readHostConfig(
      new Struct({ Ulimits: ulimits }, "ulimits"),
    ),
    modes: { ...NO_OPTIONS.modes, network: get("networkmode") },
    cgroupParent: get("cgroupparent"),
    securityOpt: securityOpt === "" ? [] : [securityOpt],
  }, engine);
}

/**
 * BuildKit's own file operations (`Mkfile` of its LLB, reading a Dockerfile)
 * run in the engine, as root, and open a device file of an image or a build
 * context: `mkfile` in BuildKit's solver/llbsolver/file/backend.go, and
 * `ReadFile` in cache/util/fsutil.go of older ones.
 */
function denyBuildKit(): Denial {
  return denyOption("buildkit", "a build with BuildKit", "allow-buildkit");
}

function readList(text: string, name: string) {
  if (text === "") return null;
  const value = parseJsonText(text);
  if (value === null) return null; // As the docker client of 20.10 says it.
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new Unreadable(`its ${name} are not a list of objects`);
}

/** `Options` of the driver (network_types.go in moby's api/types/network). */
function decideNetworkCreate(
  policy: PrivilegesSettings,
  call: Call,
): Decision {
  const body = call.body();
  return checkNetwork(policy, body.string("Driver"), body.keys("Options")) ??
    ALLOW;
}

async function decideNetworkConnect(
  policy: PrivilegesSettings,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  const body = call.body();
  const endpoint = body.struct("EndpointConfig");
  return await decideOptions({ ...policy, require: [] }, {
    ...NO_OPTIONS,
    sysctls: readEndpointSysctls(endpoint ? [endpoint] : []),
    links: endpoint?.strings("Links") ?? [],
  }, engine);
}

function decideVolumeCreate(policy: PrivilegesSettings, call: Call): Decision {
  const body = call.body();
  const { allowVolumeDrivers } = policy;
  const options = body.stringMap("DriverOpts");
  return checkVolumeDriver(allowVolumeDrivers, {
    name: body.string("Driver"),
    options,
  }) ?? ALLOW;
}
