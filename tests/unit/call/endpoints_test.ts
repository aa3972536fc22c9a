import { assertEquals } from "@std/assert";
import { ENDPOINTS, routeOf } from "../../../lib/call/endpoints.ts";
import { ALL_ROUTES, OPEN_ROUTES } from "./open_routes.ts";

/**
 * The row's name and what the path names, or undefined where no row matches.
 */
function match(line: string): [string, string] | undefined {
  const [method, uri] = line.split(" ");
  const found = routeOf({ method, uri });
  return found && [found.endpoint.name, found.subject];
}

Deno.test("endpoints: every row has a policy, and stands there once", () => {
  for (const { name, policies } of ENDPOINTS) {
    assertEquals(policies.length > 0, true, name);
    assertEquals(new Set(policies).size, policies.length, name);
  }
  for (
    const keys of [
      ENDPOINTS.map(({ name }) => name),
      ENDPOINTS.map(({ method, path }) => `${method} ${path}`),
    ]
  ) {
    assertEquals(new Set(keys).size, keys.length);
  }
});

Deno.test("endpoints: every row matches its own path", () => {
  for (const { name, method, path } of ENDPOINTS) {
    const filled = path.replace(/{[^}]+}/, "web").replace(/{[^}]+}/, "x");
    const subject = filled === path ? "" : "web";
    assertEquals(match(`${method} ${filled}`), [name, subject]);
    assertEquals(match(`${method} /v1.24${filled}`), [name, subject]);
    assertEquals(match(`PATCH ${filled}`), undefined);
    assertEquals(match(`${method.toLowerCase()} ${filled}`), undefined);
    assertEquals(
      match(`${method} ${filled}/`),
      path.endsWith(":.*}") ? [name, "web/"] : undefined,
    );
    assertEquals(match(`${method} ${filled.toUpperCase()}`), undefined);
    assertEquals(match(`${method} /x${filled}`), undefined);
  }
});

Deno.test("endpoints: calls that storage hangs on", () => {
  for (
    const [line, name, subject] of [
      ["POST /containers/create", "container create", ""],
      ["POST /v1.41/containers/create", "container create", ""],
      ["POST /v1.41/cont%61iners/cre%61te", "container create", ""],
      ["POST /containers%2Fcreate", "container create", ""],
      ["POST /%761.41/containers/create", "container create", ""],
      ["POST http://h/v1.41/containers/create", "container create", ""],
      ["POST x:///containers/create?name=a", "container create", ""],
      ["POST /containers/web/start", "container start", "web"],
      ["POST /containers/a%2Fb/start", "container start", "a/b"],
      ["POST /containers/a/b/start", "container start", "a/b"],
      ["POST /containers/start/start", "container start", "start"],
      ["POST /containers//start", "container start", ""],
      ["POST /containers/web/exec/start", "container start", "web/exec"],
      ["POST /containers/%E2%80%A8/start", "container start", "\u2028"],
      ["POST /containers/a%0Db/start", "container start", "a\rb"],
      ["POST /containers/web/restart", "container restart", "web"],
      ["POST /containers/web/update", "container update", "web"],
      ["POST /containers/web/rename?name=b", "container rename", "web"],
      ["PUT /containers/web/archive?path=/", "container archive", "web"],
      ["POST /services/create", "service create", ""],
      ["POST /services/web/update?version=1", "service update", "web"],
      // `{id}` is Go's [^/]+, which takes a line feed.
      ["POST /services/a%0Ab/update", "service update", "a\nb"],
      ["POST /build?t=x", "build", ""],
    ]
  ) {
    assertEquals(match(line), [name, subject], line);
  }
});

Deno.test("endpoints: calls that privileges hang on", () => {
  for (
    const [line, name, subject] of [
      ["GET /containers/web/archive?path=/", "container archive read", "web"],
      ["HEAD /containers/web/archive?path=/", "container archive stat", "web"],
      ["GET /containers/a/b/export", "container export", "a/b"],
      ["GET /containers/web/attach/ws", "container attach websocket", "web"],
      ["POST /containers/web/exec", "exec create", "web"],
      ["POST /exec/abc/start", "exec start", "abc"],
      ["POST /commit?container=web", "container commit", ""],
      ["DELETE /containers/web/checkpoints/x", "checkpoint delete", "web"],
      ["POST /networks/create", "network create", ""],
      ["POST /networks/a/b/connect", "network connect", "a/b"],
      ["POST /volumes/create", "volume create", ""],
      ["DELETE /plugins/a/b", "plugin remove", "a/b"],
      ["GET /v1.41/swarm", "swarm inspect", ""],
      ["GET /swarm/unlockkey", "swarm unlock key", ""],
      ["POST /nodes/abc/update", "node update", "abc"],
    ]
  ) {
    assertEquals(match(line), [name, subject], line);
  }
});

Deno.test("endpoints: every route of the engine's is guarded, or open for a reason", () => {
  const guarded = ENDPOINTS.map(({ method, path }) => `${method} ${path}`);
  const open = Object.keys(OPEN_ROUTES);
  const all = new Set([...guarded, ...open]);
  assertEquals(all.size, guarded.length + open.length);
  assertEquals(all.size, ALL_ROUTES);
});

Deno.test("endpoints: calls that are not guarded", () => {
  for (
    const line of [
      "GET /_ping",
      "GET /v1.41/containers/json",
      "POST /containers/create/x",
      "POST /v1.41/v1.41/containers/create",
      // Go's `.` takes no line feed, so the router knows no such name.
      "POST /containers/a%0Ab/start",
      "PUT /containers/a%0Ab/archive",
      "POST /containers/start",
      "POST /containers/web/stop",
      "DELETE /volumes/data",
      "POST /services/a/b/update",
      "POST /services//update",
      "DELETE /services/web",
      "POST /build/prune",
      "POST http:containers/create",
    ]
  ) {
    assertEquals(match(line), undefined, line);
  }
});
