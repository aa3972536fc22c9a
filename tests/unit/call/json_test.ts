import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Json, parseJson } from "../../../lib/call/json.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { base64 } from "../requests.ts";

function parse(text: string): Json {
  return parseJson(base64(text));
}

function refused(body: string | Uint8Array<ArrayBuffer>): string {
  return assertThrows(
    () => parseJson(typeof body === "string" ? base64(body) : body.toBase64()),
    Unreadable,
  ).message;
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
    assertEquals(parse(text), JSON.parse(text), text);
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
    const number = Number(text);
    assertEquals(parse(text), number, text);
    assertEquals(
      parse(`[${text},{"a":${text}}, ${text} ]`),
      [number, { a: number }, number],
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

Deno.test("json: what is not JSON is refused", () => {
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
      ["01", "its body is not JSON (at character 2)"],
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
    // JSON.parse does not always say where.
    if (given.includes("(") && reason !== undefined) {
      assertEquals(given, reason, text);
    } else assert(given.startsWith("its body is not JSON"), given);
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

Deno.test("json: a key that is twice in one object is refused", () => {
  for (
    const text of [
      '{"a":1,"a":1}',
      '{"a":null,"A":"2","a":[]}',
      '{"a":1,"\\u0061":1}',
      '{"\\/":1,"/":1}',
      '{"":1,"":1}',
      '{"1":1,"1":1}',
      '{"__proto__":1,"__proto__":1}',
      '{"a\\"b":1 , "a\\"b" : 2}',
      '{"\\\\":1,"b":2,"\\\\":3}',
      '{"a":{"b":1,"c":[{"d":1},{"d":1,"d":2}]}}',
      '[{"a":{"b":1},"a":2}]',
      '{"a":{"a":{}},"b":[{"a":1}],"a":1}',
      // Also if the value that JSON.parse drops is the one that holds them.
      '{"a":{"b":1,"b":2},"c":1,"a":0}',
      '{"Labels":{"Foo":"1","Foo":"1"}}',
    ]
  ) {
    assertEquals(
      refused(text),
      "its body has a key twice in one object: send it once",
      text,
    );
  }
});

Deno.test("json: keys of different objects, and strings, repeat no key", () => {
  for (
    const text of [
      '[{"a":1},{"a":1}]',
      '{"a":{"a":{"a":1}}}',
      '{"a":[{"a":1},{"a":1}],"b":{"a":"a"}}',
      '{"a":"a","b":["a","a"]}',
      '{"a":1,"A":1,"\u017f":1,"s":1}',
      '{"a":"\\",\\"a\\":","b":"{\\"a\\":1,\\"a\\":1}"}',
      '{"a:":1,"a":":"}',
      '{"a{":1,"a}":2,"[":3,"a":"]"}',
      '{"a\\\\":1,"a":"\\\\"}',
    ]
  ) {
    assertEquals(parse(text), JSON.parse(text), text);
  }
});

Deno.test("json: no key is special", () => {
  assertEquals(
    Object.entries(parse('{"__proto__":{"Binds":1},"constructor":2}') ?? {}),
    [["__proto__", { Binds: 1 }], ["constructor", 2]],
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

Deno.test("json: a body that is no base64 is refused", () => {
  for (const body of ["*", "YQ", "YR==", "_-8=", "e30", "e30=e30="]) {
    assertEquals(
      assertThrows(() => parseJson(body), Unreadable).message,
      "its body did not arrive as base64",
      body,
    );
  }
});

Deno.test("json: a long body is read in time proportional to its length", () => {
  const keys = (count: number, key: string) =>
    Array.from({ length: count }, (_, at) => `"${key}${at}":1`).join();
  // Each takes about 0.1 s; if that grew with the square, it would be minutes.
  for (const key of ["", "a", "\\n", "é", "\\ud800"]) {
    parse(`{${keys(50_000, key)}}`);
  }
  parse(`["${"x\\n".repeat(300_000)}"]`);
  refused('{"a'.repeat(300_000));
  refused('"'.repeat(1_000_000));
  refused(`{${keys(50_000, "a")},"a1":1}`);
});
