/**
 * Sends requests to the engine: over a unix socket, TCP, or TCP with TLS.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request,
} from "node:http";
import { request as tlsRequest, type RequestOptions } from "node:https";
import type { ConnectionOptions } from "node:tls";
import type { EngineEndpoint } from "./address.ts";
import { EngineError, EngineTooMuch } from "./error.ts";
import type { OwnCalls } from "./own_calls.ts";

/** How long the engine may take for an answer, in milliseconds. */
const PATIENCE = 5000;

/**
 * How many times as long it may take if it waits for a container's lock, which
 * `docker cp` can hold.
 */
const LOCK_FACTOR = 12;

/** What waits for a container's lock when it is read. */
const LOCKED = /\/containers\/[^/?]+\/json$/;

/** How long a connection waits for the next request, in milliseconds. */
const IDLE_TIME = 10_000;

/** How many connections wait for the next request. */
const IDLE_LIMIT = 16;

/** The longest answer that is read, in characters. */
const ANSWER_LIMIT = 32 * 1024 * 1024;

/** A request to the engine's API. */
export interface EngineRequest {
  method: "GET" | "POST" | "DELETE";
  path: string;
  /** A body, as JSON. */
  body?: string;
}

/** An answer of the engine's API. */
export interface EngineAnswer {
  status: number;
  /** Whether the engine asked the plugin about the request. */
  wasAsked: boolean;
  /** The `Api-Version` header: the newest version that the engine speaks. */
  apiVersion: string;
  body: string;
}

/** Asks one engine. Both throw {@link EngineError} without an answer. */
export interface EngineClient extends Disposable {
  /**
   * @param request The request.
   * @returns The answer.
   */
  send(request: EngineRequest): Promise<EngineAnswer>;
  /**
   * Asks for an answer that goes on until the engine ends it.
   *
   * @param path Request target of a GET.
   * @returns The answer.
   */
  stream(path: string): Promise<EngineStream>;
}

/** An answer that goes on. */
export interface EngineStream extends Omit<EngineAnswer, "body"> {
  /** Its body, in pieces as they come. */
  pieces: AsyncIterable<string>;
  /** Closes the connection. */
  close(): void;
}

/** What a client works with. */
export interface ClientOptions {
  /** Where its calls are marked as the plugin's own. */
  calls: OwnCalls;
  /** How long the engine may take for an answer, in milliseconds. */
  patience?: number;
}

/**
 * Makes a client of an engine.
 *
 * @param endpoint Where the engine is.
 * @param options What it works with.
 * @returns The client. When it is disposed of, kept connections end.
 */
export function engineClient(
  endpoint: EngineEndpoint,
  { calls, patience = PATIENCE }: ClientOptions,
): EngineClient {
  const options = requestOptions(endpoint);
  const begin = endpoint.tls ? tlsRequest : request;
  // Only connections to a unix socket are kept. Behind a TCP address there can
  // be another host a moment later, and who knows what stands between.
  const agent = "path" in endpoint.to
    ? new Agent({
      keepAlive: true,
      maxFreeSockets: IDLE_LIMIT,
      timeout: IDLE_TIME,
    })
    : false;

  /** Sends a request, and waits for the head of its answer. */
  async function head(
    { method, path, body }: EngineRequest,
    isKept: boolean,
  ): Promise<{ response: IncomingMessage; wasAsked: boolean }> {
    const call = calls.begin(method, path);
    const waitsForLock = method !== "GET" || LOCKED.test(path);
    const limit = waitsForLock ? patience * LOCK_FACTOR : patience;
    let sent!: ClientRequest;
    let isLate = false;
    const deadline = setTimeout(() => {
      isLate = true;
      // Else Deno sends it once more on a new connection
      // (https://github.com/denoland/deno/issues/36786).
      sent.reusedSocket = false;
      sent.destroy();
    }, limit);
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        sent = begin({
          ...options,
          agent: isKept ? agent : false,
          method,
          path,
          headers: {
            ...call.headers,
            ...(body !== undefined && {
              "Content-Type": "application/json",
              "Content-Length": Buffer.byteLength(body),
            }),
          },
        });
        sent.on("response", resolve).on("error", reject).end(body);
      });
      return { response, wasAsked: call.wasAsked() };
    } catch (error) {
      // The engine has ended the kept connection: it was restarted. No request
      // sent here does harm if it is sent twice.
      if (sent.reusedSocket && isKept && !isLate) {
        return await head({ method, path, body }, false);
      }
      throw isLate ? late(limit) : error;
    } finally {
      clearTimeout(deadline);
      call.end();
    }
  }

  function late(limit: number): EngineError {
    return new EngineError(
      `${endpoint.host} did not answer within ${limit / 1000} s`,
    );
  }

  function problem(error: unknown): EngineError {
    if (error instanceof AnswerTooLong) {
      return new EngineTooMuch(
        `${endpoint.host}: the answer is too long`,
        error.beginning,
      );
    }
    return error instanceof EngineError
      ? error
      : new EngineError(`${endpoint.host}: ${reasonOf(error)}`);
  }

  return {
    async send(request) {
      try {
        const { response, wasAsked } = await head(request, true);
        return {
          status: response.statusCode ?? 0,
          wasAsked,
          apiVersion: String(response.headers["api-version"] ?? ""),
          body: await readBody(response, patience, () => late(patience)),
        };
      } catch (error) {
        throw problem(error);
      }
    },

    async stream(path) {
      try {
        const { response, wasAsked } = await head(
          { method: "GET", path },
          false,
        );
        response.setEncoding("utf8");
        return {
          status: response.statusCode ?? 0,
          wasAsked,
          apiVersion: String(response.headers["api-version"] ?? ""),
          pieces: response,
          close: () => response.destroy(),
        };
      } catch (error) {
        throw problem(error);
      }
    },

    [Symbol.dispose]: () => agent && agent.destroy(),
  };
}

/**
 * How an engine is reached by Node's HTTP client.
 *
 * @param endpoint Where it is.
 * @returns Options for a request.
 */
export function requestOptions({ to, tls }: EngineEndpoint): RequestOptions {
  return {
    ...("path" in to
      ? { socketPath: to.path }
      : { host: to.hostname, port: to.port }),
    ...(tls && tlsOptions(tls)),
  };
}

/**
 * How an engine behind TLS is reached.
 *
 * @param tls The certificates.
 * @returns Options for a connection.
 */
export function tlsOptions(
  tls: NonNullable<EngineEndpoint["tls"]>,
): ConnectionOptions {
  return {
    ...tls,
    // Without --tls-verify any certificate will do, as it did for the plugins
    // that this one replaces; any list of authorities keeps Deno from looking
    // for the system's.
    ...(!tls.ca && { ca: tls.cert, rejectUnauthorized: false }),
  };
}

async function readBody(
  response: IncomingMessage,
  patience: number,
  late: () => EngineError,
): Promise<string> {
  let body = "";
  const deadline = setTimeout(() => response.destroy(late()), patience);
  try {
    for await (const piece of response.setEncoding("utf8")) {
      body += piece;
      if (body.length > ANSWER_LIMIT) {
        throw new AnswerTooLong(body.slice(0, 200));
      }
    }
  } finally {
    clearTimeout(deadline);
  }
  return body;
}

class AnswerTooLong extends Error {
  constructor(readonly beginning: string) {
    super();
  }
}

function reasonOf(error: unknown): string {
  const { code = "", message } = error as Error & { code?: string };
  if (code === "ECONNRESET") {
    return "the connection was closed before the answer's end";
  }
  return code.startsWith("HPE_") ? "that is no HTTP/1.1 answer" : message;
}
