/**
 * Texts for people.
 *
 * @module
 */

/**
 * Makes a name that came out of a request fit for a message or a log line:
 * control characters are escaped, and what is too long is cut.
 *
 * @param name Any text, of any length.
 * @param limit Longest text to return, in UTF-16 code units.
 * @returns One printable line.
 */
export function shown(name: string, limit = 200): string {
  return printable(cut(name, limit));
}

/**
 * Cuts what is too long.
 *
 * @param text Any text.
 * @param limit Longest text to return, in UTF-16 code units.
 * @returns The text, or its beginning; control characters and all.
 */
export function cut(text: string, limit = 200): string {
  return text.length > limit ? text.slice(0, limit) + "…" : text;
}

/**
 * Escapes what must not reach a terminal or break a line: control characters,
 * and those that turn the direction of writing.
 *
 * @param text Any text.
 * @returns One printable line.
 */
export function printable(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex -- these are what must not reach a terminal or a log line
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/**
 * Says what went wrong.
 *
 * @param error What was thrown.
 * @returns Its message, without the name of its class.
 */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
