/**
 * The engine's API: questions at a version that both sides know, and their
 * answers as JSON.
 *
 * @module
 */
import { olderThan } from "../version.ts";
import type {
  EngineAnswer,
  EngineClient,
  EngineRequest,
  EngineStream,
} from "./client.ts";
import { isRecord, type JsonRecord } from "./decode.ts";
import { EngineError, EngineRefusal } from "./error.ts";

/** The newest API version whose answers are known here. */
const NEWEST_API = "1.51";

/**
 * Asks one engine. Every method throws {@link EngineError} without an answer.
 */
export class EngineApi {
  readonly #client: EngineClient;
  /**
   * The newest version that the engine speaks; asked with the first question.
   */
  #newest?: Promise<string>;
  #asksUs = false;

  /** @param client Sends the engine requests. */
  constructor(client: EngineClient) {
    this.#client = client;
  }

  /** Whether the engine asked this plugin about the last call of its own. */
  get asksUs(): boolean {
    return this.#asksUs;
  }

  /** @returns The version in which the engine is asked, such as `1.41`. */
  async version(): Promise<string> {
    const newest = await this.newestVersion();
    return olderThan(newest, NEWEST_API) ? newest : NEWEST_API;
  }

  /** @returns The newest version that the engine speaks. */
  async newestVersion(): Promise<string> {
    // Held as a promise, so that questions at the same time ask only once.
    return await (this.#newest ??= this.#negotiate());
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
  async inspect(path: string): Promise<JsonRecord | undefined> {
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
   * Changes something; it is fine if it is not there.
   *
   * @param method HTTP method.
   * @param path Path behind the version, with its query.
   * @param body What to send, if anything.
   * @throws {EngineRefusal} If the engine does not do it.
   */
  async change(
    method: "POST" | "DELETE",
    path: string,
    body?: JsonRecord,
  ): Promise<void> {
    const answer = await this.#send({
      method,
      path: `/v${await this.version()}${path}`,
      ...(body && { body: JSON.stringify(body) }),
    });
    const { status } = answer;
    if (status >= 200 && status <= 304 || status === 404) return;
    throw new EngineRefusal(
      status,
      `${method} ${path} gave HTTP ${status}: ${messageOf(answer.body)}`,
    );
  }

  /**
   * Asks for an answer that goes on.
   *
   * @param path Path behind the version, with its query.
   * @returns The answer.
   */
  async stream(path: string): Promise<EngineStream> {
    const stream = await this.#client.stream(
      `/v${await this.version()}${path}`,
    );
    const { status, wasAsked } = stream;
    this.#asksUs = wasAsked;
    if (status === 200) return stream;
    stream.close();
    this.#newest = undefined; // The engine can be replaced while we live.
    throw new EngineError(`GET ${path} gave HTTP ${status}`);
  }

  async #get(path: string): Promise<EngineAnswer> {
    const get = async () =>
      await this.#send({
        method: "GET",
        path: `/v${await this.version()}${path}`,
      });
    const answer = await get();
    if (answer.apiVersion === "" || answer.apiVersion === await this.#newest) {
      return answer;
    }
    // It is another engine than the one that was asked for its version.
    this.#newest = undefined;
    return await get();
  }

  async #send(request: EngineRequest): Promise<EngineAnswer> {
    const answer = await this.#client.send(request);
    this.#asksUs = answer.wasAsked;
    return answer;
  }

  async #negotiate(): Promise<string> {
    try {
      const { status, apiVersion } = await this.#send({
        method: "GET",
        path: "/_ping",
      });
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
