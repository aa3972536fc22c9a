/**
 * The doors that images come through, and what the image policy makes of each.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import {
  InvalidReference,
  parseReference,
  pullReference,
} from "../call/reference.ts";
import type { Call } from "../call/call.ts";
import { readServiceSpec, type ServiceSpec } from "../call/service.ts";
import { Unreadable } from "../call/unreadable.ts";
import { ALLOW, type Decision } from "./decision.ts";
import { shown } from "../text.ts";
import {
  type ImagesPolicy,
  judgeAllTags,
  judgeDoor,
  judgeImage,
  refusesNothing,
} from "./rules/images.ts";

/**
 * Judges a guarded call.
 *
 * @param policy The administrator's settings.
 * @param call The call as the engine reads it.
 * @param engine The engine, for what only it knows.
 * @returns The decision.
 * @throws {Unreadable} where the call cannot be read as the engine reads it.
 * @throws {EngineError} where the engine cannot be asked.
 */
export function judgeImages(
  policy: ImagesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> | Decision {
  switch (call.endpoint.name) {
    case "image create":
      return judgeImageCreate(policy, call);
    case "plugin pull":
    case "plugin upgrade":
      return judgePlugin(policy, call);
    case "service create":
      return judgeService(policy, readServiceSpec(call.body()));
    case "service update":
      return judgeServiceUpdate(policy, call, engine);
    case "build":
    case "build session":
    case "build connection":
      return judgeDoor(policy, "build", "docker build");
    case "image load":
      return judgeDoor(policy, "load", "docker load");
    case "plugin create":
      return judgeDoor(policy, "load", "docker plugin create");
    default:
      return ALLOW; // No row of the endpoint table comes here.
  }
}

/**
 * `postImagesCreate` in moby's daemon/server/router/image/image_routes.go: a pull
 * where `fromImage` is not empty, else an import.
 */
function judgeImageCreate(policy: ImagesPolicy, call: Call): Decision {
  const fromImage = call.query.get("fromImage") ?? "";
  // An import has a body that is not shown. Where it is open, anything can come
  // in by it; that a pull can hide in one is said in the README.
  if (fromImage === "") return judgeDoor(policy, "import", "docker import");
  if (!refusesNothing(policy)) call.requireNoForm();
  const { reference, allTags } = readReference(
    fromImage,
    () => pullReference(fromImage, call.query.get("tag")),
  );
  return allTags
    ? judgeAllTags(policy, reference)
    : judgeImage(policy, reference);
}

/** `remote` is read from the form (plugin_routes.go, `parseRemoteRef`). */
function judgePlugin(policy: ImagesPolicy, call: Call): Decision {
  if (!refusesNothing(policy)) call.requireNoForm();
  return judgeName(policy, call.query.get("remote") ?? "");
}

async function judgeServiceUpdate(
  policy: ImagesPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (call.query.get("rollback") !== "previous") {
    return judgeService(policy, readServiceSpec(call.body()));
  }
  const service = await engine.inspectService(call.subject);
  // Without a previous spec the engine refuses it itself.
  return service?.previousSpec
    ? judgeService(policy, service.previousSpec)
    : ALLOW;
}

function judgeService(policy: ImagesPolicy, spec: ServiceSpec): Decision {
  if (spec.pluginRemote !== "") {
    const decision = judgeName(policy, spec.pluginRemote);
    if (!decision.allow) return decision;
  }
  // An ID is never pulled: pullImage in moby's
  // daemon/cluster/executor/container/adapter.go.
  if (spec.image === "" || /^sha256:[0-9a-f]{64}$/.test(spec.image)) {
    return ALLOW;
  }
  return judgeName(policy, spec.image);
}

function judgeName(policy: ImagesPolicy, name: string): Decision {
  return judgeImage(policy, readReference(name, () => parseReference(name)));
}

function readReference<T>(
  name: string,
  read: () => T,
): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    throw new Unreadable(`image "${shown(name)}": ${error.message}`);
  }
}
