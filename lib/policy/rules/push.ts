import { type Denial, deny } from "../decision.ts";
import { shown } from "../../text.ts";
import {
  HUB,
  normalHost,
  parseReference,
  type PushReference,
} from "../../call/reference.ts";

/** What is kept off Docker Hub. */
export interface PushPolicy {
  /** Whether RHEL content is refused at all. */
  readonly blockRhel: boolean;
  /** How the `name` label of what counts as RHEL begins: `rhel`, not `ubi9`. */
  readonly namePrefixes: readonly string[];
  /**
   * Red Hat's registries, or mirrors of them: `registry.redhat.io`,
   * `mirror.example.com/redhat`. Only images pulled from there say which layers
   * are RHEL's.
   */
  readonly registries: readonly string[];
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
  /** The image, or one of several if the name has one for each platform. */
  readonly image: ImageContent;
  /**
   * The images that it was made from, as its `Parent` and theirs name them. An
   * engine knows them for what it built or committed itself, without BuildKit.
   */
  readonly parents: readonly Pick<ImageContent, "labels">[];
}

const VENDOR = "Red Hat, Inc.";

/** Red Hat's labels: capitalised on RHEL 7 images, in lower case since. */
const VENDOR_LABELS = ["vendor", "Vendor"];
const NAME_LABELS = ["name", "Name"];
const COMPONENT_LABELS = ["com.redhat.component", "BZComponent"];

/** The `url` label of Red Hat's images: their page in its catalog. */
const CATALOG_URL =
  /^https:\/\/access\.redhat\.com\/containers\/#\/[^/]+\/(.+)\/images\//;

/** `com.redhat.license_terms`: a page of Red Hat's, and a section of it. */
const TERMS = /^https:\/\/www\.redhat\.com\/.*#(.+)$/;

/**
 * Values for the `label` filter of `GET /images/json`: every image that
 * {@link isRhelBase} holds true of passes one of them. One call for each, since
 * the engine wants all the labels of a call.
 */
export const RHEL_LABEL_FILTERS: readonly string[] = VENDOR_LABELS.map(
  (label) => `${label}=${VENDOR}`,
);

/**
 * Tells where a push goes, as rhel-push-plugin's README has it.
 *
 * @param push What is pushed.
 * @param registries Names of the registries in the engine's `/info`, in its
 *   order. Only Red Hat's patched engine has them; it sends a name that does
 *   not say which registry it goes to to the first.
 * @returns The registry's host in normal form; `docker.io` is Docker Hub.
 */
export function pushDestination(
  push: Pick<PushReference, "reference" | "qualified">,
  registries: readonly string[] = [],
): string {
  const first = push.qualified ? undefined : registries[0];
  return first ? normalHost(first) : push.reference.domain;
}

/**
 * Says whether an image tells which layers are RHEL's: it is labelled so, was
 * pulled from a registry of Red Hat's, and has layers (every image begins with
 * the layers of an image that has none).
 *
 * The registry counts so that nobody can stop all pushes by labelling a copy of
 * a common base image.
 *
 * @param policy The policy.
 * @param image An image on this host.
 * @returns True if images that begin with its layers are RHEL based.
 */
export function isRhelBase(policy: PushPolicy, image: ImageContent): boolean {
  return image.layers.length > 0 &&
    rhelName(policy, image.labels) !== undefined &&
    isFromRedHat(policy, image);
}

/**
 * Says whether an image was pulled from a registry of Red Hat's.
 *
 * @param policy The policy.
 * @param image An image on this host.
 * @returns True if one of its digests is of such a registry.
 */
export function isFromRedHat(
  policy: PushPolicy,
  image: Pick<ImageContent, "repoDigests">,
): boolean {
  return image.repoDigests.some((digest) => isFrom(policy.registries, digest));
}

/**
 * Checks a push to Docker Hub: nothing that is RHEL based goes there.
 *
 * An image is RHEL based by its own labels, by those of an image that it was
 * made from, or if it begins with all the layers of an RHEL image on this host:
 * labels can be overwritten in a child, layers can't. A child that gives itself
 * a name and a vendor mostly leaves the other labels as they were.
 *
 * @param policy The policy.
 * @param pushed Every image that is pushed: all tags of the repository if the
 *   call names none.
 * @param host Images on this host, or at least those that {@link isRhelBase}
 *   holds true of.
 * @returns The denial if one of the pushed images is RHEL based.
 */
export function checkPush(
  policy: PushPolicy,
  pushed: readonly PushedImage[],
  host: readonly ImageContent[],
): Denial | undefined {
  const bases = host.filter((image) => isRhelBase(policy, image));
  for (const one of pushed) {
    const base = baseOf(policy, one, bases);
    if (base === undefined) continue;
    return deny(
      "push/rhel",
      `RHEL based images are not allowed to be pushed to ${HUB}: ` +
        `${shown(one.name)} is based on ${shown(base)}`,
    );
  }
  return undefined;
}

/** What the labels call the RHEL image that an image is or is made from. */
function baseOf(
  policy: PushPolicy,
  { image, parents }: PushedImage,
  bases: readonly ImageContent[],
): string | undefined {
  for (const { labels } of [image, ...parents]) {
    const name = rhelName(policy, labels) ?? inheritedName(policy, labels);
    if (name !== undefined) return name;
  }
  const base = bases.find(({ layers }) =>
    layers.every((layer, i) => layer === image.layers[i])
  );
  return base && rhelName(policy, base.labels);
}

/**
 * The `name` label of an image with Red Hat's labels for RHEL. The two
 * spellings need not go together: a child that sets `name` leaves its parent's
 * `Name` as it was.
 */
function rhelName(
  policy: PushPolicy,
  labels: ImageContent["labels"],
): string | undefined {
  if (!VENDOR_LABELS.some((label) => labels[label] === VENDOR)) {
    return undefined;
  }
  return findRhel(policy, NAME_LABELS.map((label) => labels[label]));
}

/**
 * What an image's labels tell of the RHEL image that it was made from, if it
 * overwrote `name` and `vendor`: the base's component (`rhel-server-container`;
 * UBI's is `ubi9-container`), its repository (`rhel8/mariadb-105`), or its
 * terms of use (`rhel`; UBI's are `UBI`).
 */
function inheritedName(
  policy: PushPolicy,
  labels: ImageContent["labels"],
): string | undefined {
  const [, repository] = CATALOG_URL.exec(labels["url"] ?? "") ?? [];
  // Images of CentOS refer to RHEL's terms too, by mistake. They lack the label
  // by which Red Hat's own builds say how far they may go.
  const isRedHats = labels["distribution-scope"] !== undefined;
  const [, terms] = TERMS.exec(labels["com.redhat.license_terms"] ?? "") ?? [];
  return findRhel(policy, [
    ...COMPONENT_LABELS.map((label) => labels[label]),
    repository,
    isRedHats ? terms?.toLowerCase() : undefined,
  ]);
}

function findRhel(
  { namePrefixes }: PushPolicy,
  names: readonly (string | undefined)[],
): string | undefined {
  return names.find((name) =>
    namePrefixes.some((prefix) => name?.startsWith(prefix))
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
