/** Request line, headers and framing, spelt otherwise. */

import fc from "fast-check";
import type { Draft, Framing } from "./draft.ts";
import { fold, json, mask, move, one } from "./move.ts";

/** Moves on the request line. */
export const uriMoves = [
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

/** Puts values in the place of those that a header has. */
export function setHeader(draft: Draft, name: string, values: string[]): void {
  draft.headers = [
    ...draft.headers.filter(([each]) =>
      each.toLowerCase() !== name.toLowerCase()
    ),
    ...values.map((value): [string, string] => [name, value]),
  ];
}

/** Content types. */
export const JSON_TYPE = "application/json";
export const FORM_TYPE = "application/x-www-form-urlencoded";

/** Moves on the headers. */
export const headerMoves = [
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

/** Moves on the framing. */
export const wireMoves = [
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

/**
 * Rare, for they are slow: a megabyte and more goes through engine and plugin.
 */
export const sizeMove = move(
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
