/**
 * Generated attacks: a call that the policy refuses, respelled in every way that HTTP, URIs, headers, JSON and
 * the engine's API allow, and in many that they don't.
 */

import fc from "fast-check";
import type { Draft, Encoding, Framing } from "./draft.ts";
import {
  copy,
  fromValue,
  type Member,
  members,
  type Node,
  nodes,
  raw,
  string,
} from "./json.ts";

/** One change of a request's spelling. */
export interface Move {
  /** What it does, for the report. */
  says: string;
  /** Does it. */
  on(draft: Draft): void;
}

/** A refused call, by number of its kind, and what is done to it. */
export interface Attack {
  /** Picks the call that is respelled. */
  seed: string;
  moves: Move[];
}

/**
 * Attacks on some calls.
 *
 * @param seeds names of the calls
 * @returns attacks of up to five moves, most of them of one to three
 */
export function attacks(seeds: readonly string[]): fc.Arbitrary<Attack> {
  return fc.record({
    seed: fc.constantFrom(...seeds),
    moves: fc.oneof(
      {
        weight: 3,
        arbitrary: fc.array(anyMove, { minLength: 1, maxLength: 1 }),
      },
      {
        weight: 5,
        arbitrary: fc.array(anyMove, { minLength: 2, maxLength: 3 }),
      },
      {
        weight: 2,
        arbitrary: fc.array(anyMove, { minLength: 3, maxLength: 5 }),
      },
    ),
  });
}

/**
 * A move out of generated parameters.
 *
 * @param name for the report
 * @param parameters of the move
 * @param apply does it
 */
function move<A extends unknown[]>(
  name: string,
  parameters: { [I in keyof A]: fc.Arbitrary<A[I]> },
  apply: (draft: Draft, ...parameters: A) => void,
): fc.Arbitrary<Move> {
  const all = fc.tuple<unknown[]>(...parameters) as unknown as fc.Arbitrary<A>;
  return all.map((values) => ({
    says: `${name}(${values.map((each) => JSON.stringify(each)).join(", ")})`,
    on: (draft) => apply(draft, ...values),
  }));
}

const index = fc.nat(200);
const mask = fc.oneof(
  fc.constant(0xffff),
  fc.nat(15).map((bit) => 1 << bit),
  fc.nat(0xffff),
);
const one = <T>(...values: T[]) => fc.constantFrom(...values);

/** The JSON body; a call without one gets an empty object to work on. */
function json(draft: Draft): Node {
  if (draft.body === undefined) {
    draft.body = { kind: "object", members: [] };
    if (!draft.headers.some(([name]) => /^content-type$/i.test(name))) {
      draft.headers.push(["Content-Type", "application/json"]);
    }
  }
  return draft.body instanceof Uint8Array ? raw("") : draft.body;
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % list.length];
}

/** The keys whose spelling matters most are picked as often as all others together. */
const TELLING =
  /^(hostconfig|volumes|binds|mounts|volumesfrom|tmpfs|image|type|source|target|restartpolicy|name|tasktemplate|containerspec)$/i;

function pickMember(
  draft: Draft,
  at: number,
): { of: Member[]; member: Member } | undefined {
  const all = members(json(draft));
  const telling = all.filter(({ member }) => TELLING.test(member.key.text));
  return pick(at % 2 === 0 && telling.length > 0 ? telling : all, at >> 1);
}

function pickString(draft: Draft, at: number) {
  const all = nodes(json(draft)).filter((each) => each.kind === "string");
  return pick(all, at);
}

function fold(text: string, bits: number, foreign: boolean): string {
  return [...text].map((c, i) => {
    if (!(bits >> (i % 16) & 1)) return c;
    if (foreign && /s/i.test(c)) return "\u017f";
    if (foreign && /k/i.test(c)) return "\u212a";
    return c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase();
  }).join("");
}

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

const jsonMoves = [
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

/** Other names for a path, and names that look like it. */
const pathForm = one<(path: string) => string>(
  (path) => path + "/",
  (path) => "/" + path,
  (path) => path.replaceAll("/", "//"),
  (path) => "/." + path,
  (path) => path + "/.",
  (path) => path + "/..",
  (path) => path + "/../data",
  (path) => "/a/.." + path,
  (path) => "/../.." + path,
  (path) => path.toUpperCase(),
  (path) => path.slice(1),
  (path) => "." + path,
  (path) => path + " ",
  (path) => path + "\u0000",
  (path) => path.replaceAll("/", "\\"),
  (path) => path + "/{{1}}/..",
  (path) => `/{{printf "a%cb" 47}}/..${path}`,
  (path) => "/{{.Task.Slot}}/.." + path,
  (path) => path + "{{/* */}}",
);

/** Fields that seem to cover a path, so that no volume would be made there. */
const cover = one<(path: string) => [key: string, value: unknown]>(
  (path) => ["Tmpfs", { [path]: "" }],
  (path) => ["Tmpfs", { [path]: null }],
  (path) => ["Mounts", [{ Type: "tmpfs", Target: path }]],
  (path) => ["Mounts", [{ Type: "bind", Source: "/tmp", Target: path }]],
  (path) => ["Mounts", [{ Type: "image", Source: "plain:1", Target: path }]],
  (path) => ["Mounts", [null, { Type: "tmpfs", Target: path }]],
  (path) => ["Binds", [`/tmp:${path}`]],
  (path) => ["Binds", [`/tmp:${path}:ro`]],
  (path) => ["Binds", [`/tmp:${path}:z,ro`]],
  (path) => ["Binds", [`${path}:/tmp`]],
  (path) => ["Binds", [`/tmp:/a:${path}`]],
);

const storageMoves = [
  move("path", [
    index,
    pathForm.map((form) => ({ form, toJSON: () => form("/p") })),
  ], (draft, at, { form }) => {
    const paths = nodes(json(draft)).filter((each) =>
      each.kind === "string" && each.text.startsWith("/")
    );
    const keys = members(json(draft)).map(({ member }) => member.key).filter((
      key,
    ) => key.text.startsWith("/"));
    const node = pick([...paths, ...keys], at);
    if (node?.kind === "string") node.text = form(node.text);
  }),
  move(
    "cover",
    [
      index,
      cover.map((field) => ({ field, toJSON: () => field("/p") })),
      fc.option(pathForm, { nil: (path: string) => path }).map((form) => ({
        form,
        toJSON: () => form("/p"),
      })),
      one("/data", "/x", "/old"),
    ],
    (draft, at, { field }, { form }, path) => {
      const [key, value] = field(form(path));
      const holders = members(json(draft)).filter(({ member }) =>
        /^(hostconfig|containerspec)$/i.test(member.key.text) &&
        member.value.kind === "object"
      ).map(({ member }) => member.value);
      const body = json(draft);
      const holder = holders.length > 0 ? pick(holders, at) : body;
      if (holder?.kind !== "object") return;
      const there = holder.members.find((each) =>
        each.key.text.toLowerCase() === key.toLowerCase()
      );
      const more = fromValue(value);
      if (there?.value.kind === "array" && more.kind === "array") {
        there.value.items.push(...more.items);
      } else if (there?.value.kind === "object" && more.kind === "object") {
        there.value.members.push(...more.members);
      } else holder.members.push({ key: string(key), value: more });
    },
  ),
  move(
    "mount type",
    [
      index,
      one(
        "Volume",
        "VOLUME",
        " volume",
        "volume ",
        "",
        "bind",
        "BIND",
        "tmpfs",
        "image",
        "cluster",
        "npipe",
        "volu\u006de",
        "vol\u00faume",
        "b\u0131nd",
        "tmpf\u017f",
        "null",
        "0",
      ),
    ],
    (draft, at, type) => {
      const found = pick(
        members(json(draft)).filter(({ member }) =>
          /^type$/i.test(member.key.text)
        ),
        at,
      );
      if (!found) return;
      if (type === "null" || type === "0") found.member.value = raw(type);
      else if (type === "" && at % 2) {
        found.of.splice(found.of.indexOf(found.member), 1);
      } else found.member.value = string(type);
    },
  ),
  move(
    "bind or name",
    [
      index,
      one<[string, string]>(
        ["", ":ro"],
        ["", ":z"],
        ["", ":"],
        ["", "::"],
        ["", ":rw,nocopy"],
        ["", ":volume-nocopy"],
        [":", ""],
        ["./", ""],
        [".", ""],
        ["~", ""],
        ["../", ""],
        [" ", ""],
        ["/tmp/../", ""],
        ["/:", ""],
        ["/tmp:", ""],
        ["\\", ""],
        ["C:\\", ""],
        ["//./pipe/", ""],
        ["{{1}}", ""],
        ["", "\u0000"],
        ["", ":/y"],
        ["file://", ""],
        ["/tmp\u0000:", ""],
      ),
    ],
    (draft, at, [before, after]) => {
      const node = pickString(draft, at);
      if (node?.kind === "string") node.text = before + node.text + after;
    },
  ),
  move(
    "image name",
    [
      one(
        (name: string) => name + "@",
        (name) => "docker.io/library/" + name,
        (name) => "library/" + name,
        (name) => "index.docker.io/" + name,
        (name) => name.toUpperCase(),
        (name) => name.split(":")[0],
        (name) => name + " ",
        (name) => "./" + name,
        (name) => "/" + name,
        (name) => name + "/json?x=",
        (name) => name + "%00",
        (name) => name + "\n",
        (name) => "../images/" + name,
        (name) => name + "/..",
        (name) => name.slice(0, 19),
        (name) => name.slice(7),
        (name) => "sha256:" + name.slice(7, 20),
      ).map((form) => ({
        form,
        toJSON: () => form("name:tag"),
      })),
    ],
    (draft, { form }) => {
      for (const { member } of members(json(draft))) {
        if (
          /^image$/i.test(member.key.text) && member.value.kind === "string"
        ) member.value.text = form(member.value.text);
      }
    },
  ),
];

const uriMoves = [
  move(
    "version",
    [one(
      "",
      "/v1.12",
      "/v1.18",
      "/v1.19",
      "/v1.22",
      "/v1.23",
      "/v1.24",
      "/v1.25",
      "/v1.29",
      "/v1.30",
      "/v1.40",
      "/v1.41",
      "/v1.44",
      "/v1.45",
      "/v1.51",
      "/v1.60",
      "/v01.041",
      "/v1.41.0",
      "/v1..41",
      "/v1.",
      "/v.",
      "/v1",
      "/v0",
      "/v9",
      "/V1.41",
      "/v1.41/v1.41",
      "/v1.23.99999999999999999999",
      "/v1.-1",
      "/1.41",
      "/v1.41a",
      "/v\u0661.41",
    )],
    (draft, version) => void (draft.version = version),
  ),
  move("percent", [mask], (draft, bits) => void (draft.percent = bits)),
  move(
    "path form",
    [one<[RegExp, string]>(
      [/^/, "/"],
      [/$/, "/"],
      [/\//g, "//"],
      [/^/, "/."],
      [/^/, "/x/.."],
      [/(\/\w+)$/, "/.$1"],
      [/(\/\w+)$/, "/x/..$1"],
      [/$/, ";x"],
      [/$/, "#x"],
      [/$/, "\u0000"],
      [/$/, "\n"],
      [/$/, " "],
      [/\/(\w+)\//, "/$1/./"],
      [/$/, "."],
      [/^\//, "\\"],
      [/$/, "%2e"],
      [/$/, "\u00e9"],
      [/(\w)(\w+)$/, "$1%$2"],
      [/start$/, "start/start"],
      [/create$/, "create/create"],
      [/^\//, ""],
    )],
    (draft, [where, text]) =>
      void (draft.path = draft.path.replace(where, text)),
  ),
  move(
    "case of the path",
    [mask, fc.boolean()],
    (draft, bits, foreign) =>
      void (draft.path = fold(draft.path, bits, foreign)),
  ),
  move(
    "absolute form",
    [one(
      "http://docker",
      "HTTP://docker",
      "https://a:1",
      "http://",
      "http:",
      "unix://x",
      "x:",
      "http://a@b",
      "http://[::1]:80",
      "http://a%2fb",
      "//docker",
      "http://docker/v1.41",
      "http://d?x=",
      "http:///",
      "*",
      "1http://d",
      "h+t-t.p://d",
    )],
    (draft, authority) => void (draft.authority = authority),
  ),
  move(
    "tail of the target",
    [one(
      "?",
      "#",
      "#x",
      "?x#y",
      "&",
      ";",
      "?a=/auth",
      "/auth",
      "&a=/auth",
      " ",
      "?%zz",
      "?a;b",
      "&%",
      "?\u00ff",
      "&name=\u00ff",
      "?platform=linux/amd64",
      "&rollback=previous",
      "?rollback=previous",
      "%3frollback=previous",
      "?version=2",
    )],
    (draft, tail) => void (draft.tail = tail),
  ),
  move(
    "query",
    [
      one(
        "rollback=previous",
        "rollback=none",
        "rollback=&rollback=previous",
        "rollback=previous&rollback=",
        "%72ollback=previous",
        "rollback=%70revious",
        "rollback=previous%00",
        "Rollback=previous",
        "rollback=%zz&rollback=previous",
        "platform=linux/amd64",
        "platform=",
        "platform=linux%2Farm64",
        "platform=x",
        "name=/auth",
        "name=start",
        "checkpoint=x",
        "a=b;c=d",
        "x=%zz",
        "+=+",
        "=&=",
        "&&",
        "version=1",
        "t=1",
        "signal=9",
        "path=/data",
        "path=/",
        "noOverwriteDirNonDir=1",
        "x=" + "y".repeat(3000),
      ),
      fc.boolean(),
    ],
    (draft, pair, first) => {
      if (first) draft.query.unshift(pair);
      else draft.query.push(pair);
    },
  ),
  move(
    "method",
    [one(
      "POST",
      "PUT",
      "post",
      "Post",
      "PATCH",
      "GET",
      "HEAD",
      "DELETE",
      "OPTIONS",
      "CONNECT",
      "TRACE",
      "POST\t",
      "P\u00d6ST",
    )],
    (draft, method) => void (draft.method = method),
  ),
];

function setHeader(draft: Draft, name: string, values: string[]): void {
  draft.headers = [
    ...draft.headers.filter(([each]) =>
      each.toLowerCase() !== name.toLowerCase()
    ),
    ...values.map((value): [string, string] => [name, value]),
  ];
}

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

const headerMoves = [
  move(
    "content type",
    [one<string[]>(
      [],
      [""],
      [JSON_TYPE],
      ["Application/JSON"],
      ["APPLICATION/JSON;CHARSET=UTF-8"],
      [`${JSON_TYPE}; charset=utf-16`],
      [`${JSON_TYPE};`],
      [`${JSON_TYPE}; a`],
      [`${JSON_TYPE}; a=b; a=c`],
      [`${JSON_TYPE}; a="`],
      [`${JSON_TYPE}, text/plain`],
      [` ${JSON_TYPE} `],
      [`\t${JSON_TYPE}`],
      [`${JSON_TYPE}\u00e9`],
      ["application/json+x"],
      ["application/vnd.api+json"],
      ["text/json"],
      ["text/plain"],
      [FORM_TYPE],
      ["multipart/form-data; boundary=x"],
      [JSON_TYPE, "text/plain"],
      ["text/plain", JSON_TYPE],
      [JSON_TYPE, JSON_TYPE],
      [JSON_TYPE, FORM_TYPE],
      [FORM_TYPE, JSON_TYPE],
      [JSON_TYPE, ""],
      ["", JSON_TYPE],
      [JSON_TYPE, "application/grpc"],
      ["application/grpc"],
      ["application / json"],
      ["application/json\u0000"],
    )],
    (draft, values) => setHeader(draft, "Content-Type", values),
  ),
  move(
    "name of the content type",
    [one(
      "content-type",
      "CONTENT-TYPE",
      "Content-type",
      "Content-Type ",
      " Content-Type",
      "Content_Type",
      "X-Content-Type",
      "Content-Type\t",
      "Content\u00adType",
    )],
    (draft, name) => {
      draft.headers = draft.headers.map((
        [each, value],
      ) => [each.toLowerCase() === "content-type" ? name : each, value]);
    },
  ),
  move(
    "header",
    [
      one<[string, string]>(
        ["X-HTTP-Method-Override", "GET"],
        ["Content-Encoding", "gzip"],
        ["Content-Encoding", "identity"],
        ["Expect", "100-continue"],
        ["Connection", "close"],
        ["Connection", "Upgrade"],
        ["Upgrade", "h2c"],
        ["HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"],
        ["X-Forwarded-For", "::1"],
        ["Authz-User", "root"],
        ["X-Original-Url", "/_ping"],
        ["X-Registry-Auth", "e30="],
        ["Host", "evil"],
        ["Accept-Encoding", "gzip"],
        ["Cookie", "a=b"],
        ["A", "b\r\n c"],
        ["A", "b\n"],
        ["X", "y".repeat(9000)],
        ["__proto__", "x"],
        ["Content-Length", "0"],
        ["Transfer-Encoding", "identity"],
        ["Content-Range", "bytes 0-1/2"],
        ["Te", "trailers"],
        ["User", "root"],
      ),
      fc.boolean(),
    ],
    (draft, header, first) => {
      if (first) draft.headers.unshift(header);
      else draft.headers.push(header);
    },
  ),
];

const framing: fc.Arbitrary<Framing> = fc.oneof(
  fc.record({
    kind: fc.constant("chunked" as const),
    size: one(1, 7, 64, 4096, 100000),
    says: fc.oneof(
      { weight: 12, arbitrary: fc.constant("chunked") },
      {
        weight: 1,
        arbitrary: one(
          "Chunked",
          "CHUNKED",
          " chunked",
          "chunked, chunked",
          "identity, chunked",
          "gzip, chunked",
          "chunked;q=1",
          "x-chunked",
          "\tchunked",
        ),
      },
    ),
    length: fc.oneof(
      { weight: 6, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: one("0", "7", "100", "99999999") },
    ),
    extension: one(undefined, ";a=b", " ", ";" + "x".repeat(200)),
    trailer: one(
      undefined,
      "Content-Type: text/plain\r\n",
      "Content-Length: 0\r\n",
    ),
  }),
  fc.record({
    kind: fc.constant("length" as const),
    says: one<string | undefined>(
      "0",
      "1",
      "7",
      "8",
      "00",
      "+7",
      "-1",
      "0x7",
      "",
      " 7",
      "7,7",
      "1e2",
      undefined,
    ),
    twice: one<string | undefined>(undefined, "0", "7"),
  }),
  fc.constant({ kind: "none" as const }),
);

const LIMITS = [1 << 20, 4 << 20];

const wireMoves = [
  move("framing", [framing], (draft, value) => void (draft.framing = value)),
  move(
    "chunked",
    [one(3, 50, 5000)],
    (draft, size) =>
      void (draft.framing = { kind: "chunked", size, says: "chunked" }),
  ),
  move("protocol", [
    one(
      "HTTP/1.0",
      "HTTP/1.1",
      "HTTP/1.2",
      "HTTP/2.0",
      "HTTP/0.9",
      "http/1.1",
      "HTTP/1.1 ",
      "",
    ),
  ], (draft, protocol) => {
    draft.protocol = protocol;
  }),
  move(
    "on the same connection",
    [
      fc.subarray([
        "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
        "POST /containers/none/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n",
        "GET /containers/json HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
      ], { minLength: 1 }),
      fc.boolean(),
    ],
    (draft, requests, before) =>
      void draft[before ? "before" : "after"].push(...requests),
  ),
];

/** Rare, for they are slow: a megabyte and more goes through engine and plugin. */
const sizeMove = move(
  "size",
  [
    one(...LIMITS),
    fc.integer({ min: -2, max: 2 }),
    one<"before" | "after">("before", "after"),
    fc.boolean(),
  ],
  (draft, limit, off, padding, chunks) => {
    json(draft);
    draft.size = limit + off;
    draft.padding = padding;
    if (chunks) {
      draft.framing = { kind: "chunked", size: 65536, says: "chunked" };
    }
  },
);

const anyMove: fc.Arbitrary<Move> = fc.oneof(
  { weight: 40, arbitrary: fc.oneof(...jsonMoves) },
  { weight: 25, arbitrary: fc.oneof(...storageMoves) },
  { weight: 25, arbitrary: fc.oneof(...uriMoves) },
  { weight: 20, arbitrary: fc.oneof(...headerMoves) },
  { weight: 15, arbitrary: fc.oneof(...wireMoves) },
  { weight: 1, arbitrary: sizeMove },
);
