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
  const { qualified, reference } = readPush(call);
  // Only an unqualified name can go anywhere else than it says.
  const registries = qualified
    ? undefined
    : await engine.additionalRegistries();
  if (pushDestination({ qualified, reference }, registries) !== HUB) {
    return ALLOW;
  }
  // The engine waits for its end, and looks the image up after that.
  if (call.hasHiddenBody) {
    throw new Unreadable(
      "its body is not shown to plugins: send none, with " +
        '"Content-Length: 0", or JSON as "Content-Type: application/json"',
    );
  }

  if (!await engine.inspectsPlatforms() && await engine.keepsPlatforms()) {
    throw new Unreadable(
      "this engine pushes images of all platforms, and can't tell them apart: " +
        "use Docker Engine 28.1 or later",
    );
  }
  const push = readPush(call, call.query.get("tag"));
  // A form that is not shown wins over the query; of what is pushed, it can
  // change the tag only.
  const anyTag = push.allTags || call.mayHaveHiddenBody;
  const pushed = [
    ...push.allTags ? [] : await oneTag(push, engine),
    ...anyTag ? await allTags(push, engine) : [],
  ];
  // What the images say of themselves often settles it.
  const denied = checkPush(policy, pushed, []);
  if (denied || pushed.length === 0) return denied ?? ALLOW;
  return checkPush(policy, pushed, await rhelImages(policy, engine)) ?? ALLOW;
}

function readPush(call: Call, tag?: string): PushReference {
  try {
    return pushReference(call.subject, tag);
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
  const pushed = await askForEach(images, ({ id, repoTags }) => {
    const tag = repoTags.find((tag) => tag.startsWith(`${repository}:`));
    return pushedImages(id, tag ?? repository, engine);
  });
  return pushed.flat();
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
  const images = await askForEach(
    [...ids],
    (id) => engine.inspectEveryPlatform(id),
  );
  return images.flat();
}

/** How many images the engine is asked for at a time. */
const AT_A_TIME = 8;

async function askForEach<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < items.length; at += AT_A_TIME) {
    const some = items.slice(at, at + AT_A_TIME);
    answers.push(...await Promise.all(some.map(ask)));
  }
  return answers;
}
