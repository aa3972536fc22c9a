import { shown } from "../text.ts";
import { type FieldName, fieldName, type JsonValue } from "./json.ts";
import { Unreadable } from "./unreadable.ts";

/**
 * A JSON object that the engine decodes into a Go struct, read field by field.
 * Values of another type than the field's make the engine refuse the request;
 * here they are {@link Unreadable}.
 */
export class Struct {
  readonly #object: JsonValue | undefined;
  readonly #where: string;

  /**
   * @param object The object as sent; undefined for one without fields.
   * @param where What to call it in a denial, such as `HostConfig`.
   * @throws {Unreadable} where two keys fold to one name: Go merges their
   *   values field by field, and element by element.
   */
  constructor(object: JsonValue | undefined, where: string) {
    this.#object = object;
    this.#where = where;
    const repeated = object?.repeatedField();
    if (repeated !== undefined) {
      throw new Unreadable(
        `two keys in ${where} mean the same field, "${
          shown(repeated, 60)
        }": send it once`,
      );
    }
  }

  /**
   * Reads a field that is a struct.
   *
   * @param name The field's name in the engine's API.
   * @returns Its fields, or undefined where it is absent or null.
   */
  struct(name: string): Struct | undefined {
    const value = this.#field(name);
    return value &&
      new Struct(this.#of(name, value, "object"), this.#path(name));
  }

  /**
   * Reads a field that is a list of structs.
   *
   * @param name The field's name in the engine's API.
   * @returns The elements; null ones are structs without fields, as in Go.
   */
  structs(name: string): Struct[] {
    return this.#elements(name).map((element) =>
      new Struct(
        element && this.#of(name, element, "object"),
        this.#path(name),
      )
    );
  }

  /**
   * Reads a field that is a list of strings.
   *
   * @param name The field's name in the engine's API.
   * @returns The elements; null ones are empty, as in Go.
   */
  strings(name: string): string[] {
    return this.#elements(name).map((element) => this.#text(name, element));
  }

  /**
   * Reads a field that is a string.
   *
   * @param name The field's name in the engine's API.
   * @returns Its text, empty where it is absent or null.
   */
  string(name: string): string {
    return this.#text(name, this.#field(name));
  }

  /**
   * Reads the keys of a field that is a Go map: they are case-sensitive, and may
   * look alike.
   *
   * @param name The field's name in the engine's API.
   * @returns The keys as sent.
   */
  keys(name: string): string[] {
    const value = this.#field(name);
    return value
      ? this.#of(name, value, "object").entries.map(([key]) => key)
      : [];
  }

  /** Undefined where it is absent or null, which is the same to Go. */
  #field(name: string): JsonValue | undefined {
    let known = FIELD_NAMES.get(name);
    if (!known) FIELD_NAMES.set(name, known = fieldName(name));
    return orUndefined(this.#object?.field(known));
  }

  #elements(name: string): (JsonValue | undefined)[] {
    const value = this.#field(name);
    return value ? this.#of(name, value, "list").elements.map(orUndefined) : [];
  }

  #text(name: string, value: JsonValue | undefined): string {
    return value ? this.#of(name, value, "string").string : "";
  }

  #of(name: string, value: JsonValue, type: keyof typeof EXPECTED): JsonValue {
    if (value.type === type) return value;
    throw new Unreadable(`${this.#path(name)} is not ${EXPECTED[type]}`);
  }

  #path(name: string): string {
    return this.#where === "the body" ? name : `${this.#where}.${name}`;
  }
}

const EXPECTED = {
  list: "a list",
  object: "an object",
  string: "a string",
} as const;

/** As many as the source has. */
const FIELD_NAMES = new Map<string, FieldName>();

function orUndefined(value: JsonValue | undefined): JsonValue | undefined {
  return value?.type === "null" ? undefined : value;
}
