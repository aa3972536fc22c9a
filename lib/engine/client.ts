/**
 * Sends requests to the engine: over a unix socket, TCP, or TCP with TLS.
 *
 * @module
 */
import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import type { RequestOptions } from "node:https";
import type { EngineEndpoint } from "./address.ts";
import { EngineError } from "./error.ts";

/** How long the engine may take for an answer, in milliseconds. */
const PATIENCE = 5000;

/** How long a connection waits for the next request, in milliseconds. */
const IDLE_TIME = 10_000;

/** How many connections wait for the next request. */
const IDLE_LIMIT = 16;

/** The longest answer that is read, in characters. */
const ANSWER_LIMIT = 16 * 1024 * 1024;

/** An answer of the engine's API. */
export interface EngineAnswer {
  status: number;
  /** The `Api-Version` header: the newest version that the engine speaks. */
  apiVersion: string;
  body: string;
}

/** Sends the engine a request without a body. */
export type Send = (
  path: string,
  method?: "GET" | "DELETE",
) => Promise<EngineAnswer>;

/**
 * Makes a client of an engine.
 *
 * @param endpoint Where the engine is.
 * @param patience How long it may take for an answer, in milliseconds.
 * @returns A function that sends requests; it throws {@link EngineError} if
 *   there is no answer in that time. When it is disposed of, kept connections
 *   end.
 */
export function engineClient(
  endpoint: EngineEndpoint,
  patience = PATIENCE,
): Send & AsyncDisposable {
  const options = requestOptions(endpoint);
  let http: ReturnType<typeof loadHttp> | undefined;

  async function send(path: string, method = "GET"): Promise<EngineAnswer> {
    const { request, agent } = await (http ??= loadHttp(endpoint));
    let sent: ClientRequest;
    let isLate = false;
    const deadline = setTimeout(() => {
      isLate = true;
      // Else Deno sends it once more on a new connection
      // (https://github.com/denoland/deno/issues/36786).
      sent.reusedSocket = false;
      sent.destroy();
    }, patience);
    const responseOver = (agent: Agent | false) => {
      sent = request({ ...options, agent, method, path });
      return new Promise<IncomingMessage>((resolve, reject) =>
        sent.on("response", resolve).on("error", reject).end()
      );
    };
    try {
      const response = await responseOver(agent).catch((error) => {
        // The engine has ended the kept connection: it was restarted. No
        // request sent here does harm when it is sent twice.
        if (sent.reusedSocket) return responseOver(false);
        throw error;
      });
      return {
        status: response.statusCode ?? 0,
        apiVersion: String(response.headers["api-version"] ?? ""),
        body: await readBody(response),
      };
    } catch (error) {
      throw new EngineError(
        isLate
          ? `${endpoint.host} did not answer within ${patience / 1000} s`
          : `${endpoint.host}: ${reasonOf(error)}`,
      );
    } finally {
      clearTimeout(deadline);
    }
  }

  return Object.assign(send, {
    async [Symbol.asyncDispose]() {
      const { agent } = await http ?? {};
      if (agent) agent.destroy();
    },
  });
}

/**
 * Loads Node's HTTP client. It is loaded with the first request, since it would
 * take as long as the rest of the plugin's start.
 */
async function loadHttp({ to, tls }: EngineEndpoint) {
  const { Agent, request } =
    await (tls ? import("node:https") : import("node:http"));
  // Only connections to a unix socket are kept. Behind a TCP address there can
  // be another host a moment later, and who knows what stands between.
  const agent = "path" in to &&
    new Agent({
      keepAlive: true,
      maxFreeSockets: IDLE_LIMIT,
      timeout: IDLE_TIME,
    });
  return { request, agent };
}

function requestOptions({ to, tls }: EngineEndpoint): RequestOptions {
  return {
    ...("path" in to
      ? { socketPath: to.path }
      : { host: to.hostname, port: to.port }),
    ...tls,
    // Without --tls-verify any certificate will do, as it did for the plugins
    // that this one replaces; any list of authorities keeps Deno from looking
    // for the system's.
    ...(tls && !tls.ca && { ca: tls.cert, rejectUnauthorized: false }),
  };
}

async function readBody(response: IncomingMessage): Promise<string> {
  let body = "";
  for await (const piece of response.setEncoding("utf8")) {
    body += piece;
    if (body.length > ANSWER_LIMIT) throw new Error("it answers without end");
  }
  return body;
}

function reasonOf(error: unknown): string {
  const { code = "", message } = error as Error & { code?: string };
  if (code === "ECONNRESET") {
    return "the connection was closed before the answer's end";
  }
  return code.startsWith("HPE_") ? "that is no HTTP/1.1 answer" : message;
}
