/**
 * The engine's API: questions at a version that both sides know, and their
 * answers as JSON.
 *
 * @module
 */
import { olderThan } from "../version.ts";
import type { EngineAnswer, Send } from "./client.ts";
import { isRecord, type Json } from "./decode.ts";
import { EngineError } from "./error.ts";

/** The newest API version whose answers are known here. */
const NEWEST_API = "1.51";

/**
 * Asks one engine. Every method throws {@link EngineError} without an answer.
 */
export class EngineApi {
  readonly #send: Send;
  /**
   * The newest version that the engine speaks; asked with the first question.
   */
  #newest?: Promise<string>;

  /** @param send Sends the engine a request. */
  constructor(send: Send) {
    this.#send = send;
  }

  /** @returns The version in which the engine is asked, such as `1.41`. */
  async version(): Promise<string> {
    // Held as a promise, so that questions at the same time ask only once.
    this.#newest ??= this.#negotiate();
    const newest = await this.#newest;
    return olderThan(newest, NEWEST_API) ? newest : NEWEST_API;
  }

  /**
   * @param path Path behind the version, with its query.
   * @returns The answer, or undefined if the engine knows no such thing.
   */
  async find(path: string): Promise<unknown> {
    const { status, body } = await this.#get(path);
    if (status === 404 || (status === 503 && isNoManager(body))) {
      return undefined;
    }
    if (status !== 200) {
      this.#newest = undefined; // The engine can be replaced while we live.
      throw new EngineError(
        `GET ${path} gave HTTP ${status}: ${messageOf(body)}`,
      );
    }
    try {
      return JSON.parse(body);
    } catch {
      throw new EngineError(`GET ${path} gave no JSON`);
    }
  }

  /**
   * @param path Path behind the version, with its query.
   * @returns The object that is the answer, or undefined if the engine knows no
   *   such thing.
   */
  async inspect(path: string): Promise<Json | undefined> {
    const found = await this.find(path);
    if (found === undefined || isRecord(found)) return found;
    throw new EngineError(`GET ${path} gave no JSON object`);
  }

  /**
   * Asks for what every engine has.
   *
   * @param path Path behind the version, with its query.
   * @returns The answer.
   */
  async ask(path: string): Promise<unknown> {
    const found = await this.find(path);
    if (found === undefined) {
      throw new EngineError(`GET ${path} gave HTTP 404`);
    }
    return found;
  }

  /**
   * Removes a thing; it is fine if there is none.
   *
   * @param path Path behind the version, with its query.
   */
  async remove(path: string): Promise<void> {
    const { status, body } = await this.#send(
      `/v${await this.version()}${path}`,
      "DELETE",
    );
    if (status !== 204 && status !== 404) {
      throw new EngineError(
        `DELETE ${path} gave HTTP ${status}: ${messageOf(body)}`,
      );
    }
  }

  async #get(path: string): Promise<EngineAnswer> {
    const answer = await this.#send(`/v${await this.version()}${path}`);
    if (answer.apiVersion === "" || answer.apiVersion === await this.#newest) {
      return answer;
    }
    // It is another engine than the one that was asked for its version.
    this.#newest = undefined;
    return await this.#send(`/v${await this.version()}${path}`);
  }

  async #negotiate(): Promise<string> {
    try {
      const { status, apiVersion } = await this.#send("/_ping");
      if (status !== 200 || !/^\d+\.\d+$/.test(apiVersion)) {
        throw new EngineError(`the engine's ping gave HTTP ${status}`);
      }
      return apiVersion;
    } catch (error) {
      this.#newest = undefined;
      throw error;
    }
  }
}

function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body);
    if (typeof message === "string") return message;
  } catch {
    // Old engines answer in plain text.
  }
  return body.slice(0, 200);
}

/** Without a swarm there is no service, as the engine says itself. */
function isNoManager(body: string): boolean {
  return messageOf(body).startsWith("This node is not a swarm manager");
}
