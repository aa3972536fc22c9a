/**
 * Reads TOML, and keeps the places.
 *
 * @module
 */
import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import { shown } from "../text.ts";
import {
  ConfigError,
  type Document,
  type Entry,
  isList,
  type Place,
  type Problem,
  type Value,
} from "./document.ts";

/** How much of a line a message shows, in UTF-16 code units. */
const SHOWN_LINE = 30;

/**
 * Reads the text of a TOML file (TOML 1.0).
 *
 * @param file Its name, for messages.
 * @param text Its text.
 * @returns What it says. Repeated keys and wrong escapes are among its
 *   problems.
 * @throws {ConfigError} If the text is no TOML for another reason: what comes
 *   behind such a mistake can't be told.
 */
export function parseToml(file: string, text: string): Document {
  const source = new Source(file, text);
  const table = new Map<string, Entry>();
  try {
    source.readTable(source.parse(), table);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // The stack is not deep enough for that many brackets.
    throw new ConfigError([{ file, message: `not TOML: ${error.message}` }]);
  }
  return { file, table, problems: source.problems };
}

/** A table that is being read. */
type OpenTable = Map<string, Entry>;

/**
 * A text, and what is wrong with it. The parser stops at the first mistake, but
 * an administrator wants to see all of them. So mistakes after which the rest
 * is still clear are noted, and taken out of the text for the next attempt.
 */
class Source {
  readonly problems: Problem[] = [];
  readonly #file: string;
  #text: string;
  /** Keys of ours in the text; each place counts those before it. */
  readonly #inserted: { key: string; at: AST.Position; length: number }[] = [];

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  /** @throws {ConfigError} If a mistake leaves the rest unclear. */
  parse(): AST.TOMLTopLevelTable {
    for (;;) {
      try {
        return parseTOML(this.#text, { tomlVersion: "1.0" }).body[0];
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
        if (!this.#repair(error)) throw new ConfigError(this.problems);
      }
    }
  }

  /** Notes a mistake. Returns whether the text can be parsed once more. */
  #repair({ message, index }: ParseError): boolean {
    if (/equals? /.test(message)) {
      // What lacks its value is what was before, maybe on another line.
      index = this.#text.slice(0, index).trimEnd().length;
    }
    const at = this.#positionOf(index);
    if (message.startsWith("Defining a key multiple times")) {
      const [name] = /^(?:"[^"]*"|'[^']*'|[\w-]*)/
        .exec(this.#text.slice(index))!;
      this.#report(at, `${shown(name)} is there twice: keep one of them`);
      this.#separate(index, at);
      return true;
    }
    const line = this.#text.slice(index).split(/\r?\n/, 1)[0];
    if (message.includes("escape sequence") && line !== "") {
      const start = this.#text.lastIndexOf("\\", index);
      const escape = this.#text.slice(start, index + 1);
      this.#report(
        this.#positionOf(start),
        `"${shown(escape)}" is no escape of TOML: write patterns in ` +
          "'single quotes'",
      );
      this.#text = this.#text.slice(0, start) + "_".repeat(escape.length) +
        this.#text.slice(index + 1);
      return true;
    }
    const where = line === ""
      ? "the end of the line"
      : `"${shown(line, SHOWN_LINE)}"`;
    this.#report(at, `not TOML at ${where}: ${message}`);
    return false;
  }

  /** Puts a repeated key into a table of its own. */
  #separate(index: number, at: AST.Position): void {
    const key = `repetition ${this.#inserted.length}`;
    const text = `"${key}".`;
    this.#text = this.#text.slice(0, index) + text + this.#text.slice(index);
    this.#inserted.push({ key, at, length: text.length });
  }

  #positionOf(index: number): AST.Position {
    const lines = this.#text.slice(0, index).split("\n");
    return { line: lines.length, column: lines[lines.length - 1].length };
  }

  #report(at: AST.Position, message: string): void {
    this.problems.push({ file: this.#file, place: this.#placeOf(at), message });
  }

  /** Where something was before anything was put into the text. */
  #placeOf({ line, column }: AST.Position): Place {
    for (const { at, length } of this.#inserted.toReversed()) {
      if (line === at.line && column > at.column) column -= length;
    }
    return { line, column: column + 1 };
  }

  /** Adds to a table what is written in its body. */
  readTable(
    { body }: AST.TOMLTopLevelTable | AST.TOMLTable | AST.TOMLInlineTable,
    table: OpenTable,
  ): void {
    for (const node of body) {
      const value = node.type === "TOMLKeyValue"
        ? this.#readValue(node.value)
        : this.#readHeader(node);
      const content = this.#add(table, this.#keysOf(node.key), value);
      if (node.type !== "TOMLTable") continue;
      const body = isList(content) ? content.at(-1)?.content : content;
      if (body instanceof Map) this.readTable(node, body);
    }
  }

  /** `[table]`, or an element of the list `[[tables]]`. */
  #readHeader({ kind, loc }: AST.TOMLTable): Value {
    const place = this.#placeOf(loc.start);
    const table: Value = { place, content: new Map() };
    return kind === "array" ? { place, content: [table] } : table;
  }

  #readValue(node: AST.TOMLContentNode): Value {
    const place = this.#placeOf(node.loc.start);
    switch (node.type) {
      case "TOMLValue":
        return { place, content: node.value };
      case "TOMLArray":
        return {
          place,
          content: node.elements.map((element) => this.#readValue(element)),
        };
      case "TOMLInlineTable": {
        const content: OpenTable = new Map();
        this.readTable(node, content);
        return { place, content };
      }
    }
  }

  /**
   * Adds a value, with the tables that a dotted key stands for. Returns what
   * the key means now: if it was there before, that stays.
   */
  #add(table: OpenTable, keys: Key[], value: Value): Value["content"] {
    const [{ name, place }, ...rest] = keys;
    const fresh = rest.length > 0 ? { place, content: new Map() } : value;
    const known = table.get(name);
    const entry = known ?? { place, value: fresh };
    table.set(name, entry);
    const { content } = entry.value;
    if (known && isList(content) && isList(fresh.content)) {
      const list = [...content, ...fresh.content];
      table.set(name, { place, value: { ...entry.value, content: list } });
      return list;
    }
    return rest.length > 0 && content instanceof Map
      ? this.#add(content, rest, value)
      : content;
  }

  /** The parts of a dotted key, without ours. */
  #keysOf({ keys }: AST.TOMLKey): Key[] {
    return keys
      .map((key) => ({
        name: key.type === "TOMLBare" ? key.name : key.value,
        place: this.#placeOf(key.loc.start),
      }))
      .filter(({ name }) => this.#inserted.every(({ key }) => key !== name));
  }
}

/** A part of a dotted key. */
interface Key {
  readonly name: string;
  readonly place: Place;
}
