import { Unreadable } from "./unreadable.ts";

/**
 * A JSON object with every key that was sent, in order and repeated where the
 * request repeats it: `JSON.parse` keeps only the last of two equal keys, Go's
 * `encoding/json` merges them.
 */
export class JsonObject {
  /** Keys as sent (unescaped) with their values. */
  readonly entries: [string, JsonValue][] = [];
}

/** Any JSON value. Numbers are only known to be numbers: no policy reads one. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | JsonObject;

/** Deeper nesting than any client sends; Go itself gives up at 10,000. */
const MAX_DEPTH = 500;

const SPACE = /[ \t\n\r]*/y;
// deno-lint-ignore no-control-regex -- a bare control character ends a JSON string
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const ESCAPES: Record<string, string> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Reads one JSON text (RFC 8259, the grammar that Go's `encoding/json` takes),
 * keeping repeated keys apart. Lone surrogates become U+FFFD, as in Go.
 *
 * @param bytes The body as the engine forwarded it.
 * @returns The value.
 * @throws {Unreadable} where the bytes are not one JSON value in UTF-8, followed
 *   by nothing but white space, or where it is nested deeper than 500 levels.
 *   20.10 ignores what follows the first value, later engines refuse it; bytes
 *   that are not UTF-8 turn into a number of U+FFFD that depends on the reader.
 */
export function parseJson(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    throw new Unreadable("its body is not UTF-8");
  }
  return new Parser(text).document();
}

class Parser {
  #at = 0;
  #depth = 0;

  constructor(readonly text: string) {}

  document(): JsonValue {
    const value = this.#value();
    this.#skipSpace();
    if (this.#at !== this.text.length) {
      throw new Unreadable(
        `its body goes on after the JSON value (at character ${this.#at + 1})`,
      );
    }
    return value;
  }

  #value(): JsonValue {
    this.#skipSpace();
    switch (this.text[this.#at]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return Number(this.#match(NUMBER) || this.#fail());
    }
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw new Unreadable(
        `its body is nested deeper than ${MAX_DEPTH} levels`,
      );
    }
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): JsonObject {
    const object = new JsonObject();
    this.#skipSpace();
    if (this.#takes("}")) return object;
    do {
      this.#skipSpace();
      if (this.text[this.#at] !== '"') this.#fail();
      const key = this.#string();
      this.#skipSpace();
      if (!this.#takes(":")) this.#fail();
      object.entries.push([key, this.#value()]);
      this.#skipSpace();
    } while (this.#takes(","));
    return this.#takes("}") ? object : this.#fail();
  }

  #array(): JsonValue[] {
    const array: JsonValue[] = [];
    this.#skipSpace();
    if (this.#takes("]")) return array;
    do {
      array.push(this.#value());
      this.#skipSpace();
    } while (this.#takes(","));
    return this.#takes("]") ? array : this.#fail();
  }

  #string(): string {
    this.#at++;
    let value = this.#match(PLAIN);
    let escaped = false;
    while (!this.#takes('"')) {
      if (!this.#takes("\\")) this.#fail();
      escaped = true;
      if (this.#takes("u")) {
        value += String.fromCharCode(
          parseInt(this.#match(HEX4) || this.#fail(), 16),
        );
      } else {
        value += ESCAPES[this.text[this.#at++]] ?? this.#fail();
      }
      value += this.#match(PLAIN);
    }
    return escaped ? value.toWellFormed() : value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #takes(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    // Most JSON on this wire is compact: look before calling the pattern.
    if (this.text.charCodeAt(this.#at) <= 0x20) this.#match(SPACE);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #fail(): never {
    throw new Unreadable(
      `its body is not JSON (at character ${this.#at + 1})`,
    );
  }
}
