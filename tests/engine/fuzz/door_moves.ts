/**
 * Image names and queries, spelt otherwise, and forms that speak against the
 * query.
 */

import fc from "fast-check";
import type { Draft } from "./draft.ts";
import { FORM_TYPE, JSON_TYPE, setHeader } from "./http_moves.ts";
import { raw } from "./json.ts";
import { index, mask, move, one, pick } from "./move.ts";

/** The pairs of the query that name an image. */
const TELLING = /^(fromImage|fromSrc|repo|tag|remote|name|q|t|dockerfile)=/i;

function pickPair(draft: Draft, at: number): number {
  const telling = draft.query.flatMap((pair, i) =>
    TELLING.test(pair) ? [i] : []
  );
  return pick(telling, at) ?? -1;
}

function encodeWith(text: string, bits: number): string {
  return [...text].map((c, i) => {
    if (!(bits >> (i % 16) & 1) || c === "%") return c;
    const code = c.charCodeAt(0).toString(16).padStart(2, "0");
    return "%" + (i % 2 ? code.toUpperCase() : code);
  }).join("");
}

/** Names of images that the policy lets in. */
const harmless = one(
  "localhost:5002/good:1",
  "localhost:5002/good",
  "good",
  "",
  "%00",
  "localhost:5002/good@sha256:" + "0".repeat(64),
);

/** Another spelling of an image's name. */
const nameForm = one<(name: string) => string>(
  (name) => name + ":",
  (name) => name + ":1",
  (name) => name + "::",
  (name) => name + ":latest",
  (name) => name + "@sha256:" + "0".repeat(64),
  (name) => name + ":1@sha256:" + "0".repeat(64),
  (name) => name + "@sha512:" + "0".repeat(128),
  (name) => name + "@md5:" + "0".repeat(32),
  (name) => name.replace("localhost", "LOCALHOST"),
  (name) => name.replace("localhost", "127.0.0.1"),
  (name) => name.replace("localhost", "127.1"),
  (name) => name.replace("localhost", "localhost."),
  (name) => name.replace("localhost", "[::1]"),
  (name) => name.replace(":5002", ":05002"),
  (name) => name.replace("/", "//"),
  (name) => name.replace("/", "/./"),
  (name) => name.replace("/", "/good/../"),
  (name) => name.replace("/", "/good/"),
  (name) => name.replace("/", "%2F"),
  (name) => name.replace("/", "%252F"),
  (name) => "http://" + name,
  (name) => "docker.io/" + name,
  (name) => "index.docker.io/" + name,
  (name) => "registry-1.docker.io/" + name,
  (name) => "docker.io/library/" + name,
  (name) => "library/" + name,
  (name) => " " + name,
  (name) => name + "%20",
  (name) => name + "%0a",
  (name) => name + "%00",
  (name) => name + "/",
  (name) => "/" + name,
  (name) => name.toUpperCase(),
  (name) => name.replace("evil", "evi\u217c"),
  (name) => name + "?x",
  (name) => name + "%23x",
  (name) => "localhost:5002/good:1@" + name,
  (name) => "localhost:5002/good:1%20" + name,
  (name) => name + "%0alocalhost:5002/good:1",
  (name) => "localhost:5002/good:1%0a" + name,
);

/** Content types of a form, and of what hides one. */
const formType = one<string[]>(
  [FORM_TYPE],
  [FORM_TYPE + "; charset=utf-8"],
  [FORM_TYPE.toUpperCase()],
  [FORM_TYPE, JSON_TYPE],
  [FORM_TYPE, "text/plain"],
  [FORM_TYPE, ""],
  [JSON_TYPE, FORM_TYPE],
  [FORM_TYPE + "; a=b; a=b"],
  [FORM_TYPE + ";"],
  [" " + FORM_TYPE],
  ["multipart/form-data; boundary=x"],
  ["text/plain"],
  [JSON_TYPE],
  [],
);

/** Moves on the query, and on what stands beside it. */
export const doorMoves = [
  move(
    "form in the body",
    [
      one(
        "evil",
        "good",
        "evil, good",
        "good, evil",
        "tag",
        "remote",
        "version",
        "empty",
      ),
      formType,
      fc.boolean(),
    ],
    (draft, what, types, dropQuery) => {
      const evil = draft.query.filter((pair) => TELLING.test(pair));
      const good = [
        "fromImage=localhost:5002/good",
        "tag=1",
        "remote=localhost:5002/good:1",
      ];
      const forms = {
        "evil": evil,
        "good": good,
        "evil, good": [...evil, ...good],
        "good, evil": [...good, ...evil],
        "tag": ["tag=1"],
        "remote": ["remote=localhost:5002/evil:1"],
        "version": ["version=2", "remote=client-session"],
        "empty": ["fromImage=", "tag=", "fromSrc="],
      };
      draft.body = raw(forms[what as keyof typeof forms].join("&"));
      setHeader(draft, "Content-Type", types);
      if (!dropQuery) return;
      draft.query = draft.query.flatMap((pair) =>
        !TELLING.test(pair)
          ? [pair]
          : /^(fromImage|remote)=/.test(pair)
          ? [`${pair.split("=")[0]}=localhost:5002/good:1`]
          : []
      );
    },
  ),
  move(
    "escapes in the query",
    [index, mask, fc.boolean()],
    (draft, at, bits, key) => {
      const i = pickPair(draft, at);
      if (i < 0) return;
      const [name, ...value] = draft.query[i].split("=");
      draft.query[i] = key
        ? `${encodeWith(name, bits)}=${value.join("=")}`
        : `${name}=${encodeWith(value.join("="), bits)}`;
    },
  ),
  move("case of the query", [index, mask], (draft, at, bits) => {
    const i = pickPair(draft, at);
    if (i < 0) return;
    const [name, ...value] = draft.query[i].split("=");
    const other = [...name].map((c, n) => bits >> n & 1 ? c.toUpperCase() : c);
    draft.query[i] = `${other.join("")}=${value.join("=")}`;
  }),
  move(
    "key of the query twice",
    [index, harmless, fc.boolean(), one("", ";", "%00", "+", " ", "[]", "%zz")],
    (draft, at, value, first, behind) => {
      const i = pickPair(draft, at);
      if (i < 0) return;
      const name = draft.query[i].split("=")[0] + behind;
      draft.query.splice(first ? i : i + 1, 0, `${name}=${value}`);
    },
  ),
  move(
    "name of the image",
    [
      index,
      nameForm.map((form) => ({ form, toJSON: () => form("localhost/x") })),
    ],
    (draft, at, { form }) => {
      const i = pickPair(draft, at);
      if (i >= 0) {
        const [name, ...value] = draft.query[i].split("=");
        draft.query[i] = `${name}=${form(value.join("="))}`;
      } else {
        draft.path = draft.path.replace(
          /^(\/images\/)(.*)(\/push)$/,
          (_, before, name, after) => before + form(name) + after,
        );
      }
    },
  ),
  move(
    "tag elsewhere",
    [one("gone", "empty", "in the name", "digest", "latest")],
    (draft, where) => {
      const tag = draft.query.find((pair) => pair.startsWith("tag="))?.slice(4);
      if (tag === undefined) return;
      draft.query = draft.query.filter((pair) => !pair.startsWith("tag="));
      if (where === "empty") draft.query.push("tag=");
      if (where === "latest") draft.query.push("tag=latest");
      if (where === "digest") draft.query.push("tag=sha256:" + "0".repeat(64));
      if (where === "in the name") {
        draft.query = draft.query.map((pair) =>
          /^fromImage=/.test(pair) ? `${pair}:${tag}` : pair
        );
      }
    },
  ),
  move(
    "one more pair",
    [
      one(
        "fromImage=",
        "fromImage=localhost:5002/good",
        "fromSrc=-",
        "fromSrc=http://localhost:5002/evil.tar",
        "repo=localhost:5002/good",
        "tag=1",
        "platform=linux/amd64",
        "platform=linux/s390x",
        "remote=client-session",
        "remote=http://localhost:5002/evil/Dockerfile",
        "remote=localhost:5002/good:1",
        "version=2",
        "version=1",
        "q=1",
        "message=x",
        "changes=LABEL a=b",
        "name=good",
        "pull=1",
      ),
      fc.boolean(),
    ],
    (draft, pair, first) => {
      if (first) draft.query.unshift(pair);
      else draft.query.push(pair);
    },
  ),
  move(
    "no body",
    [one("length 0", "nothing"), fc.boolean()],
    (draft, how, type) => {
      draft.body = undefined;
      draft.framing = how === "nothing" ? { kind: "none" } : { kind: "length" };
      if (type) setHeader(draft, "Content-Type", [FORM_TYPE]);
    },
  ),
];
