/**
 * Waiting for what a test expects, and watching that it stays.
 *
 * @module
 */
import { sleep } from "./programs.ts";

/**
 * How long until what the plugin was told of by an event is undone, on a slow
 * machine, in milliseconds.
 */
const SOON = 20_000;

/**
 * How long something is watched that must not happen, in milliseconds: what is
 * undone is undone within tenths of a second.
 */
const WATCHED = 3_000;

/**
 * Waits until something holds.
 *
 * @param what It, for the message.
 * @param holds Looks whether it does, and may return what is there instead.
 * @param timeout Milliseconds until it gives up.
 * @throws {Error} If it does not hold in time.
 */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  timeout: number = SOON,
): Promise<void> {
  const end = Date.now() + timeout;
  while (!(await holds())) {
    if (Date.now() > end) {
      throw new Error(`${timeout / 1000} s have gone, and still not: ${what}`);
    }
    await sleep(100);
  }
}

/**
 * Watches that something holds all the time.
 *
 * @param what It, for the message.
 * @param holds Looks whether it does.
 * @param time Milliseconds that it is watched.
 * @throws {Error} If it does not hold once.
 */
export async function always(
  what: string,
  holds: () => Promise<boolean>,
  time: number = WATCHED,
): Promise<void> {
  const begin = Date.now();
  while (Date.now() < begin + time) {
    if (!(await holds())) {
      throw new Error(`after ${Date.now() - begin} ms no longer: ${what}`);
    }
    await sleep(100);
  }
}
