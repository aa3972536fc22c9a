import { type Host, IMAGE, PORT } from "../host.ts";
import { reads, says, type Way } from "../escape.ts";
import { sleep } from "../../../helpers/programs.ts";
import { SOURCES } from "./sources.ts";

const ASK = ["nc", "-w", "2", "127.0.0.1", String(PORT)];

/** The ID of the tests' image: a service is made of what can't change. */
async function imageId(host: Host): Promise<string> {
  return (await host.h.api("GET", `/images/${IMAGE}/json`))
    .json<{ Id: string }>().Id;
}

/** A service's spec, without its image. */
interface Spec {
  container?: Record<string, unknown>;
  task?: Record<string, unknown>;
  networks?: { Target: string }[];
}

/** The whole of it. */
async function whole(
  host: Host,
  name: string,
  { container, task, networks }: Spec,
  replicas = 1,
) {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: {
        Image: await imageId(host),
        StopGracePeriod: 1,
        ...container,
      },
      RestartPolicy: { Condition: "none" },
      ...(networks && { Networks: networks }),
      ...task,
    },
    Mode: { Replicated: { Replicas: replicas } },
  };
}

/** Makes a service, and reads what its task says. */
async function serve(host: Host, spec: Spec): Promise<void> {
  const name = `s${crypto.randomUUID().slice(0, 8)}`;
  const { status } = await host.api(
    "POST",
    "/services/create",
    await whole(host, name, spec),
  );
  if (status === 201) await logs(host, name);
}

/** Waits for a service's task to end, and notes what its container said. */
async function logs(host: Host, service: string): Promise<void> {
  const filters = encodeURIComponent(
    JSON.stringify({ label: [`com.docker.swarm.service.name=${service}`] }),
  );
  for (let turn = 0; turn < 40; turn++) {
    await sleep(250);
    const list = (await host.h.api(
      "GET",
      `/containers/json?all=1&filters=${filters}`,
    )).json<{ Id: string; State: string }[]>();
    for (const { Id, State } of list) {
      if (State !== "exited") continue;
      await host.docker("logs", Id);
      return;
    }
  }
  const tasks = await host.h.api("GET", "/tasks");
  host.note(tasks.body);
}

/** A service from before, which waits to be told to have tasks. */
const waiting = (name: string, spec: Spec) => async (host: Host) => {
  const body = await whole(host, name, spec, 0);
  const answer = await host.h.api("POST", "/services/create", body);
  if (answer.status !== 201) throw new Error(answer.body);
};

/** Has a service's version and spec. */
async function inspect(host: Host, name: string) {
  return (await host.h.api("GET", `/services/${name}`)).json<{
    Version: { Index: number };
    Spec: Awaited<ReturnType<typeof whole>>;
  }>();
}

/** Sends a service's spec back, changed. */
async function update(
  host: Host,
  name: string,
  change: (spec: Awaited<ReturnType<typeof whole>>) => void,
  query = "",
  api = host.api.bind(host),
) {
  const { Version, Spec } = await inspect(host, name);
  change(Spec);
  return await api(
    "POST",
    `/services/${name}/update?version=${Version.Index}${query}`,
    Spec,
  );
}

/** Ways through services, whose containers the engine makes by itself. */
export const SWARM: readonly Way[] = [
  {
    name: "a service with a bind mount of /",
    sources: ["https://docs.docker.com/reference/cli/docker/service/create/"],
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["cat", host.below("/host")],
          Mounts: [{ Type: "bind", Source: "/", Target: "/host" }],
        },
      }),
    proof: reads,
  },
  {
    name: "a service with a volume that is a bind mount",
    sources: ["https://docs.docker.com/engine/storage/volumes/"],
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["cat", "/host/secret"],
          Mounts: [{
            Type: "volume",
            Source: "root",
            Target: "/host",
            VolumeOptions: {
              DriverConfig: {
                Name: "local",
                Options: { type: "none", o: "bind", device: host.dir },
              },
            },
          }],
        },
      }),
    proof: reads,
  },
  {
    name: "a service with CapabilityAdd",
    sources: [
      "https://docs.docker.com/reference/cli/docker/service/create/",
      SOURCES.capabilities,
    ],
    attempt: (host) =>
      serve(host, {
        container: {
          Command: [
            ...["sh", "-c"],
            "mount -o remount,bind,rw /proc/sys; " +
            ": >>/proc/sys/kernel/core_pattern && echo opened",
          ],
          CapabilityAdd: ["CAP_SYS_ADMIN"],
        },
      }),
    proof: says("opened"),
  },
  {
    name: "a service on the network host",
    sources: ["https://docs.docker.com/reference/cli/docker/service/create/"],
    attempt: (host) =>
      serve(host, {
        container: { Command: ASK },
        networks: [{ Target: "host" }],
      }),
    proof: reads,
  },
  {
    name: "a service on the network host, by its ID",
    sources: ["https://docs.docker.com/reference/cli/docker/service/create/"],
    attempt: async (host) => {
      const { Id } = (await host.h.api("GET", "/networks/host")).json<
        { Id: string }
      >();
      await serve(host, {
        container: { Command: ASK },
        networks: [{ Target: Id }],
      });
    },
    proof: reads,
  },
  {
    name: "a service without seccomp",
    sources: ["moby api/types/swarm/container.go", SOURCES.seccomp],
    engines: { from: 24 },
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["sh", "-c", "unshare -U true && echo new user namespace"],
          Privileges: { Seccomp: { Mode: "unconfined" } },
        },
      }),
    proof: says("new user namespace"),
  },
  {
    name: "a service without AppArmor",
    sources: ["moby api/types/swarm/container.go", SOURCES.apparmor],
    engines: { from: 24 },
    cannot: "what AppArmor forbids by default needs CAP_SYS_ADMIN too",
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["true"],
          Privileges: { AppArmor: { Mode: "disabled" } },
        },
      }),
    proof: says("never"),
  },
  {
    name: "a service without SELinux's label",
    sources: ["moby api/types/swarm/container.go"],
    cannot: "this machine has no SELinux",
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["true"],
          Privileges: { SELinuxContext: { Disable: true } },
        },
      }),
    proof: says("never"),
  },
  {
    name: "a service with sysctls",
    sources: ["https://docs.docker.com/reference/cli/docker/service/create/"],
    attempt: (host) =>
      serve(host, {
        container: {
          Command: ["cat", "/proc/sys/kernel/msgmax"],
          Sysctls: { "kernel.msgmax": "7777" },
        },
      }),
    proof: says("7777"),
  },
  {
    name: "a service that is an engine plugin",
    sources: ["https://docs.docker.com/reference/api/engine/"],
    cannot: "the engine would pull it from a registry",
    attempt: (host) =>
      host.api("POST", "/services/create", {
        Name: "as-plugin",
        TaskTemplate: {
          Runtime: "plugin",
          PluginSpec: {
            Name: "p",
            Remote: "127.0.0.1:1/p:1",
            PluginPrivilege: [],
          },
        },
        Mode: { Replicated: { Replicas: 1 } },
      }),
    proof: says("never"),
  },
  {
    name: "docker service update of one to have a bind mount",
    sources: ["https://docs.docker.com/reference/cli/docker/service/update/"],
    before: waiting("for-update", { container: { Command: ["true"] } }),
    attempt: async (host) => {
      const { status } = await update(host, "for-update", (spec) => {
        Object.assign(spec.TaskTemplate.ContainerSpec, {
          Command: ["cat", host.below("/host")],
          Mounts: [{ Type: "bind", Source: "/", Target: "/host" }],
        });
        spec.Mode.Replicated.Replicas = 1;
      });
      if (status === 200) await logs(host, "for-update");
    },
    proof: reads,
  },
  {
    name: "docker service scale of one from before",
    sources: ["https://docs.docker.com/reference/cli/docker/service/scale/"],
    before: (host) =>
      waiting("for-scale", {
        container: {
          Command: ["cat", host.below("/host")],
          Mounts: [{ Type: "bind", Source: "/", Target: "/host" }],
        },
      })(host),
    attempt: async (host) => {
      const { status } = await update(host, "for-scale", (spec) => {
        spec.Mode.Replicated.Replicas = 1;
      });
      if (status === 200) await logs(host, "for-scale");
    },
    proof: reads,
  },
  {
    name: "docker service rollback to what had a capability",
    sources: ["https://docs.docker.com/reference/cli/docker/service/rollback/"],
    before: async (host) => {
      await waiting("for-rollback", {
        container: {
          Command: [
            ...["sh", "-c"],
            "mount -o remount,bind,rw /proc/sys; " +
            ": >>/proc/sys/kernel/core_pattern && echo opened",
          ],
          CapabilityAdd: ["CAP_SYS_ADMIN"],
        },
      })(host);
      // With a task, which the rollback is to start.
      const api = host.h.api.bind(host.h);
      const scale = await update(
        host,
        "for-rollback",
        (spec) => {
          Object.assign(spec.TaskTemplate.ContainerSpec, {
            CapabilityAdd: undefined,
            Command: ["true"],
          });
        },
        "",
        api,
      );
      if (scale.status !== 200) throw new Error(scale.body);
    },
    attempt: async (host) => {
      await update(host, "for-rollback", () => {}, "&rollback=previous");
      const { Spec } = await inspect(host, "for-rollback");
      host.note(JSON.stringify(Spec));
    },
    proof: (host) => host.output.includes("CAP_SYS_ADMIN"),
  },
  {
    name: "GET /swarm: tokens to join with a host of the caller's",
    sources: ["https://docs.docker.com/engine/swarm/join-nodes/"],
    attempt: (host) => host.docker("swarm", "join-token", "--quiet", "manager"),
    proof: (host) => /SWMTKN-1-\w+/.test(host.output),
  },
  {
    name: "docker swarm unlock-key",
    sources: ["https://docs.docker.com/engine/swarm/swarm_manager_locking/"],
    attempt: (host) => host.api("GET", "/swarm/unlockkey"),
    proof: (host) => host.output.includes("UnlockKey"),
  },
  {
    name: "docker swarm update: other managers' certificates",
    sources: ["https://docs.docker.com/reference/cli/docker/swarm/ca/"],
    attempt: async (host) => {
      const answer = await host.docker(
        "swarm",
        "update",
        "--task-history-limit=3",
      );
      if (answer.code === 0) host.note("updated");
    },
    proof: says("updated"),
  },
  {
    name: "docker node update",
    sources: ["https://docs.docker.com/reference/cli/docker/node/update/"],
    attempt: async (host) => {
      const nodes = await host.h.api("GET", "/nodes");
      const [{ ID }] = nodes.json<{ ID: string }[]>();
      const answer = await host.docker("node", "update", "--label-add=a=b", ID);
      if (answer.code === 0) host.note("updated");
    },
    proof: says("updated"),
  },
  {
    name: "docker swarm join: the host is given to other managers",
    sources: ["https://docs.docker.com/engine/swarm/join-nodes/"],
    cannot: "no manager to join, as tests use no network",
    attempt: (host) =>
      host.api("POST", "/swarm/join", {
        ListenAddr: "127.0.0.1:2399",
        RemoteAddrs: ["127.0.0.1:1"],
        JoinToken: "SWMTKN-1-x",
      }),
    proof: says("never"),
  },
  {
    name: "docker swarm init",
    sources: ["https://docs.docker.com/reference/cli/docker/swarm/init/"],
    cannot: "the test's engine is in a swarm already",
    attempt: (host) =>
      host.api("POST", "/swarm/init", { ListenAddr: "127.0.0.1:2399" }),
    proof: says("never"),
  },
  {
    name: "docker swarm leave, to join another",
    sources: ["https://docs.docker.com/reference/cli/docker/swarm/leave/"],
    cannot: "other tests need the swarm",
    attempt: (host) => host.api("POST", "/swarm/leave"),
    proof: says("never"),
  },
];
