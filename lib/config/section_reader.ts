/**
 * Reads a section of a settings file, key by key.
 *
 * @module
 */
import type { BindEntry } from "../policy/rules/binds.ts";
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

/**
 * A section; each key is asked for once, and what is left over is a mistake.
 */
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

  /**
   * @param key The key.
   * @param words The words that the list may have.
   * @returns The list; empty if the key is missing.
   */
  words<Word extends string>(
    key: string,
    words: readonly Word[],
  ): readonly Word[] {
    const isWord = (entry: string): entry is Word =>
      words.some((word) => word === entry);
    return this.strings(
      key,
      [],
      (entry) =>
        isWord(entry) ? undefined : `expected one of ${words.join(", ")}`,
    ).filter(isWord);
  }

  /**
   * @param key The key.
   * @param check Checks each path.
   * @returns The list of paths, each alone or as a table with `path`,
   *   `read-only` and `below`; empty if the key is missing.
   */
  directories(key: string, check: EntryCheck): readonly BindEntry[] {
    const value = this.#take(key);
    if (!value) return [];
    const given = isList(value.content) ? value.content : [value];
    const entries = given.map(readDirectory);
    if (!isList(value.content) || entries.includes(undefined)) {
      this.#wrong(
        key,
        value,
        'a list of directories, such as ["/srv/", { path = "/etc/pki/", ' +
          "read-only = true }]",
      );
      return [];
    }
    return entries.filter((entry) => entry !== undefined)
      .map((entry, at) => {
        const path = typeof entry === "string" ? entry : entry.path;
        const complaint = check(path);
        if (complaint !== undefined) {
          this.problem(
            given[at].place,
            `${key} is ${quoted(path)}: ${complaint}`,
          );
        }
        return entry;
      });
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

/** Undefined for what is no directory. */
function readDirectory({ content }: Value): BindEntry | undefined {
  if (typeof content === "string") return content;
  if (!(content instanceof Map)) return undefined;
  const table: Table = content;
  const { path, "read-only": readOnly = false, below = true, ...others } =
    Object.fromEntries(
      Array.from(table, ([key, { value }]) => [key, value.content]),
    );
  return typeof path === "string" && typeof readOnly === "boolean" &&
      typeof below === "boolean" && Object.keys(others).length === 0
    ? { path, readOnly, below }
    : undefined;
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
