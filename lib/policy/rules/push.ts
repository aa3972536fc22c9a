import { ALLOW, type Decision, deny } from "../decision.ts";
import { shown } from "../../text.ts";
import {
  HUB,
  type ImageReference,
  normalHost,
  parseReference,
} from "../../call/reference.ts";

/** What is kept off Docker Hub. */
export interface PushPolicy {
  /** Whether RHEL content is refused at all. */
  readonly blockRhel: boolean;
  /** How the `name` label of what counts as RHEL begins: `rhel`, so not `ubi9`. */
  readonly namePrefixes: readonly string[];
  /**
   * Red Hat's registries, or mirrors of them: `registry.redhat.io`, `mirror.example.com/redhat`.
   * Only images pulled from there say which layers are RHEL's.
   */
  readonly registries: readonly string[];
}

/** Where a push goes. */
export interface PushTarget {
  /** The pushed name in normal form. */
  readonly reference: ImageReference;
  /** Whether the name itself says which registry it goes to. */
  readonly qualified: boolean;
  /**
   * Names of the registries in the engine's `/info`, in its order. Only Red Hat's patched engine
   * has them; it sends an unqualified name to the first.
   */
  readonly registries?: readonly string[];
}

/** What an image's inspect shows of where it came from. */
export interface ImageContent {
  /** `Config.Labels`. */
  readonly labels: Readonly<Record<string, string>>;
  /** `RootFS.Layers`: digests of the layers' contents, the lowest first. */
  readonly layers: readonly string[];
  /** `RepoDigests`: what it was pulled or pushed as. */
  readonly repoDigests: readonly string[];
}

/** One of the images that a push sends. */
export interface PushedImage {
  /** Its name for the message, in the familiar form: `acme/app:1`. */
  readonly name: string;
  /** The image, or one of several where the name holds one for each platform. */
  readonly image: ImageContent;
  /**
   * The images that it was made from, as its `Parent` and theirs name them. An engine knows them
   * for what it built or committed itself, without BuildKit.
   */
  readonly parents: readonly Pick<ImageContent, "labels">[];
}

/** All that a push is judged by. */
export interface PushFacts extends PushTarget {
  /** Every image that is pushed: all tags of the repository where the call names none. */
  readonly pushed: readonly PushedImage[];
  /** Images on this host, or at least those that {@link isRhelBase} holds true of. */
  readonly host: readonly ImageContent[];
}

const VENDOR = "Red Hat, Inc.";

/** Red Hat's labels: capitalised on RHEL 7 images, in lower case since. */
const VENDOR_LABELS = ["vendor", "Vendor"];
const NAME_LABELS = ["name", "Name"];

/**
 * Values for the `label` filter of `GET /images/json`: every image that {@link isRhelBase} holds
 * true of passes one of them. One call for each, since the engine wants all the labels of a call.
 */
export const RHEL_LABEL_FILTERS: readonly string[] = VENDOR_LABELS.map((
  label,
) => `${label}=${VENDOR}`);

/**
 * The registry that a push goes to, as rhel-push-plugin's README has it.
 *
 * @param target The pushed name and the engine's registries.
 * @returns The registry's host in normal form; `docker.io` is Docker Hub.
 */
export function pushDestination(target: PushTarget): string {
  const first = target.qualified ? undefined : target.registries?.[0];
  return first ? normalHost(first) : target.reference.domain;
}

/**
 * Whether a push has to be judged by its images. Where it has not, the engine need not be asked for
 * them.
 *
 * @param policy The policy.
 * @param target The pushed name and the engine's registries.
 * @returns False where the push is allowed whatever it holds.
 */
export function guardsPush(policy: PushPolicy, target: PushTarget): boolean {
  return policy.blockRhel && pushDestination(target) === HUB;
}

/**
 * Whether an image tells which layers are RHEL's: labelled so, pulled from a registry of Red Hat's,
 * and not without layers, which are the first layers of every image.
 *
 * The registry is asked for so that nobody can stop all pushes by labelling a copy of a common base
 * image.
 *
 * @param policy The policy.
 * @param image An image on this host.
 * @returns Whether images that begin with its layers are RHEL based.
 */
export function isRhelBase(policy: PushPolicy, image: ImageContent): boolean {
  return image.layers.length > 0 &&
    rhelName(policy, image.labels) !== undefined &&
    isFromRedHat(policy, image);
}

/**
 * Whether an image was pulled from a registry of Red Hat's.
 *
 * @param policy The policy.
 * @param image An image on this host.
 * @returns Whether one of its digests is of such a registry.
 */
export function isFromRedHat(
  policy: PushPolicy,
  image: Pick<ImageContent, "repoDigests">,
): boolean {
  return image.repoDigests.some((digest) => isFrom(policy.registries, digest));
}

/**
 * Judges a push: nothing that is RHEL based goes to Docker Hub.
 *
 * An image is RHEL based by its own labels, by those of an image that it was made from, or by
 * beginning with all the layers of an RHEL image on this host: labels can be overwritten in a
 * child, layers can't.
 *
 * @param policy The policy.
 * @param facts Where the push goes and what it holds.
 * @returns The decision.
 */
export function judgePush(policy: PushPolicy, facts: PushFacts): Decision {
  if (!guardsPush(policy, facts)) return ALLOW;
  const bases = facts.host.filter((image) => isRhelBase(policy, image));
  for (const pushed of facts.pushed) {
    const base = baseOf(policy, pushed, bases);
    if (base !== undefined) {
      return deny(
        "push/rhel",
        `RHEL based images are not allowed to be pushed to ${HUB}: ${
          shown(pushed.name)
        } is based on ${shown(base)}`,
      );
    }
  }
  return ALLOW;
}

/** The `name` label of the RHEL image that an image is or is made from. */
function baseOf(
  policy: PushPolicy,
  { image, parents }: PushedImage,
  bases: readonly ImageContent[],
): string | undefined {
  for (const { labels } of [image, ...parents]) {
    const name = rhelName(policy, labels);
    if (name !== undefined) return name;
  }
  const base = bases.find(({ layers }) =>
    layers.every((layer, i) => layer === image.layers[i])
  );
  return base && rhelName(policy, base.labels);
}

/**
 * The `name` label of an image with Red Hat's labels for RHEL. The two spellings need not go
 * together: a child that sets `name` leaves its parent's `Name` where it was.
 */
function rhelName(
  policy: PushPolicy,
  labels: ImageContent["labels"],
): string | undefined {
  if (!VENDOR_LABELS.some((label) => labels[label] === VENDOR)) {
    return undefined;
  }
  return NAME_LABELS.map((label) => labels[label]).find((name) =>
    policy.namePrefixes.some((prefix) => name?.startsWith(prefix))
  );
}

function isFrom(registries: readonly string[], repoDigest: string): boolean {
  let repository: string;
  try {
    const { domain, path } = parseReference(repoDigest);
    repository = `${domain}/${path}`;
  } catch {
    return false; // such as <none>@<none>
  }
  return registries.some((registry) => {
    const [host, ...path] = registry.split("/");
    return repository.startsWith([normalHost(host), ...path, ""].join("/"));
  });
}
