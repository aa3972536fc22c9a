/**
 * Follows what happens to the engine's containers, and tells the third line.
 *
 * @module
 */
import { delay } from "@std/async";
import type { ContainerEvent, Engine, EventStream } from "../engine/engine.ts";
import type { Presence } from "../engine/presence.ts";
import type { Log } from "../log.ts";
import type { ThirdLine } from "./third_line.ts";
import { messageOf } from "../text.ts";

/**
 * How often all containers are looked at, in milliseconds: an engine drops
 * events without a sign if 1,024 of them wait for a reader.
 */
const ROUND = 20_000;

/**
 * How long to wait before the event stream is taken up again, in milliseconds.
 */
const RETRY = 5000;

/** How long to wait at least, however many calls hurry, in milliseconds. */
const PAUSE = 100;

/** How long a call waits for the first look, in milliseconds. */
const ARRIVAL = 2000;

/** Waiting must not keep a process that ends from ending. */
const AT_REST = { persistent: false };

/** What following works with. */
export interface FollowOptions {
  readonly engine: Pick<Engine, "followContainers" | "asksUs">;
  readonly thirdLine: ThirdLine;
  /** Whether any policy looks at what the host has. */
  readonly isWanted: () => boolean;
  readonly presence: Pick<Presence, "isUp" | "isSame" | "stops">;
  readonly log: Log;
  /** Told whenever the events of an engine begin to come. */
  readonly begins?: () => void;
  /** For tests: how long to wait, in milliseconds. */
  readonly retry?: number;
  readonly round?: number;
}

/** Following, for as long as the process lives. */
export interface Following {
  /**
   * @returns Why the events are not followed; undefined if they are, or nobody
   *   wants it.
   */
  problem(): string | undefined;
  /**
   * Waits for the first look at all containers. An engine that has just come up
   * must serve nothing that we don't see.
   *
   * @returns When they were looked at, or can't be for now.
   */
  arrived(): Promise<void>;
  /** Has the next attempt made at once: the engine has said something. */
  hurry(): void;
  /** Has all containers looked at again: what runs by now is left alone. */
  settingsChanged(): void;
  /** Ends it, for good. */
  close(): void;
}

/**
 * Begins to follow.
 *
 * @param options What it works with.
 * @returns What can be asked of it.
 */
export function follow(options: FollowOptions): Following {
  const { engine, thirdLine, isWanted, presence, log, begins } = options;
  const { retry = RETRY, round = ROUND } = options;
  let problem: string | undefined = "not yet";
  /**
   * When the engine was last seen not to ask us, or nobody wanted to look: by
   * the monotonic clock, since the other may be wrong until a boot is over.
   */
  let since = performance.now();
  /** Whether all containers of this engine were looked at. */
  let hasArrived = false;
  /** Fulfilled when an attempt to arrive has come to an end. */
  let attempt = Promise.withResolvers<void>();
  /** Ends the wait for the next attempt. */
  let hurry = () => {};
  /** Ends the wait for the next look. */
  let lookNow = () => {};
  /** Whether the last look at all containers failed. */
  let lookFailed = false;
  /** How often the settings have changed. */
  let changes = 0;
  /** Ends the stream that is read. */
  let closeStream = () => {};
  let isClosed = false;

  async function run(): Promise<void> {
    while (!isClosed) {
      try {
        if (!isWanted()) {
          problem = undefined;
          since = performance.now();
        } else if (await presence.isUp()) await followOnce();
        else fail("the engine is stopped, or has not said anything yet");
      } catch (error) {
        fail(messageOf(error));
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      hurry = resolve;
      await delay(PAUSE, AT_REST);
      await Promise.race([promise, delay(retry, AT_REST)]);
    }
  }

  /** Lets go of whoever waits, and has others wait for the next attempt. */
  function attemptEnds(): void {
    attempt.resolve();
    attempt = Promise.withResolvers();
  }

  async function followOnce(): Promise<void> {
    hasArrived &&= presence.isSame;
    const stream = await engine.followContainers();
    closeStream = () => stream.close();
    const end = new AbortController();
    try {
      requireQuestions();
      begins?.();
      // The events are read from the start: what happens while all containers
      // are looked at must not be missed.
      const stops = presence.stops().then(() => thirdLine.engineEnded());
      await Promise.race([tellAll(stream), lookAround(end.signal), stops]);
    } finally {
      end.abort();
      stream.close();
    }
    throw new Error("the engine stops");
  }

  async function tellAll({ events }: EventStream): Promise<never> {
    for await (const event of events) tell(event);
    throw new Error("the engine has ended them");
  }

  /** Nothing is waited for: a slow reader would slow the engine. */
  function tell({ action, id }: ContainerEvent): void {
    if (action === "create") thirdLine.made(id);
    else if (action === "start") thirdLine.started(id);
    else if (action === "destroy") thirdLine.gone(id);
  }

  /**
   * A look that fails does not end the stream: whoever makes one fail must not
   * have what runs by then taken for what was there before.
   */
  async function lookAround(end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      const before = changes;
      try {
        const ago = performance.now() - since;
        await thirdLine.lookAround(hasArrived ? undefined : Date.now() - ago);
        if (end.aborted) return;
        if (problem !== undefined) log.info("following the engine's events");
        hasArrived = changes === before;
        problem = undefined;
        lookFailed = false;
      } catch (error) {
        if (end.aborted) return;
        problem = messageOf(error);
        lookFailed = true;
        log.error(`can't look at all containers: ${problem}`);
      }
      attemptEnds();
      requireQuestions();
      if (changes !== before) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      lookNow = resolve;
      await Promise.race([promise, delay(hasArrived ? round : retry, AT_REST)]);
    }
  }

  /** An engine that does not ask us is none of our business. */
  function requireQuestions(): void {
    if (engine.asksUs()) return;
    throw new Error(
      "the engine does not ask this plugin: name it in authorization-plugins",
    );
  }

  function fail(why: string): void {
    if (isClosed) return;
    since = performance.now();
    if (why !== problem) {
      log.warning(`can't follow the engine's events: ${why}`);
    }
    problem = why;
    attemptEnds();
  }

  run();
  return {
    problem: () => problem,
    hurry: () => hurry(),
    settingsChanged() {
      changes++;
      since = performance.now();
      hasArrived = false;
      thirdLine.settingsChanged();
      lookNow();
      hurry();
    },
    close() {
      isClosed = true;
      closeStream();
    },
    async arrived() {
      if (problem === undefined) return;
      hurry();
      // Nobody may keep others waiting by what can't be read.
      if (!lookFailed) {
        await Promise.race([attempt.promise, delay(ARRIVAL, AT_REST)]);
      }
    },
  };
}
