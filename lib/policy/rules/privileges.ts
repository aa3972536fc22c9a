/**
 * What a container may have beyond what the engine gives each one: the rules of
 * `[privileges]`. With an empty policy, nothing that makes root on the host.
 *
 * @module
 */
import {
  type ContainerOptions,
  type DeviceRequest,
  type Namespace,
  NAMESPACES,
} from "../../call/container_options.ts";
import { foldKey } from "../../call/fold.ts";
import type { HostFacts } from "../../engine/facts.ts";
import { shown } from "../../text.ts";
import { olderThan } from "../../version.ts";
import { type Denial, deny } from "../decision.ts";
import {
  CONFIG,
  type FieldAnswer,
  HOST_CONFIG,
  NEWEST_KNOWN_API,
  TASK,
} from "./host_config.ts";
import { cleanPath } from "./paths.ts";
import { BINDING, checkVolumeDriver } from "./volume_drivers.ts";

/** What `allow-host` may name: namespaces, and mounts that reach the host's. */
export const HOST_SHARES = [...NAMESPACES, "mount"] as const;

/** One of them. */
export type HostShare = typeof HOST_SHARES[number];

/** The namespaces that `allow-join` may name. */
export const JOINABLE = ["network", "pid", "ipc"] as const;

/** One of them. */
export type Joinable = typeof JOINABLE[number];

/** What `require` may name. */
export const REQUIREMENTS = [
  "no-new-privileges",
  "read-only",
  "user",
  "memory",
  "pids-limit",
] as const;

/** One of them. */
export type Requirement = typeof REQUIREMENTS[number];

/** What an administrator can set about privileges. */
export interface PrivilegesPolicy {
  /** Whether containers and execs may be privileged: root on the host. */
  readonly allowPrivileged: boolean;
  /**
   * Capabilities beyond the engine's default set, such as `NET_ADMIN`; `ALL`.
   */
  readonly allowCapabilities: readonly string[];
  /**
   * Devices: a path (`/dev/fuse`), all below a directory (`/dev/dri/`), a rule
   * of the device cgroup (`c 189:* rmw`), a CDI device (`nvidia.com/gpu=all`)
   * or its kind, a capability of a device driver or a swarm's generic resource
   * (`gpu`).
   */
  readonly allowDevices: readonly string[];
  /** What containers may share with the host. */
  readonly allowHost: readonly HostShare[];
  /** Which namespaces of other containers may be joined. */
  readonly allowJoin: readonly Joinable[];
  /**
   * Options of `--security-opt`, as they are written there; `seccomp=/file` or
   * `seccomp=/directory/` for the profiles there.
   */
  readonly allowSecurityOpt: readonly string[];
  /** Names of sysctls; one that ends with a dot allows all that begin so. */
  readonly allowSysctls: readonly string[];
  /** Runtimes beyond the engine's default one. */
  readonly allowRuntimes: readonly string[];
  /**
   * Log drivers beyond the local ones and, without options, the default one.
   */
  readonly allowLogDrivers: readonly string[];
  /** Volume drivers beyond `local`; `local:nfs` for a type of its mounts. */
  readonly allowVolumeDrivers: readonly string[];
  /** Values of `--cgroup-parent`. */
  readonly allowCgroupParents: readonly string[];
  /** What each container must have. */
  readonly require: readonly Requirement[];
  /** Whether engine plugins may be changed: they may have any privileges. */
  readonly allowPlugins: boolean;
  /** Whether the host's part in a swarm may be changed. */
  readonly allowSwarm: boolean;
  /**
   * Whether `docker build` without BuildKit, whose options can hide, is open.
   */
  readonly allowClassicBuild: boolean;
  /**
   * Whether builds with BuildKit are open: it opens device files of images as
   * root.
   */
  readonly allowBuildkit: boolean;
}

/** What the rules look at. */
export interface Question {
  readonly policy: PrivilegesPolicy;
  readonly options: ContainerOptions;
  readonly host: HostFacts;
  /**
   * Whether the engine recorded the options: then it has added its defaults,
   * and labels of SELinux for what is shared.
   */
  readonly recorded: boolean;
  /** Options of `--security-opt` that profiles on the host allow. */
  readonly profiles?: ReadonlySet<string>;
  /** The user of the image, which counts if the options name none. */
  readonly imageUser?: string;
}

/**
 * Checks what a container is to have.
 *
 * @param question The container and the settings.
 * @returns The denial, naming the option as `docker run` does.
 */
export function checkPrivileges(question: Question): Denial | undefined {
  const { policy, options } = question;
  if (options.privileged && policy.allowPrivileged) {
    return checkRequired(question); // Nothing goes beyond that.
  }
  for (const check of CHECKS) {
    const denied = check(question);
    if (denied) return denied;
  }
  return undefined;
}

type Check = (question: Question) => Denial | undefined;

const CHECKS: readonly Check[] = [
  checkPrivileged,
  checkCapabilities,
  checkDevices,
  checkModes,
  checkPropagations,
  checkTmpfs,
  checkSecurityOpt,
  checkMaskedPaths,
  checkSysctls,
  checkRuntime,
  checkLogDriver,
  checkVolumeDrivers,
  checkScheduling,
  checkCgroup,
  checkFields,
  checkRequired,
];

/** The keys of `[privileges]` that allow what is refused. */
type Key = `allow-${string}`;

/**
 * Refuses an option.
 *
 * @param rule Stable short name of the rule, without `privileges/`.
 * @param what The option as `docker run` has it, such as `--pid=host`.
 * @param key What in `[privileges]` would allow it, if anything.
 * @returns The denial.
 */
export function denyOption(rule: string, what: string, key?: Key): Denial {
  const hint = key ? ` (${key} in [privileges])` : "";
  return deny(
    `privileges/${rule}`,
    `privileges: ${what} is not allowed${hint}`,
  );
}

function checkPrivileged({ options }: Question): Denial | undefined {
  return options.privileged
    ? denyOption("privileged", "--privileged", "allow-privileged")
    : undefined;
}

/** `defaultCapabilities` in moby's daemon/pkg/oci/caps/defaults.go. */
const DEFAULT_CAPABILITIES = new Set([
  ...["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL"],
  ...["MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP"],
  ...["SETUID", "SYS_CHROOT"],
]);

/**
 * Brings a capability into the form that the engine compares:
 * `NormalizeLegacyCapabilities` in moby's daemon/pkg/oci/caps/utils.go.
 *
 * @param name In any letter case, with or without `CAP_`.
 * @returns In upper case without `CAP_`.
 */
function normalCapability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

function checkCapabilities({ policy, options }: Question): Denial | undefined {
  const refused = options.capAdd.find((name) =>
    !DEFAULT_CAPABILITIES.has(normalCapability(name)) &&
    !mayHaveCapability(policy, name)
  );
  return refused === undefined ? undefined : denyOption(
    "capability",
    `--cap-add ${shown(normalCapability(refused))}`,
    "allow-capabilities",
  );
}

function mayHaveCapability(policy: PrivilegesPolicy, name: string): boolean {
  return policy.allowCapabilities.map(normalCapability)
    .some((allowed) => allowed === "ALL" || allowed === normalCapability(name));
}

function checkDevices({ policy, options }: Question): Denial | undefined {
  const { allowDevices } = policy;
  const device = options.devices.find((path) => !mayHaveDevice(policy, path));
  const rule = options.deviceRules.find((rule) => !allowDevices.includes(rule));
  const request = options.deviceRequests.find((request) =>
    !mayRequest(allowDevices, request)
  );
  const what = device !== undefined
    ? `--device ${shown(device)}`
    : rule !== undefined
    ? `--device-cgroup-rule "${shown(rule)}"`
    : request !== undefined
    ? describeRequest(request)
    : undefined;
  return what === undefined
    ? undefined
    : denyOption("device", what, "allow-devices");
}

/**
 * Says whether a device of the host is allowed.
 *
 * @param policy The administrator's settings.
 * @param path Its path.
 * @returns Whether it, or a directory above it, is named.
 */
export function mayHaveDevice(
  { allowDevices }: PrivilegesPolicy,
  path: string,
): boolean {
  const clean = cleanPath(path);
  return allowDevices.some((allowed) =>
    allowed.endsWith("/") ? `${clean}/`.startsWith(allowed) : allowed === clean
  );
}

function mayRequest(
  allowed: readonly string[],
  { driver, ids, capabilities }: DeviceRequest,
): boolean {
  if (driver.toLowerCase() === "cdi") {
    return ids.every((id) =>
      allowed.includes(id) || allowed.includes(id.split("=")[0])
    );
  }
  return capabilities.length > 0 &&
    capabilities.every((all) => all.some((each) => allowed.includes(each)));
}

function describeRequest(
  { driver, ids, capabilities }: DeviceRequest,
): string {
  const named = ids.map((id) => shown(id)).join(",");
  return driver.toLowerCase() === "cdi"
    ? `--device ${named}`
    : `--gpus (devices with ${shown(capabilities.flat().join(",")) || "?"})`;
}

/** How `docker run` calls a namespace's option. */
const MODE_OPTIONS: Readonly<Record<Namespace, string>> = {
  network: "--network",
  pid: "--pid",
  ipc: "--ipc",
  uts: "--uts",
  user: "--userns",
  cgroup: "--cgroupns",
};

/** Modes that give a namespace of the container's own, or none at all. */
const OWN_MODES = ["", "default", "private", "shareable", "none"];

/** Some modes of the network are names of networks, which exist already. */
function checkModes({ policy, options, host }: Question): Denial | undefined {
  for (const namespace of NAMESPACES) {
    const mode = options.modes[namespace];
    const option = `${MODE_OPTIONS[namespace]}=${shown(mode)}`;
    if (OWN_MODES.includes(mode)) continue;
    if (isJoin(mode)) {
      if (policy.allowJoin.some((joined) => joined === namespace)) continue;
      return denyOption(`join-${namespace}`, option, "allow-join");
    }
    if (namespace === "network" && mode !== "host") continue;
    if (policy.allowHost.includes(namespace)) continue;
    if (isDefaultMode(namespace, mode, host)) continue;
    return denyOption(`host-${namespace}`, option, "allow-host");
  }
  return undefined;
}

function isJoin(mode: string): boolean {
  return mode.startsWith("container:");
}

/** What the engine does anyway: without user namespaces, on cgroup v1. */
function isDefaultMode(
  namespace: Namespace,
  mode: string,
  { remapsUsers, hasOwnCgroups }: HostFacts,
): boolean {
  return mode === "host" &&
    (namespace === "user" && !remapsUsers ||
      namespace === "cgroup" && !hasOwnCgroups);
}

/**
 * Lists the containers whose namespaces a container joins.
 *
 * @param options What it is to have.
 * @returns Their names, as sent.
 */
export function joinedContainers({ modes }: ContainerOptions): string[] {
  return Object.values(modes).filter(isJoin)
    .map((mode) => mode.slice("container:".length));
}

function checkPropagations({ policy, options }: Question): Denial | undefined {
  const shared = options.propagations.find((each) => /^r?shared$/.test(each));
  return shared === undefined || policy.allowHost.includes("mount")
    ? undefined
    : denyOption(
      "host-mount",
      `bind-propagation=${shared}`,
      "allow-host",
    );
}

/** Of flags, the engine takes all that mount(8) has (MergeTmpfsOptions). */
function checkTmpfs({ options }: Question): Denial | undefined {
  const refused = options.tmpfsOptions.find((each) => BINDING.includes(each));
  return refused === undefined
    ? undefined
    : denyOption("tmpfs", `--tmpfs with the option ${refused}`);
}

function checkSecurityOpt(question: Question): Denial | undefined {
  const refused = question.options.securityOpt
    .find((option) => !mayHaveSecurityOpt(question, option));
  return refused === undefined ? undefined : denyOption(
    "security-opt",
    `--security-opt ${shown(refused, 100)}`,
    "allow-security-opt",
  );
}

function mayHaveSecurityOpt(
  { policy, options: { modes }, host, recorded, profiles }: Question,
  written: string,
): boolean {
  const option = normalSecurityOpt(written);
  const shared = [modes.pid, modes.ipc].some((mode) =>
    mode === "host" || isJoin(mode)
  );
  return TIGHTENING.includes(option) ||
    policy.allowSecurityOpt.map(normalSecurityOpt).includes(option) ||
    (profiles?.has(option) ?? false) ||
    // Without AppArmor the engine passes it by.
    option === "apparmor=docker-default" ||
    ["seccomp=builtin", "seccomp=default"].includes(option) &&
      host.hasBuiltinSeccomp ||
    // `generateSecurityOpt` in moby's daemon/create.go.
    recorded && shared && option.startsWith("label=");
}

/** Options that only tighten, in normal form. */
const TIGHTENING = [
  "no-new-privileges",
  "no-new-privileges=true",
  "writable-cgroups=false",
];

/**
 * Brings an option of `--security-opt` into one form: `parseSecurityOpt` in
 * moby's daemon/daemon_unix.go.
 *
 * @param option As it was written: with `=`, or with `:` as before Docker 1.13.
 * @returns With `=`, and truth as `true` or `false`.
 */
export function normalSecurityOpt(option: string): string {
  if (option === "disable") return "label=disable";
  const at = option.includes("=") ? option.indexOf("=") : option.indexOf(":");
  if (at < 0) return option;
  const name = option.slice(0, at);
  const value = option.slice(at + 1);
  // `strconv.ParseBool` in Go.
  if (["no-new-privileges", "writable-cgroups"].includes(name)) {
    const isTrue = ["1", "t", "T", "TRUE", "true", "True"].includes(value);
    const isFalse = ["0", "f", "F", "FALSE", "false", "False"].includes(value);
    if (isTrue || isFalse) return `${name}=${isTrue}`;
  }
  return `${name}=${value}`;
}

/** What every engine since 20.10 masks; a later one more, which leaks less. */
const MASKED_PATHS = [
  ...["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys"],
  ...["/proc/latency_stats", "/proc/sched_debug", "/proc/scsi"],
  ...["/proc/timer_list", "/proc/timer_stats", "/sys/firmware"],
];

/** What every engine makes read-only: daemon/pkg/oci/defaults.go in moby. */
const READONLY_PATHS = [
  ...["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
  "/proc/sysrq-trigger",
];

/**
 * The docker CLI makes empty lists of `--security-opt systempaths=unconfined`.
 */
function checkMaskedPaths({ policy, options }: Question): Denial | undefined {
  const option = "systempaths=unconfined";
  if (policy.allowSecurityOpt.includes(option)) return undefined;
  const { maskedPaths, readonlyPaths } = options;
  const missing = missingOf(MASKED_PATHS, maskedPaths) ??
    missingOf(READONLY_PATHS, readonlyPaths, maskedPaths);
  return missing === undefined ? undefined : denyOption(
    "system-paths",
    `--security-opt ${option} (no protection of ${missing})`,
    "allow-security-opt",
  );
}

function missingOf(
  wanted: readonly string[],
  given: readonly string[] | undefined,
  others: readonly string[] = [],
): string | undefined {
  return given &&
    wanted.find((path) => !given.includes(path) && !others.includes(path));
}

function checkSysctls({ policy, options }: Question): Denial | undefined {
  const refused = options.sysctls.find((name) => !maySetSysctl(policy, name));
  return refused === undefined
    ? undefined
    : denyOption("sysctl", `--sysctl ${shown(refused)}`, "allow-sysctls");
}

/**
 * The engine sets these itself, in a container's own network (`WithSysctls` in
 * moby's daemon/oci_linux.go).
 */
const OWN_SYSCTLS = [
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ping_group_range",
];

/** The kernel takes slashes for dots. */
function maySetSysctl(
  { allowSysctls }: PrivilegesPolicy,
  written: string,
): boolean {
  const name = written.replaceAll("/", ".");
  return [...OWN_SYSCTLS, ...allowSysctls].some((allowed) =>
    allowed.endsWith(".") ? name.startsWith(allowed) : name === allowed
  );
}

function checkRuntime({ policy, options, host }: Question): Denial | undefined {
  const { runtime } = options;
  return ["", host.defaultRuntime, ...policy.allowRuntimes].includes(runtime)
    ? undefined
    : denyOption("runtime", `--runtime ${shown(runtime)}`, "allow-runtimes");
}

/** Log drivers that write on this host, to places of the engine's own. */
const LOCAL_LOG_DRIVERS = ["json-file", "local", "journald", "none"];

function checkLogDriver(
  { policy, options, host, recorded }: Question,
): Denial | undefined {
  const name = options.logDriver.name || host.defaultLogDriver;
  const hasOptions = options.logDriver.options.size > 0;
  if ([...LOCAL_LOG_DRIVERS, ...policy.allowLogDrivers].includes(name)) {
    return undefined;
  }
  // The engine adds its own options to those of its default driver.
  if (name === host.defaultLogDriver && (recorded || !hasOptions)) {
    return undefined;
  }
  return denyOption(
    "log-driver",
    `--log-driver ${shown(name)}${
      name === host.defaultLogDriver ? " with --log-opt" : ""
    }`,
    "allow-log-drivers",
  );
}

function checkVolumeDrivers({ policy, options }: Question): Denial | undefined {
  for (const driver of options.volumeDrivers) {
    const denied = checkVolumeDriver(policy.allowVolumeDrivers, driver);
    if (denied) return denied;
  }
  return undefined;
}

/** What processes without SYS_NICE can't have. */
function checkScheduling({ policy, options }: Question): Denial | undefined {
  const ulimit = options.ulimits.find((name) =>
    name === "rtprio" || name === "nice"
  );
  const what = ulimit !== undefined
    ? `--ulimit ${ulimit}`
    : options.realtime
    ? "--cpu-rt-runtime"
    : undefined;
  return what === undefined || mayHaveCapability(policy, "SYS_NICE")
    ? undefined
    : denyOption(
      "scheduling",
      `${what} without SYS_NICE`,
      "allow-capabilities",
    );
}

function checkCgroup({ policy, options }: Question): Denial | undefined {
  const { cgroupParent, oomScoreAdj, storageOpt, blkioDevices } = options;
  if (
    cgroupParent !== "" && !policy.allowCgroupParents.includes(cgroupParent)
  ) {
    return denyOption(
      "cgroup-parent",
      `--cgroup-parent ${shown(cgroupParent)}`,
      "allow-cgroup-parents",
    );
  }
  if (oomScoreAdj < 0) {
    return denyOption("oom-score-adj", `--oom-score-adj ${oomScoreAdj}`);
  }
  const storage = storageOpt.find((name) => name !== "size");
  if (storage !== undefined) {
    return denyOption("storage-opt", `--storage-opt ${shown(storage)}`);
  }
  // The engine's answer tells whether any other path is there.
  const path = blkioDevices.find((path) =>
    !cleanPath(path).startsWith("/dev/")
  );
  return path === undefined
    ? undefined
    : denyOption("blkio-device", `a limit for ${shown(path) || '""'}`);
}

const ANSWERS: ReadonlyMap<string, FieldAnswer> = new Map(
  [...TASK, ...CONFIG, ...HOST_CONFIG].map((
    answer,
  ) => [foldKey(answer.field), answer]),
);

/**
 * What the other rules don't read. Go leaves out what it does not know, so that
 * a field that is not in the tables can only mean something to an engine that
 * speaks a newer API than they do.
 */
function checkFields(
  { options, host, recorded }: Question,
): Denial | undefined {
  for (const name of options.fields) {
    const known = ANSWERS.get(name);
    if (known?.answer === "refused") {
      return denyOption("field", known.option ?? known.field);
    }
    // An inspect tells more than a create takes.
    if (known || recorded) continue;
    if (olderThan(NEWEST_KNOWN_API, host.apiVersion)) {
      return denyOption(
        "unknown-field",
        `the field ${shown(name)}, which this plugin does not know and this ` +
          "engine may,",
      );
    }
  }
  return undefined;
}

function checkRequired(question: Question): Denial | undefined {
  for (const requirement of question.policy.require) {
    const missing = MISSING[requirement](question);
    if (missing !== undefined) {
      return deny(
        `privileges/require-${requirement}`,
        `privileges: a container without ${missing} is not allowed ` +
          `(require = "${requirement}" in [privileges])`,
      );
    }
  }
  return undefined;
}

/** What a container lacks, as an option of `docker run`. */
const MISSING: Readonly<
  Record<Requirement, (question: Question) => string | undefined>
> = {
  "no-new-privileges": ({ options, host }) => {
    // The last one of several wins.
    const last = options.securityOpt.map(normalSecurityOpt)
      .findLast((option) => option.startsWith("no-new-privileges"));
    return last === undefined && host.noNewPrivileges ||
        last !== undefined && last !== "no-new-privileges=false"
      ? undefined
      : "--security-opt no-new-privileges";
  },
  "read-only": ({ options }) => options.readOnly ? undefined : "--read-only",
  user: ({ options, imageUser = "" }) =>
    missingUser(options.user || imageUser) ??
      missingGroup(options.groups),
  memory: ({ options }) => options.memory > 0 ? undefined : "--memory",
  "pids-limit": ({ options }) =>
    (options.pidsLimit ?? 0) > 0 ? undefined : "--pids-limit",
};

/** Names mean what the image's own files say. */
function missingUser(user: string): string | undefined {
  return /^0*[1-9][0-9]*(:0*[1-9][0-9]*)?$/.test(user)
    ? undefined
    : "--user UID (a number, not 0)";
}

function missingGroup(groups: readonly string[]): string | undefined {
  return groups.every((group) => /^0*[1-9][0-9]*$/.test(group))
    ? undefined
    : "numbers other than 0 for --group-add";
}

/**
 * Checks what an exec is to have.
 *
 * @param policy The administrator's settings.
 * @param exec What it asks for, with the container's user if it names none.
 * @returns The denial.
 */
export function checkExec(
  policy: PrivilegesPolicy,
  { privileged, user }: { privileged: boolean; user: string },
): Denial | undefined {
  if (privileged && !policy.allowPrivileged) {
    return denyOption("privileged", "exec --privileged", "allow-privileged");
  }
  const missing = policy.require.includes("user")
    ? missingUser(user)
    : undefined;
  return missing === undefined ? undefined : deny(
    "privileges/require-user",
    `privileges: an exec without ${missing} is not allowed ` +
      '(require = "user" in [privileges])',
  );
}
