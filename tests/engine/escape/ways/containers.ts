import { type Host, IMAGE } from "../host.ts";
import { reads, says, sees, type Way, writes } from "../escape.ts";
import { sleep } from "../../../helpers/programs.ts";
import { SOURCES } from "./sources.ts";

/** A container from before that has the host, and a capability. */
const standing = (
  name: string,
  command: string[] = [],
  ...options: string[]
) =>
(host: Host) =>
  host.h.must(
    ...["run", "--detach", "--interactive", `--name=${name}`],
    ...["--network=none", "--cap-add=SYS_ADMIN", "--volume=/:/host"],
    ...[...options, IMAGE, ...command],
  );

const NO_PS = "the engine's file system has no ps";

/** One that does not run. */
const stopped = (name: string, command: string[], ...options: string[]) =>
(
  host: Host,
) =>
  host.h.must(
    ...["create", `--name=${name}`, "--network=none"],
    ...[...options, IMAGE, ...command],
  );

const below = (host: Host) => host.below("/host");

/** Sends an archive with one file into a container. */
const put = (host: Host, container: string, folder: string) =>
  host.docker(
    "cp",
    `${host.h.dir}/daemon.json`,
    `${container}:${folder}/prey`,
  );

/** Ways through containers that have more than the caller may have. */
export const CONTAINERS: readonly Way[] = [
  {
    name: "docker exec in a container that has more",
    sources: [SOURCES.authz, SOURCES.socket],
    before: standing("for-exec"),
    attempt: (host) => host.docker("exec", "for-exec", "cat", below(host)),
    proof: reads,
  },
  {
    name: "docker exec in a container with a bind mount",
    sources: [SOURCES.authz],
    before: stoppedThenStarted("for-exec-bind"),
    attempt: (host) => host.docker("exec", "for-exec-bind", "cat", below(host)),
    proof: reads,
  },
  {
    name: "docker exec in a container that sees the host's processes",
    sources: [SOURCES.pid],
    before: (host) =>
      host.h.must(
        ...["run", "--detach", "--name=for-exec-pid", "--network=none"],
        ...["--pid=host", IMAGE],
      ),
    attempt: (host) =>
      host.docker(
        ...["exec", "for-exec-pid", "sh", "-c", "cat /proc/[0-9]*/cmdline"],
      ),
    proof: sees,
  },
  {
    name: "an exec that was made before, started",
    sources: ["moby daemon/exec.go"],
    before: async (host) => {
      await standing("for-exec-start")(host);
      const answer = await host.h.api(
        "POST",
        "/containers/for-exec-start/exec",
        { AttachStdout: true, Cmd: ["cat", below(host)] },
      );
      EXECS.set(host, answer.json<{ Id: string }>().Id);
    },
    attempt: (host) =>
      host.api("POST", `/exec/${EXECS.get(host)}/start`, { Detach: false }),
    proof: reads,
  },
  {
    name: "docker attach to a container that has more's shell",
    sources: ["https://docs.docker.com/reference/cli/docker/container/attach/"],
    before: standing("for-attach", ["sh"]),
    attempt: (host) =>
      host.talk(
        "/containers/for-attach/attach?stream=1&stdin=1&stdout=1&stderr=1",
        `cat ${below(host)}\n`,
      ),
    proof: reads,
  },
  {
    name: "docker cp out of a container that has more's bind mount",
    sources: [SOURCES.gtfobins, SOURCES.dockerCp],
    before: standing("for-cp"),
    attempt: (host) => host.docker("cp", `for-cp:${below(host)}`, "-"),
    proof: reads,
  },
  {
    name: "docker cp out of a stopped container's bind mount",
    sources: [SOURCES.dockerCp],
    before: stopped("for-cp-out", ["true"], "--volume=/:/host"),
    attempt: (host) => host.docker("cp", `for-cp-out:${below(host)}`, "-"),
    proof: reads,
  },
  {
    name: "docker cp into a stopped container's bind mount",
    sources: [SOURCES.gtfobins, SOURCES.dockerCp],
    before: stopped("for-cp-in", ["true"], "--volume=/:/host"),
    attempt: (host) => put(host, "for-cp-in", `/host${host.dir}`),
    proof: writes,
  },
  {
    name: "docker cp through a link in the image, out of the container",
    sources: ["CVE-2018-15664", SOURCES.dockerCp],
    closed: "the engine unpacks in a chroot of the container",
    attempt: async (host) => {
      const options = ["--network=none", "--name=for-link"];
      await host.docker("run", "--detach", ...options, IMAGE);
      await host.docker("exec", "for-link", "ln", "-s", host.dir, "/out");
      await put(host, "for-link", "/out");
      await host.docker("cp", "for-link:/out/secret", "-");
    },
    proof: async (host) => reads(host) || await host.written(),
  },
  {
    name: "docker top with a column that seems to be the PID",
    sources: ["moby daemon/top_unix.go"],
    cannot: async (host) =>
      await host.onHost("sh", "-c", "command -v ps")
        .then(() => undefined, () => NO_PS),
    attempt: async (host) => {
      // The age or size of some process of the host is a number of one of these.
      const many = "i=0; while [ $i -lt 900 ]; do sleep 900 & i=$((i+1)); " +
        "done; wait";
      const name = "--name=many";
      await host.docker(
        ...["run", "-d", name, "--network=none", IMAGE, "sh", "-c", many],
      );
      for (let round = 0; round < 30 && !sees(host); round++) {
        for (const column of ["etimes", "rss", "pgid", "vsz", "sz"]) {
          const args = encodeURIComponent(`axo ${column}= -o pid -o args`);
          await host.api("GET", `/containers/many/top?ps_args=${args}`);
        }
        if (host.denials.length > 0) break;
        await sleep(1000);
      }
      await host.docker("rm", "--force", "many");
    },
    proof: sees,
  },
  {
    name: "docker export of a container that kept what it read",
    sources: ["https://docs.docker.com/reference/cli/docker/container/export/"],
    before: async (host) => {
      await standing("for-export")(host);
      await host.h.must("exec", "for-export", "cp", below(host), "/tmp/kept");
    },
    attempt: (host) => host.docker("export", "for-export"),
    proof: reads,
  },
  {
    name: "docker commit of it, and a container of the image",
    sources: ["https://docs.docker.com/reference/cli/docker/container/commit/"],
    before: async (host) => {
      await standing("for-commit")(host);
      await host.h.must("exec", "for-commit", "cp", below(host), "/tmp/kept");
    },
    attempt: async (host) => {
      await host.docker("commit", "for-commit", "kept:1");
      await host.docker(
        ...["run", "--rm", "--network=none", "kept:1", "cat", "/tmp/kept"],
      );
      await host.h.api("DELETE", "/images/kept:1?force=1");
    },
    proof: reads,
  },
  {
    name: "docker start of a container with a capability",
    sources: [SOURCES.authz],
    before: stopped(
      "for-start",
      ["sh", "-c", "cat /host/secret; exec sleep 600"],
      "--cap-add=SYS_ADMIN",
    ),
    attempt: async (host) => {
      await host.docker("start", "for-start");
      await host.docker(
        ...["inspect", "--format=running {{.State.Running}}", "for-start"],
      );
    },
    proof: says("running true"),
  },
  {
    name: "docker start of a container with a bind mount",
    sources: [SOURCES.authz],
    before: (host) =>
      stopped(
        "for-start-bind",
        ["cat", "/host/secret"],
        `--volume=${host.dir}:/host`,
      )(host),
    attempt: async (host) => {
      await host.docker("start", "for-start-bind");
      await host.docker("logs", "for-start-bind");
    },
    proof: reads,
  },
  {
    name: "docker restart of a container with a capability",
    sources: [SOURCES.authz],
    before: (host) =>
      stopped(
        "for-restart",
        ["cat", "/host/secret"],
        "--cap-add=SYS_ADMIN",
        `--volume=${host.dir}:/host`,
      )(host),
    attempt: async (host) => {
      await host.docker("restart", "for-restart");
      await host.docker("wait", "for-restart");
      await host.docker("logs", "for-restart");
    },
    proof: reads,
  },
  {
    name: "docker update --restart: the engine starts it by itself",
    sources: ["moby daemon/update.go"],
    before: stopped("for-update", ["sleep", "600"], "--cap-add=SYS_ADMIN"),
    attempt: async (host) => {
      await host.docker("update", "--restart=always", "for-update");
      await host.docker(
        ...["inspect", "--format=restart {{.HostConfig.RestartPolicy.Name}}"],
        "for-update",
      );
    },
    proof: says("restart always"),
  },
  {
    name: "start with a HostConfig of its own",
    sources: [
      SOURCES.authz,
      "https://docs.docker.com/reference/api/engine/version-history/",
    ],
    engines: { to: 20 },
    attempt: async (host) => {
      await host.docker(
        ...["create", "--name=old-start", "--network=none", IMAGE],
        ...["cat", host.below("/host")],
      );
      await host.api("POST", "/v1.23/containers/old-start/start", {
        Binds: ["/:/host"],
        NetworkMode: "none",
      });
      await host.docker("wait", "old-start");
      await host.docker("logs", "old-start");
    },
    proof: reads,
  },
  {
    name: "docker create --link to a container that has more's variables",
    sources: ["https://docs.docker.com/engine/network/links/"],
    cannot: "links need the bridge, which the test's engine has not",
    before: standing("for-link-target"),
    attempt: (host) => host.docker("create", "--link=for-link-target:x", IMAGE),
    proof: says("never"),
  },
  {
    name: "a checkpoint's folder, made anywhere",
    sources: [
      "moby daemon/checkpoint.go",
      "https://github.com/moby/moby/pull/26709",
    ],
    cannot: "the folder is there only while CRIU works, which is not installed",
    attempt: async (host) => {
      await host.docker(
        ...[
          "run",
          "--detach",
          "--name=for-checkpoint",
          "--network=none",
          IMAGE,
        ],
      );
      await host.api("POST", "/containers/for-checkpoint/checkpoints", {
        CheckpointID: "xx",
        CheckpointDir: host.dir,
      });
    },
    proof: says("never"),
  },
  {
    name: "a checkpoint's folder, removed anywhere",
    sources: ["moby daemon/checkpoint.go"],
    before: (host) => folder(host, "for-removal"),
    attempt: async (host) => {
      const id = await folder(host, "for-removal");
      await host.api(
        "DELETE",
        `/containers/${id}/checkpoints/xx?dir=${encodeURIComponent(host.dir)}`,
      );
      for (const path of places(host, id)) {
        await Deno.stat(path).catch(() => host.note("removed"));
      }
    },
    proof: says("removed"),
  },
  {
    name: "a checkpoint's folder, listed anywhere",
    sources: ["moby daemon/checkpoint.go"],
    before: (host) => folder(host, "for-list"),
    attempt: async (host) => {
      const id = await folder(host, "for-list");
      const dir = encodeURIComponent(host.dir);
      const answer = await host.api(
        "GET",
        `/containers/${id}/checkpoints?dir=${dir}`,
      );
      if (answer.status === 200 && answer.body.includes('"xx"')) {
        host.note("listed");
      }
    },
    proof: says("listed"),
  },
];

/** An exec that is there already, by the host whose engine has it. */
const EXECS = new WeakMap<Host, string>();

/** A container with a bind mount alone, which was started by root. */
function stoppedThenStarted(name: string): (host: Host) => Promise<unknown> {
  return (host) =>
    host.h.must(
      ...["run", "--detach", `--name=${name}`, "--network=none"],
      ...["--volume=/:/host", IMAGE],
    );
}

/** A folder of the host that a checkpoint could be, for a container. */
async function folder(host: Host, name: string): Promise<string> {
  if (!await host.h.container(name)) {
    await host.h.must("create", `--name=${name}`, "--network=none", IMAGE);
  }
  const { id } = (await host.h.container(name))!;
  for (const path of places(host, id)) {
    await Deno.mkdir(path, { recursive: true });
  }
  return id;
}

/** Engines differ in whether the container's ID is in the path. */
function places(host: Host, id: string): string[] {
  return [`${host.dir}/xx`, `${host.dir}/${id}/checkpoints/xx`];
}
