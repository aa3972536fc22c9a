import { shown } from "../text.ts";
import { foldKey } from "./fold.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { Unreadable } from "./unreadable.ts";

/**
 * A JSON object that the engine decodes into a Go struct, read field by field.
 * A value of another type than its field's makes the engine refuse the request;
 * here it is {@link Unreadable}.
 */
export class Struct {
  /**
   * Values by the folded names of their keys, with a dot in front: V8 spreads
   * names that are numbers badly, and takes half a minute for 4 MB of them.
   */
  readonly #fields = new Map<string, Json>();
  readonly #where: string;

  /**
   * @param object The object as sent.
   * @param where What to call it in a denial, such as `HostConfig`.
   * @throws {Unreadable} If two keys fold to one name: Go merges their values
   *   field by field, and element by element.
   */
  constructor(object: JsonObject, where: string) {
    this.#where = where;
    for (const [key, value] of Object.entries(object)) {
      const name = foldKey(key.toWellFormed());
      if (this.#fields.has(`.${name}`)) {
        throw new Unreadable(
          `two keys in ${where} mean the same field, "${shown(name, 60)}": ` +
            "send it once",
        );
      }
      this.#fields.set(`.${name}`, value);
    }
  }

  /**
   * Reads a field that is a struct.
   *
   * @param name The field's name in the engine's API.
   * @returns Its fields, or undefined if it is absent or null.
   * @throws {Unreadable} If it is not an object, or two of its keys mean the
   *   same field.
   */
  struct(name: string): Struct | undefined {
    const value = this.#field(name);
    return value === null ? undefined : this.#asStruct(name, value);
  }

  /**
   * Reads a field that is a list of structs.
   *
   * @param name The field's name in the engine's API.
   * @returns The elements; null ones are structs without fields, as in Go.
   * @throws {Unreadable} If it is not a list of objects, or two keys of an
   *   element mean the same field.
   */
  structs(name: string): Struct[] {
    return this.#list(name).map((element) =>
      this.#asStruct(name, element ?? {})
    );
  }

  /**
   * Reads a field that is a list of strings.
   *
   * @param name The field's name in the engine's API.
   * @returns The elements; null ones are empty, as in Go.
   * @throws {Unreadable} If it is not a list of strings.
   */
  strings(name: string): string[] {
    return this.#list(name).map((element) => this.#asString(name, element));
  }

  /**
   * Reads a field that is a string.
   *
   * @param name The field's name in the engine's API.
   * @returns Its text; empty if it is absent or null.
   * @throws {Unreadable} If it is not a string.
   */
  string(name: string): string {
    return this.#asString(name, this.#field(name));
  }

  /**
   * Reads a field that is a boolean.
   *
   * @param name The field's name in the engine's API.
   * @returns It; false if it is absent or null.
   * @throws {Unreadable} If it is not a boolean.
   */
  boolean(name: string): boolean {
    const value = this.#field(name) ?? false;
    return typeof value === "boolean"
      ? value
      : this.#refuse(name, "true or false");
  }

  /**
   * Reads a field that is a number.
   *
   * @param name The field's name in the engine's API.
   * @returns It; undefined if it is absent or null.
   * @throws {Unreadable} If it is not a number.
   */
  number(name: string): number | undefined {
    const value = this.#field(name);
    if (value === null) return undefined;
    return typeof value === "number" ? value : this.#refuse(name, "a number");
  }

  /**
   * Reads a field that is a list of lists of strings.
   *
   * @param name The field's name in the engine's API.
   * @returns The lists; null ones are empty, as in Go.
   * @throws {Unreadable} If it is not a list of lists of strings.
   */
  stringLists(name: string): string[][] {
    return this.#list(name).map((list) =>
      Array.isArray(list ?? [])
        ? (list as Json[] | null ?? []).map((each) =>
          this.#asString(name, each)
        )
        : this.#refuse(name, "a list of lists")
    );
  }

  /**
   * Reads a field that is a Go map of strings. Its keys are case-sensitive.
   *
   * @param name The field's name in the engine's API.
   * @returns The values by their keys; null ones are empty, as in Go.
   * @throws {Unreadable} If it is not an object with strings.
   */
  stringMap(name: string): ReadonlyMap<string, string> {
    const object = this.#asObject(name, this.#field(name) ?? {});
    return new Map(
      Object.entries(object).map((
        [key, value],
      ) => [key.toWellFormed(), this.#asString(name, value)]),
    );
  }

  /**
   * Reads a field that is a Go map of structs. Its keys are case-sensitive.
   *
   * @param name The field's name in the engine's API.
   * @returns The values by their keys; null ones are structs without fields.
   * @throws {Unreadable} If it is not an object with objects.
   */
  structMap(name: string): ReadonlyMap<string, Struct> {
    const object = this.#asObject(name, this.#field(name) ?? {});
    return new Map(
      Object.entries(object).map((
        [key, value],
      ) => [key.toWellFormed(), this.#asStruct(name, value ?? {})]),
    );
  }

  /**
   * Lists the fields that say something: null, false, 0, empty texts, lists and
   * objects are what Go takes for a field that is absent.
   *
   * @returns Their names, folded as {@link foldKey} does.
   */
  saying(): string[] {
    return [...this.#fields].filter(([, value]) => !isZero(value))
      .map(([name]) => name.slice(1));
  }

  /**
   * Tells whether a field is there.
   *
   * @param name The field's name in the engine's API.
   * @returns Whether it is more than null: an empty list is not null in Go.
   */
  has(name: string): boolean {
    return this.#field(name) !== null;
  }

  /**
   * Reads the keys of a field that is a Go map. They are case-sensitive: `Foo`
   * beside `foo` is fine.
   *
   * @param name The field's name in the engine's API.
   * @returns The keys.
   * @throws {Unreadable} If it is not an object.
   */
  keys(name: string): string[] {
    const object = this.#asObject(name, this.#field(name) ?? {});
    return Object.keys(object).map((key) => key.toWellFormed());
  }

  /** Null if it is absent, which is the same to Go. */
  #field(name: string): Json {
    return this.#fields.get(`.${foldKey(name)}`) ?? null;
  }

  #list(name: string): Json[] {
    const value = this.#field(name) ?? [];
    return Array.isArray(value) ? value : this.#refuse(name, "a list");
  }

  #asStruct(name: string, value: Json): Struct {
    return new Struct(this.#asObject(name, value), this.#path(name));
  }

  #asObject(name: string, value: Json): JsonObject {
    return isObject(value) ? value : this.#refuse(name, "an object");
  }

  /** Go makes U+FFFD of lone surrogates. */
  #asString(name: string, value: Json): string {
    const text = value ?? "";
    return typeof text === "string"
      ? text.toWellFormed()
      : this.#refuse(name, "a string");
  }

  #refuse(name: string, expected: string): never {
    throw new Unreadable(`${this.#path(name)} is not ${expected}`);
  }

  #path(name: string): string {
    return this.#where === "the body" ? name : `${this.#where}.${name}`;
  }
}

function isZero(value: Json): boolean {
  if (typeof value !== "object" || value === null) return !value;
  return Array.isArray(value)
    ? value.every(isZero)
    : Object.keys(value).length === 0;
}
