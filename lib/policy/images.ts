/**
 * The image policy: which images come onto the host, through which doors.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import {
  InvalidReference,
  isDigest,
  parseReference,
  pullReference,
} from "../call/reference.ts";
import type { Call } from "../call/call.ts";
import { readServiceSpec, type ServiceSpec } from "../call/service.ts";
import { Unreadable } from "../call/unreadable.ts";
import { ALLOW, type Decision, deny } from "./decision.ts";
import { shown } from "../text.ts";
import {
  checkAllTags,
  checkDoor,
  checkImage,
  type ImagesPolicy,
  refusesNothing,
} from "./rules/images.ts";

/**
 * Decides on a guarded call.
 *
 * @param policy The administrator's settings.
 * @param call The call as the engine reads it.
 * @param engine The engine, for what only it knows.
 * @returns The decision.
 * @throws {Unreadable} If the call cannot be read as the engine reads it.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decideImages(
  policy: ImagesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  switch (call.endpoint.name) {
    case "image create":
      return decideImageCreate(policy, call);
    case "plugin pull":
    case "plugin upgrade":
      return decidePlugin(policy, call);
    case "service create":
      return decideServiceSpec(policy, readServiceSpec(call.body()));
    case "service update":
      return await decideServiceUpdate(policy, call, engine);
    case "build":
    case "build session":
    case "build connection":
      return checkDoor(policy, "build", "docker build") ?? ALLOW;
    case "image load":
      return checkDoor(policy, "load", "docker load") ?? ALLOW;
    case "plugin create":
      return checkDoor(policy, "load", "docker plugin create") ?? ALLOW;
    default:
      throw new Error(`[images] has no case for ${call.endpoint.name}`);
  }
}

/**
 * `postImagesCreate` in moby's daemon/server/router/image/image_routes.go: a
 * pull if `fromImage` is not empty, else an import.
 */
function decideImageCreate(policy: ImagesPolicy, call: Call): Decision {
  const fromImage = call.query.get("fromImage") ?? "";
  if (fromImage === "") {
    // An import has a body that is not shown: if imports are open, a pull can
    // hide in one.
    return checkDoor(policy, "import", "docker import") ?? ALLOW;
  }
  if (!refusesNothing(policy)) call.requireNoForm();
  const { reference, allTags } = readReference(
    fromImage,
    () => pullReference(fromImage, call.query.get("tag")),
  );
  return allTags
    ? checkAllTags(policy, reference) ?? ALLOW
    : checkImage(policy, reference);
}

/** `remote` is read from the form (plugin_routes.go, `parseRemoteRef`). */
function decidePlugin(policy: ImagesPolicy, call: Call): Decision {
  if (!refusesNothing(policy)) call.requireNoForm();
  return decideName(policy, call.query.get("remote") ?? "");
}

async function decideServiceUpdate(
  policy: ImagesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (call.query.get("rollback") !== "previous") {
    return decideServiceSpec(policy, readServiceSpec(call.body()));
  }
  const service = await engine.inspectService(call.subject);
  // Without a previous spec the engine refuses it itself.
  return service?.previousSpec
    ? decideServiceSpec(policy, service.previousSpec)
    : ALLOW;
}

function decideServiceSpec(policy: ImagesPolicy, spec: ServiceSpec): Decision {
  if (spec.pluginRemote !== "") {
    const decision = decideName(policy, spec.pluginRemote);
    if (!decision.allow) return decision;
  }
  // An ID is never pulled.
  if (spec.image === "" || isDigest(spec.image)) return ALLOW;
  return decideName(policy, spec.image);
}

/**
 * Decides on the image of a swarm's task that came to this host.
 *
 * @param policy The administrator's settings.
 * @param image The image as the task's service names it; empty if it is gone.
 * @returns The decision.
 */
export function decideTaskImage(policy: ImagesPolicy, image: string): Decision {
  if (image === "" || isDigest(image)) return ALLOW;
  try {
    return decideName(policy, image);
  } catch (error) {
    if (error instanceof Unreadable) return deny("unreadable", error.message);
    throw error;
  }
}

function decideName(policy: ImagesPolicy, name: string): Decision {
  return checkImage(policy, readReference(name, () => parseReference(name)));
}

function readReference<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    throw new Unreadable(`image "${shown(name)}": ${error.message}`);
  }
}
