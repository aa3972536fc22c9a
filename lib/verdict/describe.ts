/**
 * Calls, as the log shows them. Requests carry secrets: build arguments,
 * environment variables, addresses with passwords, credentials of registries.
 * So the log has what decides on a call, and nothing else of it.
 *
 * @module
 */
import type { AuthzRequest } from "../call/authz.ts";
import { type EndpointName, routeOf } from "../call/endpoints.ts";
import { foldKey } from "../call/fold.ts";
import { EVERYBODY } from "../config/config.ts";
import type { Fields } from "../log.ts";
import { cut } from "../text.ts";

/** The parameters of the query that decide on a call, or name what it makes. */
const PARAMETERS: Partial<Record<EndpointName, readonly string[]>> = {
  "container create": ["name", "platform"],
  "container rename": ["name"],
  "service update": ["rollback"],
  "build": ["version"],
  "image create": ["fromImage", "tag", "platform"],
  "image push": ["tag", "platform"],
  "plugin pull": ["remote"],
  "plugin upgrade": ["remote"],
};

/** The keys of a create's body that decide, as Go folds them. */
const CREATE_KEYS = ["image", "volumes", "hostconfig"];
const HOST_CONFIG_KEYS = ["binds", "volumedriver", "volumesfrom", "mounts"];
/** The options of a mount's driver can hold the password of a share. */
const MOUNT_KEYS = ["type", "source", "target"];

/**
 * Names a call by what an administrator searches the log for.
 *
 * @param request The call.
 * @returns User, method and path, with the parameters that decide.
 */
export function describe(
  { user, method, uri }: Pick<AuthzRequest, "user" | "method" | "uri">,
) {
  const mark = uri.indexOf("?");
  const path = mark < 0 ? uri : uri.slice(0, mark);
  const query = shownQuery(method, uri);
  return {
    user: user === "" ? "-" : cut(user),
    method: cut(method, 20),
    // An absolute address can have a password in front of its host.
    path: cut(path.replace(/^([^/]*\/\/)[^/]*@/, "$1") + query, 500),
  } satisfies Fields;
}

/**
 * Names the settings that decided, for the log.
 *
 * @param settings A `[for.NAME]`, or {@link EVERYBODY}.
 * @returns The field; none for everybody's.
 */
export function inSettings(settings: string): Fields {
  return settings === EVERYBODY ? {} : { for: settings };
}

function shownQuery(method: string, uri: string): string {
  const route = routeOf({ method, uri });
  const names = route && PARAMETERS[route.endpoint.name];
  if (!names) return "";
  const parts = route.target.rawQuery.split("&").filter((part) => {
    const [[name, value]] = [...new URLSearchParams(part), ["", ""]];
    return names.includes(name) && !value.includes("://");
  });
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

/**
 * Describes a call that an alert is about.
 *
 * @param request The call.
 * @returns The call, and of the body of a create the image and the mounts, as
 *   JSON.
 */
export function describeAlerting(request: AuthzRequest): string {
  const { user, path } = describe(request);
  const bytes = Uint8Array.fromBase64(request.body ?? "");
  const isCreate = routeOf(request)?.endpoint.name === "container create";
  return cut(
    JSON.stringify({
      user,
      path,
      bodyLength: bytes.length,
      ...(isCreate && { body: shownBody(bytes) }),
    }),
    4000,
  );
}

function shownBody(bytes: Uint8Array): unknown {
  try {
    return pick(JSON.parse(new TextDecoder().decode(bytes)), CREATE_KEYS);
  } catch {
    return "not JSON";
  }
}

function pick(value: unknown, keys: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => keys.includes(foldKey(key)))
      .map(([key, inner]) => {
        switch (foldKey(key)) {
          case "hostconfig":
            return [key, pick(inner, HOST_CONFIG_KEYS)];
          case "mounts":
            return [
              key,
              Array.isArray(inner)
                ? inner.map((mount) => pick(mount, MOUNT_KEYS))
                : typeof inner,
            ];
          default:
            return [key, inner];
        }
      }),
  );
}
