/**
 * What the engine's API lets a container ask for, field by field: `HostConfig`
 * and `Resources` in moby's api/types/container/hostconfig.go, `Config` in
 * config.go, with the fields that engines since 20.10 and clients since 1.25
 * know.
 *
 * @module
 */

/**
 * What becomes of a field that says something. Null, false, 0 and empty values
 * say nothing, and pass.
 *
 * - `harmless`: it passes, whatever it says.
 * - `checked`: a rule looks at what it says.
 * - `volumes`: it brings storage, which is the volume policy's.
 * - `refused`: it does not pass.
 * - `retired`: engines since 20.10 read it no more, or do nothing with it.
 */
export type Answer =
  | "harmless"
  | "checked"
  | "volumes"
  | "refused"
  | "retired";

/** A field, and the answer to it. */
export interface FieldAnswer {
  /** Its name in the engine's API. */
  readonly field: string;
  readonly answer: Answer;
  /** How `docker run` calls it, if it does. */
  readonly option?: string;
  /** The keys of `[privileges]` that it is checked by. */
  readonly keys?: readonly string[];
  /** Why, if the name does not say it. */
  readonly why?: string;
}

/** The newest API whose fields are in the tables. */
export const NEWEST_KNOWN_API = "1.56";

const OWN_CGROUP = "limits of the container's own";
const WINDOWS = "for Windows";

/** The fields of `HostConfig`, in alphabetical order. */
export const HOST_CONFIG: readonly FieldAnswer[] = [
  refused("Annotations", "--annotation", "the runtime takes orders from them"),
  harmless("AutoRemove", "--rm"),
  storage("Binds", "-v", "its propagation is checked by `allow-host`"),
  checked("BlkioDeviceReadBps", "--device-read-bps", [], "devices of /dev"),
  checked("BlkioDeviceReadIOps", "--device-read-iops", [], "devices of /dev"),
  checked("BlkioDeviceWriteBps", "--device-write-bps", [], "devices of /dev"),
  checked("BlkioDeviceWriteIOps", "--device-write-iops", [], "devices of /dev"),
  harmless("BlkioWeight", "--blkio-weight", OWN_CGROUP),
  checked("BlkioWeightDevice", "--blkio-weight-device", [], "devices of /dev"),
  checked("CapAdd", "--cap-add", ["allow-capabilities"]),
  harmless("CapDrop", "--cap-drop"),
  checked(
    "Capabilities",
    undefined,
    ["allow-capabilities"],
    "of API 1.40 alone",
  ),
  refused("Cgroup", undefined, "another container's cgroup"),
  checked("CgroupParent", "--cgroup-parent", ["allow-cgroup-parents"]),
  checked("CgroupnsMode", "--cgroupns", ["allow-host"]),
  harmless("ConsoleSize"),
  harmless("ContainerIDFile", "--cidfile", "the client writes it"),
  harmless("CpuCount", undefined, WINDOWS),
  harmless("CpuPercent", undefined, WINDOWS),
  harmless("CpuPeriod", "--cpu-period", OWN_CGROUP),
  harmless("CpuQuota", "--cpu-quota", OWN_CGROUP),
  checked(
    "CpuRealtimePeriod",
    "--cpu-rt-period",
    ["allow-capabilities"],
    "what SYS_NICE gives",
  ),
  checked(
    "CpuRealtimeRuntime",
    "--cpu-rt-runtime",
    ["allow-capabilities"],
    "what SYS_NICE gives",
  ),
  harmless("CpuShares", "--cpu-shares", OWN_CGROUP),
  harmless("CpusetCpus", "--cpuset-cpus", OWN_CGROUP),
  harmless("CpusetMems", "--cpuset-mems", OWN_CGROUP),
  checked("DeviceCgroupRules", "--device-cgroup-rule", ["allow-devices"]),
  checked("DeviceRequests", "--gpus", ["allow-devices"], "CDI devices too"),
  checked("Devices", "--device", ["allow-devices"]),
  retired("DiskQuota"),
  harmless("Dns", "--dns"),
  harmless("DnsOptions", "--dns-option"),
  harmless("DnsSearch", "--dns-search"),
  harmless("ExtraHosts", "--add-host"),
  checked("GroupAdd", "--group-add", ["require"], "`user`: no group 0"),
  harmless("IOMaximumBandwidth", undefined, WINDOWS),
  harmless("IOMaximumIOps", undefined, WINDOWS),
  harmless("Init", "--init"),
  checked("IpcMode", "--ipc", ["allow-host", "allow-join"]),
  harmless("Isolation", "--isolation", WINDOWS),
  harmless("KernelMemory", "--kernel-memory", OWN_CGROUP),
  harmless("KernelMemoryTCP", undefined, OWN_CGROUP),
  checked("Links", "--link", [], "the other container must be within bounds"),
  checked("LogConfig", "--log-driver", ["allow-log-drivers"]),
  retired("LxcConf"),
  checked("MaskedPaths", "--security-opt systempaths", ["allow-security-opt"]),
  checked("Memory", "--memory", ["require"]),
  harmless("MemoryReservation", "--memory-reservation", OWN_CGROUP),
  harmless("MemorySwap", "--memory-swap", OWN_CGROUP),
  harmless("MemorySwappiness", "--memory-swappiness", OWN_CGROUP),
  storage("Mounts", "--mount", "propagation and volume drivers are checked"),
  harmless("NanoCpus", "--cpus", OWN_CGROUP),
  checked("NetworkMode", "--network", ["allow-host", "allow-join"]),
  refused("OomKillDisable", "--oom-kill-disable", "it can freeze the host"),
  checked("OomScoreAdj", "--oom-score-adj", [], "below 0 is refused"),
  checked("PidMode", "--pid", ["allow-host", "allow-join"]),
  checked("PidsLimit", "--pids-limit", ["require"]),
  harmless("PortBindings", "-p"),
  checked("Privileged", "--privileged", ["allow-privileged"]),
  harmless("PublishAllPorts", "-P"),
  checked(
    "ReadonlyPaths",
    "--security-opt systempaths",
    ["allow-security-opt"],
  ),
  checked("ReadonlyRootfs", "--read-only", ["require"]),
  harmless("RestartPolicy", "--restart"),
  checked("Runtime", "--runtime", ["allow-runtimes"]),
  checked("SecurityOpt", "--security-opt", ["allow-security-opt", "require"]),
  harmless("ShmSize", "--shm-size"),
  checked("StorageOpt", "--storage-opt", [], "`size` passes"),
  checked("Sysctls", "--sysctl", ["allow-sysctls"]),
  checked("Tmpfs", "--tmpfs", [], "`bind` and the like are refused"),
  checked("UTSMode", "--uts", ["allow-host"]),
  checked(
    "Ulimits",
    "--ulimit",
    ["allow-capabilities"],
    "rtprio and nice are what SYS_NICE gives",
  ),
  checked("UsernsMode", "--userns", ["allow-host"]),
  checked("VolumeDriver", "--volume-driver", ["allow-volume-drivers"]),
  storage("VolumesFrom", "--volumes-from"),
];

/**
 * The fields of the body of a create beside those of `HostConfig`, which
 * engines up to 26.1 also read at this level. None gives more than the image
 * itself could.
 */
export const CONFIG: readonly FieldAnswer[] = [
  harmless("ArgsEscaped", undefined, WINDOWS),
  harmless("AttachStderr", "-a"),
  harmless("AttachStdin", "-a"),
  harmless("AttachStdout", "-a"),
  harmless("Cmd"),
  harmless("Cpuset", undefined, OWN_CGROUP),
  harmless("Domainname", "--domainname"),
  harmless("Entrypoint", "--entrypoint"),
  harmless("Env", "-e"),
  harmless("ExposedPorts", "--expose"),
  harmless("Healthcheck", "--health-cmd"),
  { field: "HostConfig", answer: "checked", why: "the table above" },
  harmless("Hostname", "--hostname"),
  harmless("Image"),
  harmless("Labels", "-l"),
  harmless("MacAddress", "--mac-address"),
  harmless("Name", "--name", "some clients send it here too"),
  harmless("NetworkDisabled"),
  checked(
    "NetworkingConfig",
    "--network",
    ["allow-sysctls"],
    "the endpoints' sysctls",
  ),
  harmless("OnBuild"),
  harmless("OpenStdin", "-i"),
  harmless("Platform", "--platform", "some clients send it here too"),
  harmless("Shell"),
  harmless("StdinOnce"),
  harmless("StopSignal", "--stop-signal"),
  harmless("StopTimeout", "--stop-timeout"),
  harmless("Tty", "-t"),
  checked("User", "-u", ["require"]),
  storage("Volumes", "-v"),
  harmless("WorkingDir", "-w"),
];

/**
 * The fields of a service's `TaskSpec` and `ContainerSpec` (api/types/swarm in
 * moby) whose names are not in the tables above.
 */
export const TASK: readonly FieldAnswer[] = [
  harmless("Args"),
  checked("CapabilityAdd", "--cap-add", ["allow-capabilities"]),
  harmless("CapabilityDrop", "--cap-drop"),
  harmless("Command", "--entrypoint"),
  harmless("Configs", "--config"),
  { field: "ContainerSpec", answer: "checked" },
  harmless("Dir", "--workdir"),
  harmless("DNSConfig", "--dns"),
  harmless("ForceUpdate", "--force"),
  checked("Groups", "--group", ["require"]),
  harmless("Hosts", "--host"),
  checked("LogDriver", "--log-driver", ["allow-log-drivers"]),
  harmless("NetworkAttachmentSpec"),
  checked("Networks", "--network", ["allow-host", "allow-sysctls"]),
  harmless("Placement", "--constraint"),
  checked("PluginSpec", undefined, ["allow-plugins"]),
  checked(
    "Privileges",
    "--security-opt",
    ["allow-security-opt", "require"],
    "SELinux, seccomp, AppArmor, no-new-privileges",
  ),
  checked("ReadOnly", "--read-only", ["require"]),
  checked(
    "Resources",
    "--generic-resource",
    ["allow-devices", "require"],
    "limits of memory and processes too",
  ),
  harmless("Secrets", "--secret"),
  harmless("StopGracePeriod", "--stop-grace-period"),
];

function harmless(field: string, option?: string, why?: string): FieldAnswer {
  return { field, answer: "harmless", option, why };
}

function checked(
  field: string,
  option: string | undefined,
  keys: readonly string[],
  why?: string,
): FieldAnswer {
  return { field, answer: "checked", option, keys, why };
}

function storage(field: string, option: string, why?: string): FieldAnswer {
  return { field, answer: "volumes", option, why };
}

function refused(
  field: string,
  option: string | undefined,
  why: string,
): FieldAnswer {
  return { field, answer: "refused", option, why };
}

function retired(field: string): FieldAnswer {
  return { field, answer: "retired" };
}
