/**
 * JSON as Go's `encoding/json` reads it, which merges the values of repeated keys
 * where `JSON.parse` keeps only the last.
 *
 * A text is read in one pass over its bytes, which notes where each value starts
 * and ends; no JavaScript object is made for what no policy asks for. That is
 * most of it: a `docker create` has a hundred values, of which ten matter.
 *
 * @module
 */
import { foldKey } from "./fold.ts";
import { Unreadable } from "./unreadable.ts";

/** Deeper nesting than any client sends; Go itself gives up at 10,000. */
const MAX_DEPTH = 500;

/** Texts up to this length share one room, in bytes. */
const SHORT = 32 * 1024;

/*
 * A row of three numbers for each value, and one in front of it for its key: where
 * it starts; where it ends; of a value the row behind everything in it, of a key
 * its hash. A string with escapes or non-ASCII has its end below zero.
 */
const END = 1;
const NEXT = 2;
const HASH = 2;
const ROW = 3;

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const LETTER_E = 0x65;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const LETTER_U = 0x75;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Set in each lower-case ASCII letter, clear in its upper-case twin. */
const LOWER_CASE = 0x20;

const [TRUE, FALSE, NULL] = ["true", "false", "null"].map(bytesOf);

/** What may follow a backslash, `u` aside. */
const ESCAPES = new Set(bytesOf('"\\/bfnrt'));

/** For each byte, whether the plain part of a string ends there. */
const ENDS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(
    byte < 0x20 || byte >= 0x80 || byte === QUOTE || byte === BACKSLASH,
  ));

/** For each byte, whether it is white space between values. */
const IS_SPACE = Uint8Array.from(
  { length: 256 },
  (_, byte) => Number(" \t\n\r".includes(String.fromCharCode(byte))),
);

/** Where a text stands while it is read, and its rows. */
class Room {
  readonly bytes: Uint8Array;
  readonly rows: Int32Array;
  /** How many of the bytes are the text's. */
  length = 0;
  /** Whose the content is. */
  owner?: Text;

  /** @param size How long a text it takes, in bytes. */
  constructor(size: number) {
    // One byte more, to end the text with.
    this.bytes = new Uint8Array(size + 1);
    // A row takes two bytes of text, but for the brackets that are still open.
    this.rows = new Int32Array(ROW * (size / 2 + MAX_DEPTH + 2));
  }
}

const shared = new Room(SHORT);

/** A JSON text that has been read. */
class Text {
  readonly #base64: string;
  readonly #room: Room;

  constructor(base64: string) {
    this.#base64 = base64;
    const size = Math.ceil(base64.length / 4) * 3;
    this.#room = size <= SHORT ? shared : new Room(size);
    this.#read();
  }

  /** The room with this text in it: another one may have been read since. */
  get room(): Room {
    if (this.#room.owner !== this) this.#read();
    return this.#room;
  }

  /** The text of the string or key in a row. */
  string(at: number): string {
    const { bytes, rows } = this.room;
    const start = rows[at];
    const end = rows[at + END];
    if (end >= 0) return asciiOf(bytes.subarray(start + 1, end - 1));
    return unquote(decoder.decode(bytes.subarray(start, -end)));
  }

  #read(): void {
    const room = this.#room;
    room.owner = undefined;
    try {
      const { written } = room.bytes.setFromBase64(this.#base64, {
        lastChunkHandling: "strict",
      });
      room.length = written;
    } catch {
      throw new Unreadable("its body did not arrive as base64");
    }
    new Reader(room).readAll();
    room.owner = this;
  }
}

/** The decoder costs more than a short text. */
function asciiOf(bytes: Uint8Array): string {
  return bytes.length <= 256
    ? Reflect.apply(String.fromCharCode, undefined, bytes)
    : decoder.decode(bytes);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads one JSON text (RFC 8259, the grammar that Go's `encoding/json` takes).
 *
 * @param base64 The body as the engine forwarded it, in base64.
 * @returns The value.
 * @throws {Unreadable} where the bytes are not one JSON value in UTF-8, followed
 *   by nothing but white space, or where it is nested deeper than 500 levels.
 *   20.10 ignores what follows the first value, later engines refuse it; bytes
 *   that are not UTF-8 turn into a number of U+FFFD that depends on the reader.
 */
export function parseJson(base64: string): JsonValue {
  return new JsonValue(new Text(base64), 0);
}

/** The name of a struct's field, ready to be looked for. */
export interface FieldName {
  /** In lower case. */
  readonly folded: string;
  readonly hash: number;
}

/**
 * @param name A field's name in the engine's API: ASCII letters.
 * @returns The name, ready to be looked for.
 */
export function fieldName(name: string): FieldName {
  const folded = foldKey(name);
  return { folded, hash: hashOf(folded) };
}

/** A value in a JSON text. */
export class JsonValue {
  readonly #text: Text;
  readonly #at: number;

  /**
   * @param text The text that it is part of.
   * @param at Its row.
   */
  constructor(text: Text, at: number) {
    this.#text = text;
    this.#at = at;
  }

  /** What it is. Numbers are only known to be numbers: no policy reads one. */
  get type(): "null" | "boolean" | "number" | "string" | "list" | "object" {
    const { bytes, rows } = this.#text.room;
    switch (bytes[rows[this.#at]]) {
      case OPEN_OBJECT:
        return "object";
      case OPEN_LIST:
        return "list";
      case QUOTE:
        return "string";
      case LETTER_T:
      case LETTER_F:
        return "boolean";
      case LETTER_N:
        return "null";
    }
    return "number";
  }

  /** The text of a string; lone surrogates become U+FFFD, as in Go. */
  get string(): string {
    return this.#text.string(this.#at);
  }

  /** The elements of a list. */
  get elements(): JsonValue[] {
    const { rows } = this.#text.room;
    const elements: JsonValue[] = [];
    const end = rows[this.#at + NEXT];
    for (let at = this.#at + ROW; at < end; at = rows[at + NEXT]) {
      elements.push(new JsonValue(this.#text, at));
    }
    return elements;
  }

  /** The keys of an object with their values, in order, each as often as sent. */
  get entries(): [string, JsonValue][] {
    const { rows } = this.#text.room;
    const entries: [string, JsonValue][] = [];
    const end = rows[this.#at + NEXT];
    for (let at = this.#at + ROW; at < end; at = rows[at + ROW + NEXT]) {
      const value = new JsonValue(this.#text, at + ROW);
      entries.push([this.#text.string(at), value]);
    }
    return entries;
  }

  /**
   * Looks for a field of the struct that Go decodes an object into.
   *
   * @param name The field's name.
   * @returns The value behind the first key that means it, or undefined.
   */
  field(name: FieldName): JsonValue | undefined {
    const { rows } = this.#text.room;
    const end = rows[this.#at + NEXT];
    for (let at = this.#at + ROW; at < end; at = rows[at + ROW + NEXT]) {
      if (rows[at + HASH] === name.hash && this.#means(at, name.folded)) {
        return new JsonValue(this.#text, at + ROW);
      }
    }
  }

  /**
   * Looks for two keys of an object that mean the same field.
   *
   * @returns The field's folded name, or undefined where there are none.
   */
  repeatedField(): string | undefined {
    const { rows } = this.#text.room;
    const end = rows[this.#at + NEXT];
    seen.fill(0);
    let left = MAX_SEEN;
    for (let at = this.#at + ROW; at < end; at = rows[at + ROW + NEXT]) {
      let slot = rows[at + HASH] & (seen.length - 1);
      for (; seen[slot] !== 0; slot = (slot + 1) & (seen.length - 1)) {
        // Their names need not be equal yet, but who sends such keys can wait.
        if (rows[seen[slot] + HASH] === rows[at + HASH]) left = 0;
      }
      seen[slot] = at;
      if (left-- === 0) return this.#repeatedName();
    }
  }

  /** The same, at greater length. */
  #repeatedName(): string | undefined {
    const names = new Set<string>();
    for (const [key] of this.entries) {
      const name = foldKey(key);
      if (names.has(name)) return name;
      names.add(name);
    }
  }

  #means(at: number, folded: string): boolean {
    const { bytes, rows } = this.#text.room;
    const start = rows[at] + 1;
    const end = rows[at + END] - 1;
    if (end < 0) return foldKey(this.#text.string(at)) === folded;
    if (end - start !== folded.length) return false;
    for (let i = 0; i < folded.length; i++) {
      // Only a letter is turned into a letter by that bit.
      if ((bytes[start + i] | LOWER_CASE) !== folded.charCodeAt(i)) {
        return false;
      }
    }
    return true;
  }
}

/** Rows of keys, by their hashes; never more than half full. */
const seen = new Int32Array(512);
const MAX_SEEN = seen.length / 2;

/** Equal for keys that differ only in the case of ASCII letters. */
function hashOf(key: string): number {
  let hash = 0;
  for (let at = 0; at < key.length; at++) {
    hash = nextHash(hash, key.charCodeAt(at));
  }
  return hash;
}

function nextHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + (code | LOWER_CASE)) | 0;
}

/** Writes the rows of a text. */
class Reader {
  readonly #room: Room;
  readonly #bytes: Uint8Array;
  readonly #rows: Int32Array;
  #at = 0;
  #used = 0;
  #depth = 0;
  #isAscii = true;
  #isPlain = true;

  constructor(room: Room) {
    this.#room = room;
    this.#bytes = room.bytes;
    this.#rows = room.rows;
    // In no place does JSON take it, so that nothing is read beyond the end.
    this.#bytes[room.length] = 0;
  }

  readAll(): void {
    this.#skipSpace();
    this.#value();
    this.#skipSpace();
    const isWhole = this.#at === this.#room.length;
    if (!this.#isAscii || !isWhole) this.#checkUtf8();
    if (!isWhole) {
      throw new Unreadable(
        `its body goes on after the JSON value (at ${this.#place()})`,
      );
    }
  }

  #value(): void {
    const rows = this.#rows;
    const row = this.#used;
    this.#used = row + ROW;
    rows[row] = this.#at;
    this.#isPlain = true;
    switch (this.#bytes[this.#at]) {
      case OPEN_OBJECT:
        this.#nested(CLOSE_OBJECT);
        break;
      case OPEN_LIST:
        this.#nested(CLOSE_LIST);
        break;
      case QUOTE:
        this.#string();
        break;
      case LETTER_T:
        this.#word(TRUE);
        break;
      case LETTER_F:
        this.#word(FALSE);
        break;
      case LETTER_N:
        this.#word(NULL);
        break;
      default:
        this.#number();
    }
    rows[row + END] = this.#isPlain ? this.#at : -this.#at;
    rows[row + NEXT] = this.#used;
  }

  /** An object or a list. */
  #nested(close: number): void {
    if (++this.#depth > MAX_DEPTH) {
      throw new Unreadable(
        `its body is nested deeper than ${MAX_DEPTH} levels`,
      );
    }
    this.#at++;
    this.#skipSpace();
    if (this.#bytes[this.#at] === close) this.#at++;
    else {
      for (;;) {
        if (close === CLOSE_OBJECT) this.#key();
        this.#value();
        this.#skipSpace();
        const next = this.#bytes[this.#at++];
        if (next === close) break;
        if (next !== COMMA) this.#fail(this.#at - 1);
        this.#skipSpace();
      }
    }
    this.#depth--;
    this.#isPlain = true;
  }

  #key(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    if (bytes[start] !== QUOTE) this.#fail(start);
    let hash = 0;
    let at = start + 1;
    while (ENDS_PLAIN[bytes[at]] === 0) hash = nextHash(hash, bytes[at++]);
    let end = at + 1;
    if (bytes[at] === QUOTE) this.#at = end;
    else {
      this.#string();
      end = -this.#at;
      hash = hashOf(foldKey(unquote(this.#decode(start, this.#at))));
    }
    const row = this.#used;
    this.#used = row + ROW;
    this.#rows[row] = start;
    this.#rows[row + END] = end;
    this.#rows[row + HASH] = hash;
    this.#skipSpace();
    if (bytes[this.#at] !== COLON) this.#fail(this.#at);
    this.#at++;
    this.#skipSpace();
  }

  #string(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (;; at++) {
      while (ENDS_PLAIN[bytes[at]] === 0) at++;
      const byte = bytes[at];
      if (byte === QUOTE) break;
      this.#isPlain = false;
      if (byte >= 0x80) this.#isAscii = false;
      else if (byte !== BACKSLASH) this.#fail(at);
      else if (bytes[++at] === LETTER_U) {
        for (let digits = 0; digits < 4; digits++) {
          if (!isHexDigit(bytes[++at])) this.#fail(at);
        }
      } else if (!ESCAPES.has(bytes[at])) this.#fail(at);
    }
    this.#at = at + 1;
  }

  #word(word: Uint8Array): void {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at + i] !== word[i]) this.#fail(this.#at);
    }
    this.#at += word.length;
  }

  #number(): void {
    const bytes = this.#bytes;
    if (bytes[this.#at] === MINUS) this.#at++;
    if (bytes[this.#at] === ZERO) this.#at++;
    else this.#digits();
    if (bytes[this.#at] === DOT) {
      this.#at++;
      this.#digits();
    }
    if ((bytes[this.#at] | LOWER_CASE) === LETTER_E) {
      this.#at++;
      const sign = bytes[this.#at];
      if (sign === PLUS || sign === MINUS) this.#at++;
      this.#digits();
    }
  }

  #digits(): void {
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at])) this.#at++;
    if (this.#at === start) this.#fail(start);
  }

  #skipSpace(): void {
    while (IS_SPACE[this.#bytes[this.#at]] === 1) this.#at++;
  }

  #checkUtf8(): void {
    this.#decode(0, this.#room.length);
  }

  #decode(start: number, end: number): string {
    try {
      return decoder.decode(this.#bytes.subarray(start, end));
    } catch {
      throw new Unreadable("its body is not UTF-8");
    }
  }

  #fail(at: number): never {
    this.#checkUtf8();
    this.#at = at;
    throw new Unreadable(`its body is not JSON (at ${this.#place()})`);
  }

  #place(): string {
    const before = decoder.decode(this.#bytes.subarray(0, this.#at));
    return `character ${before.length + 1}`;
  }
}

function unquote(text: string): string {
  return (JSON.parse(text) as string).toWellFormed();
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | LOWER_CASE;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
