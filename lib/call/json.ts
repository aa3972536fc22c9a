/**
 * JSON that everybody reads alike, Go's `encoding/json` included.
 *
 * `JSON.parse` is strict about the grammar (RFC 8259), but keeps only the last
 * of repeated keys, and Go merges their values. So bodies with such keys are
 * refused.
 *
 * @module
 */
import { Unreadable } from "./unreadable.ts";

/** A JSON value. A string in it can hold lone surrogates. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object. `__proto__` is a key like any other. */
export interface JsonObject {
  [key: string]: Json;
}

/** Deeper nesting than any client sends; Go itself gives up at 10,000. */
const MAX_DEPTH = 500;

// A byte order mark stays in the text, and no JSON text begins with one.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads one JSON text.
 *
 * @param base64 The body as the engine forwarded it, in base64.
 * @returns The value.
 * @throws {Unreadable} If the bytes are not one JSON value in UTF-8, followed
 *   by nothing but white space; if an object has a key twice; or if it is
 *   nested deeper than 500 levels. Engine 20.10 ignores what follows the first
 *   value, later ones refuse it. Bytes that are not UTF-8 become U+FFFD in Go,
 *   and readers differ in how many.
 */
export function parseJson(base64: string): Json {
  return parseJsonText(decodeUtf8(decodeBase64(base64)));
}

/**
 * Reads one JSON text.
 *
 * @param text The text.
 * @returns The value.
 * @throws {Unreadable} As {@link parseJson} does.
 */
export function parseJsonText(text: string): Json {
  const keys = scan(text);
  const value = parse(text);
  if (countKeys(value) === keys) return value;
  throw new Unreadable("its body has a key twice in one object: send it once");
}

/**
 * Tells JSON objects from other values.
 *
 * @param value Any JSON value.
 * @returns Whether it is an object: neither a list nor null.
 */
export function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decodeBase64(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch {
    throw new Unreadable("its body did not arrive as base64");
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Unreadable("its body is not UTF-8");
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The message quotes the body, which can hold passwords, so that no more is
    // taken from it than the position.
    const message = String(error);
    const [, position] = /at position (\d+)/.exec(message) ?? [];
    throw new Unreadable(
      (message.includes("after JSON at")
        ? "its body goes on after the JSON value"
        : "its body is not JSON") +
        (position ? ` (at character ${Number(position) + 1})` : ""),
    );
  }
}

/**
 * Counts the keys in a text, if it is JSON: each has a colon behind it. This
 * runs before the text is parsed, so that the parser never has to go deep.
 */
function scan(text: string): number {
  let depth = 0;
  let keys = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "{":
      case "[":
        if (++depth <= MAX_DEPTH) break;
        throw new Unreadable(
          `its body is nested deeper than ${MAX_DEPTH} levels`,
        );
      case "}":
      case "]":
        depth--;
        break;
      case ":":
        keys++;
        break;
      case '"':
        at = endOfString(text, at);
    }
  }
  return keys;
}

/**
 * Counts the keys that are left when of repeated ones only the last is kept.
 */
function countKeys(value: Json): number {
  let keys = 0;
  const waiting = [value];
  for (let next; (next = waiting.pop()) !== undefined;) {
    if (typeof next !== "object" || next === null) continue;
    const values = Object.values(next);
    if (!Array.isArray(next)) keys += values.length;
    for (const inner of values) waiting.push(inner);
  }
  return keys;
}

/**
 * @param text A JSON text.
 * @param start Where a string starts: the position of its first quote.
 * @returns The position of its last quote; beyond the text if there is none.
 */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}
