import { type Host, IMAGE } from "../host.ts";
import { reads, says, type Way } from "../escape.ts";
import { SOURCES } from "./sources.ts";

const noDisk = (host: Host) =>
  Promise.resolve(host.disk ? undefined : host.whyNoDisk);

const disk = (host: Host) => host.disk ?? "/dev/loop0";

/** The number of the disk's device, as `--device-cgroup-rule` has it. */
const minor = (host: Host) => disk(host).replace(/\D*/, "");

/** Makes a device of the host's disk in the container, and reads it. */
const makeAndRead = (host: Host) =>
  `mknod /tmp/d b 7 ${minor(host)} && head -c 64 /tmp/d`;

/** A container of a user who has a shell on the host too. */
const AS_USER = ["--user=1000:1000"];

/** Ways through the host's devices. */
export const DEVICES: readonly Way[] = [
  {
    name: "--device of a disk",
    sources: [SOURCES.socket, SOURCES.breakout],
    cannot: noDisk,
    attempt: (host) =>
      host.run([`--device=${disk(host)}:/dev/d`], "head", "-c", "64", "/dev/d"),
    proof: reads,
  },
  {
    name: "--device of a disk, in the body as other clients send it",
    sources: [SOURCES.authz],
    cannot: noDisk,
    attempt: (host) =>
      host.create({
        Cmd: ["head", "-c", "64", "/dev/d"],
        HostConfig: {
          Devices: [{
            PathOnHost: disk(host),
            PathInContainer: "/dev/d",
            CgroupPermissions: "r",
          }],
        },
      }),
    proof: reads,
  },
  {
    name: "--device of a folder of /dev",
    sources: [
      "https://docs.docker.com/reference/cli/docker/container/run/#device",
    ],
    cannot: noDisk,
    attempt: async (host) => {
      // Stands for /dev/mapper: a folder with links to what it is about.
      await host.onHost("mkdir", "-p", `/dev/shm/${host.h.dockerd.name}-d`);
      await host.onHost(
        ...["cp", "-a", disk(host), `/dev/shm/${host.h.dockerd.name}-d/disk`],
      );
      await host.run(
        [`--device=/dev/shm/${host.h.dockerd.name}-d:/dev/d`],
        ...["head", "-c", "64", "/dev/d/disk"],
      );
      await host.onHost("rm", "-r", `/dev/shm/${host.h.dockerd.name}-d`);
    },
    proof: reads,
  },
  {
    name: "--device by a link below an allowed directory",
    sources: ["https://github.com/moby/moby/issues/36020"],
    cannot: noDisk,
    attempt: async (host) => {
      await host.onHost("ln", "-sf", disk(host), `${host.allowed}/device`);
      await host.run(
        [`--device=${host.allowed}/device:/dev/d`],
        ...["head", "-c", "64", "/dev/d"],
      );
    },
    proof: reads,
  },
  {
    name: "--device-cgroup-rule and mknod",
    sources: [
      SOURCES.breakout,
      "https://docs.docker.com/reference/cli/docker/container/run/#device-cgroup-rule",
    ],
    cannot: noDisk,
    attempt: (host) =>
      host.run(
        [`--device-cgroup-rule=b 7:${minor(host)} rmw`],
        ...["sh", "-c", makeAndRead(host)],
      ),
    proof: reads,
  },
  {
    name: "--device-cgroup-rule for all devices",
    sources: [SOURCES.breakout],
    cannot: noDisk,
    attempt: (host) =>
      host.run(
        ["--device-cgroup-rule=a *:* rwm"],
        "sh",
        "-c",
        makeAndRead(host),
      ),
    proof: reads,
  },
  {
    name: "--device and --cap-add SYS_ADMIN: mount of the disk",
    sources: [SOURCES.socket, SOURCES.capabilities],
    cannot: noDisk,
    attempt: (host) =>
      host.run(
        [
          `--device=${disk(host)}:/dev/d`,
          "--cap-add=SYS_ADMIN",
          "--security-opt=apparmor=unconfined",
        ],
        ...["sh", "-c", "mount -o ro /dev/d /tmp && ls /tmp"],
      ),
    proof: says("lost+found"),
  },
  {
    name: "--device /dev/mem: the host's memory, opened and not read",
    sources: [SOURCES.capabilities],
    cannot: async (host) =>
      await host.onHost("sh", "-c", ": </dev/mem && echo open").catch(() => "")
        ? undefined
        : "no /dev/mem that can be opened",
    attempt: (host) =>
      host.run(
        ["--device=/dev/mem", "--cap-add=SYS_RAWIO"],
        ...["sh", "-c", ": </dev/mem && echo opened"],
      ),
    proof: says("opened"),
  },
  {
    name: "--device /dev/kmsg: the kernel's log",
    sources: [SOURCES.sensitiveMounts],
    cannot: async (host) =>
      await host.onHost("sh", "-c", ": </dev/kmsg && echo open").catch(() => "")
        ? undefined
        : "no /dev/kmsg that can be opened",
    attempt: (host) =>
      host.run(
        ["--device=/dev/kmsg", "--cap-add=SYSLOG"],
        ...["sh", "-c", ": </dev/kmsg && echo opened"],
      ),
    proof: says("opened"),
  },
  {
    name: "--gpus: devices by their driver's name",
    sources: [
      "https://docs.docker.com/reference/cli/docker/container/run/#gpus",
    ],
    cannot: "no driver for GPUs is installed",
    attempt: (host) => host.run(["--gpus=all"], "true"),
    proof: says("never"),
  },
  {
    name: "--device by a CDI name",
    sources: [
      "https://github.com/cncf-tags/container-device-interface",
      "moby daemon/cdi.go",
    ],
    engines: { from: 25 },
    cannot: "no CDI specification is installed",
    attempt: (host) => host.run(["--device=vendor.example/disk=all"], "true"),
    proof: says("never"),
  },
  {
    name: "mknod in a container, opened from outside by the same user",
    sources: [SOURCES.procRoot, SOURCES.breakout],
    cannot: noDisk,
    keys: 'require = ["user", "no-new-privileges"]',
    attempt: async (host) => {
      const options = [...AS_USER, "--network=none", "--name=two-shells"];
      await host.docker("run", "--detach", ...options, IMAGE);
      await host.docker(
        ...["exec", "--user=0", "two-shells", "sh", "-c"],
        `mknod -m 666 /tmp/d b 7 ${minor(host)}`,
      );
      const pid = await host.pidOf("two-shells");
      await host.asUser(pid, "head", "-c", "64", "/proc/{pid}/root/tmp/d");
    },
    proof: reads,
  },
  {
    name: "mknod below an allowed folder, opened from outside",
    sources: [SOURCES.authz, SOURCES.procRoot],
    cannot: noDisk,
    keys: 'require = ["user", "no-new-privileges"]',
    attempt: async (host) => {
      await host.run(
        [`--volume=${host.allowed}:/mnt`],
        ...["mknod", "-m", "666", "/mnt/made", "b", "7", minor(host)],
      );
      await host.asUser(0, "head", "-c", "64", `${host.allowed}/made`);
      await Deno.remove(`${host.allowed}/made`).catch(() => {});
    },
    proof: reads,
  },
  {
    name: "docker cp of a device into an allowed folder, opened from outside",
    sources: [SOURCES.dockerCp, SOURCES.procRoot],
    cannot: noDisk,
    keys: 'require = ["user", "no-new-privileges"]',
    attempt: async (host) => {
      await host.docker(
        ...["create", ...AS_USER, "--network=none", "--name=cp-allowed"],
        ...["--security-opt=no-new-privileges"],
        ...[`--volume=${host.allowed}:/mnt`, IMAGE],
      );
      await host.send(await host.putDisk("cp-allowed", "/mnt"));
      await host.asUser(0, "head", "-c", "64", `${host.allowed}/d`);
      await Deno.remove(`${host.allowed}/d`).catch(() => {});
    },
    proof: reads,
  },
  {
    name: "mknod below an allowed folder of a file system with nodev",
    sources: [SOURCES.procRoot],
    cannot: noDisk,
    closed: "the kernel opens no devices there",
    before: async (host) => {
      await Deno.mkdir(`${host.allowed}/safe`, { recursive: true });
      await host.onHost(
        "sh",
        "-c",
        `cd ${host.allowed} && mount --bind safe safe &&
         mount -o remount,bind,nosuid,nodev safe`,
      );
    },
    attempt: async (host) => {
      await host.run(
        [`--volume=${host.allowed}/safe:/mnt`],
        ...["mknod", "-m", "666", "/mnt/made", "b", "7", minor(host)],
      );
      await host.asUser(0, "head", "-c", "64", `${host.allowed}/safe/made`);
      await Deno.remove(`${host.allowed}/safe/made`).catch(() => {});
    },
    proof: reads,
  },
  {
    name: "docker cp of a device into a container, opened from outside",
    sources: [SOURCES.procRoot, SOURCES.dockerCp],
    cannot: noDisk,
    open: "the engine unpacks device files for everybody, in images as in " +
      "docker cp: userns-remap in daemon.json closes it",
    attempt: async (host) => {
      const options = [...AS_USER, "--network=none", "--name=cp-device"];
      await host.docker("run", "--detach", ...options, IMAGE);
      await host.send(await host.putDisk("cp-device"));
      const pid = await host.pidOf("cp-device");
      await host.asUser(pid, "head", "-c", "64", "/proc/{pid}/root/tmp/d");
    },
    proof: reads,
  },
];
