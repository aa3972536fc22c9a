import { assertEquals } from "@std/assert";
import type { Mount } from "../../../../lib/call/mount.ts";
import {
  checkServiceName,
  checkTemplates,
  serviceCoveredPaths,
} from "../../../../lib/policy/rules/services.ts";

function mount(source: string, target: string): Mount {
  return { type: "bind", source, target };
}

Deno.test("services: a target that is a template covers nothing", () => {
  assertEquals(
    serviceCoveredPaths([
      mount("/h", "/a/"),
      mount("/h", "/{{.Task.Name}}"),
      mount("/h", '/{{"b"}}'),
    ]),
    new Set(["/a"]),
  );
});

Deno.test("services: a source that is a template is refused", () => {
  assertEquals(checkTemplates([]), undefined);
  assertEquals(checkTemplates([mount("/srv/{a}", "/{{.x}}")]), undefined);
  assertEquals(
    checkTemplates([mount("/srv", "/a"), mount("/srv/{{.x}}", "/b")]),
    {
      allow: false,
      rule: "volumes/bind",
      message: "bind mount of /srv/{{.x}} is not allowed: a template can't " +
        "be checked",
    },
  );
});

Deno.test("services: a name that may have volumes is reserved", () => {
  assertEquals(checkServiceName("db", []), undefined);
  assertEquals(checkServiceName("db", ["db2", "DB"]), undefined);
  assertEquals(checkServiceName("", ["db"]), undefined);
  assertEquals(checkServiceName("db", ["log", "db"]), {
    allow: false,
    rule: "volumes/service-name",
    message: "service name db is reserved: allow-service in [volumes] lets " +
      "it have volumes",
  });
});
