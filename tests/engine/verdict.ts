/**
 * Verdicts: not what an answer says, but what the engine has afterwards.
 */

import * as std from "@std/assert";
import type { ApiAnswer, Harness, Result, State } from "./harness.ts";

/** Throws unless two values are deeply equal. */
export const assertEquals: <T>(actual: T, expected: T, what?: string) => void =
  std.assertEquals;

/** Throws unless something holds. */
export const assert: (
  condition: unknown,
  what?: string,
) => asserts condition = std.assert;

/** What the plugin said after its name: all of it, or a pattern in it. */
export type Message = string | RegExp;

/** A call to the engine, by the docker client or by hand. */
export type Call = () => Promise<Result | ApiAnswer>;

/**
 * The plugin refuses a call, and the engine is as it was.
 *
 * @param h the engine
 * @param call to be refused
 * @param message the plugin's, without the engine's words before it
 */
export async function refused(
  h: Harness,
  call: Call,
  message: Message,
): Promise<void> {
  const before = await h.state();
  const answer = await call();
  const text = "status" in answer ? answer.message : answer.stderr.trim();
  const said = saidBy(h, text);
  assert(
    said !== undefined,
    `not refused by the plugin: ${brief(answer)}`,
  );
  if ("status" in answer) assertEquals(answer.status, 403);
  else assert(answer.code !== 0, "docker ended with 0");
  if (typeof message === "string") assertEquals(said, message);
  else assert(message.test(said), `${said}\n does not match ${message}`);
  assertSame(before, await h.state());
}

/**
 * The plugin lets a call pass, which makes no volume.
 *
 * @param h the engine
 * @param call to pass; one of the docker client must end with 0, one of the API
 *   below 400
 * @returns its answer
 */
export async function passes<T extends Result | ApiAnswer>(
  h: Harness,
  call: () => Promise<T>,
): Promise<T> {
  const before = await h.state();
  const answer = await call();
  const good = "status" in answer ? answer.status < 400 : answer.code === 0;
  assert(good, `did not pass: ${brief(answer)}`);
  const after = await h.state();
  assertEquals(after.volumes, before.volumes, "volumes");
  return answer;
}

/**
 * The plugin lets a call pass, and the engine itself refuses it: the user gets
 * the engine's own words.
 *
 * @param h the engine
 * @param call to be refused by the engine
 * @param status its status
 * @param message a pattern in its message
 */
export async function leftToTheEngine(
  h: Harness,
  call: () => Promise<ApiAnswer>,
  status: number,
  message: RegExp,
): Promise<void> {
  const before = await h.state();
  const answer = await call();
  assertEquals(answer.status, status, answer.body);
  assert(message.test(answer.message), answer.body);
  assertEquals(saidBy(h, answer.message), undefined);
  assertSame(before, await h.state());
}

/**
 * Whether a call gives a container or service storage that the policy forbids,
 * or starts one that has it. This is asked of an engine without the plugin: a
 * request that does nothing there shows nothing with it.
 *
 * All that the call made is removed again.
 */
export async function bites(h: Harness, call: Call): Promise<boolean> {
  const before = await h.state();
  await call().catch(() => {});
  const after = await h.state();
  const old = new Map(before.containers.map((each) => [each.id, each]));
  const volumes = after.volumes.filter((each) =>
    !before.volumes.includes(each)
  );
  let found = volumes.length > 0;
  for (const each of after.containers) {
    const was = old.get(each.id);
    if (!was) {
      found ||= each.mounts.some((mount) => !mount.startsWith("bind "));
      await h.api("DELETE", `/containers/${each.id}?force=1&v=1`);
    } else if (each.running && !was.running) {
      found = true;
      await h.api("POST", `/containers/${each.id}/kill`);
    }
  }
  for (const volume of volumes) {
    await h.api("DELETE", `/volumes/${volume}?force=1`);
  }
  return found;
}

/** The plugin's own words in a message of the engine, if it said something. */
export function saidBy(h: Harness, message: string): string | undefined {
  const mark = `authorization denied by plugin ${h.pluginName}: `;
  const at = message.indexOf(mark);
  // The docker client goes on with a line about --help.
  return at < 0 ? undefined : message.slice(at + mark.length).split("\n")[0]
    // 20.10's client ends the engine's message with a full stop of its own.
    .replace(/(?<=\S)\.$/, "");
}

function brief(answer: Result | ApiAnswer): string {
  return "status" in answer
    ? `${answer.status} ${answer.body}`
    : `exit ${answer.code} ${answer.stdout}${answer.stderr}`;
}

function assertSame(before: State, after: State): void {
  assertEquals(after, before, "the refused call changed the engine's state");
}
