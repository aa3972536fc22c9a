import { assertEquals, assertThrows } from "@std/assert";
import { Query } from "../../../lib/call/query.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";

Deno.test("query: read as Go reads it", () => {
  for (
    const [rawQuery, expected] of [
      ["", {}],
      ["a=1", { a: "1" }],
      ["a=1&b=2", { a: "1", b: "2" }],
      ["a", { a: "" }],
      ["a=", { a: "" }],
      ["a=1=2", { a: "1=2" }],
      ["&&a=1&", { a: "1" }],
      ["a=1?2#3", { a: "1?2#3" }],
      // The first value of a repeated key wins, however the key is written.
      ["a=1&a=2", { a: "1" }],
      ["a&a=2", { a: "" }],
      ["%61=1&a=2", { a: "1" }],
      ["A=1&a=2", { A: "1", a: "2" }],
      ["from%49mage=x", { fromImage: "x" }],
      // Escapes, and a plus that is a space.
      ["a=b+c%2Bd%20e", { a: "b c+d e" }],
      ["a+b=1", { "a b": "1" }],
      ["a=%26b%3D1", { a: "&b=1" }],
      ["a=x%3By", { a: "x;y" }],
      ["a=%C3%BC&b=ü", { a: "ü", b: "ü" }],
      ["a=%00%0A", { a: "\u0000\n" }],
      // Nothing special about a key.
      ["constructor=1", { constructor: "1" }],
      // Bytes that are not UTF-8 matter only where they are read.
      ["path=/x%ff&a=1", { a: "1" }],
      ["%ff=2&a=1", { a: "1" }],
    ] as [string, Record<string, string>][]
  ) {
    const query = new Query(rawQuery);
    for (const key of ["a", "b", "A", "c", "constructor", "__proto__"]) {
      assertEquals(
        query.get(key),
        Object.hasOwn(expected, key) ? expected[key] : undefined,
        `${key} in ${rawQuery}`,
      );
    }
    for (const [key, value] of Object.entries(expected)) {
      assertEquals(query.get(key), value, rawQuery);
    }
  }
});

Deno.test("query: what Go refuses, or reads in part, is refused", () => {
  const semicolon = 'its query has a ";": write it as %3B';
  const percent = 'its query has a "%" that begins no escape';
  for (
    const [rawQuery, reason] of [
      ["a=1;b=2", semicolon],
      [";", semicolon],
      ["a=1&b;c=2", semicolon],
      ["a=%zz", percent],
      ["a=%", percent],
      ["a=%4", percent],
      ["a=%4&b=1", percent],
      ["%zz=a", percent],
      ["a=1&%zz", percent],
      ["a=1&a=%zz", percent],
      ["a=%u0041", percent],
    ]
  ) {
    assertEquals(
      assertThrows(() => new Query(rawQuery), Unreadable).message,
      reason,
      rawQuery,
    );
  }
  for (const value of ["%ff", "%C0%AF", "x%ED%A0%80", "%ff&a=1"]) {
    assertEquals(
      assertThrows(() => new Query(`a=${value}`).get("a"), Unreadable).message,
      "its query's a is not UTF-8",
      value,
    );
  }
});
