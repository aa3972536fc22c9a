/**
 * A request before it is bytes: every part that HTTP and JSON let one spell in
 * more than one way.
 */

import { chunked, join } from "../raw_http.ts";
import { type Node, write } from "./json.ts";

/** How the length of the body is told. */
export type Framing =
  /** `Content-Length`, the right one or another text. */
  | { kind: "length"; says?: string; twice?: string }
  /**
   * Chunks of so many bytes, with a spelling of the header and maybe a
   * `Content-Length` beside it.
   */
  | {
    kind: "chunked";
    size: number;
    says: string;
    length?: string;
    extension?: string;
    trailer?: string;
  }
  /** Neither. */
  | { kind: "none" };

/** One request in parts. */
export interface Draft {
  method: string;
  /** As `/v1.41`, or empty. */
  version: string;
  /** Decoded, without query. */
  path: string;
  /**
   * Which characters of version and path are percent-encoded: bit n of it is
   * for each character n modulo 16.
   */
  percent: number;
  /** Pairs as they stand in the target. */
  query: string[];
  /** In front of the path, for the absolute form. */
  authority: string;
  /** Behind the whole target. */
  tail: string;
  protocol: string;
  /** All but those of the framing, in this order. */
  headers: [name: string, value: string][];
  /** The body: JSON, or bytes, or none. */
  body?: Node | Uint8Array;
  /** White space between the tokens of the JSON. */
  spacing: number;
  /** Text before and after the JSON. */
  lead: string;
  trail: string;
  encoding: Encoding;
  /** Blanks are put before or after the body until it has this many bytes. */
  size: number;
  padding: "before" | "after";
  framing: Framing;
  /** Whole requests that go before and after it on the same connection. */
  before: string[];
  after: string[];
}

/**
 * A request that is spelled as plainly as can be: a POST without a body.
 *
 * @param parts what else it has
 */
export function draft(parts: Partial<Draft>): Draft {
  return {
    method: "POST",
    version: "",
    path: "/",
    percent: 0,
    query: [],
    authority: "",
    tail: "",
    protocol: "HTTP/1.1",
    headers: [["Host", "docker"]],
    spacing: 0,
    lead: "",
    trail: "",
    encoding: "utf-8",
    size: 0,
    padding: "after",
    framing: { kind: "length" },
    before: [],
    after: [],
    ...parts,
  };
}

/** How the text of the body becomes bytes. */
export type Encoding =
  | "utf-8"
  | "latin1"
  | "utf-16le"
  | "utf-16be"
  | "overlong"
  | "broken";

/** What is sent. */
export interface Shot {
  bytes: Uint8Array;
  /** How many answers there should be. */
  answers: number;
  /** Whether the engine may wait for more bytes than there are. */
  starved: boolean;
}

const encoder = new TextEncoder();

/**
 * Writes a request.
 *
 * @param draft its parts
 * @returns its bytes
 */
export function render(draft: Draft): Shot {
  const body = renderBody(draft);
  const lines = [
    `${draft.method} ${renderTarget(draft)} ${draft.protocol}`,
    ...draft.headers.map(([name, value]) => `${name}: ${value}`),
  ];
  let framed = body;
  let starved = false;
  const { framing } = draft;
  if (framing.kind === "length") {
    const length = framing.says ?? String(body.length);
    lines.push(`Content-Length: ${length}`);
    if (framing.twice !== undefined) {
      lines.push(`Content-Length: ${framing.twice}`);
    }
    starved = Number(length) > body.length;
  } else if (framing.kind === "chunked") {
    if (framing.length !== undefined) {
      lines.push(`Content-Length: ${framing.length}`);
    }
    lines.push(`Transfer-Encoding: ${framing.says}`);
    if (framing.trailer !== undefined) lines.push("Trailer: Content-Type");
    framed = chunked(body, framing);
    starved = framing.says !== "chunked" || framing.length !== undefined;
  } else {
    starved = draft.protocol !== "HTTP/1.1";
  }
  // Its answer says how long a body would be, and has none.
  starved ||= draft.method === "HEAD";
  const head = lines.join("\r\n") + "\r\n\r\n";
  return {
    bytes: join([
      encoder.encode(draft.before.join("")),
      latin1(head),
      framed,
      encoder.encode(draft.after.join("")),
    ]),
    answers: draft.before.length + 1 + draft.after.length,
    starved,
  };
}

function renderTarget(draft: Draft): string {
  const path = percentEncode(draft.version + draft.path, draft.percent);
  const query = draft.query.length > 0 ? "?" + draft.query.join("&") : "";
  return draft.authority + path + query + draft.tail;
}

/**
 * The path, with what can't stand in a target encoded, and whatever else the
 * mask says. The first slash stays, for Go takes no target without it.
 */
function percentEncode(path: string, mask: number): string {
  const bytes = encoder.encode(path);
  let out = "";
  bytes.forEach((byte, i) => {
    const must = byte <= 0x20 || byte >= 0x7f || byte === 0x25 || byte === 0x3f;
    if (must || i > 0 && mask >> (i % 16) & 1) {
      const hex = byte.toString(16).padStart(2, "0");
      out += "%" + (i % 2 ? hex.toUpperCase() : hex);
    } else out += String.fromCharCode(byte);
  });
  return out;
}

function renderBody(draft: Draft): Uint8Array {
  const { body, size, padding } = draft;
  if (body === undefined && draft.lead === "" && draft.trail === "") {
    return new Uint8Array();
  }
  const bytes = body instanceof Uint8Array ? body : encode(
    draft.lead + (body ? write(body, draft.spacing) : "") + draft.trail,
    draft.encoding,
  );
  if (bytes.length >= size) return bytes;
  const blanks = new Uint8Array(size - bytes.length).fill(0x20);
  return join(padding === "before" ? [blanks, bytes] : [bytes, blanks]);
}

function encode(text: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case "utf-8":
      return encoder.encode(text);
    case "latin1":
      return latin1(text);
    case "utf-16le":
    case "utf-16be": {
      const out = new Uint8Array(2 + 2 * text.length);
      const view = new DataView(out.buffer);
      const little = encoding === "utf-16le";
      view.setUint16(0, 0xfeff, little);
      for (let i = 0; i < text.length; i++) {
        view.setUint16(2 + 2 * i, text.charCodeAt(i), little);
      }
      return out;
    }
    case "overlong":
      // Each capital as two bytes, which no decoder of UTF-8 may take.
      return replaceCapitals(
        text,
        (byte) => [0xc0 | byte >> 6, 0x80 | byte & 0x3f],
      );
    case "broken":
      // A byte that is never UTF-8 before each capital.
      return replaceCapitals(text, (byte) => [0xff, byte]);
  }
}

function replaceCapitals(
  text: string,
  by: (byte: number) => number[],
): Uint8Array {
  return Uint8Array.from(
    [...encoder.encode(text)].flatMap((byte) =>
      byte >= 0x41 && byte <= 0x5a ? by(byte) : [byte]
    ),
  );
}

/** Every character above U+00FF becomes a question mark. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => {
    const code = c.charCodeAt(0);
    return code > 0xff ? 0x3f : code;
  });
}
