import { Unreadable } from "./unreadable.ts";

/** A request target, read as Go's net/http and the engine's router read it. */
export interface Target {
  /** Decoded path without the API version: what the engine routes on. */
  path: string;
  /** Whether the path is UTF-8; if not, each byte of it is a character here. */
  isUtf8: boolean;
  /** API version out of the path, such as `1.41`, if it names one. */
  version?: string;
  /** Everything behind the first `?`, as sent. */
  rawQuery: string;
}

/**
 * Reads a request target: origin form or absolute form, as `url.ParseRequestURI`
 * does, then takes off the version prefix as the router does
 * (`versionMatcher` in moby's daemon/server/server.go).
 *
 * @param uri `RequestUri` of the AuthZ request.
 * @returns Path, API version and raw query.
 */
export function parseTarget(uri: string): Target {
  const mark = uri.indexOf("?");
  const rawQuery = mark < 0 ? "" : uri.slice(mark + 1);
  let rawPath = mark < 0 ? uri : uri.slice(0, mark);

  if (!rawPath.startsWith("/")) {
    // Absolute form. Go takes any scheme, and one without "//" has no authority.
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(rawPath);
    if (scheme) {
      rawPath = rawPath.slice(scheme[0].length).replace(/^\/\/[^/]*/, "");
    }
  }

  let path = rawPath;
  let isUtf8 = true;
  try {
    // The same escapes that Go decodes in a path; "+" stays a plus in both.
    if (rawPath.includes("%")) path = decodeURIComponent(rawPath);
  } catch {
    isUtf8 = false;
    path = rawPath.replace(
      /%([0-9a-fA-F]{2})/g,
      (_, hex) => String.fromCharCode(parseInt(hex, 16)),
    );
  }
  const versioned = /^\/v([0-9.]+)(\/.*)$/s.exec(path);
  return versioned
    ? { path: versioned[2], isUtf8, version: versioned[1], rawQuery }
    : { path, isUtf8, rawQuery };
}

/**
 * More than any client sends; from 10,000 on, newer Go reads none of them
 * (`urlmaxqueryparams`, on from Docker Engine 29.2).
 */
const MAX_PARAMETERS = 1000;

/** A query as Go reads it. */
export class Query {
  readonly #values = new Map<string, string>();

  /**
   * Reads a query as Go's `url.ParseQuery`.
   *
   * @param rawQuery Everything behind the `?`.
   * @throws {Unreadable} where Go refuses the query, or drops a part of it, and
   *   other readers do not: a `;` (a separator up to Go 1.16), a bad escape, more
   *   than 1,000 parameters.
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
   * @param key A key.
   * @returns Its first value, which is the one that counts; undefined without one.
   * @throws {Unreadable} where the value is not UTF-8.
   */
  get(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    return decode(value) ?? unreadable(`its query's ${key} is not UTF-8`);
  }
}

function unreadable(reason: string): never {
  throw new Unreadable(reason);
}

/** Undefined where the bytes are not UTF-8, which none of our keys is. */
function decode(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
