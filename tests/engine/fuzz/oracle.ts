/** Sends attacks, and looks at what the engine has afterwards. */

import { writeAll } from "../raw_http.ts";
import type { Shot } from "./draft.ts";
import type { Target } from "./target.ts";

/** How long to wait for an answer, in milliseconds. */
const PATIENCE = 20_000;

/** The same if the engine may wait for bytes that will not come. */
const STARVED = 300;

/**
 * The whole state is looked at after so many requests, whatever they were
 * answered.
 */
const LOOK_EVERY = 50;

/** Sends attacks to a world and tells which got through. */
export class Oracle {
  /** Requests sent so far. */
  sent = 0;
  /** How often each HTTP status was answered; 0 stands for no answer. */
  readonly statuses = new Map<number, number>();

  #target: Target;
  #logRead = 0;
  #sinceLook = 0;
  #glance: string;

  private constructor(target: Target, glance: string) {
    this.#target = target;
    this.#glance = glance;
  }

  /** Begins with a target that is as it should be. */
  static async watch(target: Target): Promise<Oracle> {
    await target.inspectAndMend();
    return new Oracle(target, await target.glance());
  }

  /**
   * Sends one attack.
   *
   * @param shot its bytes
   * @returns what it has done that the policy forbids, a line each
   */
  async attack(shot: Shot): Promise<string[]> {
    const statuses = await send(this.#target.h.dockerd.socket, shot);
    this.sent++;
    for (const status of statuses.length > 0 ? statuses : [0]) {
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    }
    // What the plugin lets pass shows in an answer below 400; a ping before or
    // behind the attack does too. The target is glanced at each time, and
    // wholly looked at now and then.
    const suspicious = statuses.some((status) => status < 400) ||
      statuses.length < shot.answers || ++this.#sinceLook >= LOOK_EVERY ||
      await this.#target.glance() !== this.#glance;
    const found = suspicious ? await this.look() : await this.#alerts();
    // What goes on behind an upgrade no plugin sees.
    if (statuses.includes(101)) found.push("the connection was upgraded");
    return found;
  }

  /**
   * Looks at everything, and takes back what was done.
   *
   * @returns what the policy forbids, a line each
   */
  async look(): Promise<string[]> {
    this.#sinceLook = 0;
    const found = await this.#target.inspectAndMend();
    this.#glance = await this.#target.glance();
    return [...found, ...await this.#alerts()];
  }

  /**
   * The plugin's second line repaired what its first let pass: for us that is a
   * hit.
   */
  async #alerts(): Promise<string[]> {
    const log = await this.#target.h.plugin?.log() ?? "";
    const fresh = log.slice(this.#logRead);
    this.#logRead = log.length;
    return fresh.split("\n").filter((line) => /\b(alert|bug):/.test(line));
  }
}

/**
 * Sends bytes and reads the answers' status codes.
 *
 * @param socket path of the engine's socket
 * @param shot what to send
 * @returns the codes, fewer than expected if the engine closed the connection
 *   or waits for more
 */
async function send(socket: string, shot: Shot): Promise<number[]> {
  const connection = await Deno.connect({ transport: "unix", path: socket });
  let open = true;
  const close = () => {
    if (open) connection.close();
    open = false;
  };
  // The engine may answer and close before it has read all of a body that it
  // refuses.
  const writing = writeAll(connection, shot.bytes).catch(() => {});
  let text = "";
  const reading = (async () => {
    const buffer = new Uint8Array(65536);
    const decoder = new TextDecoder("latin1");
    for (;;) {
      const n = await connection.read(buffer).catch(() => null);
      if (n === null) return;
      text += decoder.decode(buffer.subarray(0, n));
      const statuses = whole(text);
      if (statuses.length >= shot.answers || statuses.at(-1) === 101) return;
    }
  })();
  const timer = new AbortController();
  await Promise.race([
    reading,
    sleepUnless(shot.starved ? STARVED : PATIENCE, timer.signal),
  ]);
  timer.abort();
  close();
  await Promise.all([writing, reading]);
  return begun(text);
}

/**
 * Status codes of the answers that are there from beginning to end, interim
 * ones left out; 101 ends what is HTTP.
 */
function whole(text: string): number[] {
  const statuses: number[] = [];
  let at = 0;
  for (;;) {
    const head = text.indexOf("\r\n\r\n", at);
    if (head < 0) return statuses;
    const headers = text.slice(at, head + 2);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(headers)?.[1] ?? 0);
    at = head + 4;
    if (status > 101 && status !== 204 && status !== 304) {
      const length = /^content-length: (\d+)\r$/im.exec(headers)?.[1];
      if (length !== undefined) at += Number(length);
      else if (/^transfer-encoding: chunked\r$/im.test(headers)) {
        const end = text.indexOf("\r\n0\r\n\r\n", at - 2);
        if (end < 0) return statuses;
        at = end + 7;
      } else return statuses; // It ends with the connection.
      if (at > text.length) return statuses;
    }
    if (status >= 200 || status === 101) statuses.push(status);
    if (status === 101 || status === 0) return statuses;
  }
}

/** The same of answers that may have broken off. */
function begun(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] (101|[2-5]\d\d) /g)].map((found) =>
    Number(found[1])
  );
}

async function sleepUnless(
  milliseconds: number,
  signal: AbortSignal,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  clearTimeout(timer);
}
