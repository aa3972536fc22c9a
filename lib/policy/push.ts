/**
 * The push policy: no RHEL content goes to Docker Hub.
 *
 * @module
 */
import type { Engine, ImageFacts } from "../engine/engine.ts";
import {
  HUB,
  InvalidReference,
  type PushReference,
  pushReference,
} from "../call/reference.ts";
import type { Call } from "../call/call.ts";
import { Unreadable } from "../call/unreadable.ts";
import { ALLOW, type Decision } from "./decision.ts";
import { shown } from "../text.ts";
import {
  checkPush,
  isFromRedHat,
  pushDestination,
  type PushedImage,
  type PushPolicy,
  RHEL_LABEL_FILTERS,
} from "./rules/push.ts";

/**
 * Decides on `POST /images/{name}/push`.
 *
 * @param policy The administrator's settings.
 * @param call The call as the engine reads it.
 * @param engine The engine, for what only it knows.
 * @returns The decision.
 * @throws {Unreadable} If the call cannot be read as the engine reads it.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decidePush(
  policy: PushPolicy,
  call: Call,
  engine: Engine,
): Promise<Decision> {
  if (!policy.blockRhel) return ALLOW;
  const push = readPush(call);
  // Only an unqualified name can go anywhere else than it says.
  const registries = push.qualified
    ? undefined
    : await engine.additionalRegistries();
  if (pushDestination(push, registries) !== HUB) return ALLOW;
  call.requireNoForm(); // Which tags are pushed hangs on the query.

  if (!await engine.inspectsPlatforms() && await engine.keepsPlatforms()) {
    throw new Unreadable(
      "this engine pushes images of all platforms, and can't tell them apart: " +
        "use Docker Engine 28.1 or later",
    );
  }
  const pushed = push.allTags
    ? await allTags(push, engine)
    : await oneTag(push, engine);
  // What the images say of themselves often settles it.
  const denied = checkPush(policy, pushed, []);
  if (denied || pushed.length === 0) return denied ?? ALLOW;
  return checkPush(policy, pushed, await rhelImages(policy, engine)) ?? ALLOW;
}

function readPush(call: Call): PushReference {
  try {
    return pushReference(call.subject, call.query.get("tag"));
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    throw new Unreadable(`image "${shown(call.subject)}": ${error.message}`);
  }
}

/** None if the engine knows no such image: it says so itself. */
function oneTag(push: PushReference, engine: Engine): Promise<PushedImage[]> {
  return pushedImages(push.local, push.local, engine);
}

async function allTags(
  { repository }: PushReference,
  engine: Engine,
): Promise<PushedImage[]> {
  const images = await engine.listImages({ reference: [repository] });
  const pushed = images.map(({ id, repoTags }) => {
    const tag = repoTags.find((tag) => tag.startsWith(`${repository}:`));
    return pushedImages(id, tag ?? repository, engine);
  });
  return (await Promise.all(pushed)).flat();
}

async function pushedImages(
  reference: string,
  name: string,
  engine: Engine,
): Promise<PushedImage[]> {
  const images = await engine.inspectEveryPlatform(reference);
  return await Promise.all(images.map(async (image) => ({
    name,
    image,
    parents: await parentsOf(image, engine),
  })));
}

async function parentsOf(
  image: ImageFacts,
  engine: Engine,
): Promise<ImageFacts[]> {
  const parents: ImageFacts[] = [];
  for (let id = image.parent; id !== "";) {
    const parent = await engine.inspectImage(id);
    if (!parent) break; // Removed since.
    parents.push(parent);
    id = parent.parent;
  }
  return parents;
}

/** Everything on the host with Red Hat's labels, and from its registries. */
async function rhelImages(
  policy: PushPolicy,
  engine: Engine,
): Promise<ImageFacts[]> {
  const lists = await Promise.all(
    RHEL_LABEL_FILTERS.map((label) => engine.listImages({ label: [label] })),
  );
  const ids = new Set(
    lists.flat().filter((image) => isFromRedHat(policy, image))
      .map(({ id }) => id),
  );
  const images = await Promise.all(
    [...ids].map((id) => engine.inspectEveryPlatform(id)),
  );
  return images.flat();
}
