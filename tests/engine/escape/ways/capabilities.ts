import { exists } from "../../../helpers/programs.ts";
import { hasOldCgroups, type Host, whyNotAll } from "../host.ts";
import { reads, says, sees, type Way } from "../escape.ts";
import { SOURCES } from "./sources.ts";

/** Opens for writing, and writes nothing. */
const open = (file: string) => `: >>${file} && echo opened`;

const noOldCgroups = async () =>
  await hasOldCgroups()
    ? undefined
    : "only control groups of version 1 have a release_agent";

const noDisk = async (host: Host) =>
  host.disk ? await whyNotAll(host) : host.whyNoDisk;

const noTool = (host: Host) => Promise.resolve(host.whyNoTool);

/** A container that says whether it has a capability, by its bit. */
function has(
  capability: string,
  bit: number,
  source: string,
  from?: number,
): Way {
  const value =
    `$((0x$(sed -n "s/CapEff:.//p" /proc/self/status) >> ${bit} & 1))`;
  return {
    name: `--cap-add ${capability}, which is only looked at`,
    sources: [source],
    engines: { from },
    attempt: (host) =>
      host.run([`--cap-add=${capability}`], "sh", "-c", `echo bit ${value}`),
    proof: says("bit 1"),
  };
}

const MANUAL = "https://man7.org/linux/man-pages/man7/capabilities.7.html";

/** Ways through capabilities, and through all of them at once. */
export const CAPABILITIES: readonly Way[] = [
  {
    name: "--privileged: the host's disk",
    sources: [SOURCES.privileged, SOURCES.breakout, SOURCES.attackSurface],
    cannot: noDisk,
    attempt: (host) =>
      host.run(
        ["--privileged"],
        ...["head", "-c", "64", host.disk ?? "/dev/loop0"],
      ),
    proof: reads,
  },
  {
    name: "--privileged: core_pattern, opened and not written",
    cannot: whyNotAll,
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.run(
        ["--privileged"],
        ...["sh", "-c", open("/proc/sys/kernel/core_pattern")],
      ),
    proof: says("opened"),
  },
  {
    name: "--privileged: uevent_helper, opened and not written",
    sources: [SOURCES.sensitiveMounts],
    cannot: async (host) =>
      await host.onHost("sh", "-c", "ls /sys/kernel/uevent_helper || true")
        ? undefined
        : "this kernel has no uevent_helper",
    attempt: (host) =>
      host.run(
        ["--privileged"],
        ...["sh", "-c", open("/sys/kernel/uevent_helper")],
      ),
    proof: says("opened"),
  },
  {
    name: "--privileged --pid=host and nsenter",
    cannot: whyNotAll,
    sources: [SOURCES.breakout, SOURCES.privileged],
    attempt: (host) =>
      host.run(
        ["--privileged", "--pid=host"],
        ...["nsenter", "-t", "1", "-m", "cat", host.file],
      ),
    proof: reads,
  },
  {
    name: "--cap-add SYS_ADMIN: release_agent, opened and not written",
    sources: [SOURCES.releaseAgent, "CVE-2022-0492"],
    cannot: noOldCgroups,
    attempt: (host) =>
      host.run(
        ["--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"],
        "sh",
        "-c",
        "mount -t cgroup -o memory cgroup /tmp && " +
          open("/tmp/release_agent"),
      ),
    proof: says("opened"),
  },
  {
    name: "--cap-add SYS_ADMIN: /proc/sys mounted for writing",
    sources: [SOURCES.capabilities, SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.run(
        ["--cap-add=CAP_SYS_ADMIN", "--security-opt=apparmor=unconfined"],
        "sh",
        "-c",
        "mount -o remount,bind,rw /proc/sys; " +
          open("/proc/sys/kernel/core_pattern"),
      ),
    proof: says("opened"),
  },
  {
    name: "--cap-add SYS_PTRACE --pid=host: files and variables of processes",
    sources: [SOURCES.capabilities, SOURCES.pid],
    attempt: (host) =>
      host.run(
        ["--cap-add=sys_ptrace", "--pid=host"],
        ...["cat", `/proc/${host.pid}/root${host.file}`],
        `/proc/${host.pid}/environ`,
      ),
    proof: reads,
  },
  {
    name: "--cap-add DAC_READ_SEARCH: a file by its handle",
    sources: [SOURCES.shocker, SOURCES.capabilities],
    cannot: noTool,
    attempt: async (host) => {
      const handle = host.whyNoTool
        ? "00"
        : await host.onHost(host.tool, "handle", host.file);
      await host.run(
        ["--cap-add=DAC_READ_SEARCH", `--volume=${host.allowed}:/mnt:ro`],
        ...["host-access", "open", "/mnt", handle.trim()],
      );
    },
    proof: reads,
  },
  {
    name: "--cap-add SYS_MODULE: unloads a module that does not exist",
    sources: [SOURCES.capabilities],
    cannot: async () =>
      await exists("/proc/modules") ? undefined : "this kernel has no modules",
    attempt: (host) =>
      host.run(
        ["--cap-add=SYS_MODULE"],
        "sh",
        "-c",
        "rmmod no_such_module 2>&1 | grep -q 'No such file' && echo may",
      ),
    proof: says("may"),
  },
  {
    name: "--cap-add SYSLOG: the kernel's log",
    sources: [SOURCES.capabilities],
    attempt: (host) =>
      host.run(
        ["--cap-add=SYSLOG"],
        ...["sh", "-c", "dmesg >/dev/null && echo may"],
      ),
    proof: says("may"),
    cannot: async (host) =>
      (await host.onHost("cat", "/proc/sys/kernel/dmesg_restrict")).trim() ===
          "1"
        ? undefined
        : "on this machine anybody reads the kernel's log",
  },
  {
    name: "--cap-add ALL --pid=host",
    cannot: whyNotAll,
    sources: [SOURCES.breakout],
    attempt: (host) =>
      host.run(
        ["--cap-add=ALL", "--pid=host"],
        ...["nsenter", "-t", "1", "-m", "cat", host.file],
      ),
    proof: reads,
  },
  {
    name: "--cap-add all, in lower case, in the body",
    cannot: whyNotAll,
    sources: [SOURCES.authz],
    attempt: (host) =>
      host.create({
        Cmd: ["nsenter", "-t", "1", "-m", "cat", host.file],
        HostConfig: { CapAdd: ["all"], PidMode: "host" },
      }),
    proof: reads,
  },
  {
    name: "Capabilities, the exact list of API 1.40",
    sources: [SOURCES.authz],
    closed: "engines since 20.10 do not read the field",
    attempt: (host) =>
      host.create({
        Cmd: ["sh", "-c", open("/proc/sys/kernel/core_pattern")],
        HostConfig: { Capabilities: ["CAP_SYS_ADMIN"] },
      }),
    proof: says("opened"),
  },
  {
    name: "--privileged --cap-drop ALL, which still has the devices",
    sources: [SOURCES.privileged],
    cannot: noDisk,
    attempt: (host) =>
      host.run(
        ["--privileged", "--cap-drop=ALL"],
        ...["head", "-c", "64", host.disk ?? "/dev/loop0"],
      ),
    proof: reads,
  },
  {
    name: "docker exec --privileged",
    cannot: whyNotAll,
    sources: [SOURCES.authz],
    attempt: async (host) => {
      await host.docker("run", "-d", "--network=none", "--name=plain", "box:1");
      await host.docker(
        ...["exec", "--privileged", "plain", "sh", "-c"],
        'echo bit $((0x$(sed -n "s/CapEff:.//p" /proc/self/status) >> 21 & 1))',
      );
    },
    proof: says("bit 1"),
  },
  {
    name: "docker exec --privileged where seccomp is off: /proc/sys",
    cannot: whyNotAll,
    sources: [SOURCES.authz],
    before: (host) =>
      host.h.must(
        ...["run", "-d", "--network=none", "--name=unconfined"],
        ...["--security-opt=seccomp=unconfined", "box:1"],
      ),
    attempt: (host) =>
      host.docker(
        ...["exec", "--privileged", "unconfined", "sh", "-c"],
        "mount -o remount,bind,rw /proc/sys; " +
          open("/proc/sys/kernel/core_pattern"),
      ),
    proof: says("opened"),
  },
  {
    name: "--pid=host alone: command lines",
    sources: [SOURCES.pid],
    attempt: (host) =>
      host.run(["--pid=host"], "sh", "-c", "cat /proc/[0-9]*/cmdline"),
    proof: sees,
  },
  has("SYS_MODULE", 16, SOURCES.capabilities),
  has("SYS_RAWIO", 17, SOURCES.capabilities),
  has("SYS_BOOT", 22, SOURCES.capabilities),
  has("SYS_TIME", 25, SOURCES.capabilities),
  has("SYS_NICE", 23, SOURCES.capabilities),
  has("NET_ADMIN", 12, SOURCES.capabilities),
  has("MAC_ADMIN", 33, SOURCES.capabilities),
  // Docker 20.10 does not know the last three.
  has("PERFMON", 38, MANUAL, 23),
  has("BPF", 39, MANUAL, 23),
  has("CHECKPOINT_RESTORE", 40, MANUAL, 23),
];
