import type { EngineEndpoint } from "./address.ts";
import { serviceState } from "./activation.ts";

/**
 * Whether the engine is up, found out without waking one that is stopped:
 * systemd starts an engine as soon as somebody connects to its socket.
 */
export class Presence {
  readonly #path: string | undefined;
  #wasHeard = false;
  /**
   * A connection on which nothing is asked: a stopping engine closes it first.
   */
  #idle: Promise<void> | undefined;

  /** @param endpoint Where the engine is. */
  constructor({ to }: EngineEndpoint) {
    this.#path = "path" in to ? to.path : undefined;
  }

  /** The engine has said something, so that it is up. */
  heard(): void {
    this.#wasHeard = true;
  }

  /**
   * Whether this is the engine that was there all the time: it would have
   * closed the idle connection.
   */
  get isSame(): boolean {
    return this.#idle !== undefined;
  }

  /**
   * @returns Whether the engine can be connected to.
   * @throws {EngineError} If systemd does not tell.
   */
  async isUp(): Promise<boolean> {
    if (this.#path === undefined || this.#idle) return true;
    const wasHeard = this.#wasHeard;
    this.#wasHeard = false;
    const state = await serviceState(this.#path);
    return state === "up" || (state === "unknown" && wasHeard);
  }

  /**
   * Waits until the engine begins to stop. It then waits up to five seconds for
   * answers that go on, but closes idle connections at once (`Shutdown` in Go's
   * net/http).
   *
   * @returns When it does; never, if that can't be seen.
   * @throws {Error} If the engine can't be connected to, or has died.
   */
  async stops(): Promise<void> {
    if (this.#path === undefined) return await new Promise(() => {});
    await (this.#idle ??= holdIdle(this.#path).finally(() => {
      this.#idle = undefined;
      this.#wasHeard = false;
    }));
  }
}

/** Only an answered request makes a connection idle. */
async function holdIdle(path: string): Promise<void> {
  using connection = await Deno.connect({ transport: "unix", path });
  await connection.write(
    new TextEncoder().encode("GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"),
  );
  const buffer = new Uint8Array(4096);
  while (await connection.read(buffer) !== null);
}
