/**
 * The calls of the engine's API that a policy judges: the specification of what
 * is guarded. A call that no row matches is allowed without another thought.
 *
 * @module
 */
import { parseTarget, type Target } from "./target.ts";

/** The sections of the configuration, each a policy. */
export type Section = "volumes" | "images" | "push";

/** One call, or family of calls, of the engine's API. */
export interface Endpoint {
  /** What the call does; the name by which policies know it. */
  readonly name: EndpointName;
  /** HTTP method; the engine's router tells letter case apart. */
  readonly method: "POST" | "PUT";
  /**
   * Path without API version, in the notation of the engine's own router
   * (moby's daemon/server/router/*): `{name:.*}` takes anything, slashes too.
   */
  readonly path: string;
  /** The policies that judge it, in the order in which they are asked. */
  readonly policies: readonly Section[];
}

/** Names of the guarded calls. */
export type EndpointName =
  | "container create"
  | "container start"
  | "container restart"
  | "container update"
  | "container rename"
  | "container archive"
  | "service create"
  | "service update"
  | "build"
  | "build session"
  | "build connection"
  | "image create"
  | "image load"
  | "image push"
  | "plugin pull"
  | "plugin upgrade"
  | "plugin create";

/** Every guarded call. */
export const ENDPOINTS: readonly Endpoint[] = [
  {
    name: "container create",
    method: "POST",
    path: "/containers/create",
    policies: ["volumes"],
  },
  {
    name: "container start",
    method: "POST",
    path: "/containers/{name:.*}/start",
    policies: ["volumes"],
  },
  {
    name: "container restart",
    method: "POST",
    path: "/containers/{name:.*}/restart",
    policies: ["volumes"],
  },
  {
    name: "container update",
    method: "POST",
    path: "/containers/{name:.*}/update",
    policies: ["volumes"],
  },
  {
    // A start by name must not find another container than was judged.
    name: "container rename",
    method: "POST",
    path: "/containers/{name:.*}/rename",
    policies: ["volumes"],
  },
  {
    name: "container archive",
    method: "PUT",
    path: "/containers/{name:.*}/archive",
    policies: ["volumes"],
  },
  {
    name: "service create",
    method: "POST",
    path: "/services/create",
    policies: ["images", "volumes"],
  },
  {
    name: "service update",
    method: "POST",
    path: "/services/{id}/update",
    policies: ["images", "volumes"],
  },
  {
    name: "build",
    method: "POST",
    path: "/build",
    policies: ["images", "volumes"],
  },
  {
    // BuildKit's client serves the build context and credentials over it.
    name: "build session",
    method: "POST",
    path: "/session",
    policies: ["images"],
  },
  {
    // BuildKit's own API, for buildx.
    name: "build connection",
    method: "POST",
    path: "/grpc",
    policies: ["images"],
  },
  {
    // Pull and import.
    name: "image create",
    method: "POST",
    path: "/images/create",
    policies: ["images"],
  },
  {
    name: "image load",
    method: "POST",
    path: "/images/load",
    policies: ["images"],
  },
  {
    name: "image push",
    method: "POST",
    path: "/images/{name:.*}/push",
    policies: ["push"],
  },
  {
    name: "plugin pull",
    method: "POST",
    path: "/plugins/pull",
    policies: ["images"],
  },
  {
    name: "plugin upgrade",
    method: "POST",
    path: "/plugins/{name:.*}/upgrade",
    policies: ["images"],
  },
  {
    // From a tar in the body.
    name: "plugin create",
    method: "POST",
    path: "/plugins/create",
    policies: ["images"],
  },
];

/** The row that a call matches, with what its path names. */
export interface Match {
  endpoint: Endpoint;
  /** The container, service, … in the path; empty where the path names none. */
  subject: string;
}

/** A guarded call's row in the table, and its request target. */
export interface Route extends Match {
  target: Target;
}

/** Rows whose path names nothing, by their path. */
const PLAIN = new Map(
  ENDPOINTS.filter(({ path }) => !path.includes("{"))
    .map((endpoint) => [endpoint.path, endpoint]),
);

/** The other rows. */
const NAMING = ENDPOINTS.filter(({ path }) => path.includes("{"))
  .map((endpoint) => ({ endpoint, pattern: toPattern(endpoint.path) }));

const METHODS: ReadonlySet<string> = new Set(
  ENDPOINTS.map(({ method }) => method),
);

/**
 * Looks a call up in the table, by what the AuthZ request says of it.
 *
 * @param call Method and request target, as sent.
 * @returns The row with the target, or undefined where no policy cares.
 */
export function routeOf(
  { method, uri }: { method: string; uri: string },
): Route | undefined {
  if (!METHODS.has(method)) return undefined; // Most calls are a GET.
  const target = parseTarget(uri);
  const match = matchEndpoint(method, target.path);
  return match &&
    { endpoint: match.endpoint, subject: match.subject, target };
}

/**
 * Looks a call up in the table.
 *
 * @param method HTTP method as sent.
 * @param path Decoded path without API version.
 * @returns The row, or undefined where no policy cares.
 */
export function matchEndpoint(method: string, path: string): Match | undefined {
  const plain = PLAIN.get(path);
  if (plain?.method === method) return { endpoint: plain, subject: "" };
  for (const { endpoint, pattern } of NAMING) {
    if (endpoint.method !== method) continue;
    const found = pattern.exec(path);
    if (found) return { endpoint, subject: found[1] ?? "" };
  }
  return undefined;
}

/** Go's `.` takes everything but a line feed; JavaScript's takes less. */
function toPattern(path: string): RegExp {
  return new RegExp(
    `^${path.replace(/{\w+:\.\*}/, "([^\\n]*)").replace(/{\w+}/, "([^/]+)")}$`,
  );
}
