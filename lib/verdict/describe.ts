import type { AuthzRequest } from "../call/authz.ts";
import type { Fields } from "../log.ts";
import { shown } from "../text.ts";

/**
 * Names a call by what an administrator searches the log for.
 *
 * @param request The call.
 * @returns User, method and path.
 */
export function describe({ user, method, uri }: AuthzRequest): Fields {
  return {
    user: user === "" ? "-" : shown(user),
    method: shown(method, 20),
    path: shown(uri, 500),
  };
}
