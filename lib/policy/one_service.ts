/**
 * Which service an update means.
 *
 * @module
 */
import type { Call } from "../call/call.ts";
import { Unreadable } from "../call/unreadable.ts";
import type { Engine } from "../engine/engine.ts";
import { shown } from "../text.ts";

/**
 * The longest image name that is read, in characters: a registry, a path of 255,
 * a tag and a digest are shorter. The engine repeats the name in its answer,
 * which no plugin is shown if it is too long.
 */
const IMAGE_LIMIT = 1000;

/**
 * Requires that `POST /services/{id}/update` means one service for sure, until
 * its answer is there.
 *
 * The engine takes what is in the path for an ID, then for a name, then for the
 * beginning of an ID (`getService` in moby's daemon/cluster/helpers.go). Swarm
 * doesn't tell the case of names apart. So who makes and removes a service that
 * is called like the beginning of another's ID could have one judged, and change
 * the other.
 *
 * @param call The update. Its body must be shown: otherwise the engine may read
 *   the end of it, and then look for the service, long after we have.
 * @param engine Lists the services.
 * @throws {Unreadable} If it can mean several services, or its answer would not
 *   be shown.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function requireOneService(
  call: Call,
  engine: Pick<Engine, "listServices">,
): Promise<void> {
  const image = call.body().struct("TaskTemplate")?.struct("ContainerSpec")
    ?.string("Image") ?? "";
  if (image.length > IMAGE_LIMIT) {
    throw new Unreadable(
      `its image name has more than ${IMAGE_LIMIT} characters`,
    );
  }
  const wanted = call.subject.toLowerCase();
  const services = await engine.listServices();
  if (services.some(({ id }) => id === call.subject)) return;
  const beginning = services.find(({ id }) =>
    id.toLowerCase().startsWith(wanted)
  );
  if (beginning) {
    throw new Unreadable(
      `${shown(call.subject)} is how the ID of service ` +
        `${shown(beginning.name)} begins: name the service by its whole ID`,
    );
  }
}
