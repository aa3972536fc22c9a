import { assertEquals } from "@std/assert";
import { ENDPOINTS, routeOf } from "../../../lib/call/endpoints.ts";

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
  for (const key of ["name", "path"] as const) {
    assertEquals(
      new Set(ENDPOINTS.map((row) => row[key])).size,
      ENDPOINTS.length,
      key,
    );
  }
});

Deno.test("endpoints: every row matches its own path", () => {
  for (const { name, method, path } of ENDPOINTS) {
    const filled = path.replace(/{[^}]+}/, "web");
    const subject = filled === path ? "" : "web";
    assertEquals(match(`${method} ${filled}`), [name, subject]);
    assertEquals(match(`${method} /v1.24${filled}`), [name, subject]);
    assertEquals(match(`GET ${filled}`), undefined);
    assertEquals(match(`${method.toLowerCase()} ${filled}`), undefined);
    assertEquals(match(`${method} ${filled}/`), undefined);
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

Deno.test("endpoints: calls that are not guarded", () => {
  for (
    const line of [
      "GET /_ping",
      "GET /v1.41/containers/json",
      "GET /containers/web/archive",
      "HEAD /containers/web/archive",
      "POST /containers/create/x",
      "POST /v1.41/v1.41/containers/create",
      // Go's `.` takes no line feed, so the router knows no such name.
      "POST /containers/a%0Ab/start",
      "PUT /containers/a%0Ab/archive",
      "POST /containers/start",
      "POST /containers/web/stop",
      "POST /containers/web/exec",
      "POST /exec/abc/start",
      "POST /volumes/create",
      "DELETE /volumes/data",
      "POST /services/a/b/update",
      "POST /services//update",
      "DELETE /services/web",
      "POST /build/prune",
      "POST /networks/create",
      "POST http:containers/create",
    ]
  ) {
    assertEquals(match(line), undefined, line);
  }
});
