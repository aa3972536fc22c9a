import { type Host, IMAGE } from "../host.ts";
import { says, type Way } from "../escape.ts";
import { exists } from "../../../helpers/programs.ts";
import { SOURCES } from "./sources.ts";

const ALL_CALLS = '{"defaultAction":"SCMP_ACT_ALLOW"}';

/** What the engine's own profile forbids: all capabilities in a namespace. */
const newUser = ["sh", "-c", "unshare -U true && echo new user namespace"];

const noUserNamespaces = async (host: Host) =>
  await host.onHost(`${host.h.dir}/busybox`, "unshare", "-U", "true")
      .then(() => true, () => false)
    ? undefined
    : "this kernel lets nobody make user namespaces";

/** Opens for writing, and writes nothing. */
const opens = (file: string) => ["sh", "-c", `: >>${file} && echo opened`];

/** Ways that take a container's protection away. */
export const SECURITY: readonly Way[] = [
  {
    name: "--security-opt seccomp=unconfined",
    sources: [SOURCES.seccomp, "CVE-2022-0185"],
    cannot: noUserNamespaces,
    attempt: (host) =>
      host.run(["--security-opt=seccomp=unconfined"], ...newUser),
    proof: says("new user namespace"),
  },
  {
    name: "--security-opt seccomp:unconfined",
    sources: [SOURCES.seccomp, "moby daemon/daemon_unix.go"],
    cannot: noUserNamespaces,
    attempt: (host) =>
      host.create({
        Cmd: newUser,
        HostConfig: { SecurityOpt: ["seccomp:unconfined"] },
      }),
    proof: says("new user namespace"),
  },
  {
    name: "--security-opt seccomp= of a profile that allows everything",
    sources: [SOURCES.seccomp],
    cannot: noUserNamespaces,
    attempt: async (host) => {
      await Deno.writeTextFile(`${host.h.dir}/profile.json`, ALL_CALLS);
      await host.run(
        [`--security-opt=seccomp=${host.h.dir}/profile.json`],
        ...newUser,
      );
    },
    proof: says("new user namespace"),
  },
  {
    name: "--security-opt apparmor=unconfined",
    sources: [SOURCES.apparmor],
    cannot: async () =>
      await exists("/sys/kernel/security/apparmor/profiles")
        ? "what AppArmor forbids by default needs CAP_SYS_ADMIN too"
        : "this kernel has no AppArmor",
    attempt: (host) => host.run(["--security-opt=apparmor=unconfined"], "true"),
    proof: says("never"),
  },
  {
    name: "--security-opt label=disable",
    sources: [SOURCES.breakout],
    cannot: "this machine has no SELinux",
    attempt: (host) => host.run(["--security-opt=label=disable"], "true"),
    proof: says("never"),
  },
  {
    name: "--security-opt label=type:unconfined_t",
    sources: [
      "https://docs.docker.com/reference/cli/docker/container/run/#security-opt",
    ],
    cannot: "this machine has no SELinux",
    attempt: (host) =>
      host.run(["--security-opt=label=type:unconfined_t"], "true"),
    proof: says("never"),
  },
  {
    name: "--security-opt systempaths=unconfined: core_pattern, opened",
    sources: [
      SOURCES.sensitiveMounts,
      "https://docs.docker.com/reference/cli/docker/container/run/#security-opt",
    ],
    attempt: (host) =>
      host.run(
        ["--security-opt=systempaths=unconfined"],
        ...opens("/proc/sys/kernel/core_pattern"),
      ),
    proof: says("opened"),
  },
  {
    name: "no MaskedPaths: /proc/timer_list",
    sources: [SOURCES.sensitiveMounts, "moby daemon/pkg/oci/defaults.go"],
    cannot: async () =>
      await exists("/proc/timer_list") ? undefined : "no /proc/timer_list",
    attempt: (host) =>
      host.create({
        Cmd: ["sh", "-c", "grep -qi timer /proc/timer_list && echo seen"],
        HostConfig: { MaskedPaths: [] },
      }),
    proof: says("seen"),
  },
  {
    name: "no ReadonlyPaths: core_pattern, opened and not written",
    sources: [SOURCES.sensitiveMounts, "moby daemon/pkg/oci/defaults.go"],
    attempt: (host) =>
      host.create({
        Cmd: opens("/proc/sys/kernel/core_pattern"),
        HostConfig: { ReadonlyPaths: [] },
      }),
    proof: says("opened"),
  },
  {
    name: "ReadonlyPaths of something else: core_pattern, opened",
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.create({
        Cmd: opens("/proc/sys/kernel/core_pattern"),
        HostConfig: { ReadonlyPaths: ["/proc/bus"] },
      }),
    proof: says("opened"),
  },
  {
    name: "--security-opt writable-cgroups=true",
    sources: ["moby daemon/daemon_unix.go"],
    engines: { from: 28 },
    cannot: async () =>
      await exists("/sys/fs/cgroup/cgroup.controllers")
        ? undefined
        : "control groups of version 1 are never writable",
    attempt: (host) =>
      host.run(
        ["--security-opt=writable-cgroups=true"],
        ...["sh", "-c", "mkdir /sys/fs/cgroup/x && echo made"],
      ),
    proof: says("made"),
  },
  {
    name:
      "--security-opt no-new-privileges=false, against the engine's default",
    sources: ["https://docs.docker.com/reference/cli/dockerd/"],
    attempt: (host) =>
      host.run(
        ["--security-opt=no-new-privileges=false"],
        ...["sh", "-c", 'echo "$(grep NoNewPrivs /proc/self/status)"'],
      ),
    proof: (host) => /^NoNewPrivs:\s+0$/m.test(host.output),
  },
  {
    name: "--runtime of the administrator's",
    sources: ["https://docs.docker.com/engine/daemon/alternative-runtimes/"],
    attempt: async (host) => {
      await host.docker(
        ...["create", "--network=none", "--name=loose"],
        ...["--runtime=loose", IMAGE],
      );
      await host.docker("start", "loose");
      await host.docker(
        ...["inspect", "--format={{.State.Running}} {{.HostConfig.Runtime}}"],
        "loose",
      );
    },
    proof: says("true loose"),
  },
  {
    name: "--runtime of containerd's, by its full name",
    sources: ["moby daemon/runtime_unix.go"],
    engines: { from: 23 },
    attempt: async (host) => {
      await host.docker(
        ...["run", "--detach", "--network=none", "--name=shim"],
        ...["--runtime=io.containerd.runc.v2", IMAGE],
      );
      await host.docker(
        ...["inspect", "--format={{.State.Running}} {{.HostConfig.Runtime}}"],
        "shim",
      );
    },
    proof: says("true io.containerd.runc.v2"),
  },
  {
    name: "--runtime of a program's path",
    sources: ["moby daemon/runtime_unix.go"],
    closed: "the engine takes no path for a runtime",
    attempt: async (host) => {
      const program = `${host.allowed}/runtime`;
      await Deno.writeTextFile(program, `#!/bin/sh\necho x >${host.prey}\n`);
      await Deno.chmod(program, 0o755);
      await host.run([`--runtime=${program}`], "true");
    },
    proof: (host) => host.written(),
  },
  {
    name: "--annotation that the runtime takes orders from",
    sources: [
      "https://github.com/opencontainers/runc/blob/main/docs/systemd.md",
      "https://github.com/opencontainers/runtime-spec/issues/1202",
    ],
    engines: { from: 24 },
    cannot: "runc takes orders only if systemd keeps its control groups",
    attempt: (host) =>
      host.run(
        ["--annotation=org.systemd.property.TasksMax='infinity'"],
        "true",
      ),
    proof: says("never"),
  },
  {
    name: "--sysctl of the host's kernel",
    sources: [SOURCES.sensitiveMounts, "runc libcontainer/configs/validate"],
    closed: "runc sets what belongs to a namespace, and nothing else",
    // What it is already, if it were set.
    attempt: (host) =>
      host.run(["--sysctl=kernel.panic_on_oops=1"], "echo", "set"),
    proof: says("set"),
  },
  {
    name: "--sysctl of a namespace",
    sources: [
      "https://docs.docker.com/reference/cli/docker/container/run/#sysctl",
    ],
    attempt: (host) =>
      host.run(
        ["--sysctl=kernel.msgmax=7777"],
        ...["cat", "/proc/sys/kernel/msgmax"],
      ),
    proof: says("7777"),
  },
  {
    name: "--cgroup-parent: out of the engine's control group",
    sources: [
      SOURCES.cgroup,
      "https://docs.docker.com/reference/cli/docker/container/run/",
    ],
    attempt: async (host) => {
      const parent = `/${host.h.dockerd.name}/elsewhere`;
      await host.docker(
        ...["run", "--detach", "--network=none", "--name=parented"],
        ...[`--cgroup-parent=${parent}`, IMAGE],
      );
      const pid = await host.pidOf("parented");
      if (pid) host.note(await host.onHost("cat", `/proc/${pid}/cgroup`));
    },
    proof: (host) => host.output.includes("/elsewhere/"),
  },
  {
    name: "HostConfig.Cgroup of another container",
    sources: ["moby api/types/container/hostconfig.go"],
    cannot: "engines keep the field and do nothing with it",
    attempt: (host) =>
      host.create({ Cmd: ["true"], HostConfig: { Cgroup: "container:x" } }),
    proof: says("never"),
  },
];
