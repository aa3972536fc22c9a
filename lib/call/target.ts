/** A request target, read as Go's net/http and the engine's router read it. */
export interface Target {
  /** Decoded path without the API version: what the engine routes on. */
  path: string;
  /** Whether the path is UTF-8; if not, each byte of it is a character here. */
  isUtf8: boolean;
  /** API version out of the path, such as `1.41`, if it names one. */
  version?: string;
  /** Everything after the first `?`, as sent. */
  rawQuery: string;
}

/**
 * Reads a request target: origin form or absolute form, as
 * `url.ParseRequestURI` does, then takes off the version prefix as the router
 * does (`versionMatcher` in moby's daemon/server/server.go).
 *
 * @param uri `RequestUri` of the AuthZ request.
 * @returns Path, API version and raw query.
 */
export function parseTarget(uri: string): Target {
  const mark = uri.indexOf("?");
  const rawQuery = mark < 0 ? "" : uri.slice(mark + 1);
  let rawPath = mark < 0 ? uri : uri.slice(0, mark);

  if (!rawPath.startsWith("/")) {
    // Absolute form. Go takes any scheme; without "//" there is no authority.
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
