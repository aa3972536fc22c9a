/** The parts that moves are made of. */

import fc from "fast-check";
import type { Draft } from "./draft.ts";
import { type Member, members, type Node, nodes, raw } from "./json.ts";

/** One change of a request's spelling. */
export interface Move {
  /** What it does, for the report. */
  says: string;
  /** Does it. */
  on(draft: Draft): void;
}

/**
 * A move out of generated parameters.
 *
 * @param name for the report
 * @param parameters of the move
 * @param apply does it
 */
export function move<A extends unknown[]>(
  name: string,
  parameters: { [I in keyof A]: fc.Arbitrary<A[I]> },
  apply: (draft: Draft, ...parameters: A) => void,
): fc.Arbitrary<Move> {
  const all = fc.tuple<unknown[]>(...parameters) as unknown as fc.Arbitrary<A>;
  return all.map((values) => ({
    says: `${name}(${values.map((each) => JSON.stringify(each)).join(", ")})`,
    on: (draft) => apply(draft, ...values),
  }));
}

/** Picks one of many. */
export const index = fc.nat(200);
/** Which characters: each bit stands for every sixteenth of them. */
export const mask = fc.oneof(
  fc.constant(0xffff),
  fc.nat(15).map((bit) => 1 << bit),
  fc.nat(0xffff),
);

/** One of the values. */
export const one = <T>(...values: T[]) => fc.constantFrom(...values);

/** The JSON body; a call without one gets an empty object to work on. */
export function json(draft: Draft): Node {
  if (draft.body === undefined) {
    draft.body = { kind: "object", members: [] };
    if (!draft.headers.some(([name]) => /^content-type$/i.test(name))) {
      draft.headers.push(["Content-Type", "application/json"]);
    }
  }
  return draft.body instanceof Uint8Array ? raw("") : draft.body;
}

/** The element that a number picks; undefined of an empty list. */
export function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % list.length];
}

const TELLING =
  /^(hostconfig|volumes|binds|mounts|volumesfrom|tmpfs|image|type|source|target|restartpolicy|name|tasktemplate|containerspec)$/i;

/**
 * Picks a member of the body. The keys whose spelling matters most are picked
 * as often as all others together.
 */
export function pickMember(
  draft: Draft,
  at: number,
): { of: Member[]; member: Member } | undefined {
  const all = members(json(draft));
  const telling = all.filter(({ member }) => TELLING.test(member.key.text));
  return pick(at % 2 === 0 && telling.length > 0 ? telling : all, at >> 1);
}

/** Picks a string among the values of the body. */
export function pickString(draft: Draft, at: number) {
  const all = nodes(json(draft)).filter((each) => each.kind === "string");
  return pick(all, at);
}

/**
 * Other letters that fold to the same: the other case, and if `foreign` those
 * that are not ASCII.
 */
export function fold(text: string, bits: number, foreign: boolean): string {
  return [...text].map((c, i) => {
    if (!(bits >> (i % 16) & 1)) return c;
    if (foreign && /s/i.test(c)) return "\u017f";
    if (foreign && /k/i.test(c)) return "\u212a";
    return c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase();
  }).join("");
}
