import { assertEquals, assertThrows } from "@std/assert";
import { JsonObject, type JsonValue, parseJson } from "../lib/request/json.ts";
import { Unreadable } from "../lib/request/unreadable.ts";
import { bytes } from "./requests.ts";

function parse(text: string): JsonValue {
  return parseJson(bytes(text));
}

function refused(body: string | Uint8Array<ArrayBuffer>): string {
  return assertThrows(
    () => parseJson(typeof body === "string" ? bytes(body) : body),
    Unreadable,
  ).message;
}

/** The value as `JSON.parse` would give it. */
function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof JsonObject)) return value;
  return Object.fromEntries(
    value.entries.map(([key, inner]) => [key, plain(inner)]),
  );
}

Deno.test("json: what is JSON reads as JSON.parse reads it", () => {
  for (
    const text of [
      "null",
      "true",
      "false",
      '""',
      '"a"',
      "[]",
      "{}",
      " \t\r\n{ \n} \t\r\n",
      "[ ]",
      "[1,[2,[]],{}]",
      '{"a":{"b":[{"c":null}]},"d":[true,false]}',
      ' { "a" : 1 , "b" : [ 1 , 2 ] } ',
      '{"":0}',
      '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
      '"\\u0041\\u00e9\\u20AC\\ud83d\\ude00"',
      '"a\\u0000b"',
      '"é€😀\u007f\u2028"',
      '{"\\u0042inds":["\\u002fx"]}',
    ]
  ) {
    assertEquals(plain(parse(text)), JSON.parse(text), text);
  }
});

Deno.test("json: numbers have JSON's grammar", () => {
  for (
    const text of [
      "0",
      "-0",
      "7",
      "-12",
      "1.5",
      "0.25",
      "1e3",
      "1E+3",
      "-1.5e-3",
      "9223372036854775807",
      "1e999",
    ]
  ) {
    assertEquals(parse(text), Number(text), text);
  }
  for (
    const text of [
      "+1",
      "-",
      ".5",
      "1.",
      "1.e3",
      "1e",
      "1e+",
      "01",
      "-01",
      "0x10",
      "1_000",
      "NaN",
      "Infinity",
      "-Infinity",
      "--1",
    ]
  ) {
    refused(text);
  }
});

Deno.test("json: what is not JSON is refused, saying where", () => {
  for (
    const [text, reason] of [
      ["", "its body is not JSON (at character 1)"],
      ["   ", "its body is not JSON (at character 4)"],
      ["nul", "its body is not JSON (at character 1)"],
      ["True", "its body is not JSON (at character 1)"],
      ["{", "its body is not JSON (at character 2)"],
      ["[", "its body is not JSON (at character 2)"],
      ['{"a"', "its body is not JSON (at character 5)"],
      ['{"a":', "its body is not JSON (at character 6)"],
      ['{"a" 1}', "its body is not JSON (at character 6)"],
      ['{"a":1', "its body is not JSON (at character 7)"],
      ['{"a":1,}', "its body is not JSON (at character 8)"],
      ["{,}", "its body is not JSON (at character 2)"],
      ["{a:1}", "its body is not JSON (at character 2)"],
      ["{'a':1}", "its body is not JSON (at character 2)"],
      ["{1:1}", "its body is not JSON (at character 2)"],
      ["[1,]", "its body is not JSON (at character 4)"],
      ["[1 2]", "its body is not JSON (at character 4)"],
      ["[1}", "its body is not JSON (at character 3)"],
      ['{"a":1]', "its body is not JSON (at character 7)"],
      ['"a', "its body is not JSON (at character 3)"],
      ['"\\x41"', undefined],
      ['"\\U0041"', undefined],
      ['"\\u12"', undefined],
      ['"\\u12g4"', undefined],
      ['"\\', undefined],
      ['"\\\'"', undefined],
      ['"a\nb"', "its body is not JSON (at character 3)"],
      ['"a\u0000b"', "its body is not JSON (at character 3)"],
      ['"a\u001fb"', "its body is not JSON (at character 3)"],
      ["/* x */ {}", "its body is not JSON (at character 1)"],
      // White space is four characters, and no others.
      ["\u00a0{}", "its body is not JSON (at character 1)"],
      ["\f{}", "its body is not JSON (at character 1)"],
      ["\v{}", "its body is not JSON (at character 1)"],
      ["\u2028{}", "its body is not JSON (at character 1)"],
      // Go takes no byte order mark.
      ["\ufeff{}", "its body is not JSON (at character 1)"],
    ] as const
  ) {
    const given = refused(text);
    if (reason !== undefined) assertEquals(given, reason, text);
  }
});

Deno.test("json: nothing but white space may follow the value", () => {
  for (
    const [text, at] of [
      ["{}{}", 3],
      ["{} {}", 4],
      ['{} "x"', 4],
      ["{}\u0000", 3],
      ["{}]", 3],
      ["[],", 3],
      ["null null", 6],
      ["01", 2],
      ["truee", 5],
    ] as const
  ) {
    assertEquals(
      refused(text),
      `its body goes on after the JSON value (at character ${at})`,
      text,
    );
  }
});

Deno.test("json: repeated keys stay apart, in their order", () => {
  assertEquals(
    (parse('{"a":1,"A":2,"a":3,"\\u0061":4}') as JsonObject).entries,
    [["a", 1], ["A", 2], ["a", 3], ["a", 4]],
  );
});

Deno.test("json: no key is special", () => {
  assertEquals(
    (parse('{"__proto__":{"Binds":1},"constructor":2}') as JsonObject).entries
      .map(([key]) => key),
    ["__proto__", "constructor"],
  );
});

Deno.test("json: lone surrogates become U+FFFD, as in Go", () => {
  for (
    const [text, value] of [
      ['"\\ud800"', "\ufffd"],
      ['"\\udc00"', "\ufffd"],
      ['"a\\ud800b"', "a\ufffdb"],
      ['"\\ud800\\u0041"', "\ufffdA"],
      ['"\\ud800\\ud800\\udc00"', "\ufffd\u{10000}"],
      ['"\\udc00\\ud800"', "\ufffd\ufffd"],
      ['"\\ud83d😀"', "\ufffd😀"],
      ['"\\uDBFF\\uDFFF"', "\u{10ffff}"],
    ] as const
  ) {
    assertEquals(parse(text), value, text);
  }
  assertEquals(
    (parse('{"\\ud800":1}') as JsonObject).entries,
    [["\ufffd", 1]],
  );
});

Deno.test("json: what is not UTF-8 is refused", () => {
  for (
    const inner of [
      [0xff],
      [0xc0, 0xaf], // overlong "/"
      [0xed, 0xa0, 0x80], // a surrogate
      [0xf4, 0x90, 0x80, 0x80], // beyond U+10FFFF
      [0xe2, 0x82], // cut short
      [0x80],
    ]
  ) {
    assertEquals(
      refused(new Uint8Array([0x22, ...inner, 0x22])),
      "its body is not UTF-8",
      inner.join(),
    );
  }
  assertEquals(
    refused(new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00])), // UTF-16
    "its body is not UTF-8",
  );
});

Deno.test("json: 500 levels are read, more are refused at any depth", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  parse(nested(500));
  parse(`[${nested(499)},${nested(499)}]`);
  for (const depth of [501, 10_001, 1_000_000]) {
    assertEquals(
      refused(nested(depth)),
      "its body is nested deeper than 500 levels",
    );
  }
  assertEquals(
    refused('{"a":'.repeat(501)),
    "its body is nested deeper than 500 levels",
  );
});
