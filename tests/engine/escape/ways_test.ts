/**
 * The list of ways itself: each has a source, and a name of its own.
 */
import { assert, assertEquals } from "@std/assert";
import { WAYS } from "./ways.ts";

for (const [family, ways] of Object.entries(WAYS)) {
  Deno.test(`ways out: ${family}`, () => {
    const names = ways.map(({ name }) => name);
    assertEquals(names, [...new Set(names)]);
    for (const { name, sources } of ways) {
      assert(sources.length > 0, name);
      for (const each of sources) {
        assert(/^(https:\/\/|CVE-\d{4}-\d+$|moby |runc )/.test(each), each);
      }
    }
  });
}
