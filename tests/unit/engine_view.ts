/**
 * What a plugin is shown of an HTTP request, as engines of each generation do it.
 *
 * @module
 */
import type { AuthzRequest } from "../../lib/call/authz.ts";
import { join } from "../engine/raw_http.ts";

/** Never shown: `headers` in moby's pkg/authorization/authz.go. */
const SECRET = ["Authorization", "X-Registry-Auth", "X-Registry-Config"];

const MiB = 1024 * 1024;

/** Which bodies an engine shows. */
export interface View {
  chunked: boolean;
  /** The length from which on it shows none, in bytes. */
  limit: number;
}

/** What engines do as their authors made them; distributors patch older ones. */
export const VIEWS = {
  upTo24: { chunked: false, limit: MiB },
  from25: { chunked: true, limit: MiB },
  from29_3_1: { chunked: true, limit: 4 * MiB + 1 },
};

/**
 * Reads HTTP as Go's net/http does, as far as well-formed requests need it, and
 * tells what `AuthZRequest` in moby's pkg/authorization/authz.go makes of it.
 *
 * @param bytes Requests, one behind another.
 * @param view Which bodies are shown.
 * @returns What a plugin is shown, a message for each request.
 */
export function shownOf(bytes: Uint8Array, view: View): AuthzRequest[] {
  const shown: AuthzRequest[] = [];
  const text = new TextDecoder("latin1");
  for (let at = 0; at < bytes.length;) {
    const end = indexOf(bytes, "\r\n\r\n", at);
    const [line, ...fields] = text.decode(bytes.subarray(at, end))
      .split("\r\n");
    at = end + 4;
    const [method, uri] = line.split(" ");
    const headers = new Map<string, string[]>();
    for (const field of fields) {
      const colon = field.indexOf(":");
      const name = canonical(field.slice(0, colon));
      const value = field.slice(colon + 1).trim();
      headers.set(name, [...headers.get(name) ?? [], value]);
    }
    headers.delete("Host");
    const chunked = headers.delete("Transfer-Encoding");
    // A length beside chunks does not count (`readTransfer` in net/http).
    if (chunked) headers.delete("Content-Length");
    let body: Uint8Array;
    [body, at] = chunked
      ? unchunked(bytes, at)
      : plain(bytes, at, Number(headers.get("Content-Length")?.[0] ?? 0));
    const isShown = isJson(headers.get("Content-Type")?.[0] ?? "") &&
      body.length > 0 && body.length < view.limit && (view.chunked || !chunked);
    shown.push({
      user: "",
      method,
      uri,
      headers: Object.fromEntries(
        [...headers].filter(([name]) => !SECRET.includes(name))
          .map(([name, values]) => [name, values.at(-1)!]),
      ),
      ...isShown && { body: body.toBase64() },
    });
  }
  return shown;
}

/** `CanonicalMIMEHeaderKey` in Go's net/textproto. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());
}

/** `ParseMediaType` in Go's mime, as far as clients that mean well need it. */
function isJson(contentType: string): boolean {
  return /^application\/json\s*(;|$)/i.test(contentType);
}

function indexOf(bytes: Uint8Array, text: string, from: number): number {
  const wanted = new TextEncoder().encode(text);
  for (let at = from; at < bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("a request breaks off");
}

function plain(
  bytes: Uint8Array,
  at: number,
  length: number,
): [body: Uint8Array, end: number] {
  return [bytes.subarray(at, at + length), at + length];
}

function unchunked(
  bytes: Uint8Array,
  at: number,
): [body: Uint8Array, end: number] {
  const parts: Uint8Array[] = [];
  for (;;) {
    const end = indexOf(bytes, "\r\n", at);
    const size = parseInt(
      new TextDecoder().decode(bytes.subarray(at, end)),
      16,
    );
    at = end + 2 + size + 2;
    if (size === 0) break;
    parts.push(bytes.subarray(end + 2, end + 2 + size));
  }
  return [join(parts), at];
}
