/**
 * Image references: the grammar of `distribution/reference`, and one normal
 * form for all spellings that mean the same image to the engine.
 *
 * The rules are those of `normalize.go`, `regexp.go` and `reference.go` in
 * github.com/distribution/reference, and of the older copy that Docker 20.10
 * vendors (docker/distribution v2.8.1). The newer one
 * accepts more: `Foo/bar` (a host name, since it has an upper-case letter),
 * `[::1]:5000/x`, and a host that does not count towards the 255 characters.
 * 20.10 refuses these, so that reading them the newer way is right for both.
 *
 * No regular expression here has ambiguous repetition: parsing is linear in the
 * text's length.
 *
 * @module
 */

/** A reference in normal form: all spellings of an image give equal fields. */
export interface ImageReference {
  /**
   * The registry: `docker.io` for Docker Hub under any of its names, otherwise
   * the host in lower case with its port, without `:443`. Holds a `.` or a `:`,
   * or is `localhost`.
   */
  domain: string;
  /**
   * The repository in that registry; `library/` is always there for Hub's
   * official images.
   */
  path: string;
  /** The tag. Never beside a digest, since the engine ignores it there. */
  tag?: string;
  /** The digest, such as `sha256:…`. */
  digest?: string;
}

/** The engine's own error for a text that is no image reference. */
export class InvalidReference extends Error {
  override name = "InvalidReference";
}

/** Docker Hub in normal form. */
export const HUB = "docker.io";

/**
 * The hosts that are Docker Hub's registry. The engine itself knows the first
 * two (`defaultDomain` and `legacyDefaultDomain` in normalize.go); the others
 * answer the same API with the same images.
 */
const HUB_HOSTS = new Set([
  HUB,
  "index.docker.io",
  "registry-1.docker.io",
  "registry.hub.docker.com",
]);

const OFFICIAL = "library/";
const DEFAULT_TAG = "latest";

/** In characters: `RepositoryNameTotalLengthMax` in reference.go. */
const PATH_MAX = 255;

const BAD_FORMAT = "invalid reference format";
const UPPER_CASE = "repository name must be lowercase";

const IDENTIFIER = /^[a-f0-9]{64}$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST =
  /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const HOST_LABEL = "[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*";
const DOMAIN = new RegExp(
  `^(?:${HOST_LABEL}(?:\\.${HOST_LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);

/** Hex digits of the digests that go-digest knows (algorithm.go). */
const DIGEST_DIGITS: ReadonlyMap<string, number> = new Map(
  Object.entries({ sha256: 64, sha384: 96, sha512: 128 }),
);

/** A reference as the engine itself holds it, before our own normal form. */
interface EngineReference {
  domain: string;
  path: string;
  tag?: string;
  digest?: string;
  /** Whether the text named its registry. */
  qualified: boolean;
}

/**
 * Reads an image reference the way the engine does (`ParseNormalizedNamed` in
 * normalize.go) and brings it into normal form.
 *
 * @param text A reference such as `alpine`, `quay.io/calico/cni:v3` or
 *   `alpine@sha256:…`.
 * @returns The reference; without tag and digest if the text has neither.
 * @throws {InvalidReference} If the engine refuses the text, an image ID of 64
 *   digits included.
 */
export function parseReference(text: string): ImageReference {
  return normal(parseAsEngine(text));
}

/**
 * Tells whether a text is a bare digest, which a service takes for the ID of an
 * image on the host and never pulls (`pullImage` in
 * daemon/cluster/executor/container/adapter.go of moby). A pull takes the same
 * text for the repository `sha256` with a tag.
 *
 * @param text Such as `sha256:…`.
 * @returns Whether go-digest accepts it.
 */
export function isDigest(text: string): boolean {
  return digestFault(text) === undefined;
}

/** What `POST /images/create` pulls. */
export interface PullReference {
  /** The image; without tag and digest if all tags are pulled. */
  reference: ImageReference;
  /** Whether all tags are pulled (`docker pull --all-tags`). */
  allTags: boolean;
}

/**
 * Puts `fromImage` and `tag` of `POST /images/create` together as the engine
 * does:
 * - one `:` at the end of `fromImage` is cut;
 * - a `tag` that is a digest replaces whatever `fromImage` had;
 * - any other `tag` replaces its tag, but not its digest;
 * - with neither tag nor digest, all tags are pulled.
 *
 * Source: `PullImage` in daemon/images/image_pull.go of moby 20.10,
 * `postImagesCreate` in server/router/image/image_routes.go since.
 *
 * @param fromImage The query's `fromImage`, not empty.
 * @param tag The query's `tag`; empty is the same as absent.
 * @returns What is pulled.
 * @throws {InvalidReference} If the engine refuses the two.
 */
export function pullReference(fromImage: string, tag = ""): PullReference {
  const named = parseReference(
    fromImage.endsWith(":") ? fromImage.slice(0, -1) : fromImage,
  );
  const { domain, path } = named;
  if (tag === "") {
    return {
      reference: named,
      allTags: named.tag === undefined && named.digest === undefined,
    };
  }
  if (isDigest(tag)) {
    return { reference: { domain, path, digest: tag }, allTags: false };
  }
  if (!TAG.test(tag)) throw new InvalidReference("invalid tag format");
  return {
    reference: named.digest === undefined ? { domain, path, tag } : named,
    allTags: false,
  };
}

/** What `POST /images/{name}/push` pushes, and where to. */
export interface PushReference {
  /** The image in normal form, which says where it goes. */
  reference: ImageReference;
  /** Whether every tag of the repository on this host is pushed. */
  allTags: boolean;
  /** Whether the name itself says which registry it goes to. */
  qualified: boolean;
  /**
   * The repository as the engine writes it in `RepoTags` and `RepoDigests`. Not
   * the normal form: `registry-1.docker.io/acme/app` and `acme/app` go to one
   * place, but are two names on the host and can be two images.
   */
  repository: string;
  /**
   * The pushed image's name for inspecting it; the repository alone if all tags
   * are pushed.
   */
  local: string;
}

/**
 * Puts the name and the `tag` of `POST /images/{name}/push` together as the
 * engine does.
 *
 * Source: `PushImage` in daemon/images/image_push.go of moby 20.10,
 * `postImagesPush` in server/router/image/image_routes.go since. A `tag`
 * replaces one in the name. A digest in the name is what 20.10 looks up even
 * beside a tag (`Get` in reference/store.go); newer engines refuse the two
 * together.
 *
 * @param name The decoded name in the path.
 * @param tag The query's `tag`; empty is the same as absent.
 * @returns What is pushed.
 * @throws {InvalidReference} If the engine refuses the two.
 */
export function pushReference(name: string, tag = ""): PushReference {
  const engine = parseAsEngine(name);
  if (tag !== "") {
    if (!TAG.test(tag)) throw new InvalidReference("invalid tag format");
    engine.tag = tag;
  }
  const repository = engineFamiliar(engine);
  const allTags = engine.tag === undefined && engine.digest === undefined;
  let local = repository;
  if (engine.digest !== undefined) local += "@" + engine.digest;
  else if (engine.tag !== undefined) local += ":" + engine.tag;
  return {
    reference: normal(engine),
    allTags,
    qualified: engine.qualified,
    repository,
    local,
  };
}

/**
 * Writes the repository in the familiar form, without tag: `alpine`,
 * `quay.io/calico/cni`.
 *
 * Unlike the engine's own (`familiarizeName` in normalize.go), it is never
 * ambiguous: `docker.io/localhost/x` and `docker.io/quay.io/x` stay as they
 * are, since `localhost/x` and `quay.io/x` are other registries' images.
 *
 * @param reference A reference in normal form.
 * @returns The name; parsed again it gives the same repository, unless it is 64
 *   hex digits.
 */
export function familiarName(reference: ImageReference): string {
  if (reference.domain !== HUB) return fullName(reference);
  const { path } = reference;
  const slash = path.indexOf("/");
  if (path.startsWith(OFFICIAL) && !path.includes("/", OFFICIAL.length)) {
    return path.slice(OFFICIAL.length);
  }
  return readsAsHost(path.slice(0, slash)) ? fullName(reference) : path;
}

/**
 * Writes the repository with its registry, without tag:
 * `docker.io/library/alpine`.
 *
 * @param reference A reference in normal form.
 * @returns The name.
 */
export function fullName(reference: ImageReference): string {
  return `${reference.domain}/${reference.path}`;
}

/**
 * Writes the familiar form as policies and users see it: `alpine:3`,
 * `quay.io/calico/cni:v3`, a digest as `alpine:sha256:…` and no tag at all as
 * `alpine:latest`, which is what the engine takes it for.
 *
 * @param reference A reference in normal form.
 * @returns `repository:tag` or `repository:digest`.
 */
export function familiar(reference: ImageReference): string {
  return `${familiarName(reference)}:${version(reference)}`;
}

/**
 * Writes that form with the registry: `docker.io/library/alpine:3`.
 *
 * @param reference A reference in normal form.
 * @returns `domain/path:tag` or `domain/path:digest`.
 */
export function full(reference: ImageReference): string {
  return `${fullName(reference)}:${version(reference)}`;
}

/**
 * Brings a registry's host into the form that {@link ImageReference} holds.
 *
 * Lower case; Docker Hub's hosts as `docker.io`; a port without leading zeros,
 * which Go's dialer ignores; no `:443`, the port that is taken anyway. A host
 * of one label, such as `Foo` or `build:443`, becomes `foo:443` and
 * `build:443`: without the port it would read as a user of Docker Hub. IPv6
 * addresses are written the one way that RFC 5952 has.
 *
 * @param host A host that the grammar accepts, with or without a port.
 * @returns The host in normal form.
 */
export function normalHost(host: string): string {
  const [, name, digits] =
    /^(\[.*\]|[^:]*)(?::([0-9]+))?$/s.exec(host.toLowerCase()) ??
      [undefined, host];
  const port = digits?.replace(/^0+(?=[0-9])/, "");
  const atHttps = port === undefined || port === "443";
  if (HUB_HOSTS.has(name) && atHttps) return HUB;
  const address = name.startsWith("[") ? canonicalAddress(name) : name;
  if (atHttps && readsAsHost(address)) return address;
  return `${address}:${port ?? "443"}`;
}

function version(reference: ImageReference): string {
  return reference.digest ?? reference.tag ?? DEFAULT_TAG;
}

/** `ParseNormalizedNamed` in normalize.go, with `Parse` in reference.go. */
function parseAsEngine(text: string): EngineReference {
  if (IDENTIFIER.test(text)) {
    throw new InvalidReference(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  const { domain, remainder, qualified } = splitDomain(text);
  const [beforeColon] = remainder.split(":", 1);
  if (beforeColon !== beforeColon.toLowerCase()) {
    throw new InvalidReference(`${BAD_FORMAT}: ${UPPER_CASE}`);
  }

  const [tagged, digest] = cut(remainder, "@");
  const [path, tag] = cut(tagged, ":");
  if (
    (tag !== undefined && !TAG.test(tag)) ||
    (digest !== undefined && !DIGEST.test(digest))
  ) {
    throw new InvalidReference(BAD_FORMAT);
  }
  if (!validName(domain, path)) {
    throw new InvalidReference(
      validName(domain.toLowerCase(), path) ? UPPER_CASE : BAD_FORMAT,
    );
  }
  const counted = DOMAIN.test(domain) ? path : `${domain}/${path}`;
  if (counted.length > PATH_MAX) {
    throw new InvalidReference(
      `repository name must not be more than ${PATH_MAX} characters`,
    );
  }
  const fault = digest === undefined ? undefined : digestFault(digest);
  if (fault !== undefined) throw new InvalidReference(fault);
  return { domain, path, tag, digest, qualified };
}

/**
 * `splitDockerDomain` in normalize.go. 20.10's has no case for upper-case
 * letters: there `Foo/bar` is a repository on Docker Hub, and refused for its
 * letters.
 */
function splitDomain(
  text: string,
): { domain: string; remainder: string; qualified: boolean } {
  const slash = text.indexOf("/");
  const first = text.slice(0, Math.max(slash, 0));
  const qualified = slash >= 0 &&
    (readsAsHost(first) || first !== first.toLowerCase());
  let domain = qualified ? first : HUB;
  let remainder = qualified ? text.slice(slash + 1) : text;
  if (domain === "index.docker.io") domain = HUB;
  if (domain === HUB && !remainder.includes("/")) {
    remainder = OFFICIAL + remainder;
  }
  return { domain, remainder, qualified };
}

function readsAsHost(component: string): boolean {
  return component === "localhost" || component.includes(".") ||
    component.includes(":");
}

/**
 * The name part of `referenceRegexp`. Its domain is optional, so that
 * `foo_bar.com/x`, whose first part is no domain by the grammar, passes as a
 * path. The containerd store then takes its first part for the host all the
 * same, and so do we.
 */
function validName(domain: string, path: string): boolean {
  return (DOMAIN.test(domain) || COMPONENT.test(domain)) &&
    path.split("/").every((part) => COMPONENT.test(part));
}

/**
 * The engine's error for a digest: `Digest.Validate` in go-digest's digest.go.
 */
function digestFault(digest: string): string | undefined {
  const [algorithm, encoded] = cut(digest, ":");
  if (!encoded) return "invalid checksum digest format";
  const digits = DIGEST_DIGITS.get(algorithm);
  if (digits === undefined) {
    return /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/.test(digest)
      ? "unsupported digest algorithm"
      : "invalid checksum digest format";
  }
  if (encoded.length !== digits) return "invalid checksum digest length";
  return /^[a-f0-9]+$/.test(encoded)
    ? undefined
    : "invalid checksum digest format";
}

function normal(
  { domain, path, tag, digest }: EngineReference,
): ImageReference {
  const host = normalHost(domain);
  const reference: ImageReference = {
    domain: host,
    path: host === HUB && !path.includes("/") ? OFFICIAL + path : path,
  };
  if (digest !== undefined) reference.digest = digest;
  else if (tag !== undefined) reference.tag = tag;
  return reference;
}

/** The engine's own short name: `familiarizeName` in normalize.go. */
function engineFamiliar({ domain, path }: EngineReference): string {
  if (domain !== HUB) return `${domain}/${path}`;
  const short = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
  return short.includes("/") ? path : short;
}

function canonicalAddress(bracketed: string): string {
  try {
    return new URL(`http://${bracketed}/`).hostname;
  } catch {
    return bracketed; // No address, so that nothing can be reached there.
  }
}

function cut(
  text: string,
  separator: string,
): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
