import { assert, assertEquals, assertThrows } from "@std/assert";
import { findPattern } from "../../../../lib/policy/rules/images.ts";
import {
  InvalidPattern,
  readPattern,
} from "../../../../lib/policy/rules/patterns.ts";

function matches(pattern: string, name: string): boolean {
  const forms = { familiar: name, full: name };
  return findPattern([readPattern(pattern)], forms) !== undefined;
}

Deno.test("patterns match as Go's regexp does", () => {
  const table: [pattern: string, name: string, expected: boolean][] = [
    // unanchored, like Go's Match
    ["alpine", "evil/alpine:3", true],
    ["^alpine", "evil/alpine:3", false],
    ["^alpine:", "alpine:3", true],
    ["", "anything", true],
    // flags
    ["(?i)^ALPINE:", "alpine:3", true],
    ["^(?i:ALP)ine:", "alpine:3", true],
    ["^(?i)a(?-i)L", "aL", true],
    ["^(?i)a(?-i)L", "al", false],
    ["(?s)a.b", "a\nb", true],
    ["a.b", "a\nb", false],
    ["(?m)^b$", "a\nb", true],
    ["^b$", "a\nb", false],
    ["(?U)a+", "aa", true],
    ["(?i)k", "\u212a", true],
    // anchors: $ is the end of the text, not a line's before it
    ["a$", "a\n", false],
    ["a\\z", "a", true],
    ["\\Aa", "ba", false],
    ["\\bcni\\b", "quay.io/calico/cni:v3", true],
    ["\\Bni", "quay.io/calico/cni:v3", true],
    // classes
    ["^[[:alpha:]]+:", "alpine:3", true],
    ["^[[:^digit:]]+$", "alpine3", false],
    ["^\\pL+:[\\d.]+$", "alpine:3.19", true],
    ["^\\p{Lu}", "alpine", false],
    ["^\\PL", "3", true],
    ["^[^/]+$", "a/b", false],
    ["^[]a]+$", "]a", true],
    // groups, repetition, literals
    ["^quay\\.io/calico/(cni|node):", "quay.io/calico/node:v1", true],
    ["^quay\\.io/calico/(cni|node):", "quay.io/calico/kube:v1", false],
    ["^(?P<name>a+):", "aa:1", true],
    ["^(?<name>a+):", "aa:1", true], // since Go 1.22
    ["^a{2,3}$", "aaaa", false],
    ["a{,2}", "a{,2}", true], // no repetition in Go: literal
    ["^\\Qa.b\\E:", "axb:1", false],
    ["^\\Qa.b\\E:", "a.b:1", true],
    ["\\x61\\x{62}\\143", "abc", true],
    ["a*?b", "aab", true],
  ];
  for (const [pattern, name, expected] of table) {
    assertEquals(
      matches(pattern, name),
      expected,
      `${pattern} on ${name}`,
    );
  }
});

Deno.test("what Go refuses is refused, with Go's reason and the pattern", () => {
  const table: [pattern: string, reason: string][] = [
    ["(alpine", "missing closing ): `(alpine`"],
    ["alpine)", "unexpected ): `alpine)`"],
    ["[a", "missing closing ]: `[a`"],
    ["[b-a]", "invalid character class range: `b-a`"],
    ["(?=a)", "invalid or unsupported Perl syntax: `(?=`"],
    ["(?!a)", "invalid or unsupported Perl syntax: `(?!`"],
    ["(?<=a)b", "invalid named capture: `(?<=a)b`"],
    ["(?<!a)b", "invalid named capture: `(?<!a)b`"],
    ["(?>a)", "invalid or unsupported Perl syntax: `(?>`"],
    ["(?x)a", "invalid or unsupported Perl syntax: `(?x`"],
    ["(a)\\1", "invalid escape sequence: `\\1`"],
    ["a\\Z", "invalid escape sequence: `\\Z`"],
    ["a\\", "trailing backslash at end of expression"],
    ["a**", "invalid nested repetition operator: `**`"],
    ["a++", "invalid nested repetition operator: `++`"],
    ["*a", "missing argument to repetition operator: `*`"],
    ["a{1001}", "invalid repeat count: `{1001}`"],
    ["(a{100}){100}", "invalid repeat count: `{100}`"],
    ["\\p{Foo}", "invalid character class range: `\\p{Foo}`"],
    ["[[:foo:]]", "invalid character class range: `[:foo:]`"],
    ["(?P<n>a)(?P<n>b)", "duplicate capture group name: `n`"],
  ];
  for (const [pattern, reason] of table) {
    const error = assertThrows(() => readPattern(pattern), InvalidPattern);
    assertEquals(
      error.message,
      `pattern "${pattern}" is no Go regular expression: ${reason}`,
    );
  }
  assertThrows(
    () => readPattern("a\ud800"),
    InvalidPattern,
    "invalid UTF-8",
  );
  assertThrows(
    () => readPattern("(".repeat(2000) + ")".repeat(2000)),
    InvalidPattern,
    "nests too deeply",
  );
});

Deno.test("a pattern that names docker.io is meant for full names", () => {
  const full = [
    "^docker\\.io/library/",
    "^docker.io/library/",
    "^docker[.]io/",
    "^docker\\x2eio/",
    "\\Qdocker.io\\E/acme",
    "(?i)^DOCKER\\.IO/",
    "^(docker\\.io|quay\\.io)/",
    "^(?:index\\.)?docker\\.io",
    "docker\\.io$",
  ];
  for (const pattern of full) {
    assertEquals(readPattern(pattern).full, true, pattern);
  }
  const familiar = [
    "^docker:",
    "^docker",
    "^docker-io/",
    "^dockerXio",
    "^docker\\.elastic\\.co/beats/filebeat:",
    "^docker\\.ionic:",
    "^docker/io",
  ];
  for (const pattern of familiar) {
    assertEquals(readPattern(pattern).full, false, pattern);
  }
});

Deno.test("matching takes time in proportion to the name's length", () => {
  const patterns = [
    "(a+)+$",
    "^(a|aa)+$",
    "^(a|a?)+$",
    "(.*)(.*)(.*)(.*)!x$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(a|b)*a(a|b){12}c",
    "(a?){50}a{50}$",
  ];
  for (const source of patterns) {
    const name = "a".repeat(100_000) + "!";
    const start = performance.now();
    assertEquals(matches(source, name), false, source);
    // a backtracking engine does not come back in a lifetime
    assert(performance.now() - start < 2_000, source);
  }
});
