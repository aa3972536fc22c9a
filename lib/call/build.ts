import type { Call } from "./call.ts";

/**
 * Tells the two builders behind `POST /build` apart: BuildKit, and the classic
 * one that runs its steps in containers (`postBuild` in moby's
 * daemon/server/router/build/build_routes.go).
 *
 * @param call A build.
 * @returns Whether it is BuildKit's for sure. A form body, which is never
 *   shown, could override the query.
 */
export function usesBuildKit(call: Call): boolean {
  return call.query.get("version") === "2" && !call.mayHaveHiddenBody;
}
