import { assertEquals, assertThrows } from "@std/assert";
import { isObject, parseJson } from "../../../lib/call/json.ts";
import { Struct } from "../../../lib/call/struct.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { base64 } from "../requests.ts";

function struct(text: string): Struct {
  const value = parseJson(base64(text));
  if (!isObject(value)) throw new Error(`no object: ${text}`);
  return new Struct(value, "the body");
}

function refused(read: () => unknown): string {
  return assertThrows(read, Unreadable).message;
}

Deno.test("struct: a field is found under any folding of its name", () => {
  for (
    const key of [
      "HostConfig",
      "hostconfig",
      "HOSTCONFIG",
      "ho\u017ftConfig",
      "\\u0048ostConfig",
      "ho\\u017ftconfig",
    ]
  ) {
    assertEquals(
      struct(`{"${key}":{"BIND\u017f":["v:/x"]}}`)
        .struct("HostConfig")?.strings("Binds"),
      ["v:/x"],
      key,
    );
  }
  assertEquals(struct('{"Bind":["v:/x"]}').strings("Binds"), []);
});

Deno.test("struct: two keys for one field are refused, wherever they are", () => {
  for (
    const [text, reason] of [
      [
        '{"HostConfig":{"Binds":["v:/x"]},"HostConfig":{}}',
        "its body has a key twice in one object: send it once",
      ],
      [
        '{"HostConfig":{},"hostconfig":{}}',
        'two keys in the body mean the same field, "hostconfig": send it once',
      ],
      [
        '{"HostConfig":{},"ho\u017ftConfig":null}',
        'two keys in the body mean the same field, "hostconfig": send it once',
      ],
      [
        '{"Other":1,"oTHER":2}', // one that no policy reads
        'two keys in the body mean the same field, "other": send it once',
      ],
    ]
  ) {
    assertEquals(refused(() => struct(text)), reason, text);
  }
  assertEquals(
    refused(() =>
      struct('{"HostConfig":{"Binds":[],"binds":[]}}').struct("HostConfig")
    ),
    'two keys in HostConfig mean the same field, "binds": send it once',
  );
  assertEquals(
    refused(() =>
      struct('{"HostConfig":{"Mounts":[{"Type":"bind","type":"volume"}]}}')
        .struct("HostConfig")?.structs("Mounts")
    ),
    'two keys in HostConfig.Mounts mean the same field, "type": send it once',
  );
});

Deno.test("struct: the key in a denial is one printable line", () => {
  const key = "\\n\\u001b" + "x".repeat(1000);
  const reason = refused(() => struct(`{"${key}y":1,"${key}Y":2}`));
  assertEquals(
    reason.startsWith(
      'two keys in the body mean the same field, "\\u000a\\u001bxxx',
    ),
    true,
  );
  assertEquals(reason.length < 200, true);
});

Deno.test("struct: keys of a map are told apart by case", () => {
  assertEquals(
    struct('{"Labels":{"Foo":"1","foo":"2","ſ":"4","s":"5","__proto__":""}}')
      .keys("Labels"),
    ["Foo", "foo", "ſ", "s", "__proto__"],
  );
  assertEquals(struct('{"Tmpfs":{"/x":null}}').keys("tmpfs"), ["/x"]);
});

Deno.test("struct: absent and null are empty", () => {
  for (const text of ["{}", '{"F":null}']) {
    assertEquals(struct(text).string("F"), "", text);
    assertEquals(struct(text).strings("F"), [], text);
    assertEquals(struct(text).structs("F"), [], text);
    assertEquals(struct(text).keys("F"), [], text);
    assertEquals(struct(text).struct("F"), undefined, text);
  }
  assertEquals(struct('{"F":["a",null,"b"]}').strings("F"), ["a", "", "b"]);
  assertEquals(
    struct('{"F":[null,{"Type":"bind"}]}').structs("F")
      .map((element) => element.string("Type")),
    ["", "bind"],
  );
  assertEquals(
    struct('{"Type":"x"}').string("Type"),
    "x",
  );
});

Deno.test("struct: a value of another type is refused, naming the field", () => {
  const read = {
    string: (of: Struct) => of.string("F"),
    strings: (of: Struct) => of.strings("F"),
    structs: (of: Struct) => of.structs("F"),
    keys: (of: Struct) => of.keys("F"),
    struct: (of: Struct) => of.struct("F"),
  };
  const table: Record<keyof typeof read, [string, string][]> = {
    string: [
      ["1", "F is not a string"],
      ["true", "F is not a string"],
      ["[]", "F is not a string"],
      ["{}", "F is not a string"],
    ],
    strings: [
      ['"/x"', "F is not a list"],
      ["{}", "F is not a list"],
      ["0", "F is not a list"],
      ["false", "F is not a list"],
      ["[1]", "F is not a string"],
      ['["a",["b"]]', "F is not a string"],
    ],
    structs: [
      ["{}", "F is not a list"],
      ['""', "F is not a list"],
      ['["a"]', "F is not an object"],
      ["[[]]", "F is not an object"],
    ],
    keys: [
      ["[]", "F is not an object"],
      ['["/x"]', "F is not an object"],
      ['"/x"', "F is not an object"],
    ],
    struct: [
      ["[]", "F is not an object"],
      ['""', "F is not an object"],
      ["false", "F is not an object"],
    ],
  };
  for (const kind of Object.keys(read) as (keyof typeof read)[]) {
    for (const [value, reason] of table[kind]) {
      assertEquals(
        refused(() => read[kind](struct(`{"f":${value}}`))),
        reason,
        `${kind} of ${value}`,
      );
    }
  }
  assertEquals(
    refused(() =>
      struct('{"HostConfig":{"Mounts":[{"Type":1}]}}')
        .struct("HostConfig")?.structs("Mounts")[0].string("Type")
    ),
    "HostConfig.Mounts.Type is not a string",
  );
});

Deno.test("struct: lone surrogates become U+FFFD, as in Go", () => {
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
    assertEquals(struct(`{"F":${text}}`).string("F"), value, text);
  }
  assertEquals(struct('{"F":["\\ud800"]}').strings("F"), ["\ufffd"]);
  assertEquals(struct('{"F":{"\\ud800":1}}').keys("F"), ["\ufffd"]);
  assertEquals(
    refused(() => struct('{"\\ud800":1,"\\udc00":1}')),
    'two keys in the body mean the same field, "\ufffd": send it once',
  );
});

Deno.test("struct: a repeated field is found among few and many", () => {
  const many = Array.from({ length: 1000 }, (_, at) => `"key${at}":0`);
  for (const others of [[], many.slice(0, 200), many.slice(0, 300), many]) {
    const read = (...keys: string[]) =>
      struct(`{${[...others, ...keys.map((key) => `"${key}":0`)]}}`);
    const same = (name: string) =>
      `two keys in the body mean the same field, "${name}": send it once`;
    read("Aa", "bB");
    read("Aa", "\u212a");
    read("@", "`");
    assertEquals(refused(() => read("Aa", "b", "aA")), same("aa"));
    assertEquals(refused(() => read("s", "\u017f")), same("s"));
    assertEquals(refused(() => read("Ss", "b", "\\u0053\u017f")), same("ss"));
  }
});

Deno.test("struct: no name is special", () => {
  for (const name of ["__proto__", "constructor", "toString", "length", "0"]) {
    assertEquals(struct("{}").string(name), "", name);
    assertEquals(struct(`{"${name}":"x"}`).string(name), "x", name);
  }
});
