import { assertThrows } from "@std/assert";
import { ConfigError } from "../../../lib/config/document.ts";

/**
 * Reads something that has mistakes.
 *
 * @param read Reads it.
 * @returns `line:column: message` for each mistake, in the order in which they
 *   are reported.
 */
export function problems(read: () => unknown): string[] {
  const error: ConfigError = assertThrows(read, ConfigError);
  return error.problems.map(({ place, message }) =>
    place ? `${place.line}:${place.column}: ${message}` : message
  );
}

/** The same, without columns. */
export function problemLines(read: () => unknown): string[] {
  return problems(read).map((text) => text.replace(/^(\d+):\d+:/, "$1:"));
}
