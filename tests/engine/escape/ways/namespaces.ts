import { type Host, PORT } from "../host.ts";
import { reads, says, sees, type Way } from "../escape.ts";
import { exists } from "../../../helpers/programs.ts";
import { SOURCES } from "./sources.ts";

const commandLines = ["sh", "-c", "cat /proc/[0-9]*/cmdline"];
const askHost = ["nc", "-w", "2", "127.0.0.1", String(PORT)];

/** A container that stands there with a namespace of the host. */
const standing = (name: string, ...options: string[]) => (host: Host) =>
  host.h.must("run", "-d", `--name=${name}`, ...options, "box:1");

const NO_REMAP = "without userns-remap in daemon.json it is the default";

const hasOwnCgroups = async () =>
  await exists("/sys/fs/cgroup/cgroup.controllers")
    ? undefined
    : "with control groups of version 1 it is the default";

/** Ways through namespaces of the host, and of containers that share them. */
export const NAMESPACES: readonly Way[] = [
  {
    name: "--pid=host",
    sources: [SOURCES.pid, SOURCES.breakout],
    attempt: (host) => host.run(["--pid=host"], ...commandLines),
    proof: sees,
  },
  {
    name: "--pid=container: of one that has the host's",
    sources: [SOURCES.pid],
    before: standing("host-pid", "--network=none", "--pid=host"),
    attempt: (host) => host.run(["--pid=container:host-pid"], ...commandLines),
    proof: sees,
  },
  {
    name: "--pid=container: of a privileged one, to what it mounts",
    sources: [SOURCES.pid, SOURCES.procRoot],
    before: (host) =>
      standing(
        "with-files",
        "--network=none",
        `--volume=${host.dir}:/mnt`,
      )(host),
    attempt: (host) =>
      host.run(
        ["--pid=container:with-files"],
        ...["cat", "/proc/1/root/mnt/secret"],
      ),
    proof: reads,
  },
  {
    name: "--ipc=host: /dev/shm",
    sources: [SOURCES.ipc],
    attempt: (host) => host.run(["--ipc=host"], "cat", host.shared),
    proof: reads,
  },
  {
    name: "--ipc=container: of one that has the host's",
    sources: [SOURCES.ipc],
    before: standing("host-ipc", "--network=none", "--ipc=host"),
    attempt: (host) =>
      host.run(["--ipc=container:host-ipc"], "cat", host.shared),
    proof: reads,
  },
  {
    name: "--uts=host: the host's name, read and not set",
    sources: [SOURCES.uts],
    attempt: (host) => host.run(["--uts=host"], "hostname"),
    proof: (host) => says(Deno.hostname())(host),
  },
  {
    name: "--network=host: a service on the host's loopback",
    sources: [SOURCES.network, SOURCES.attackSurface],
    attempt: (host) => host.runIn(["--network=host"], ...askHost),
    proof: reads,
  },
  {
    name: "--network=host: an abstract socket",
    sources: ["CVE-2020-15257"],
    cannot: (host) => Promise.resolve(host.whyNoTool),
    attempt: (host) =>
      host.runIn(["--network=host"], "host-access", "abstract", host.abstract),
    proof: reads,
  },
  {
    name: "--network=container: of one that has the host's",
    sources: [SOURCES.network],
    before: standing("host-network", "--network=host"),
    attempt: (host) =>
      host.runIn(["--network=container:host-network"], ...askHost),
    proof: reads,
  },
  {
    name: "the network host by its ID",
    sources: ["moby daemon/container_operations.go"],
    closed: "by its ID the container gets a network namespace of its own",
    attempt: async (host) => {
      const { Id } = (await host.h.api("GET", "/networks/host")).json<
        { Id?: string }
      >();
      await host.runIn([`--network=${Id}`], ...askHost);
    },
    proof: reads,
  },
  {
    name: "the network host among the endpoints alone",
    sources: ["moby daemon/server/router/container/container_routes.go"],
    closed: "a container has the network of HostConfig.NetworkMode",
    attempt: (host) =>
      host.create({
        NetworkDisabled: false,
        Cmd: askHost,
        HostConfig: { NetworkMode: "none" },
        NetworkingConfig: { EndpointsConfig: { host: {} } },
      }),
    proof: reads,
  },
  {
    name: "docker network connect host",
    sources: ["moby daemon/container_operations.go"],
    closed: "the engine connects no container to the host's network later",
    before: standing("to-connect", "--network=none"),
    attempt: async (host) => {
      await host.docker("network", "disconnect", "none", "to-connect");
      await host.docker("network", "connect", "host", "to-connect");
      await host.docker("exec", "to-connect", ...askHost);
    },
    proof: reads,
  },
  {
    name: "--userns=host",
    sources: [SOURCES.user, "https://github.com/moby/moby/issues/22223"],
    cannot: NO_REMAP,
    open: NO_REMAP,
    attempt: (host) => host.run(["--userns=host"], "true"),
    proof: says("never"),
  },
  {
    name: "--cgroupns=host",
    sources: [SOURCES.cgroup],
    cannot: hasOwnCgroups,
    open: hasOwnCgroups,
    attempt: (host) =>
      host.run(["--cgroupns=host"], "cat", "/proc/self/cgroup"),
    proof: (host) => host.output.includes(host.h.dockerd.name),
  },
  {
    name: "docker network create --driver macvlan: the host's own network",
    sources: ["https://docs.docker.com/engine/network/drivers/macvlan/"],
    cannot: async (host) =>
      await host.onHost(
          `${host.h.dir}/busybox`,
          ...["sh", "-c", "ip link add dpp0 type dummy && echo made"],
        ).catch(() => "")
        ? undefined
        : "no dummy interfaces in this kernel",
    attempt: async (host) => {
      const options = ["--driver=macvlan", "--opt=parent=dpp0"];
      await host.docker("network", "create", ...options, "lan");
      await host.docker("network", "inspect", "--format={{.Options}}", "lan");
    },
    proof: says("map[parent:dpp0]"),
  },
  {
    name: "docker network create --driver ipvlan",
    sources: ["https://docs.docker.com/engine/network/drivers/ipvlan/"],
    cannot: "as macvlan, and ipvlan is not in every kernel",
    attempt: (host) =>
      host.docker(
        ...["network", "create", "--driver=ipvlan", "--opt=parent=lo", "lan2"],
      ),
    proof: says("never"),
  },
];
