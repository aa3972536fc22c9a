/** Services, and a swarm of two engines. */

import { type Dockerd, which } from "../../dockerd.ts";
import { Harness, type ServiceInspect } from "../../harness.ts";
import type { ApiAnswer } from "../../harness.ts";
import { Host, hostTest, type User } from "./host.ts";

/** The engines' addresses on the wire between them. */
const MANAGER = "10.99.0.1";
const WORKER = "10.99.0.2";

/** A mount as the API of services has it. */
export interface ServiceMount {
  Type?: string;
  Source?: string;
  Target: string;
}

/**
 * Registers a test with two hosts on one wire, each of them in no swarm yet.
 *
 * @param name Of the test.
 * @param body The steps; no plugin is in front of either engine yet. Neither
 *   may be started again, as the wire goes with the engine's network.
 */
export function twoHostsTest(
  name: string,
  body: (t: Deno.TestContext, manager: Host, worker: Host) => Promise<void>,
): void {
  hostTest(name, async (t, manager) => {
    const worker = new Host(await Harness.start());
    try {
      await connect(manager.h.dockerd, worker.h.dockerd);
      await body(t, manager, worker);
    } finally {
      await worker.h.stop();
    }
  });
}

/** Whether this machine can connect two engines. */
export const canConnect = await which("ip") !== undefined;

/** Makes a swarm of two, the first of which is the manager. */
export async function startSwarm(manager: Host, worker: Host): Promise<void> {
  await manager.h.must("swarm", "init", `--advertise-addr=${MANAGER}`);
  await joinSwarm(manager, worker.h.must.bind(worker.h));
}

/** Has a host join another's swarm. */
export async function joinSwarm(
  manager: Host,
  must: (...args: string[]) => Promise<string>,
): Promise<void> {
  const token = await manager.h.must("swarm", "join-token", "-q", "worker");
  await must(
    ...["swarm", "join", `--advertise-addr=${WORKER}`, `--token=${token}`],
    `${MANAGER}:2377`,
  );
}

/** Starts a swarm of one engine. */
export async function startOwnSwarm(host: Host): Promise<void> {
  await host.h.must("swarm", "init", "--advertise-addr=127.0.0.1");
}

/**
 * A service's body.
 *
 * @param name Of the service.
 * @param image Of its tasks.
 * @param options Its mounts, how many tasks (1), and whether they must run on a
 *   worker.
 */
export function service(
  name: string,
  image: string,
  { mounts = [], replicas = 1, onWorker = false, isGlobal = false }: {
    mounts?: ServiceMount[];
    replicas?: number;
    onWorker?: boolean;
    isGlobal?: boolean;
  } = {},
): Record<string, unknown> {
  return {
    Name: name,
    TaskTemplate: {
      // The images' sleep takes no notice of a polite request to end.
      ContainerSpec: { Image: image, Mounts: mounts, StopGracePeriod: 1 },
      RestartPolicy: { Condition: "any", Delay: 100_000_000 },
      ...onWorker && { Placement: { Constraints: ["node.role==worker"] } },
    },
    Mode: isGlobal ? { Global: {} } : { Replicated: { Replicas: replicas } },
  };
}

/** Has a service made. */
export function createService(
  by: Pick<User, "api">,
  body: Record<string, unknown>,
): Promise<ApiAnswer> {
  return by.api("POST", "/services/create", body);
}

/**
 * A service's wanted number of tasks; undefined if there is no such service.
 */
export async function replicasOf(
  host: Host,
  name: string,
): Promise<number | undefined> {
  const answer = await host.h.api("GET", `/services/${name}`);
  if (answer.status !== 200) return undefined;
  return answer.json<ServiceInspect>().Spec.Mode?.Replicated.Replicas;
}

/** Changes how many tasks a service has. */
export async function scale(
  by: Pick<User, "api">,
  name: string,
  replicas: number,
): Promise<ApiAnswer> {
  const answer = await by.api("GET", `/services/${name}`);
  const { Spec, Version } = answer.json<ServiceInspect>();
  Spec.Mode = { Replicated: { Replicas: replicas } };
  return await by.api(
    "POST",
    `/services/${name}/update?version=${Version.Index}`,
    Spec,
  );
}

async function connect(one: Dockerd, other: Dockerd): Promise<void> {
  const [a, b] = [await one.pid(), await other.pid()];
  await ip(
    ...["link", "add", "name", "wire0", "netns", `${a}`, "type", "veth"],
    ...["peer", "name", "wire0", "netns", `${b}`],
  );
  for (const [pid, address] of [[a, MANAGER], [b, WORKER]] as const) {
    await inNetwork(pid, "addr", "add", `${address}/24`, "dev", "wire0");
    await inNetwork(pid, "link", "set", "wire0", "up");
  }
}

const ip = (...args: string[]) => run(["ip", ...args]);

const inNetwork = (pid: number, ...args: string[]) =>
  run(["nsenter", `--target=${pid}`, "--net", "ip", ...args]);

async function run([program, ...args]: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  if (!success) {
    throw new Error(
      `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`,
    );
  }
}
