import { RE2JS } from "re2js";
import { messageOf, shown } from "../../text.ts";

/** An entry of a whitelist or blacklist, which Go's regexp package accepts. */
export interface Pattern {
  /** The pattern as it was written. */
  readonly source: string;
  /**
   * Whether the pattern itself names `docker.io`, so that it is meant for names
   * with the registry in front (`docker.io/library/alpine:3`) and not for
   * familiar ones (`alpine:3`).
   */
  readonly full: boolean;
  /** Matches in time proportional to the name's length. */
  readonly regexp: RE2JS;
}

/**
 * A text that Go's regexp package refuses. The message shows the text and says
 * why.
 */
export class InvalidPattern extends Error {
  override name = "InvalidPattern";
}

/**
 * `docker.io` as people write it in a pattern: with a bare dot, `\.`, `[.]`,
 * `\x2e`, inside `\Q…\E`, in any letter case. If it goes on (`docker.ionic`),
 * it is another name.
 */
const NAMES_HUB = /docker(?:\\?\.|\[\\?\.\]|\\x2e|\\x\{2e\})io(?![a-z0-9])/i;

/**
 * Reads a pattern as Go's regexp package would: RE2 syntax, unanchored, no
 * backtracking.
 *
 * re2js is a port of Go's regexp, and gives the same results and the same error
 * texts. It follows a newer Go than the old plugin was built with, and so takes
 * a few patterns more, such as `(?<name>…)`.
 *
 * @param text The pattern.
 * @returns The pattern.
 * @throws {InvalidPattern} If Go would refuse the text: lookaround,
 *   backreferences, `a**`, more than 1000 repetitions, invalid Unicode and the
 *   like.
 */
export function readPattern(text: string): Pattern {
  if (!text.isWellFormed()) {
    throw new InvalidPattern(refusal(text, "invalid UTF-8"));
  }
  try {
    const regexp = RE2JS.compile(text);
    return { source: text, full: NAMES_HUB.test(text), regexp };
  } catch (error) {
    const reason = messageOf(error);
    throw new InvalidPattern(
      refusal(text, reason.replace(/^error parsing regexp: /, "")),
    );
  }
}

function refusal(text: string, reason: string): string {
  return `pattern "${shown(text)}" is no Go regular expression: ` +
    shown(reason);
}
