import { type Mount, readMount } from "./mount.ts";
import type { Struct } from "./struct.ts";

/** The parts of a service's spec that bring storage or images. */
export interface ServiceSpec {
  name: string;
  /** The image of its containers; empty if its tasks are not containers. */
  image: string;
  /** Mount types are in lower case, and never empty. */
  mounts: Mount[];
  /** The engine plugin that its tasks install; empty if they install none. */
  pluginRemote: string;
}

/**
 * Reads the spec in the body of `POST /services/create` and `/update`.
 *
 * @param body The body.
 * @returns The parts that a policy looks at.
 * @throws {Unreadable} If it cannot be read as the engine reads it.
 */
export function readServiceSpec(body: Struct): ServiceSpec {
  const task = body.struct("TaskTemplate");
  const container = task?.struct("ContainerSpec");
  return {
    name: body.string("Name"),
    image: container?.string("Image") ?? "",
    mounts: container?.structs("Mounts").map(readMount).map((mount) => ({
      ...mount,
      type: serviceMountType(mount.type),
    })) ?? [],
    pluginRemote: task?.struct("PluginSpec")?.string("Remote") ?? "",
  };
}

/**
 * Reads a service's mount type. The engine looks it up in upper case, and takes
 * an empty one for bind: `containerToGRPC` in moby's
 * daemon/cluster/convert/container.go.
 *
 * @param type The type as sent.
 * @returns The type that the tasks' containers get.
 */
export function serviceMountType(type: string): string {
  return type.toLowerCase() || "bind";
}
