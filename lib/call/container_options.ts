/**
 * What a call asks for a container, beyond its storage: read from the body of a
 * create, from what an inspect tells, from a service's spec.
 *
 * @module
 */
import { Struct } from "./struct.ts";

/** The namespaces that a container can share with the host. */
export const NAMESPACES = [
  "network",
  "pid",
  "ipc",
  "uts",
  "user",
  "cgroup",
] as const;

/** One of them. */
export type Namespace = typeof NAMESPACES[number];

/**
 * A request for devices of a driver (`--gpus`, `--device vendor/class=name`).
 */
export interface DeviceRequest {
  readonly driver: string;
  readonly ids: readonly string[];
  /** Any of these lists will do; of a list, all must be given. */
  readonly capabilities: readonly (readonly string[])[];
}

/** A driver with options, for logs or volumes. */
export interface Driver {
  readonly name: string;
  readonly options: ReadonlyMap<string, string>;
}

/**
 * What a container is to have; what is not said is empty, false or undefined.
 */
export interface ContainerOptions {
  readonly privileged: boolean;
  readonly capAdd: readonly string[];
  /** Paths on the host. */
  readonly devices: readonly string[];
  readonly deviceRules: readonly string[];
  readonly deviceRequests: readonly DeviceRequest[];
  /** How the container's namespaces are to be made, as `docker run` has it. */
  readonly modes: Readonly<Record<Namespace, string>>;
  readonly securityOpt: readonly string[];
  /** Undefined for the engine's own. */
  readonly maskedPaths?: readonly string[];
  /** Undefined for the engine's own. */
  readonly readonlyPaths?: readonly string[];
  readonly sysctls: readonly string[];
  readonly runtime: string;
  readonly cgroupParent: string;
  /** Names of the limits that are more than 0, in lower case. */
  readonly ulimits: readonly string[];
  /** Whether it asks for realtime scheduling. */
  readonly realtime: boolean;
  readonly oomScoreAdj: number;
  readonly logDriver: Driver;
  /** Drivers of the volumes that are to be made for it. */
  readonly volumeDrivers: readonly Driver[];
  /** Propagations of its bind mounts. */
  readonly propagations: readonly string[];
  /** Options of its tmpfs mounts. */
  readonly tmpfsOptions: readonly string[];
  readonly storageOpt: readonly string[];
  /** Paths of devices that its input and output is limited for. */
  readonly blkioDevices: readonly string[];
  readonly user: string;
  readonly groups: readonly string[];
  readonly readOnly: boolean;
  /** In bytes; 0 for no limit. */
  readonly memory: number;
  /** 0 or less for no limit; undefined if nothing is said. */
  readonly pidsLimit?: number;
  /** Containers that it is linked to. */
  readonly links: readonly string[];
  /** Folded names of the fields that say something, as a create has them. */
  readonly fields: readonly string[];
}

/** A container that asks for nothing. */
export const NO_OPTIONS: ContainerOptions = {
  privileged: false,
  capAdd: [],
  devices: [],
  deviceRules: [],
  deviceRequests: [],
  modes: { network: "", pid: "", ipc: "", uts: "", user: "", cgroup: "" },
  securityOpt: [],
  sysctls: [],
  runtime: "",
  cgroupParent: "",
  ulimits: [],
  realtime: false,
  oomScoreAdj: 0,
  logDriver: { name: "", options: new Map() },
  volumeDrivers: [],
  propagations: [],
  tmpfsOptions: [],
  storageOpt: [],
  blkioDevices: [],
  user: "",
  groups: [],
  readOnly: false,
  memory: 0,
  links: [],
  fields: [],
};

/** The fields that limit input and output device by device. */
const BLKIO = [
  "BlkioWeightDevice",
  "BlkioDeviceReadBps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteIOps",
];

/**
 * Reads the fields of `HostConfig` in moby's api/types/container/hostconfig.go.
 *
 * @param host `HostConfig` in the body of a create or in an inspect; the body
 *   itself, in which engines up to 26.1 read the same fields if it has no
 *   HostConfig (runconfig/config_unix.go); or the body of an update.
 * @returns What it asks for.
 * @throws {Unreadable} If it cannot be read as the engine reads it.
 */
export function readHostConfig(host: Struct): ContainerOptions {
  const mounts = host.structs("Mounts");
  const volumeDriver = host.string("VolumeDriver");
  return {
    privileged: host.boolean("Privileged"),
    // The exact list of API 1.40, which only 19.03 goes by.
    capAdd: [...host.strings("CapAdd"), ...host.strings("Capabilities")],
    devices: host.structs("Devices").map((each) => each.string("PathOnHost")),
    deviceRules: host.strings("DeviceCgroupRules"),
    deviceRequests: host.structs("DeviceRequests").map((each) => ({
      driver: each.string("Driver"),
      ids: each.strings("DeviceIDs"),
      capabilities: each.stringLists("Capabilities"),
    })),
    modes: {
      network: host.string("NetworkMode"),
      pid: host.string("PidMode"),
      ipc: host.string("IpcMode"),
      uts: host.string("UTSMode"),
      user: host.string("UsernsMode"),
      cgroup: host.string("CgroupnsMode"),
    },
    securityOpt: host.strings("SecurityOpt"),
    ...(host.has("MaskedPaths") &&
      { maskedPaths: host.strings("MaskedPaths") }),
    ...(host.has("ReadonlyPaths") &&
      { readonlyPaths: host.strings("ReadonlyPaths") }),
    sysctls: [...host.stringMap("Sysctls").keys()],
    runtime: host.string("Runtime"),
    cgroupParent: host.string("CgroupParent"),
    ulimits: readUlimits(host),
    realtime: Boolean(
      host.number("CpuRealtimePeriod") || host.number("CpuRealtimeRuntime"),
    ),
    oomScoreAdj: host.number("OomScoreAdj") ?? 0,
    logDriver: readDriver(host.struct("LogConfig"), "Type", "Config"),
    volumeDrivers: [
      ...(volumeDriver === ""
        ? []
        : [{ name: volumeDriver, options: new Map() }]),
      ...readVolumeDrivers(mounts),
    ],
    propagations: [
      ...host.strings("Binds").flatMap(modesOf),
      ...readPropagations(mounts),
    ],
    tmpfsOptions: [
      ...host.stringMap("Tmpfs").values().flatMap((options) =>
        options.split(",")
      ),
      ...readTmpfsOptions(mounts),
    ],
    storageOpt: [...host.stringMap("StorageOpt").keys()],
    blkioDevices: BLKIO.flatMap((field) =>
      host.structs(field).map((each) => each.string("Path"))
    ),
    user: "",
    groups: host.strings("GroupAdd"),
    readOnly: host.boolean("ReadonlyRootfs"),
    memory: host.number("Memory") ?? 0,
    pidsLimit: host.number("PidsLimit"),
    links: host.strings("Links"),
    fields: host.saying(),
  };
}

/**
 * Reads the sysctls of a container's endpoints: an option of theirs, a list
 * with commas (`EndpointSysctls` in moby's
 * daemon/libnetwork/netlabel/labels.go).
 *
 * @param endpoints Endpoints, each with its `DriverOpts`.
 * @returns Their names, with `IFNAME` for the interface.
 */
export function readEndpointSysctls(endpoints: Iterable<Struct>): string[] {
  return [...endpoints].flatMap((endpoint) =>
    (endpoint.stringMap("DriverOpts").get(
      "com.docker.network.endpoint.sysctls",
    ) ?? "").split(",").filter((sysctl) => sysctl !== "")
      .map((sysctl) => sysctl.split("=")[0])
  );
}

/** What `POST /containers/{id}/exec` asks for. */
export interface ExecOptions {
  readonly privileged: boolean;
  /** Empty for the container's own. */
  readonly user: string;
}

/**
 * Reads the body of `POST /containers/{id}/exec`.
 *
 * @param body The body.
 * @returns What it asks for.
 * @throws {Unreadable} If it cannot be read as the engine reads it.
 */
export function readExec(body: Struct): ExecOptions {
  return {
    privileged: body.boolean("Privileged"),
    user: body.string("User"),
  };
}

/** What a service's tasks are to have, beyond its storage and images. */
export interface ServiceOptions {
  readonly container: ContainerOptions;
  /** The image; empty if its tasks are not containers. */
  readonly image: string;
  /** Names or IDs of the networks that its tasks are connected to. */
  readonly networks: readonly string[];
  /** Kinds of the generic resources that it reserves. */
  readonly resources: readonly string[];
  /** Whether its tasks are engine plugins instead of containers. */
  readonly isPlugin: boolean;
}

/**
 * Reads a service's spec: `ServiceSpec` in moby's api/types/swarm/service.go.
 *
 * @param spec The body of `POST /services/create` and `/update`, or the spec
 *   that an inspect tells.
 * @returns What its tasks are to have.
 * @throws {Unreadable} If it cannot be read as the engine reads it.
 */
export function readServiceOptions(spec: Struct): ServiceOptions {
  const nothing = new Struct({}, "TaskTemplate");
  const task = spec.struct("TaskTemplate") ?? nothing;
  const container = task.struct("ContainerSpec") ?? nothing;
  const limits = task.struct("Resources")?.struct("Limits");
  const mounts = container.structs("Mounts");
  const networks = [...spec.structs("Networks"), ...task.structs("Networks")];
  return {
    container: {
      ...NO_OPTIONS,
      capAdd: container.strings("CapabilityAdd"),
      securityOpt: readPrivileges(container.struct("Privileges")),
      sysctls: [
        ...container.stringMap("Sysctls").keys(),
        ...readEndpointSysctls(networks),
      ],
      ulimits: readUlimits(container),
      oomScoreAdj: container.number("OomScoreAdj") ?? 0,
      logDriver: readDriver(task.struct("LogDriver"), "Name", "Options"),
      volumeDrivers: readVolumeDrivers(mounts),
      propagations: readPropagations(mounts),
      tmpfsOptions: readTmpfsOptions(mounts),
      user: container.string("User"),
      groups: container.strings("Groups"),
      readOnly: container.boolean("ReadOnly"),
      memory: limits?.number("MemoryBytes") ?? 0,
      pidsLimit: limits?.number("Pids"),
      fields: [...task.saying(), ...container.saying()],
    },
    image: container.string("Image"),
    networks: networks.map((network) => network.string("Target")),
    resources: (task.struct("Resources")?.struct("Reservations")
      ?.structs("GenericResources") ?? []).map((resource) =>
        (resource.struct("NamedResourceSpec") ??
          resource.struct("DiscreteResourceSpec"))?.string("Kind") ?? ""
      ),
    isPlugin: task.struct("PluginSpec") !== undefined ||
      task.string("Runtime").toLowerCase() === "plugin",
  };
}

/** As `--security-opt` of `docker run` writes them. */
function readPrivileges(privileges: Struct | undefined): string[] {
  const label = privileges?.struct("SELinuxContext");
  const seccomp = privileges?.struct("Seccomp");
  const appArmor = privileges?.struct("AppArmor");
  const labels = (["User", "Role", "Type", "Level"] as const)
    .map((name) => [name.toLowerCase(), label?.string(name) ?? ""])
    .filter(([, value]) => value !== "");
  const seccompMode = seccomp?.string("Mode") ?? "";
  const appArmorMode = appArmor?.string("Mode") ?? "";
  const profile = seccomp?.string("Profile") ?? "";
  return [
    ...(label?.boolean("Disable") ? ["label=disable"] : []),
    ...labels.map(([name, value]) => `label=${name}:${value}`),
    ...(profile !== "" ? [`seccomp=${decodeProfile(profile)}`] : []),
    ...(["", "default", "custom"].includes(seccompMode)
      ? []
      : [`seccomp=${seccompMode}`]),
    ...(["", "default"].includes(appArmorMode)
      ? []
      : [`apparmor=${appArmorMode}`]),
    ...(privileges?.boolean("NoNewPrivileges") ? ["no-new-privileges"] : []),
    ...(privileges?.struct("CredentialSpec") ? ["credentialspec"] : []),
  ];
}

/**
 * Go's `[]byte` is base64 in JSON. What is none stays, and equals no profile.
 */
function decodeProfile(base64: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(base64));
  } catch {
    return base64;
  }
}

/** The runtime looks a limit's name up in upper case (oci_linux.go in moby). */
function readUlimits(struct: Struct): string[] {
  return struct.structs("Ulimits")
    .filter((each) => each.number("Soft") || each.number("Hard"))
    .map((each) => each.string("Name").toLowerCase());
}

function readDriver(
  struct: Struct | undefined,
  name: string,
  options: string,
): Driver {
  return {
    name: struct?.string(name) ?? "",
    options: struct?.stringMap(options) ?? new Map(),
  };
}

function readVolumeDrivers(mounts: readonly Struct[]): Driver[] {
  return mounts.map((mount) => mount.struct("VolumeOptions"))
    .map((volume) => volume?.struct("DriverConfig"))
    .filter((driver) => driver !== undefined)
    .map((driver) => readDriver(driver, "Name", "Options"));
}

function readPropagations(mounts: readonly Struct[]): string[] {
  return mounts.map((mount) =>
    mount.struct("BindOptions")?.string("Propagation") ?? ""
  );
}

/** A flag is a list of one word. */
function readTmpfsOptions(mounts: readonly Struct[]): string[] {
  return mounts.flatMap((mount) =>
    mount.struct("TmpfsOptions")?.stringLists("Options")
      .map(([name = ""]) => name) ?? []
  );
}

/** The third part of an element of `Binds`, at its commas. */
function modesOf(bind: string): string[] {
  return bind.split(":").slice(2).join(":").split(",");
}
