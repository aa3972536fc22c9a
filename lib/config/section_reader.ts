/**
 * Reads a section of a settings file, key by key.
 *
 * @module
 */
import {
  InvalidPattern,
  type Pattern,
  readPattern,
} from "../policy/rules/patterns.ts";
import { shown } from "../text.ts";
import {
  type Document,
  isList,
  type Place,
  type Table,
  type Value,
  withoutPlaces,
} from "./document.ts";

/** Says what is wrong with an entry of a list, if anything. */
export type EntryCheck = (entry: string) => string | undefined;

/** A section; each key is asked for once, and what is left over is a mistake. */
export class SectionReader {
  readonly #document: Document;
  readonly #name: string;
  readonly #table: Table;
  readonly #known = new Set<string>();

  /**
   * @param document The file.
   * @param name The section's name; empty for a file without sections.
   * @param table What the section says.
   */
  constructor(document: Document, name: string, table = document.table) {
    this.#document = document;
    this.#name = name;
    this.#table = table;
  }

  /** @returns Whether the section has this key. */
  has(key: string): boolean {
    this.#known.add(key);
    return this.#table.has(key);
  }

  /** @returns The key's value, or `whenMissing`. */
  boolean(key: string, whenMissing: boolean): boolean {
    const value = this.#take(key);
    if (typeof value?.content === "boolean") return value.content;
    if (value) this.#wrong(key, value, "true or false");
    return whenMissing;
  }

  /**
   * @param key The key.
   * @param whenMissing The list if the key is not there.
   * @param check Checks each entry.
   * @returns The list.
   */
  strings(
    key: string,
    whenMissing: readonly string[] = [],
    check: EntryCheck = () => undefined,
  ): readonly string[] {
    const entries = this.#entries(key);
    for (const { content: text, place } of entries ?? []) {
      const complaint = check(text);
      if (complaint !== undefined) {
        this.problem(place, `${key} is ${quoted(text)}: ${complaint}`);
      }
    }
    return entries?.map(({ content }) => content) ?? whenMissing;
  }

  /** @returns The list of regular expressions; empty if the key is missing. */
  patterns(key: string): readonly Pattern[] {
    return this.#entries(key)?.flatMap(({ content: text, place }) => {
      try {
        return [readUsefulPattern(text)];
      } catch (error) {
        if (!(error instanceof InvalidPattern)) throw error;
        this.problem(place, `${key}: ${error.message}`);
        return [];
      }
    }) ?? [];
  }

  /** Reports the keys that nobody asked for. */
  done(): void {
    const where = this.#name === "" ? "" : ` in [${this.#name}]`;
    for (const [key, { place }] of this.#table) {
      if (this.#known.has(key)) continue;
      this.problem(
        place,
        `unknown key ${shown(key)}${where}: expected one of ` +
          [...this.#known].join(", "),
      );
    }
  }

  /**
   * Reports a mistake.
   *
   * @param where The place, or the key at whose place it is.
   * @param message What is wrong.
   */
  problem(where: Place | string, message: string): void {
    const place = typeof where === "string"
      ? this.#table.get(where)?.place
      : where;
    const { file, problems } = this.#document;
    problems.push({ file, place, message });
  }

  #take(key: string): Value | undefined {
    this.#known.add(key);
    const value = this.#table.get(key)?.value;
    return value?.content === null ? undefined : value; // `null` is JSON's.
  }

  /** The entries of a list of strings; undefined if there is none. */
  #entries(key: string): readonly Text[] | undefined {
    const value = this.#take(key);
    if (!value) return undefined;
    const { content } = value;
    if (isList(content) && content.every(isText)) return content;
    this.#wrong(key, value, `a list of strings, such as ["one", "two"]`);
    return undefined;
  }

  #wrong(key: string, value: Value, expected: string): void {
    const given = shown(JSON.stringify(withoutPlaces(value)));
    this.problem(key, `${key} is ${given}: expected ${expected}`);
  }
}

/** A string with its place. */
type Text = Value & { content: string };

function isText(value: Value): value is Text {
  return typeof value.content === "string";
}

/** Two kinds of patterns that Go accepts are surely not what was meant. */
function readUsefulPattern(text: string): Pattern {
  if (text === "") {
    throw new InvalidPattern(
      'pattern "" matches every image: leave it out, or set default-allow',
    );
  }
  const pattern = readPattern(text);
  // deno-lint-ignore no-control-regex -- what "\b" and "\n" mean in TOML
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new InvalidPattern(
      `pattern ${quoted(text)} has a control character, which no name has: ` +
        "write patterns in 'single quotes'",
    );
  }
  return pattern;
}

function quoted(text: string): string {
  return shown(JSON.stringify(text));
}
