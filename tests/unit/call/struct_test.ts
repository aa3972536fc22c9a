import { assertEquals, assertThrows } from "@std/assert";
import { foldKey } from "../../../lib/call/fold.ts";
import { parseJson } from "../../../lib/call/json.ts";
import { Struct } from "../../../lib/call/struct.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { base64 } from "../requests.ts";

function struct(text: string): Struct {
  return new Struct(parseJson(base64(text)), "the body");
}

function refused(read: () => unknown): string {
  return assertThrows(read, Unreadable).message;
}

Deno.test("struct: keys fold as in Go", () => {
  for (
    const [key, folded] of [
      ["Binds", "binds"],
      ["BINDS", "binds"],
      ["binds", "binds"],
      ["Bind\u017f", "binds"], // ſ
      ["\u212aernelMemory", "kernelmemory"], // K, the Kelvin sign
      ["HO\u017fTCONFIG", "hostconfig"],
      ["", ""],
      // These fold to no ASCII letter in Go.
      ["B\u0131nds", "b\u0131nds"], // dotless i
      ["B\u0130nds", "b\u0130nds"], // I with a dot
      ["\uff22inds", "\uff22inds"], // full-width B
      ["Bind\u00df", "bind\u00df"], // ß
      ["Binds ", "binds "],
      ["Binds\u0000", "binds\u0000"],
    ]
  ) {
    assertEquals(foldKey(key), folded, JSON.stringify(key));
  }
});

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
        'two keys in the body mean the same field, "hostconfig": send it once',
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
  const reason = refused(() => struct(`{"${key}":1,"${key}":2}`));
  assertEquals(
    reason.startsWith(
      'two keys in the body mean the same field, "\\u000a\\u001bxxx',
    ),
    true,
  );
  assertEquals(reason.length < 200, true);
});

Deno.test("struct: keys of a map are told apart by case, and may repeat", () => {
  assertEquals(
    struct('{"Labels":{"Foo":"1","foo":"2","foo":"3","ſ":"4","s":"5"}}')
      .keys("Labels"),
    ["Foo", "foo", "foo", "ſ", "s"],
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
