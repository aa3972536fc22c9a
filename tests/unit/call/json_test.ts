import { assertEquals, assertThrows } from "@std/assert";
import {
  fieldName,
  type JsonValue,
  parseJson,
} from "../../../lib/call/json.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { base64 } from "../requests.ts";

function parse(text: string): JsonValue {
  return parseJson(base64(text));
}

function refused(body: string | Uint8Array<ArrayBuffer>): string {
  return assertThrows(
    () => parseJson(typeof body === "string" ? base64(body) : body.toBase64()),
    Unreadable,
  ).message;
}

/** The value as `JSON.parse` would give it, but for numbers and truth. */
function plain(value: JsonValue): unknown {
  switch (value.type) {
    case "object":
      return Object.fromEntries(
        value.entries.map(([key, inner]) => [key, plain(inner)]),
      );
    case "list":
      return value.elements.map(plain);
    case "string":
      return value.string;
    case "null":
      return null;
    default:
      return value.type;
  }
}

/** What {@link plain} makes of numbers and truth. */
function typed(_key: string, value: unknown): unknown {
  return typeof value === "number" || typeof value === "boolean"
    ? typeof value
    : value;
}

function keys(text: string): string[] {
  return parse(text).entries.map(([key]) => key);
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
    assertEquals(plain(parse(text)), JSON.parse(text, typed), text);
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
    assertEquals(parse(text).type, "number", text);
    assertEquals(
      plain(parse(`[${text},{"a":${text}}, ${text} ]`)),
      ["number", { a: "number" }, "number"],
      text,
    );
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
    parse('{"a":null,"A":"2","a":[],"\\u0061":{}}').entries
      .map(([key, value]) => [key, plain(value)]),
    [["a", null], ["A", "2"], ["a", []], ["a", {}]],
  );
});

Deno.test("json: no key is special", () => {
  assertEquals(
    keys('{"__proto__":{"Binds":1},"constructor":2}'),
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
    assertEquals(parse(text).string, value, text);
  }
  assertEquals(keys('{"\\ud800":1}'), ["\ufffd"]);
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

Deno.test("json: a text keeps its values while others are read", () => {
  const short = parse('{"a":["one",{"b":"two"}]}');
  const [[, list]] = short.entries;
  const other = parse('[{"b":"eins"},"zwei"]');
  const long = parse(`["${"x".repeat(100_000)}",{"c":"three"}]`);
  assertEquals(plain(list), ["one", { b: "two" }]);
  assertEquals(plain(other), [{ b: "eins" }, "zwei"]);
  assertThrows(() => parse("[1"), Unreadable);
  assertEquals(plain(short), { a: ["one", { b: "two" }] });
  assertEquals(plain(long.elements[1]), { c: "three" });
  assertEquals(plain(other), [{ b: "eins" }, "zwei"]);
});

Deno.test("json: nothing of a text before shows behind a shorter one", () => {
  parse(`["${"x".repeat(1000)}"]`);
  for (const text of ['["a', "[1,", '{"a"', "nul", "-", '"\\u00', "["]) {
    refused(text);
  }
});

Deno.test("json: rows suffice for the shortest tokens, at every length", () => {
  for (const count of [1, 2, 3, 100, 16_383, 16_384, 100_000]) {
    const list = parse(`[${"1,".repeat(count)}1]`);
    assertEquals(list.elements.length, count + 1);
    assertEquals(list.elements.at(-1)?.type, "number");
    const open = "[".repeat(499);
    const shut = "]".repeat(499);
    const nested = parse(`[${"1,".repeat(count)}${open}1${shut}]`);
    assertEquals(nested.elements.length, count + 1);
    assertEquals(nested.elements.at(-1)?.type, "list");
    const object = parse(`{${'"":0,'.repeat(count)}"a":0}`);
    assertEquals(object.entries.length, count + 1);
  }
});

Deno.test("json: a body that is no base64 is refused", () => {
  for (const body of ["*", "YQ", "YR==", "_-8=", "e30", "e30=e30="]) {
    assertEquals(
      assertThrows(() => parseJson(body), Unreadable).message,
      "its body did not arrive as base64",
      body,
    );
  }
});

Deno.test("json: fields are found whatever their hash", () => {
  // "Aa" and "BB" have one hash in the manner of 31 * hash + code.
  const names = ["aa", "bb", "ab", "bB", "Aa", "BB", "c\u0001", "C!"];
  for (const name of ["aa", "bb", "cc"]) {
    const object = parse(
      `{${
        names.map((key) => `${JSON.stringify(key)}:${JSON.stringify(key)}`)
      }}`,
    );
    assertEquals(
      object.field(fieldName(name))?.string,
      names.find((key) => key.toLowerCase() === name),
      name,
    );
  }
});

Deno.test("json: a repeated field is found among few and many", () => {
  const many = Array.from({ length: 1000 }, (_, at) => `"key${at}":0`);
  for (const others of [[], many.slice(0, 200), many.slice(0, 300), many]) {
    const texts = (...keys: string[]) =>
      `{${[...others, ...keys.map((key) => `"${key}":0`)]}}`;
    assertEquals(parse(texts("Aa", "bB")).repeatedField(), undefined);
    assertEquals(parse(texts("Aa", "\u212a")).repeatedField(), undefined);
    assertEquals(parse(texts("Aa", "b", "aA")).repeatedField(), "aa");
    assertEquals(parse(texts("s", "\u017f")).repeatedField(), "s");
    assertEquals(
      parse(texts("Ss", "b", "\\u0053\u017f")).repeatedField(),
      "ss",
    );
    // One hash, and two names.
    assertEquals(parse(texts("@", "`")).repeatedField(), undefined);
  }
});

Deno.test("json: keys with escapes are read in time proportional to the body", () => {
  // Read as often as there are such keys, this one would take a quarter of an hour.
  for (const key of ["\\n", "é"]) {
    const keys = Array.from({ length: 500_000 }, () => `"${key}":1`);
    assertEquals(parse(`{${keys}}`).type, "object");
  }
});
