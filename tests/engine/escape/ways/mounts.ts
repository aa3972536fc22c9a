import { hasOldCgroups, type Host, IMAGE } from "../host.ts";
import { reads, says, sees, type Way, writes } from "../escape.ts";
import { exists, sleep } from "../../../helpers/programs.ts";
import { heldPut, heldStart } from "../held.ts";
import { tar } from "../../tar.ts";
import { SOURCES } from "./sources.ts";

const noTool = (host: Host) => Promise.resolve(host.whyNoTool);

/** Reads the secret below a mount point. */
const below = (host: Host) => ["cat", host.below("/host")];

/** A mount of a volume whose driver mounts something else. */
const volume = (...options: string[]) =>
  [
    "type=volume,target=/host,volume-driver=local",
    ...options.map((each) => `"volume-opt=${each}"`),
  ].join(",");

const SWAPPED =
  "the engine follows the link after the plugin's answer, or with no call at " +
  "all: allow folders that neither users nor containers can write beside";

/** Bind mounts, and what mounts the host by another name. */
export const MOUNTS: readonly Way[] = [
  {
    name: "--volume /:/host",
    sources: [SOURCES.gtfobins, SOURCES.socket, SOURCES.attackSurface],
    attempt: (host) => host.run(["--volume=/:/host"], ...below(host)),
    proof: reads,
  },
  {
    name: "--volume /:/host and chroot, to write",
    sources: [SOURCES.gtfobins],
    attempt: (host) =>
      host.run(
        ["--volume=/:/host"],
        ...["sh", "-c", `echo mine >/host${host.prey}`],
      ),
    proof: writes,
  },
  {
    name: "--mount type=bind",
    sources: [SOURCES.authz],
    attempt: (host) =>
      host.run(["--mount=type=bind,source=/,target=/host"], ...below(host)),
    proof: reads,
  },
  {
    name: "HostConfig.Mounts in the body",
    sources: [SOURCES.authz],
    attempt: (host) =>
      host.create({
        Cmd: below(host),
        HostConfig: {
          Mounts: [{ Type: "bind", Source: "/", Target: "/host" }],
        },
      }),
    proof: reads,
  },
  {
    name: "Binds at the top of the body",
    sources: [SOURCES.authz, "moby runconfig/config_unix.go of 20.10"],
    engines: { to: 26 },
    attempt: (host) => host.create({ Cmd: below(host), Binds: ["/:/host"] }),
    proof: reads,
  },
  {
    name: "Binds under a name that Go reads as Binds",
    sources: ["https://pkg.go.dev/encoding/json#Unmarshal"],
    attempt: (host) =>
      host.create({ Cmd: below(host), "hoſtconfig": { "bindſ": ["/:/host"] } }),
    proof: reads,
  },
  {
    name: "a folder outside, by .. from an allowed one",
    sources: ["https://github.com/open-policy-agent/opa-docker-authz/issues/5"],
    attempt: (host) =>
      host.run(
        [`--volume=${host.allowed}/../host:/host`],
        ...["cat", "/host/secret"],
      ),
    proof: reads,
  },
  {
    name: "a link below an allowed folder",
    sources: [
      "https://github.com/moby/moby/issues/36020",
      "https://github.com/open-policy-agent/opa-docker-authz/issues/10",
    ],
    attempt: async (host) => {
      await Deno.symlink(host.dir, `${host.allowed}/link`).catch(() => {});
      await host.run(
        [`--volume=${host.allowed}/link:/host`],
        ...["cat", "/host/secret"],
      );
    },
    proof: reads,
  },
  {
    name: "a folder that becomes a link between create and start",
    sources: ["https://github.com/moby/moby/issues/36020"],
    attempt: async (host) => {
      const folder = await innocent(host, "swapped");
      await swap(host, folder);
      await host.docker("start", "swapped");
      await host.docker("wait", "swapped");
      await host.docker("logs", "swapped");
    },
    proof: reads,
  },
  {
    name: "a folder that becomes a link while the start waits for its body",
    sources: [
      "https://github.com/moby/moby/issues/36020",
      "https://pkg.go.dev/net/http#Request.ParseForm",
    ],
    attempt: async (host) => {
      const folder = await innocent(host, "held");
      const release = await heldStart(host, "held");
      await swap(host, folder);
      await release();
      await sleep(1000);
      await host.docker("logs", "held");
    },
    proof: reads,
  },
  {
    name:
      "a folder that becomes a link before the engine restarts its container",
    sources: [
      "https://github.com/moby/moby/issues/36020",
      "https://docs.docker.com/engine/containers/start-containers-automatically/",
    ],
    open: SWAPPED,
    attempt: async (host) => {
      const folder = await allowedFolder(host, "restarted");
      await host.docker(
        ...["run", "--detach", "--network=none", "--name=restarted"],
        ...["--restart=always", `--volume=${folder}:/host`, IMAGE],
        ...["sh", "-c", "cat /host/secret || sleep 1"],
      );
      await swap(host, folder);
      await sleep(3000);
      await host.docker("logs", "restarted");
    },
    proof: reads,
  },
  {
    name: "a folder that becomes a link while a start waits for docker cp",
    sources: [
      "https://github.com/moby/moby/issues/36020",
      "moby daemon/archive_unix.go",
    ],
    // The plugin looks at the container, which waits for docker cp too.
    attempt: async (host) => {
      const folder = await innocent(host, "locked");
      const content = new TextEncoder().encode("mine\n");
      const archive = tar([{ path: "note", content }]);
      const release = await heldPut(host, "locked", "/tmp", archive);
      const started = host.docker("start", "locked");
      await sleep(500);
      await swap(host, folder);
      await release();
      await started;
      await sleep(1000);
      await host.docker("logs", "locked");
    },
    proof: reads,
  },
  {
    name: "a folder that becomes a link while docker cp waits for its archive",
    sources: [
      "https://github.com/moby/moby/issues/36020",
      "moby daemon/archive_unix.go",
    ],
    // Older ones mount before they read.
    engines: { from: 29 },
    open: SWAPPED,
    attempt: async (host) => {
      const folder = await innocent(host, "held-cp");
      const content = new TextEncoder().encode("mine\n");
      const archive = tar([{ path: "prey", content }]);
      const release = await heldPut(host, "held-cp", "/host", archive);
      await swap(host, folder);
      await release();
    },
    proof: writes,
  },
  {
    name: "a link that a container makes below an allowed folder",
    sources: ["https://github.com/moby/moby/issues/36020"],
    attempt: async (host) => {
      await host.run(
        [`--volume=${host.allowed}:/mnt`],
        ...["ln", "-sfn", host.dir, "/mnt/from-inside"],
      );
      await host.run(
        [`--volume=${host.allowed}/from-inside:/host`],
        ...["cat", "/host/secret"],
      );
    },
    proof: reads,
  },
  {
    name: "a program of root's, left below an allowed folder",
    sources: [SOURCES.authz, SOURCES.breakout],
    keys: 'require = ["user", "no-new-privileges"]',
    attempt: async (host) => {
      await host.run(
        [`--volume=${host.allowed}:/mnt`],
        ...["sh", "-c", "cp /bin/busybox /mnt/id; chmod 4755 /mnt/id"],
      );
      await noteProgram(host);
    },
    proof: says("set-user-ID program of root"),
  },
  {
    name: "a program of a group of the host's, left below an allowed folder",
    sources: [SOURCES.authz, SOURCES.breakout],
    keys: 'require = ["user", "no-new-privileges"]',
    open: "a container may have any group but 0: a folder to allow for " +
      "writing belongs on a file system with nosuid",
    attempt: async (host) => {
      const folder = await allowedFolder(host, "of-a-group");
      await Deno.chmod(folder, 0o777);
      await host.run(
        [
          ...["--user=1000:6", "--security-opt=no-new-privileges"],
          `--volume=${folder}:/mnt`,
        ],
        ...["sh", "-c", "cp /bin/busybox /mnt/id; chmod 2755 /mnt/id"],
      );
      const left = await Deno.stat(`${folder}/id`).catch(() => undefined);
      if (left?.gid === 6 && (left.mode ?? 0) & 0o2000) {
        host.note("set-group-ID program of disk");
      }
    },
    proof: says("set-group-ID program of disk"),
  },
  {
    name: "docker cp of a program of root's into an allowed folder",
    sources: [SOURCES.authz, SOURCES.dockerCp],
    keys: 'require = ["user", "no-new-privileges"]',
    attempt: async (host) => {
      await host.docker(
        ...["create", "--network=none", "--name=cp-program"],
        ...["--user=1000:1000", "--security-opt=no-new-privileges"],
        ...[`--volume=${host.allowed}:/mnt`, IMAGE],
      );
      const content = new TextEncoder().encode("#!/bin/sh\n");
      await host.send(
        host.put(
          "cp-program",
          "/mnt",
          tar([{ path: "id", content, mode: 0o4755 }]),
        ),
      );
      await noteProgram(host);
    },
    proof: says("set-user-ID program of root"),
  },
  {
    name: "--volume of the engine's socket",
    sources: [SOURCES.breakout, SOURCES.sensitiveMounts],
    cannot: noTool,
    attempt: (host) =>
      host.run(
        [`--volume=${host.h.dockerd.socket}:/s`],
        ...["host-access", "connect", "/s"],
      ),
    proof: (host) => /^OK/m.test(host.output),
  },
  {
    name: "--volume of containerd's socket",
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.run(
        [`--volume=${host.h.dir}/exec/containerd:/c`],
        ...["sh", "-c", "test -S /c/containerd.sock && echo socket"],
      ),
    proof: says("socket"),
  },
  {
    name: "--volume of the engine's state",
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) => host.run([`--volume=${host.h.dir}/data:/d`], "ls", "/d"),
    proof: says("containers"),
  },
  {
    name: "--volume of the folder with the plugin's socket",
    sources: ["https://docs.docker.com/engine/extend/plugin_api/"],
    attempt: (host) =>
      host.run(
        ["--volume=/run/docker/plugins:/p"],
        ...["sh", "-c", "touch /p/escape && rm /p/escape && echo written"],
      ),
    proof: says("written"),
  },
  {
    name: "--volume /proc: processes",
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.run(
        ["--volume=/proc:/p"],
        ...["sh", "-c", "cat /p/[0-9]*/cmdline"],
      ),
    proof: sees,
  },
  {
    name: "--volume /proc: core_pattern, opened and not written",
    sources: [SOURCES.sensitiveMounts],
    attempt: (host) =>
      host.run(
        ["--volume=/proc:/p"],
        ...["sh", "-c", ": >>/p/sys/kernel/core_pattern && echo opened"],
      ),
    proof: says("opened"),
  },
  {
    name: "--volume /proc/sys over the container's own",
    sources: [SOURCES.sensitiveMounts, "CVE-2025-31133"],
    attempt: (host) =>
      host.run(
        ["--volume=/proc/sys:/p"],
        ...["sh", "-c", ": >>/p/kernel/core_pattern && echo opened"],
      ),
    proof: says("opened"),
  },
  {
    name: "--volume /sys: release_agent, opened and not written",
    sources: [SOURCES.sensitiveMounts, "CVE-2022-0492"],
    cannot: async () =>
      await hasOldCgroups()
        ? undefined
        : "only control groups of version 1 have a release_agent",
    attempt: (host) =>
      host.run(
        ["--volume=/sys:/s", "--cap-add=SYS_ADMIN"],
        "sh",
        "-c",
        ": >>/s/fs/cgroup/memory/release_agent && echo opened",
      ),
    proof: says("opened"),
  },
  {
    name: "--volume /sys: uevent_helper, opened and not written",
    sources: [SOURCES.sensitiveMounts],
    cannot: async () =>
      await exists("/sys/kernel/uevent_helper")
        ? undefined
        : "this kernel has no uevent_helper",
    attempt: (host) =>
      host.run(
        ["--volume=/sys:/s"],
        ...["sh", "-c", ": >>/s/kernel/uevent_helper && echo opened"],
      ),
    proof: says("opened"),
  },
  {
    name: "--volume /dev: shared memory of the host",
    sources: [SOURCES.breakout],
    attempt: (host) =>
      host.run(
        ["--volume=/dev:/d"],
        ...["cat", host.shared.replace("/dev/", "/d/")],
      ),
    proof: reads,
  },
  {
    name: "--volumes-from of a container that has more",
    sources: [
      "https://docs.docker.com/reference/cli/docker/container/run/#volumes-from",
    ],
    before: (host) =>
      host.h.must(
        ...["create", "--name=has-root", "--volume=/:/host", IMAGE],
      ),
    attempt: (host) => host.run(["--volumes-from=has-root"], ...below(host)),
    proof: reads,
  },
  {
    name: "docker volume create with o=bind",
    sources: [
      "https://docs.docker.com/reference/cli/docker/volume/create/",
      "moby daemon/volume/local/local_unix.go",
    ],
    attempt: async (host) => {
      await host.docker(
        ...["volume", "create", "--opt=type=none", "--opt=o=bind"],
        ...[`--opt=device=${host.dir}`, "as-volume"],
      );
      await host.run(["--volume=as-volume:/host"], "cat", "/host/secret");
    },
    proof: reads,
  },
  {
    name: "a volume from before with o=bind",
    sources: ["https://docs.docker.com/reference/cli/docker/volume/create/"],
    before: (host) =>
      host.h.must(
        ...["volume", "create", "--opt=type=none", "--opt=o=rbind"],
        ...["--opt=device=/", "old-volume"],
      ),
    attempt: (host) => host.run(["--volume=old-volume:/host"], ...below(host)),
    proof: reads,
  },
  {
    name: "--mount with a volume driver's o=bind",
    sources: ["moby api/types/mount/mount.go"],
    attempt: (host) =>
      host.run(
        ["--mount", volume("type=none", "o=bind", `device=${host.dir}`)],
        ...["cat", "/host/secret"],
      ),
    proof: reads,
  },
  {
    name: "a volume that is an overlay of the host's files",
    sources: ["moby daemon/volume/local/local_unix.go"],
    attempt: (host) =>
      host.run(
        [
          "--mount",
          volume(
            "type=overlay",
            "device=overlay",
            `o=lowerdir=${host.dir}:${host.allowed}`,
          ),
        ],
        ...["cat", "/host/secret"],
      ),
    proof: reads,
  },
  {
    name: "a volume that is the host's /proc",
    sources: ["moby daemon/volume/local/local_unix.go"],
    attempt: (host) =>
      host.run(
        ["--mount", volume("type=proc", "device=proc")],
        ...["sh", "-c", "cat /host/[0-9]*/cmdline"],
      ),
    proof: sees,
  },
  {
    name: "a volume that is the host's disk",
    sources: ["moby daemon/volume/local/local_unix.go"],
    cannot: (host) => Promise.resolve(host.disk ? undefined : host.whyNoDisk),
    attempt: (host) =>
      host.run(
        ["--mount", volume("type=ext2", `device=${host.disk}`, "o=ro")],
        ...["ls", "/host"],
      ),
    proof: says("lost+found"),
  },
  {
    name: "a volume that is a control group's file system",
    sources: [SOURCES.releaseAgent, "moby daemon/volume/local/local_unix.go"],
    cannot: async () =>
      await hasOldCgroups()
        ? undefined
        : "only control groups of version 1 have a release_agent",
    attempt: (host) =>
      host.run(
        ["--mount", volume("type=cgroup", "device=cgroup", "o=memory")],
        ...["ls", "/host/release_agent"],
      ),
    proof: says("/host/release_agent"),
  },
  {
    name: "a volume of NFS",
    sources: ["https://docs.docker.com/engine/storage/volumes/"],
    cannot: "no server to mount from, as tests use no network",
    attempt: (host) =>
      host.run(
        ["--mount", volume("type=nfs", "device=:/", "o=addr=127.0.0.1")],
        "true",
      ),
    proof: says("never"),
  },
  {
    name: "--volume with shared propagation: mounts go back to the host",
    sources: [
      SOURCES.sensitiveMounts,
      "https://docs.docker.com/engine/storage/bind-mounts/",
    ],
    before: async (host) => {
      await Deno.mkdir(`${host.allowed}/shared`, { recursive: true });
      await host.onHost(
        "sh",
        "-c",
        `cd ${host.allowed} && grep -q ${host.allowed}/shared /proc/self/mounts ||
        { mount --bind shared shared && mount --make-shared shared; }`,
      );
    },
    attempt: (host) =>
      host.run(
        [`--volume=${host.allowed}/shared:/host:shared`],
        ...[
          "sh",
          "-c",
          "grep -q ' /host .* shared:' /proc/self/mountinfo && echo shared",
        ],
      ),
    proof: says("shared"),
  },
];

/** Notes whether a container left a program that makes its user root. */
async function noteProgram(host: Host): Promise<void> {
  const left = await Deno.stat(`${host.allowed}/id`).catch(() => undefined);
  await Deno.remove(`${host.allowed}/id`).catch(() => {});
  if (left?.uid === 0 && (left.mode ?? 0) & 0o4000) {
    host.note("set-user-ID program of root");
  }
}

/** Creates a container with a bind mount of an allowed folder. */
async function innocent(host: Host, name: string): Promise<string> {
  const folder = await allowedFolder(host, name);
  await host.docker(
    ...["create", "--network=none", `--name=${name}`],
    ...[`--volume=${folder}:/host`, IMAGE, "cat", "/host/secret"],
  );
  return folder;
}

/** A new folder that bind mounts may come from. */
async function allowedFolder(host: Host, name: string): Promise<string> {
  const folder = `${host.allowed}/${name}`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder);
  return folder;
}

/** Puts a link to the host in a folder's place. */
async function swap(host: Host, folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true });
  await Deno.symlink(host.dir, folder);
}
