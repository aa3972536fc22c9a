import { assertEquals, assertThrows } from "@std/assert";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { parseTarget, Query } from "../../../lib/call/target.ts";
import { olderThan } from "../../../lib/version.ts";

Deno.test("uri: path, version and query", () => {
  for (
    const [uri, path, version, rawQuery] of [
      ["/containers/create", "/containers/create"],
      ["/v1.41/containers/create", "/containers/create", "1.41"],
      ["/v1/containers/create", "/containers/create", "1"],
      ["/v1.41.9/info", "/info", "1.41.9"],
      ["/v.../info", "/info", "..."],
      ["/v1.41/", "/", "1.41"],
      // These are no version prefixes to the router.
      ["/v1.41", "/v1.41"],
      ["/v/info", "/v/info"],
      ["/V1.41/info", "/V1.41/info"],
      ["/v1.41a/info", "/v1.41a/info"],
      ["/v1,41/info", "/v1,41/info"],
      ["/volumes/create", "/volumes/create"],
      ["//v1.41/info", "//v1.41/info"],
      // Only one is taken off.
      ["/v1.41/v1.40/info", "/v1.40/info", "1.41"],
      ["/v1.41//info", "//info", "1.41"],

      // Queries.
      ["/info?", "/info"],
      ["/info?a=b", "/info", undefined, "a=b"],
      ["/info?a=b?c#d", "/info", undefined, "a=b?c#d"],
      ["/info#x?a=b", "/info#x", undefined, "a=b"],
      ["/a%3Fb?c=%3F", "/a?b", undefined, "c=%3F"],

      // Percent-encoding: the engine routes on what is decoded.
      ["/v1.41/cont%61iners/cre%61te", "/containers/create", "1.41"],
      ["/containers%2Fcreate", "/containers/create"],
      ["/containers%2fcreate", "/containers/create"],
      ["/%761.41/containers/create", "/containers/create", "1.41"],
      ["/v1%2E41%2Fcontainers/create", "/containers/create", "1.41"],
      ["%2Fcontainers/create", "/containers/create"],
      ["/images/a%252Fb/json", "/images/a%2Fb/json"],
      ["/containers/a+b/start", "/containers/a+b/start"],
      ["/containers/a%2Bb%20c/start", "/containers/a+b c/start"],
      ["/containers/%C3%BC/start", "/containers/ü/start"],
      ["/v1.41/containers/a%0Ab/start", "/containers/a\nb/start", "1.41"],
      ["/containers/a%00b/start", "/containers/a\u0000b/start"],
      ["/containers/./create", "/containers/./create"],

      // Absolute form.
      ["http://h/v1.41/containers/create", "/containers/create", "1.41"],
      ["http:/x", "/x"],
      ["x:///y", "/y"],
      ["x:////y", "//y"],
      ["http://anything:1/info?a=b", "/info", undefined, "a=b"],
      ["HTTPS://u:p@[::1]:2/info", "/info"],
      ["a+b-c.9://h/info", "/info"],
      ["http://h", ""],
      ["http://h?/info", "", undefined, "/info"],
      ["http://h%2Finfo", ""],
      ["http:info", "info"],
      // No schemes.
      ["1http://h/info", "1http://h/info"],
      ["//h/info", "//h/info"],
      ["/x:y/info", "/x:y/info"],
      ["*", "*"],
    ] as [string, string, string?, string?][]
  ) {
    assertEquals(
      parseTarget(uri),
      {
        path,
        isUtf8: true,
        ...(version !== undefined && { version }),
        rawQuery: rawQuery ?? "",
      },
      uri,
    );
  }
});

Deno.test("uri: a path that is not UTF-8 is read byte by byte", () => {
  for (
    const [uri, path] of [
      ["/containers/%zz/start", "/containers/%zz/start"],
      ["/containers/%4/start", "/containers/%4/start"],
      ["/containers/%", "/containers/%"],
      ["/containers/%ff/st%61rt", "/containers/\u00ff/start"],
      ["/v1.41/containers/%C0%AF/start", "/containers/\u00c0\u00af/start"],
    ]
  ) {
    const target = parseTarget(uri);
    assertEquals([target.path, target.isUtf8], [path, false], uri);
  }
});

Deno.test("uri: queries as Go reads them", () => {
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

Deno.test("uri: a query that Go refuses, or reads in part, is refused", () => {
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

Deno.test("uri: versions compare number by number", () => {
  for (
    const [older, newer] of [
      ["1.23", "1.24"],
      ["1.9", "1.10"],
      ["1.24", "2.0"],
      ["1", "1.1"],
      ["1.24", "1.24.1"],
      ["", "1.24"],
      ["...", "1.24"],
      ["1..9", "1.1"],
      [".99", "1.24"],
    ]
  ) {
    assertEquals(olderThan(older, newer), true, `${older} < ${newer}`);
    assertEquals(olderThan(newer, older), false, `${newer} < ${older}`);
  }
  for (
    const [one, other] of [
      ["1.24", "1.24"],
      ["1.24", "1.24."],
      ["1.24", "1.24.0"],
      ["1.24", "01.024"],
    ]
  ) {
    assertEquals(olderThan(one, other), false, `${one} < ${other}`);
    assertEquals(olderThan(other, one), false, `${other} < ${one}`);
  }
});
