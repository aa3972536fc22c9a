import { Unreadable } from "./unreadable.ts";

/**
 * More than any client sends. Given 10,000 or more, newer versions of Go read
 * none of them (`urlmaxqueryparams`; Docker Engine 29.2 and later).
 */
const MAX_PARAMETERS = 1000;

/** A query as Go reads it. */
export class Query {
  /** The first value of each key, still encoded. */
  readonly #values = new Map<string, string>();

  /**
   * Reads a query as Go's `url.ParseQuery`.
   *
   * @param rawQuery Everything after the first `?`.
   * @throws {Unreadable} If Go refuses it, or drops a part of it that other
   *   readers keep: a `;` (a separator up to Go 1.16), a bad escape, more than
   *   1,000 parameters.
   */
  constructor(rawQuery: string) {
    if (rawQuery.includes(";")) {
      throw new Unreadable('its query has a ";": write it as %3B');
    }
    if (/%(?![0-9a-fA-F]{2})/.test(rawQuery)) {
      throw new Unreadable('its query has a "%" that begins no escape');
    }
    const parts = rawQuery.split("&");
    if (parts.length > MAX_PARAMETERS) {
      throw new Unreadable(
        `its query has more than ${MAX_PARAMETERS} parameters`,
      );
    }
    for (const part of parts) {
      const equals = part.indexOf("=");
      const key = decode(equals < 0 ? part : part.slice(0, equals));
      if (key === undefined || this.#values.has(key)) continue;
      this.#values.set(key, equals < 0 ? "" : part.slice(equals + 1));
    }
  }

  /**
   * Looks a parameter up.
   *
   * @param key Its name.
   * @returns Its first value, which is the one that Go goes by; undefined if
   *   the query does not have it.
   * @throws {Unreadable} If the value is not UTF-8.
   */
  get(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    const text = decode(value);
    if (text === undefined) {
      throw new Unreadable(`its query's ${key} is not UTF-8`);
    }
    return text;
  }
}

/** Undefined if the bytes are not UTF-8. No key that is asked for has such. */
function decode(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
