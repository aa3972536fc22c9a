/**
 * What a settings file says, in which place, and what is wrong with it. This is
 * what the readers of TOML and of JSON have in common.
 *
 * @module
 */

/** A place in a file: line and column, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A value in a file. */
export interface Value {
  readonly place: Place;
  readonly content: Table | readonly Value[] | Scalar;
}

/** What is neither a table nor a list. */
export type Scalar = string | number | boolean | Date | null;

/** A table in a file: its values by their keys. */
export type Table = ReadonlyMap<string, Entry>;

/** A key with its value. */
export interface Entry {
  /** Where the key is. */
  readonly place: Place;
  readonly value: Value;
}

/** A file that has been read, although it may have mistakes. */
export interface Document {
  /** Its name, for messages. */
  readonly file: string;
  readonly table: Table;
  /** What is wrong with it; readers of its keys add to this. */
  readonly problems: Problem[];
}

/** Something in a file that can't be followed. */
export interface Problem {
  readonly file: string;
  /** Where; undefined if the whole file can't be read. */
  readonly place?: Place;
  readonly message: string;
}

/** A file that can't be followed, with everything that is wrong with it. */
export class ConfigError extends Error {
  /** What is wrong, in the order of the file's lines. */
  readonly problems: readonly Problem[];

  /** @param problems What is wrong, in any order. */
  constructor(problems: readonly Problem[]) {
    const inOrder = problems.toSorted(byPlace);
    super(inOrder.map(formatProblem).join("\n"));
    this.name = "ConfigError";
    this.problems = inOrder;
  }
}

function byPlace({ place: a }: Problem, { place: b }: Problem): number {
  return (a?.line ?? 0) - (b?.line ?? 0) ||
    (a?.column ?? 0) - (b?.column ?? 0);
}

/**
 * Writes a problem as a line.
 *
 * @param problem The problem.
 * @returns File, line, column and message, as compilers write them.
 */
export function formatProblem({ file, place, message }: Problem): string {
  return place
    ? `${file}:${place.line}:${place.column}: ${message}`
    : `${file}: ${message}`;
}

/**
 * Strips a value of the places, for messages.
 *
 * @param value A value in a file.
 * @returns The same as `JSON.stringify` wants it.
 */
export function withoutPlaces({ content }: Value): unknown {
  if (content instanceof Map) {
    return Object.fromEntries(
      Array.from(content, ([key, { value }]) => [key, withoutPlaces(value)]),
    );
  }
  return isList(content) ? content.map(withoutPlaces) : content;
}

/**
 * Tells a list from other content.
 *
 * @param content What a value holds.
 * @returns Whether it is a list.
 */
export function isList(content: Value["content"]): content is readonly Value[] {
  return Array.isArray(content);
}
