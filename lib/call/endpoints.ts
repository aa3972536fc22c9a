/**
 * The calls of the engine's API that are guarded: this table is the
 * specification. A call that no row matches is allowed without another look.
 *
 * To guard another call, such as `POST /containers/{name:.*}/wait`, add a row
 * to the table; then say what becomes of it in lib/policy/, in the file of each
 * policy in its column `policies`, at the `switch` over the endpoint's name.
 *
 * @module
 */
import { escape } from "@std/regexp";
import { parseTarget, type Target } from "./target.ts";

/** The policies, each under the name of its section in the configuration. */
export type Section = "volumes" | "images" | "push" | "privileges";

/** One call, or family of calls, of the engine's API. */
interface Row {
  /** What the call does; the name by which policies know it. */
  readonly name: string;
  /** HTTP method; the engine's router tells letter case apart. */
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /**
   * Path without API version, in the notation of the engine's own router
   * (moby's daemon/server/router/*): `{name:.*}` takes anything, slashes too.
   */
  readonly path: string;
  /** The policies that guard it, in the order in which they are asked. */
  readonly policies: readonly Section[];
}

const TABLE = [
  {
    name: "container create",
    method: "POST",
    path: "/containers/create",
    policies: ["volumes", "privileges"],
  },
  {
    name: "container start",
    method: "POST",
    path: "/containers/{name:.*}/start",
    policies: ["volumes", "privileges"],
  },
  {
    name: "container restart",
    method: "POST",
    path: "/containers/{name:.*}/restart",
    policies: ["volumes", "privileges"],
  },
  {
    name: "container update",
    method: "POST",
    path: "/containers/{name:.*}/update",
    policies: ["volumes", "privileges"],
  },
  {
    // It could give the name in a start to another container than was checked.
    name: "container rename",
    method: "POST",
    path: "/containers/{name:.*}/rename",
    policies: ["volumes", "privileges"],
  },
  {
    name: "container archive",
    method: "PUT",
    path: "/containers/{name:.*}/archive",
    policies: ["volumes", "privileges"],
  },
  {
    // `docker cp` from a container, and from what is mounted into it.
    name: "container archive read",
    method: "GET",
    path: "/containers/{name:.*}/archive",
    policies: ["privileges"],
  },
  {
    name: "container archive stat",
    method: "HEAD",
    path: "/containers/{name:.*}/archive",
    policies: ["privileges"],
  },
  {
    // The same, before API 1.24.
    name: "container copy",
    method: "POST",
    path: "/containers/{name:.*}/copy",
    policies: ["privileges"],
  },
  {
    name: "container export",
    method: "GET",
    path: "/containers/{name:.*}/export",
    policies: ["privileges"],
  },
  {
    // The engine runs ps on the host.
    name: "container top",
    method: "GET",
    path: "/containers/{name:.*}/top",
    policies: ["privileges"],
  },
  {
    name: "container attach",
    method: "POST",
    path: "/containers/{name:.*}/attach",
    policies: ["privileges"],
  },
  {
    name: "container attach websocket",
    method: "GET",
    path: "/containers/{name:.*}/attach/ws",
    policies: ["privileges"],
  },
  {
    name: "container commit",
    method: "POST",
    path: "/commit",
    policies: ["privileges"],
  },
  {
    name: "exec create",
    method: "POST",
    path: "/containers/{name:.*}/exec",
    policies: ["privileges"],
  },
  {
    name: "exec start",
    method: "POST",
    path: "/exec/{name:.*}/start",
    policies: ["privileges"],
  },
  {
    // Checkpoints can lie in any directory of the host.
    name: "checkpoint create",
    method: "POST",
    path: "/containers/{name:.*}/checkpoints",
    policies: ["privileges"],
  },
  {
    name: "checkpoint list",
    method: "GET",
    path: "/containers/{name:.*}/checkpoints",
    policies: ["privileges"],
  },
  {
    name: "checkpoint delete",
    method: "DELETE",
    path: "/containers/{name}/checkpoints/{checkpoint}",
    policies: ["privileges"],
  },
  {
    name: "service create",
    method: "POST",
    path: "/services/create",
    policies: ["images", "volumes", "privileges"],
  },
  {
    name: "service update",
    method: "POST",
    path: "/services/{id}/update",
    policies: ["images", "volumes", "privileges"],
  },
  {
    name: "build",
    method: "POST",
    path: "/build",
    policies: ["images", "volumes", "privileges"],
  },
  {
    // BuildKit's client serves the build context and credentials over it.
    name: "build session",
    method: "POST",
    path: "/session",
    policies: ["images", "privileges"],
  },
  {
    // BuildKit's own API, for buildx.
    name: "build connection",
    method: "POST",
    path: "/grpc",
    policies: ["images", "privileges"],
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
    policies: ["images", "privileges"],
  },
  {
    name: "plugin upgrade",
    method: "POST",
    path: "/plugins/{name:.*}/upgrade",
    policies: ["images", "privileges"],
  },
  {
    // From a tar in the body.
    name: "plugin create",
    method: "POST",
    path: "/plugins/create",
    policies: ["images", "privileges"],
  },
  {
    name: "plugin enable",
    method: "POST",
    path: "/plugins/{name:.*}/enable",
    policies: ["privileges"],
  },
  {
    name: "plugin disable",
    method: "POST",
    path: "/plugins/{name:.*}/disable",
    policies: ["privileges"],
  },
  {
    name: "plugin set",
    method: "POST",
    path: "/plugins/{name:.*}/set",
    policies: ["privileges"],
  },
  {
    name: "plugin remove",
    method: "DELETE",
    path: "/plugins/{name:.*}",
    policies: ["privileges"],
  },
  {
    name: "network create",
    method: "POST",
    path: "/networks/create",
    policies: ["privileges"],
  },
  {
    name: "network connect",
    method: "POST",
    path: "/networks/{id:.*}/connect",
    policies: ["privileges"],
  },
  {
    // The local driver mounts what its options say.
    name: "volume create",
    method: "POST",
    path: "/volumes/create",
    policies: ["privileges"],
  },
  {
    // With the tokens to join.
    name: "swarm inspect",
    method: "GET",
    path: "/swarm",
    policies: ["privileges"],
  },
  {
    name: "swarm unlock key",
    method: "GET",
    path: "/swarm/unlockkey",
    policies: ["privileges"],
  },
  {
    name: "swarm init",
    method: "POST",
    path: "/swarm/init",
    policies: ["privileges"],
  },
  {
    name: "swarm join",
    method: "POST",
    path: "/swarm/join",
    policies: ["privileges"],
  },
  {
    name: "swarm leave",
    method: "POST",
    path: "/swarm/leave",
    policies: ["privileges"],
  },
  {
    name: "swarm update",
    method: "POST",
    path: "/swarm/update",
    policies: ["privileges"],
  },
  {
    name: "swarm unlock",
    method: "POST",
    path: "/swarm/unlock",
    policies: ["privileges"],
  },
  {
    // A manager has the whole swarm.
    name: "node update",
    method: "POST",
    path: "/nodes/{id}/update",
    policies: ["privileges"],
  },
  {
    name: "node remove",
    method: "DELETE",
    path: "/nodes/{id}",
    policies: ["privileges"],
  },
] as const satisfies readonly Row[];

/** Names of the guarded calls. */
export type EndpointName = typeof TABLE[number]["name"];

/** A row of the endpoint table. */
export interface Endpoint extends Row {
  readonly name: EndpointName;
}

/** Every guarded call. */
export const ENDPOINTS: readonly Endpoint[] = TABLE;

/** A guarded call: its row in the table, and what its request target says. */
export interface Route {
  endpoint: Endpoint;
  /** The container, service, … in the path; empty if the path names none. */
  subject: string;
  target: Target;
}

const PATTERNS = ENDPOINTS.map((endpoint) => ({
  endpoint,
  pattern: toPattern(endpoint.path),
}));

/**
 * Looks a call up in the table.
 *
 * @param call HTTP method and request target, as sent.
 * @returns What it is, or undefined if it is not guarded.
 */
export function routeOf(
  { method, uri }: { method: string; uri: string },
): Route | undefined {
  const target = parseTarget(uri);
  for (const { endpoint, pattern } of PATTERNS) {
    const found = endpoint.method === method && pattern.exec(target.path);
    if (found) return { endpoint, subject: found[1] ?? "", target };
  }
  return undefined;
}

/** Go's `.` takes everything but a line feed; JavaScript's takes less. */
function toPattern(path: string): RegExp {
  const parts = path.split(/({[^}]*})/).map((part) =>
    !part.startsWith("{")
      ? escape(part)
      : part.endsWith(":.*}")
      ? "([^\\n]*)"
      : "([^/]+)"
  );
  return new RegExp(`^${parts.join("")}$`);
}
