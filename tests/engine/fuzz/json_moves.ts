/** JSON, spelt otherwise, and what only looks like the same JSON. */

import fc from "fast-check";
import type { Encoding } from "./draft.ts";
import { copy, members, nodes, raw, string } from "./json.ts";
import {
  fold,
  index,
  json,
  mask,
  move,
  one,
  pick,
  pickMember,
  pickString,
} from "./move.ts";

/** Values that stand in the way of the real one, or seem to take its place. */
const decoy = one(
  "null",
  "{}",
  "[]",
  '""',
  "0",
  "true",
  "[{}]",
  "[null]",
  '{"":0}',
  '{"Binds":null}',
  '{"Mounts":[{}]}',
  '{"Mounts":[]}',
  '["/tmp:/x"]',
  '[{"Type":"tmpfs"}]',
  '[{"Type":"bind","Source":"/tmp"}]',
  '"plain:1"',
  "1e400",
);

/** Moves on a JSON body. */
export const jsonMoves = [
  move(
    "case of a key",
    [index, mask, fc.boolean()],
    (draft, at, bits, foreign) => {
      const found = pickMember(draft, at);
      if (found) {
        found.member.key.text = fold(
          found.member.key.text,
          bits,
          foreign,
        );
      }
    },
  ),
  move("case of all keys", [mask, fc.boolean()], (draft, bits, foreign) => {
    for (const { member } of members(json(draft))) {
      member.key.text = fold(member.key.text, bits, foreign);
    }
  }),
  move("escapes in a key", [index, mask], (draft, at, bits) => {
    const found = pickMember(draft, at);
    if (found) found.member.key.escapes = bits;
  }),
  move("escapes in a string", [index, mask], (draft, at, bits) => {
    const found = pickString(draft, at);
    if (found?.kind === "string") found.escapes = bits;
  }),
  move(
    "key twice",
    [index, decoy, fc.boolean(), mask, fc.boolean()],
    (draft, at, value, first, bits, same) => {
      const found = pickMember(draft, at);
      if (!found) return;
      const { of, member } = found;
      const key = same ? member.key : string(fold(member.key.text, bits, true));
      of.splice(of.indexOf(member) + (first ? 0 : 1), 0, {
        key,
        value: raw(value),
      });
    },
  ),
  move(
    "object in two",
    [index, index, fc.boolean()],
    (draft, at, cut, merge) => {
      const found = members(json(draft)).filter(({ member }) =>
        member.value.kind === "object" || member.value.kind === "array"
      );
      const target = pick(found, at);
      if (!target) return;
      const { of, member } = target;
      const other = copy(member.value);
      if (other.kind === "object" && member.value.kind === "object") {
        const n = cut % (other.members.length + 1);
        other.members = other.members.slice(0, n);
        member.value.members = member.value.members.slice(n);
      } else if (other.kind === "array" && merge) {
        // The second list's elements are decoded over those of the first.
        other.items = other.items.map((each) =>
          each.kind === "object"
            ? { kind: "object", members: each.members.slice(0, cut % 3) }
            : each
        );
      }
      of.splice(of.indexOf(member) + cut % 2, 0, {
        key: copy(member.key),
        value: other,
      });
    },
  ),
  move(
    "more elements",
    [index, decoy, fc.boolean()],
    (draft, at, value, first) => {
      const list = pick(
        nodes(json(draft)).filter((each) => each.kind === "array"),
        at,
      );
      if (list?.kind !== "array") return;
      if (first) list.items.unshift(raw(value));
      else list.items.push(raw(value));
    },
  ),
  move("another value", [index, decoy], (draft, at, value) => {
    const found = pickMember(draft, at);
    if (found) found.member.value = raw(value);
  }),
  move("wrapped value", [index, fc.boolean()], (draft, at, list) => {
    const found = pickMember(draft, at);
    if (!found) return;
    const { member } = found;
    member.value = list ? { kind: "array", items: [member.value] } : {
      kind: "object",
      members: [{ key: string(member.key.text), value: member.value }],
    };
  }),
  move(
    "one more member",
    [
      index,
      one(
        "Memory",
        "memory",
        "CpuShares",
        "Labels",
        "LABELS",
        "Cmd",
        "Entrypoint",
        "Env",
        "X",
        "",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "Cpuset",
        "Config",
        "HostConfig ",
        "HostConfig\0",
        "Host\u0000Config",
        "Binds\ufeff",
        "VolumeDriver",
        "MountPoints",
        "Devices",
        "NetworkMode",
        "Runtime",
        "PluginSpec",
        "NetworkingConfig",
        "Tmpfs",
        "tmpfs",
        "Privileged",
        "RestartPolicy",
        "CapAdd",
      ),
      one(
        "0",
        "1e999",
        "-0",
        "1.0",
        '"x"',
        "null",
        "{}",
        "[]",
        "true",
        "12345678901234567890123",
        '"\\ud800"',
        "0x10",
        "NaN",
        "01",
        "1.",
        ".5",
        "+1",
        "tRue",
        "'x'",
        '{"a":{"a":{"a":[[[[]]]]}}}',
        '"local"',
        '"host"',
        '"plugin"',
        '{"/data":""}',
        '{"/data/":""}',
        '{"/data":"","/data":null}',
        '{"Name":"always"}',
      ),
      fc.boolean(),
    ],
    (draft, at, key, value, first) => {
      const object = pick(
        nodes(json(draft)).filter((each) => each.kind === "object"),
        at,
      );
      if (object?.kind !== "object") return;
      const member = { key: string(key), value: raw(value) };
      if (first) object.members.unshift(member);
      else object.members.push(member);
    },
  ),
  move(
    "depth",
    [index, one(1, 10, 499, 500, 501, 2000, 9999, 10001)],
    (draft, at, depth) => {
      const object = pick(
        nodes(json(draft)).filter((each) => each.kind === "object"),
        at,
      );
      if (object?.kind !== "object") return;
      object.members.push({
        key: string("X"),
        value: raw("[".repeat(depth) + "]".repeat(depth)),
      });
    },
  ),
  move(
    "fields of HostConfig at the top",
    [fc.boolean(), one("", "null", "{}")],
    (draft, move, rest) => {
      const body = json(draft);
      if (body.kind !== "object") return;
      const found = body.members.find(({ key }) =>
        /^hostconfig$/i.test(key.text)
      );
      if (found?.value.kind !== "object") return;
      body.members.push(...found.value.members.map(({ key, value }) => ({
        key: copy(key),
        value: copy(value),
      })));
      if (!move) return;
      if (rest === "") body.members.splice(body.members.indexOf(found), 1);
      else found.value = raw(rest);
    },
  ),
  move("another order", [index], (draft, at) => {
    const found = pickMember(draft, at);
    found?.of.reverse();
  }),
  move("white space", [fc.integer({ min: 1, max: 1e6 })], (draft, spacing) => {
    draft.spacing = spacing;
  }),
  move(
    "more behind the JSON",
    [one(
      " ",
      "\n",
      "{}",
      "x",
      "\0",
      "]",
      "}",
      ",",
      "null",
      '{"HostConfig":{}}',
      '{"Image":"plain:1"}',
      "\u00a0",
      "//",
      "/**/",
      "\ufeff",
      "\u001e",
    )],
    (draft, text) => {
      json(draft);
      draft.trail += text;
    },
  ),
  move(
    "more before the JSON",
    [one(
      " ",
      "\n\t",
      "\ufeff",
      "\0",
      "{}",
      "null",
      "[]",
      "[",
      '""',
      '{"Image":"plain:1"}',
      "\u00a0",
      "//\n",
      "/**/",
      "\u001e",
      ")]}'\n",
      "{}\n",
    )],
    (draft, text) => {
      json(draft);
      draft.lead = text + draft.lead;
    },
  ),
  move("encoding", [
    one<Encoding>("latin1", "utf-16le", "utf-16be", "overlong", "broken"),
  ], (draft, encoding) => {
    json(draft);
    draft.encoding = encoding;
  }),
  move(
    "odd characters",
    [
      index,
      one(
        "\ud800",
        "\udc00",
        "\ud83d\ude00",
        "\u0000",
        "\u200b",
        "\ufeff",
        "\u00ad",
        "\ufffd",
        "\u0130",
        "\u2028",
        " ",
        "\t",
        "\n",
        "\\",
        "\u017f",
        "\u212a",
      ),
      fc.boolean(),
      fc.boolean(),
    ],
    (draft, at, c, key, first) => {
      const node = key
        ? pickMember(draft, at)?.member.key
        : pickString(draft, at);
      if (node?.kind === "string") {
        node.text = first ? c + node.text : node.text + c;
      }
    },
  ),
];
