import { ALLOW, allow, type Decision, deny } from "../decision.ts";
import { shown } from "../../text.ts";
import type { PatternList } from "./patterns.ts";
import {
  familiar,
  familiarName,
  full,
  fullName,
  type ImageReference,
} from "../../call/reference.ts";

/** Which images may come onto the host, and through which doors. */
export interface ImagesPolicy {
  /** What is let in, whatever else is said about it. */
  readonly whitelist: PatternList;
  /** What is kept out unless the whitelist has it. */
  readonly blacklist: PatternList;
  /** What becomes of an image that neither list has. */
  readonly defaultAllow: boolean;
  /** Whether `docker build` may bring images, which can't be seen from the call. */
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

/**
 * Judges one image: the whitelist allows, then the blacklist refuses, then the default says.
 *
 * Patterns see `repository:tag` in the familiar form, those that name `docker.io` the full form.
 *
 * @param policy The policy.
 * @param reference The image; without tag and digest it is judged as `latest`.
 * @returns The decision.
 */
export function judgeImage(
  policy: ImagesPolicy,
  reference: ImageReference,
): Decision {
  const forms = { familiar: familiar(reference), full: full(reference) };
  const whitelisted = policy.whitelist.find(forms);
  if (whitelisted) return allow(`whitelisted by ${shown(whitelisted.source)}`);
  const image = `image ${shown(forms.familiar)} is not allowed`;
  const blacklisted = policy.blacklist.find(forms);
  if (blacklisted !== undefined) {
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
 * Judges a pull of all the tags of a repository. The engine learns the tags from the registry, long
 * after it has asked, so they can't be judged one by one: it takes a whitelist entry that matches
 * the bare repository (`^alpine$`, `^alpine`, but not `^alpine:`), or a policy that refuses nothing.
 *
 * @param policy The policy.
 * @param reference The repository; a tag or digest in it is left aside.
 * @returns The decision.
 */
export function judgeAllTags(
  policy: ImagesPolicy,
  reference: ImageReference,
): Decision {
  const forms = {
    familiar: familiarName(reference),
    full: fullName(reference),
  };
  if (policy.whitelist.find(forms) !== undefined) return ALLOW;
  if (policy.defaultAllow && policy.blacklist.patterns.length === 0) {
    return ALLOW;
  }
  const why = policy.defaultAllow
    ? "some of them may be blacklisted"
    : "no whitelist entry matches the name without a tag";
  return deny(
    "images/all-tags",
    `all tags of ${
      shown(forms.familiar)
    } are not allowed: they can't be judged one by one, and ${why}; pull a tag`,
  );
}

/**
 * Judges a call that brings images without showing their names.
 *
 * @param policy The policy.
 * @param door The door that the call comes through.
 * @param what The call as its user knows it, such as `docker build`.
 * @returns The decision.
 */
export function judgeDoor(
  policy: ImagesPolicy,
  door: Door,
  what: string,
): Decision {
  if (isOpen(policy, door)) return ALLOW;
  return deny(
    `images/${door}`,
    `${shown(what)} is not allowed: the images it brings can't be seen, and ${
      DOOR_KEYS[door]
    } in [images] is not true`,
  );
}

/**
 * The doors that stand open beside a policy that refuses something: for the warning at start.
 *
 * @param policy The policy.
 * @returns The doors through which an image comes in that the lists would refuse; none where the
 * lists refuse nothing.
 */
export function doorsNotCovered(policy: ImagesPolicy): Door[] {
  if (policy.defaultAllow && policy.blacklist.patterns.length === 0) return [];
  return (["build", "load", "import"] as const).filter((door) =>
    isOpen(policy, door)
  );
}

/**
 * Whether a policy lets every image in, by every door.
 *
 * @param policy The policy.
 * @returns True where no verdict hangs on what a call says.
 */
export function refusesNothing(policy: ImagesPolicy): boolean {
  return policy.defaultAllow && policy.blacklist.patterns.length === 0 &&
    policy.allowImport;
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
