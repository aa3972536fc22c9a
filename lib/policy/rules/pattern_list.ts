import { RE2Set } from "re2js";
import type { NameForms, Pattern, PatternList } from "./patterns.ts";

/** How many patterns are looked for at once. */
const SET_SIZE = 64;

/** What the states of a set that were met may take, in bytes. */
const SET_MEMORY = 1024 * 1024;

/**
 * A list whose patterns are looked for together: what a name costs hangs little on their number.
 *
 * More of them in one automaton would not be cheaper: each new name adds states to it, and the more
 * patterns a state has to keep track of, the dearer it is.
 *
 * @example
 * ```ts
 * const list = new PatternSets([readPattern("^alpine:")]);
 * list.find({ familiar: "alpine:3", full: "docker.io/library/alpine:3" })?.source; // "^alpine:"
 * ```
 */
export class PatternSets implements PatternList {
  readonly patterns: readonly Pattern[];
  readonly #groups: readonly Group[];

  /** @param patterns The entries. */
  constructor(patterns: readonly Pattern[]) {
    this.patterns = patterns;
    const places = patterns.map((_, at) => at);
    this.#groups = [
      ...groups("familiar", places.filter((at) => !patterns[at].full), this),
      ...groups("full", places.filter((at) => patterns[at].full), this),
    ];
  }

  find(forms: NameForms): Pattern | undefined {
    let first = Infinity;
    for (const group of this.#groups) {
      if (group.places[0] < first) {
        first = Math.min(first, group.find(forms[group.form]));
      }
    }
    return this.patterns[first];
  }
}

function groups(
  form: keyof NameForms,
  places: readonly number[],
  { patterns }: PatternList,
): Group[] {
  return Array.from(
    { length: Math.ceil(places.length / SET_SIZE) },
    (_, at) =>
      new Group(
        form,
        places.slice(at * SET_SIZE, (at + 1) * SET_SIZE),
        patterns,
      ),
  );
}

/** Some patterns of one form. */
class Group {
  readonly form: keyof NameForms;
  /** Where they stand in the list. */
  readonly places: readonly number[];
  readonly #patterns: readonly Pattern[];
  #sets: { set: RE2Set; places: readonly number[] }[] | undefined;

  constructor(
    form: keyof NameForms,
    places: readonly number[],
    patterns: readonly Pattern[],
  ) {
    this.form = form;
    this.places = places;
    this.#patterns = patterns;
  }

  /** The place of the first one that is in a name; infinite where none is. */
  find(name: string): number {
    // Not before it is needed: it takes longer than all else at the start.
    this.#sets ??= this.#compile(this.places);
    for (const { set, places } of this.#sets) {
      const found = set.match(name);
      if (found.length > 0) return places[Math.min(...found)];
    }
    return Infinity;
  }

  /** Patterns that are too large together are not so by themselves. */
  #compile(
    places: readonly number[],
  ): { set: RE2Set; places: readonly number[] }[] {
    const set = new RE2Set(RE2Set.UNANCHORED, 0, SET_MEMORY);
    try {
      for (const place of places) set.add(this.#patterns[place].source);
      set.compile();
      return [{ set, places }];
    } catch (error) {
      if (places.length === 1) throw error;
      const half = places.length >> 1;
      return [
        ...this.#compile(places.slice(0, half)),
        ...this.#compile(places.slice(half)),
      ];
    }
  }
}
