import type { AuthzRequest } from "../call/authz.ts";

/** The request header that carries the mark of a call of our own. */
const HEADER = "Docker-Policy-Plugin-Call";

/** A call of our own that is under way. */
export interface OwnCall {
  /** The headers to send it with. */
  readonly headers: Readonly<Record<string, string>>;
  /** @returns Whether the engine has asked the plugin about it. */
  wasAsked(): boolean;
  /** Forgets the mark: the call is over. */
  end(): void;
}

/**
 * The plugin's own calls to the engine. The engine asks the plugin about them
 * as about anybody's; a mark that is good for one call tells them from others.
 *
 * That the engine asks is also the proof that it still lets this plugin decide.
 *
 * @example
 * ```ts
 * const calls = new OwnCalls();
 * const call = calls.begin("GET", "/containers/json");
 * // … send it with call.headers, await the answer …
 * call.wasAsked();
 * call.end();
 * ```
 */
export class OwnCalls {
  readonly #open = new Map<string, { uri: string; asked: boolean }>();

  /**
   * Marks a call.
   *
   * @param method HTTP method.
   * @param path Request target.
   * @returns The call; {@link OwnCall.end} must follow.
   */
  begin(method: string, path: string): OwnCall {
    const mark = crypto.randomUUID();
    const entry = { uri: `${method} ${path}`, asked: false };
    this.#open.set(mark, entry);
    return {
      headers: { [HEADER]: mark },
      wasAsked: () => entry.asked,
      end: () => this.#open.delete(mark),
    };
  }

  /**
   * Recognizes a call of our own, once.
   *
   * @param request The AuthZ request.
   * @returns Whether it is one that was begun and not asked about yet.
   */
  recognize({ method, uri, headers }: AuthzRequest): boolean {
    const mark = Object.hasOwn(headers, HEADER) ? headers[HEADER] : undefined;
    const entry = mark === undefined ? undefined : this.#open.get(mark);
    if (!entry || entry.asked || entry.uri !== `${method} ${uri}`) return false;
    entry.asked = true;
    return true;
  }
}
