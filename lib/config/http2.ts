/**
 * Warns if users get past the plugin by HTTP/2, over which engines take builds
 * without asking any plugin (../engine/h2c.ts).
 *
 * @module
 */
import type { EngineEndpoint } from "../engine/address.ts";
import { type Engine, EngineError } from "../engine/engine.ts";
import { opensHttp2 } from "../engine/h2c.ts";
import type { Log } from "../log.ts";
import { refusesNothing } from "../policy/rules/images.ts";
import { allSettings, type Config, type Sections } from "./config.ts";

/** How long to wait after an engine gave no answer, in milliseconds. */
const RETRY = 10_000;

/** An engine, and where it takes builds over HTTP/2. */
export interface Http2Found {
  /** The engine's version, such as `29.3.0`. */
  readonly version: string;
  /** The address; undefined if HTTP/2 is refused, or no builds come by it. */
  readonly host?: string;
}

/**
 * Finds out whether an engine takes builds over HTTP/2.
 *
 * @param engine The engine.
 * @param endpoint Where users reach it; undefined if they don't.
 * @returns Its version, and that address if it does.
 * @throws {EngineError} If it can't be asked, or says nothing there.
 */
export async function findHttp2(
  engine: Pick<Engine, "serverVersion" | "takesGrpc">,
  endpoint: EngineEndpoint | undefined,
): Promise<Http2Found> {
  const version = await engine.serverVersion();
  const isOpen = endpoint !== undefined && await engine.takesGrpc() &&
    await opensHttp2(endpoint);
  return { version, ...(isOpen && { host: endpoint.host }) };
}

/**
 * Says what HTTP/2 leaves of the settings.
 *
 * @param config The settings.
 * @param found Where the engine takes it.
 * @returns A line; undefined if no section depends on it.
 */
export function http2Warning(
  config: Config,
  { version, host }: Http2Found,
): string | undefined {
  const sections = [
    ...new Set(
      allSettings(config).flatMap(({ sections }) => dependents(sections)),
    ),
  ];
  if (host === undefined || sections.length === 0) return undefined;
  return `${sections.join(" and ")} can be got around on ${host}: over ` +
    `HTTP/2, Docker Engine ${version} takes builds without asking any plugin; ` +
    "start dockerd with GODEBUG=http2server=0 (docs/engine-29.md)";
}

/** The sections that users get around by HTTP/2. */
function dependents({ images, push, privileges }: Sections): string[] {
  const closesBuilds = images && !images.allowBuild;
  return [
    // Over HTTP/2 a pull can be made to look like another too: see
    // `mayHaveHiddenBody` in ../call/call.ts.
    ...(closesBuilds || (images && !refusesNothing(images))
      ? ["[images]"]
      : []),
    ...(push?.blockRhel ? ["[push]"] : []),
    // Builds make root, or reach the host's loopback. If they are open, HTTP/2
    // adds nothing.
    ...(privileges && (closesBuilds || !privileges.allowBuildkit)
      ? ["[privileges]"]
      : []),
  ];
}

/** Looks again whenever an engine starts. */
export class Http2Watch {
  readonly #engine: Engine;
  readonly #endpoint: () => EngineEndpoint | undefined;
  readonly #config: () => Config;
  readonly #log: Log;
  #found?: Http2Found;
  #isDue = true;
  #isLooking = false;
  /** By the clock that nobody sets. */
  #notBefore = -Infinity;

  /**
   * @param options The engine, where users reach it, the settings in force, and
   *   the log.
   */
  constructor({ engine, endpoint, config, log }: {
    engine: Engine;
    endpoint: () => EngineEndpoint | undefined;
    config: () => Config;
    log: Log;
  }) {
    this.#engine = engine;
    this.#endpoint = endpoint;
    this.#config = config;
    this.#log = log;
  }

  /** Another engine may be there from now on. */
  engineStarts(): void {
    this.#isDue = true;
    this.#notBefore = -Infinity;
  }

  /**
   * The engine has said something: to ask it wakes none that is stopped.
   *
   * @returns When it was looked, if it was due.
   */
  async heard(): Promise<void> {
    const isEarly = performance.now() < this.#notBefore;
    if (!this.#isDue || this.#isLooking || isEarly) return;
    this.#isDue = false;
    this.#isLooking = true;
    try {
      this.#found = await findHttp2(this.#engine, this.#endpoint());
      this.logWarning();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#isDue = true;
      this.#notBefore = performance.now() + RETRY;
    } finally {
      this.#isLooking = false;
    }
  }

  /** Logs what there is to warn of. */
  logWarning(): void {
    const warning = this.warning();
    if (warning !== undefined) this.#log.warning(warning);
  }

  /** @returns What HTTP/2 leaves of the settings, if it is open. */
  warning(): string | undefined {
    return this.#found && http2Warning(this.#config(), this.#found);
  }
}
