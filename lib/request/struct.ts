import { shown } from "../policy/decision.ts";
import { JsonObject, type JsonValue } from "./json.ts";
import { Unreadable } from "./unreadable.ts";

/**
 * Folds an object key as Go's `encoding/json` does when it looks for the struct
 * field of that name (`foldName` in encoding/json/fold.go): Unicode simple
 * folding, by which, beside A–Z, only `ſ` (U+017F) and `K` (U+212A) meet an
 * ASCII letter. All field names of the engine's API are ASCII.
 *
 * @param key An object key as sent.
 * @returns The name to compare by.
 */
export function foldKey(key: string): string {
  return key
    .replaceAll("\u017f", "s")
    .replaceAll("\u212a", "k")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * A JSON object that the engine decodes into a Go struct, read field by field.
 * Values of another type than the field's make the engine refuse the request;
 * here they are {@link Unreadable}.
 */
export class Struct {
  readonly #fields = new Map<string, JsonValue>();
  readonly #where: string;

  /**
   * @param object The object as sent.
   * @param where What to call it in a denial, such as `HostConfig`.
   * @throws {Unreadable} where two keys fold to one name: Go merges their
   *   values field by field, and element by element.
   */
  constructor(object: JsonObject, where: string) {
    this.#where = where;
    for (const [key, value] of object.entries) {
      const name = foldKey(key);
      if (this.#fields.has(name)) {
        throw new Unreadable(
          `two keys in ${where} mean the same field, "${
            shown(name, 60)
          }": send it once`,
        );
      }
      this.#fields.set(name, value);
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
    return value === null
      ? undefined
      : new Struct(this.#object(name, value), this.#path(name));
  }

  /**
   * Reads a field that is a list of structs.
   *
   * @param name The field's name in the engine's API.
   * @returns The elements; null ones are structs without fields, as in Go.
   */
  structs(name: string): Struct[] {
    return this.#array(name).map((element) =>
      new Struct(
        element === null ? new JsonObject() : this.#object(name, element),
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
    return this.#array(name).map((element) => this.#text(name, element));
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
    return value === null
      ? []
      : this.#object(name, value).entries.map(([key]) => key);
  }

  #field(name: string): JsonValue {
    return this.#fields.get(foldKey(name)) ?? null;
  }

  #array(name: string): JsonValue[] {
    const value = this.#field(name) ?? [];
    return Array.isArray(value) ? value : this.#wrong(name, "a list");
  }

  #object(name: string, value: JsonValue): JsonObject {
    return value instanceof JsonObject ? value : this.#wrong(name, "an object");
  }

  #text(name: string, value: JsonValue): string {
    if (value === null) return "";
    return typeof value === "string" ? value : this.#wrong(name, "a string");
  }

  #path(name: string): string {
    return this.#where === "the body" ? name : `${this.#where}.${name}`;
  }

  #wrong(name: string, expected: string): never {
    throw new Unreadable(`${this.#path(name)} is not ${expected}`);
  }
}
