/**
 * Generated attacks: a call that the policy refuses, respelled in every way
 * that HTTP, URIs, headers, JSON and the engine's API allow, and in many that
 * they don't.
 */

import fc from "fast-check";
import { doorMoves } from "./door_moves.ts";
import { headerMoves, sizeMove, uriMoves, wireMoves } from "./http_moves.ts";
import { jsonMoves } from "./json_moves.ts";
import type { Move } from "./move.ts";
import { privilegeMoves } from "./privilege_moves.ts";
import { storageMoves } from "./storage_moves.ts";

/** A refused call, and what is done to it. */
export interface Attack {
  /** The name of the call. */
  seed: string;
  moves: Move[];
}

const HTTP = [
  { weight: 25, arbitrary: fc.oneof(...uriMoves) },
  { weight: 20, arbitrary: fc.oneof(...headerMoves) },
  { weight: 15, arbitrary: fc.oneof(...wireMoves) },
  { weight: 1, arbitrary: sizeMove },
];

/** What can be done to a call, for each sort of target. */
const ARSENALS = {
  volumes: fc.oneof(
    { weight: 40, arbitrary: fc.oneof(...jsonMoves) },
    { weight: 25, arbitrary: fc.oneof(...storageMoves) },
    ...HTTP,
  ),
  privileges: fc.oneof(
    { weight: 40, arbitrary: fc.oneof(...jsonMoves) },
    { weight: 30, arbitrary: fc.oneof(...privilegeMoves) },
    { weight: 4, arbitrary: fc.oneof(...doorMoves) },
    ...HTTP,
  ),
  doors: fc.oneof(
    { weight: 8, arbitrary: fc.oneof(...jsonMoves) },
    { weight: 50, arbitrary: fc.oneof(...doorMoves) },
    ...HTTP,
  ),
};

/** A sort of target: storage, privileges, or images and pushes. */
export type Arsenal = keyof typeof ARSENALS;

/**
 * Attacks on some calls.
 *
 * @param seeds names of the calls
 * @param arsenal what is done to them
 * @returns attacks of up to five moves, most of them of one to three
 */
export function attacks(
  seeds: readonly string[],
  arsenal: Arsenal,
): fc.Arbitrary<Attack> {
  const move: fc.Arbitrary<Move> = ARSENALS[arsenal];
  const some = (minLength: number, maxLength: number) =>
    fc.array(move, { minLength, maxLength });
  return fc.record({
    seed: fc.constantFrom(...seeds),
    moves: fc.oneof(
      { weight: 3, arbitrary: some(1, 1) },
      { weight: 5, arbitrary: some(2, 3) },
      { weight: 2, arbitrary: some(3, 5) },
    ),
  });
}
