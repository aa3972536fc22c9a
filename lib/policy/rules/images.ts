import {
  familiar,
  familiarName,
  full,
  fullName,
  type ImageReference,
} from "../../call/reference.ts";
import { shown } from "../../text.ts";
import { allow, type Decision, type Denial, deny } from "../decision.ts";
import type { Pattern } from "./patterns.ts";

/** Which images may come onto the host, and through which doors. */
export interface ImagesPolicy {
  /** What is let in, whatever else is said about it. */
  readonly whitelist: readonly Pattern[];
  /** What is kept out unless the whitelist has it. */
  readonly blacklist: readonly Pattern[];
  /** What becomes of an image that neither list has. */
  readonly defaultAllow: boolean;
  /**
   * Whether `docker build` may bring images, which can't be seen from the call.
   */
  readonly allowBuild: boolean;
  /** The same of `docker load` and `docker plugin create`. */
  readonly allowLoad: boolean;
  /** The same of `docker import`. */
  readonly allowImport: boolean;
}

/** A way onto the host that shows no image's name. */
export type Door = "build" | "load" | "import";

/** What each door is called in `[images]` of the config. */
const DOOR_KEYS = {
  build: "allow-build",
  load: "allow-load",
  import: "allow-import",
} as const satisfies Record<Door, string>;

/** A name in the two forms that patterns are meant for. */
export interface NameForms {
  /** Such as `alpine:3`. */
  readonly familiar: string;
  /** Such as `docker.io/library/alpine:3`. */
  readonly full: string;
}

/**
 * Looks for patterns anywhere in a name, as Go's `Regexp.Match` does.
 *
 * @param patterns The entries of a list.
 * @param forms The name.
 * @returns The first entry that is there in the form that it is meant for.
 */
export function findPattern(
  patterns: readonly Pattern[],
  forms: NameForms,
): Pattern | undefined {
  return patterns.find(({ full, regexp }) =>
    regexp.test(full ? forms.full : forms.familiar)
  );
}

/**
 * Checks one image: the whitelist allows, then the blacklist refuses, then the
 * default says.
 *
 * Patterns see `repository:tag` in the familiar form, those that name
 * `docker.io` the full form.
 *
 * @param policy The policy.
 * @param reference The image; without tag and digest it counts as `latest`.
 * @returns The decision, with what allowed it.
 */
export function checkImage(
  policy: ImagesPolicy,
  reference: ImageReference,
): Decision {
  const forms = { familiar: familiar(reference), full: full(reference) };
  const whitelisted = findPattern(policy.whitelist, forms);
  if (whitelisted) return allow(`whitelisted by ${shown(whitelisted.source)}`);
  const image = `image ${shown(forms.familiar)} is not allowed`;
  const blacklisted = findPattern(policy.blacklist, forms);
  if (blacklisted) {
    return deny(
      "images/blacklisted",
      `${image}: blacklisted by ${shown(blacklisted.source)}`,
    );
  }
  return policy.defaultAllow
    ? allow("default-allow")
    : deny("images/not-whitelisted", `${image}: not on the whitelist`);
}

/**
 * Checks a pull of all the tags of a repository. The engine learns the tags
 * from the registry, long after it has asked, so that they can't be checked one
 * by one: it takes a whitelist entry that matches the bare repository
 * (`^alpine$`, `^alpine`, but not `^alpine:`), or a policy that refuses
 * nothing.
 *
 * @param policy The policy.
 * @param reference The repository; a tag or digest in it is left aside.
 * @returns The denial, if any.
 */
export function checkAllTags(
  policy: ImagesPolicy,
  reference: ImageReference,
): Denial | undefined {
  const forms = {
    familiar: familiarName(reference),
    full: fullName(reference),
  };
  if (findPattern(policy.whitelist, forms)) return undefined;
  if (refusesNoName(policy)) return undefined;
  const why = policy.defaultAllow
    ? "some of them may be blacklisted"
    : "no whitelist entry matches the name without a tag";
  return deny(
    "images/all-tags",
    `all tags of ${shown(forms.familiar)} are not allowed: they can't be ` +
      `judged one by one, and ${why}; pull a tag`,
  );
}

/**
 * Checks a call that brings images without showing their names.
 *
 * @param policy The policy.
 * @param door The door that the call comes through.
 * @param what The call as its user knows it, such as `docker build`.
 * @returns The denial if the door is closed.
 */
export function checkDoor(
  policy: ImagesPolicy,
  door: Door,
  what: string,
): Denial | undefined {
  return isOpen(policy, door) ? undefined : deny(
    `images/${door}`,
    `${shown(what)} is not allowed: the images it brings can't be seen, and ` +
      `${DOOR_KEYS[door]} in [images] is not true`,
  );
}

/**
 * Lists the doors that are open although the lists refuse something: for the
 * warning at start.
 *
 * @param policy The policy.
 * @returns The doors through which an image comes in that the lists would
 *   refuse; none if the lists refuse nothing.
 */
export function doorsNotCovered(policy: ImagesPolicy): Door[] {
  if (refusesNoName(policy)) return [];
  return (["build", "load", "import"] as const).filter((door) =>
    isOpen(policy, door)
  );
}

/**
 * Says whether a policy lets in whatever a call to `POST /images/create`
 * brings.
 *
 * @param policy The policy.
 * @returns True if it makes no difference what the call says.
 */
export function refusesNothing(policy: ImagesPolicy): boolean {
  return refusesNoName(policy) && policy.allowImport;
}

function refusesNoName(policy: ImagesPolicy): boolean {
  return policy.defaultAllow && policy.blacklist.length === 0;
}

function isOpen(policy: ImagesPolicy, door: Door): boolean {
  switch (door) {
    case "build":
      return policy.allowBuild;
    case "load":
      return policy.allowLoad;
    case "import":
      return policy.allowImport;
  }
}
