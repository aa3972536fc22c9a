import { assertEquals } from "@std/assert";
import { cleanPath } from "../../../../lib/policy/rules/paths.ts";

Deno.test("paths: cleaned as by Go's path.Clean", () => {
  for (
    const [path, clean] of [
      // The table of Go's own test (path/path_test.go).
      ["", "."],
      ["abc", "abc"],
      ["abc/def", "abc/def"],
      ["a/b/c", "a/b/c"],
      [".", "."],
      ["..", ".."],
      ["../..", "../.."],
      ["../../abc", "../../abc"],
      ["/abc", "/abc"],
      ["/", "/"],
      ["abc/", "abc"],
      ["abc/def/", "abc/def"],
      ["a/b/c/", "a/b/c"],
      ["./", "."],
      ["../", ".."],
      ["../../", "../.."],
      ["/abc/", "/abc"],
      ["abc//def//ghi", "abc/def/ghi"],
      ["//abc", "/abc"],
      ["///abc", "/abc"],
      ["//abc//", "/abc"],
      ["abc//", "abc"],
      ["abc/./def", "abc/def"],
      ["/./abc/def", "/abc/def"],
      ["abc/.", "abc"],
      ["abc/def/ghi/../jkl", "abc/def/jkl"],
      ["abc/def/../ghi/../jkl", "abc/jkl"],
      ["abc/def/..", "abc"],
      ["abc/def/../..", "."],
      ["/abc/def/../..", "/"],
      ["abc/def/../../..", ".."],
      ["/abc/def/../../..", "/"],
      ["abc/def/../../../ghi/jkl/../../../mno", "../../mno"],
      ["/../abc", "/abc"],
      ["abc/./../def", "def"],
      ["abc//./../def", "def"],
      ["abc/../../././../def", "../../def"],
      // Of mounts.
      ["/data", "/data"],
      ["/data/", "/data"],
      ["/data/.", "/data"],
      ["/da ta\n", "/da ta\n"],
      ["/...", "/..."],
      ["/data\\x", "/data\\x"],
    ]
  ) {
    assertEquals(cleanPath(path), clean, JSON.stringify(path));
  }
});
