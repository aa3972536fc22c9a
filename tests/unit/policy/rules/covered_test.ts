import { assertEquals } from "@std/assert";
import {
  checkImageVolumes,
  checkVolumes,
  coveredPaths,
} from "../../../../lib/policy/rules/covered.ts";

Deno.test("covered: by binds and mounts cleaned, by tmpfs as it is", () => {
  assertEquals(
    coveredPaths({
      binds: ["/h://a/./b/", "/h:/c:ro", "/d"],
      mounts: [
        { type: "bind", source: "/h", target: "/e/" },
        { type: "tmpfs", source: "", target: "/f/../g" },
      ],
      volumesFrom: ["web"],
      tmpfs: ["/t", "/u/"],
    }),
    new Set(["/a/b", "/c", "/d", "/e", "/g", "/t", "/u/"]),
  );
});

Deno.test("covered: the first path that is not is refused", () => {
  const covered = new Set(["/a", "/b/"]);
  for (
    const [paths, uncovered] of [
      [[]],
      [["/a", "/a/", "//a", "/x/../a"]],
      // A tmpfs on "/b/" covers nothing.
      [["/a", "/b"], "/b"],
      [["/a", "/b/"], "/b/"],
      [["/c", "/d"], "/c"],
      [["/a\n"], "/a\\u000a"],
    ] as [string[], string?][]
  ) {
    const body = checkVolumes(paths, covered);
    const image = checkImageVolumes("db:1", paths, covered);
    if (uncovered === undefined) {
      assertEquals([body, image], [undefined, undefined]);
      continue;
    }
    assertEquals(body, {
      allow: false,
      rule: "volumes/anonymous",
      message: `volumes are not allowed: anonymous volume at ${uncovered}`,
    });
    assertEquals(image, {
      allow: false,
      rule: "volumes/image",
      message:
        `volumes are not allowed: image db:1 declares VOLUME ${uncovered}`,
    });
  }
});
