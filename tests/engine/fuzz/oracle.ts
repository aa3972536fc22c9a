/** The judge of the attacks: sends them, and looks at what the engine has afterwards. */

import { inspectAndMend, type World } from "./world.ts";
import type { Shot } from "./draft.ts";

/** An engine that does not answer by then is not going to. */
const PATIENCE = 20_000;

/** One that waits for bytes that will not come gets so long. */
const STARVED = 300;

/** The whole state is looked at after so many requests, whatever they were answered. */
const LOOK_EVERY = 50;

/** Sends attacks to a world and tells which got through. */
export class Oracle {
  /** Requests sent so far. */
  sent = 0;
  /** How often each HTTP status was the answer; 0 for none. */
  readonly statuses = new Map<number, number>();

  #world: World;
  #logRead = 0;
  #sinceLook = 0;
  #containers: number;
  #volumes: number;

  private constructor(world: World, containers: number, volumes: number) {
    this.#world = world;
    this.#containers = containers;
    this.#volumes = volumes;
  }

  /** Begins with a world in which all is well. */
  static async watch(world: World): Promise<Oracle> {
    await inspectAndMend(world);
    const { data } = folders(world);
    return new Oracle(
      world,
      await count(`${data}/containers`),
      await count(`${data}/volumes`),
    );
  }

  /**
   * Sends one attack.
   *
   * @param shot its bytes
   * @returns what it has done that the policy forbids, a line each
   */
  async judge(shot: Shot): Promise<string[]> {
    const statuses = await send(this.#world.h.dockerd.socket, shot);
    this.sent++;
    for (const status of statuses.length > 0 ? statuses : [0]) {
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    }
    // What the plugin lets pass shows in an answer below 400; a ping before or behind the attack does too. The
    // engine's own folders and the plugin's log are looked at each time, everything else now and then.
    const suspicious = statuses.some((status) => status < 400) ||
      statuses.length < shot.answers || ++this.#sinceLook >= LOOK_EVERY ||
      await this.#differs();
    return suspicious ? await this.look() : await this.#alerts();
  }

  /**
   * Looks at everything, and takes back what was done.
   *
   * @returns what the policy forbids, a line each
   */
  async look(): Promise<string[]> {
    this.#sinceLook = 0;
    const found = await inspectAndMend(this.#world);
    return [...found, ...await this.#alerts()];
  }

  async #differs(): Promise<boolean> {
    const { data } = folders(this.#world);
    return await count(`${data}/containers`) !== this.#containers ||
      await count(`${data}/volumes`) !== this.#volumes;
  }

  /** The plugin's second line repaired what its first let pass: for us that is a hit. */
  async #alerts(): Promise<string[]> {
    const log = await this.#world.h.plugin?.log() ?? "";
    const fresh = log.slice(this.#logRead);
    this.#logRead = log.length;
    return fresh.split("\n").filter((line) => /\b(alert|bug):/.test(line));
  }
}

function folders({ h }: World): { data: string } {
  return { data: `${h.dir}/data` };
}

async function count(folder: string): Promise<number> {
  let n = 0;
  for await (const _ of Deno.readDir(folder)) n++;
  return n;
}

/**
 * Sends bytes and reads the answers' status codes.
 *
 * @param socket path of the engine's socket
 * @param shot what to send
 * @returns the codes, fewer than expected where the engine closed the connection or waits for more
 */
async function send(socket: string, shot: Shot): Promise<number[]> {
  const connection = await Deno.connect({ transport: "unix", path: socket });
  let open = true;
  const close = () => {
    if (open) connection.close();
    open = false;
  };
  // The engine may answer and close before it has read all of a body that it refuses.
  const writing = write(connection, shot.bytes).catch(() => {});
  let text = "";
  const reading = (async () => {
    const buffer = new Uint8Array(65536);
    const decoder = new TextDecoder("latin1");
    for (;;) {
      const n = await connection.read(buffer).catch(() => null);
      if (n === null) return;
      text += decoder.decode(buffer.subarray(0, n));
      if (finals(text).length >= shot.answers) return;
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
  return finals(text);
}

/** Status codes of the answers that are not interim. */
function finals(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] ([2-5]\d\d) /g)].map((m) =>
    Number(m[1])
  );
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
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
