import type { EngineApi } from "./api.ts";
import { type JsonRecord, record, records, text } from "./decode.ts";
import { EngineRefusal } from "./error.ts";
import type { ListedService } from "./facts.ts";

/**
 * Lists the services of the swarm.
 *
 * @param api The engine.
 * @returns The services; none on a host that is no manager.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function listServices(api: EngineApi): Promise<ListedService[]> {
  const path = "/services";
  return records(await api.find(path), path).map(({ ID, Spec }) => {
    const spec = record(Spec);
    return { id: text(ID), name: text(spec.Name), spec };
  });
}

/** How often a change is tried that comes between others. */
const TRIES = 5;

/**
 * Makes a service have no tasks: no replicas, or for a global service no node
 * that fits. All else in its spec stays as it is.
 *
 * @param api The engine.
 * @param id The service's ID. Nothing is done if the engine knows none, as on a
 *   host that is no manager.
 * @returns Whether it had to be changed.
 * @throws {EngineRefusal} If the engine does not do it.
 */
export async function scaleToZero(
  api: EngineApi,
  id: string,
): Promise<boolean> {
  const path = `/services/${encodeURIComponent(id)}`;
  for (let tries = 1;; tries++) {
    const service = await api.inspect(path);
    if (!service) return false;
    const spec = record(service.Spec);
    if (!emptySpec(spec)) return false;
    const { Index: version } = record(service.Version);
    try {
      await api.change("POST", `${path}/update?version=${version}`, spec);
      return true;
    } catch (error) {
      // Swarm changes it as well, and then the version is another one.
      if (!(error instanceof EngineRefusal) || tries === TRIES) throw error;
    }
  }
}

/** Changes a spec, and tells whether it had to be. */
function emptySpec(spec: JsonRecord): boolean {
  const mode = record(spec.Mode);
  if ("Replicated" in mode) {
    if (record(mode.Replicated).Replicas === 0) return false;
    mode.Replicated = { Replicas: 0 };
    return true;
  }
  if ("ReplicatedJob" in mode) {
    if (record(mode.ReplicatedJob).TotalCompletions === 0) return false;
    mode.ReplicatedJob = { MaxConcurrent: 0, TotalCompletions: 0 };
    return true;
  }
  const task = record(spec.TaskTemplate);
  const placement = record(task.Placement);
  const constraints = Array.isArray(placement.Constraints)
    ? placement.Constraints
    : [];
  if (constraints.includes(NOWHERE)) return false;
  task.Placement = { ...placement, Constraints: [...constraints, NOWHERE] };
  return true;
}

/** A placement constraint that no node meets. */
const NOWHERE = "node.id==refused-by-docker-policy-plugin";

/** What swarm says of a task's service in the labels of its container. */
export interface TaskService {
  id: string;
  name: string;
}

/**
 * Reads which service a task belongs to. In a task's container swarm's labels
 * win over those of its image and spec (`labels` in moby's
 * daemon/cluster/executor/container/container.go); in any other container they
 * are what its maker wrote.
 *
 * @param container A container that is a task.
 * @returns Its service.
 */
export function serviceOf(
  { labels }: { labels: Readonly<Record<string, string>> },
): TaskService {
  return {
    id: text(labels["com.docker.swarm.service.id"]),
    name: text(labels["com.docker.swarm.service.name"]),
  };
}
