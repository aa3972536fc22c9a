import { assert, assertEquals } from "@std/assert";
import { RE2JS } from "re2js";
import { PatternSets } from "../../../../lib/policy/rules/pattern_list.ts";
import { readPattern } from "../../../../lib/policy/rules/patterns.ts";

function listOf(...patterns: string[]): PatternSets {
  return new PatternSets(patterns.map(readPattern));
}

function found(list: PatternSets, name: string): string | undefined {
  return list.find({ familiar: name, full: `docker.io/library/${name}` })
    ?.source;
}

Deno.test("pattern list: the first in the list's order, whatever its form", () => {
  const list = listOf("^a:", "^docker\\.io/library/b", "b", "^(a|b):", "a");
  assertEquals(found(list, "a:1"), "^a:");
  assertEquals(found(list, "b:1"), "^docker\\.io/library/b");
  assertEquals(found(list, "xb:1"), "b");
  assertEquals(found(list, "xa:1"), "a");
  assertEquals(found(list, "c:1"), undefined);
  assertEquals(found(listOf(), "c:1"), undefined);
  // One of the other form, further on, does not come first.
  const others = Array.from({ length: 200 }, (_, at) => `^docker\\.io/${at}/`);
  assertEquals(
    found(listOf(...others, "^x", "docker.io/library/x"), "x"),
    "^x",
  );
  assertEquals(
    found(listOf(...others, "docker.io/library/x", "^x"), "x"),
    "docker.io/library/x",
  );
});

/** Numbers that look like chance, and are the same in each run. */
function chance(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
}

Deno.test("pattern list: many are found as each by itself", () => {
  const next = chance(7);
  const one = <T>(...of: T[]) => of[next(of.length)];
  const words = ["team", "group", "web", "db", "a", "ab", "B", "\u212a"];
  const part = (): string =>
    one(
      () => one(...words),
      () => `(${one(...words)}|${one(...words)})`,
      () => `(?i:${one(...words)})`,
      () => `[a-${one("f", "z")}]${one("+", "*", "?", "{2}", "")}`,
      () => `(a|b)*${one("a", "b")}`,
      () => one("\\b", "\\B", "^", "$", "\\A", "\\z", "(?m)^", "(?m)$"),
      () => one(".", "\\.", "/", ":", "\\d+", "\\w*?", "\\pL", "[^/]+"),
    )();
  const parts = () => Array.from({ length: 1 + next(4) }, part).join("");
  const patterns = Array.from(
    { length: 600 },
    () => one("^", "", "(?i)", "docker.io/") + parts() + one("$", "", ":"),
  );
  const list = listOf(...patterns);
  const single = patterns.map((pattern) => ({
    compiled: RE2JS.compile(pattern),
    ...readPattern(pattern),
  }));
  const hits = new Set<string | undefined>();
  for (let round = 0; round < 400; round++) {
    const familiar = Array.from(
      { length: 1 + next(5) },
      () => one(...words, "/", ":", "-", "1", "\n", "é"),
    ).join("");
    const forms = { familiar, full: `docker.io/${familiar}` };
    const wanted = single.find(({ compiled, full }) =>
      compiled.test(full ? forms.full : forms.familiar)
    )?.source;
    assertEquals(list.find(forms)?.source, wanted, JSON.stringify(familiar));
    hits.add(wanted);
  }
  assert(hits.size > 5, `${hits.size} patterns were found`);
});

Deno.test("pattern list: patterns that are too large together", () => {
  const large = (at: number) => `^${at}(\\pL{500}|x{1,900})$`;
  const list = listOf(...Array.from({ length: 70 }, (_, at) => large(at)));
  assertEquals(found(list, `69${"x".repeat(900)}`), large(69));
  assertEquals(found(list, `69${"x".repeat(901)}`), undefined);
});

Deno.test("pattern list: names of all kinds don't make it large", () => {
  const next = chance(11);
  const list = listOf(
    ...Array.from(
      { length: 200 },
      (_, at) => `^(a|b)*${at % 2 ? "a" : "b"}(a|b){${at % 20}}c?$`,
    ),
  );
  const before = Deno.memoryUsage().rss;
  for (let round = 0; round < 100; round++) {
    const name = Array.from({ length: 200 }, () => next(2) ? "a" : "b").join(
      "",
    );
    assert(found(list, name) !== undefined);
  }
  assert(Deno.memoryUsage().rss - before < 256 * 1024 * 1024);
});
