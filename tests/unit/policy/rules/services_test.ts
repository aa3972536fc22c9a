import { assertEquals } from "@std/assert";
import type { Mount } from "../../../../lib/call/mount.ts";
import {
  checkServiceImage,
  checkTemplates,
  serviceCoveredPaths,
} from "../../../../lib/policy/rules/services.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;

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

Deno.test("services: an image is here, pinned, and its volumes are covered", () => {
  const plain = { id: "sha256:1d", volumes: [] };
  const data = { id: "sha256:1d", volumes: ["/data"] };
  for (
    const [name, image, rule] of [
      [DIGEST, plain, undefined],
      [`db@${DIGEST}`, plain, undefined],
      [`r.example/db:1@${DIGEST}`, plain, undefined],
      [`db@${DIGEST}`, undefined, "volumes/service-image"],
      [`db@${DIGEST}`, data, "volumes/image"],
      ["db:1", data, "volumes/image"],
      ["db:1", plain, "volumes/service-tag"],
      [`db@${DIGEST}0`, plain, "volumes/service-tag"],
      [`db@sha512:${"ab".repeat(64)}`, plain, "volumes/service-tag"],
    ] as const
  ) {
    assertEquals(checkServiceImage(name, image, new Set())?.rule, rule, name);
  }
  assertEquals(
    checkServiceImage(`db@${DIGEST}`, data, new Set(["/data"])),
    undefined,
  );
});
