import { RE2JS } from "re2js";
import { shown } from "../../text.ts";

/** A name in the two forms that patterns are meant for. */
export interface NameForms {
  familiar: string;
  full: string;
}

/** The entries of a whitelist or blacklist. */
export interface PatternList {
  /** The entries, in their order. */
  readonly patterns: readonly Pattern[];
  /**
   * Looks for the patterns anywhere in a name, as Go's `Regexp.Match` does, in time proportional to
   * the name's length.
   *
   * @param forms The name.
   * @returns The first pattern, in the list's order, that is there in the form that it is meant for.
   */
  find(forms: NameForms): Pattern | undefined;
}

/** An entry of a whitelist or blacklist, which Go's regexp package accepts. */
export interface Pattern {
  /** The pattern as it was written. */
  readonly source: string;
  /**
   * Whether the pattern itself names `docker.io`, so that it is meant for names with the registry
   * in front (`docker.io/library/alpine:3`) and not for familiar ones (`alpine:3`).
   */
  readonly full: boolean;
}

/** A text that Go's regexp package refuses. The message shows the text and says why. */
export class InvalidPattern extends Error {
  override name = "InvalidPattern";
}

/**
 * `docker.io` as people write it in a pattern: with a bare dot, `\.`, `[.]`, `\x2e`, inside
 * `\Q…\E`, in any letter case. What goes on after it (`docker.ionic`) is another name.
 */
const NAMES_HUB = /docker(?:\\?\.|\[\\?\.\]|\\x2e|\\x\{2e\})io(?![a-z0-9])/i;

/**
 * Reads a pattern as Go's regexp package would: RE2 syntax, unanchored, no backtracking.
 *
 * re2js is a port of Go's regexp, and gives the same verdicts and the same error texts. It follows
 * a newer Go than the old plugin was built with, and so takes a few patterns more, such as `(?<name>…)`.
 *
 * @param text The pattern.
 * @returns The pattern.
 * @throws {InvalidPattern} Where Go would refuse the text: lookaround, backreferences, `a**`, more
 * than 1000 repetitions, invalid Unicode and the like.
 */
export function readPattern(text: string): Pattern {
  if (!text.isWellFormed()) {
    throw new InvalidPattern(refusal(text, "invalid UTF-8"));
  }
  try {
    RE2JS.compile(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidPattern(
      refusal(text, reason.replace(/^error parsing regexp: /, "")),
    );
  }
  return { source: text, full: NAMES_HUB.test(text) };
}

function refusal(text: string, reason: string): string {
  return `pattern "${shown(text)}" is no Go regular expression: ${
    shown(reason)
  }`;
}
