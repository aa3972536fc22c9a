/**
 * How the engine is asked: over a unix socket, TCP, or TCP with TLS.
 *
 * @module
 */
import type { RequestOptions } from "node:https";
import { type EngineAnswer, EngineError, type Send } from "./engine.ts";
import type { EngineEndpoint } from "./address.ts";
import { type Deadline, Deadlines } from "./deadlines.ts";
import {
  ANSWER_LIMIT,
  endless,
  EngineConnections,
} from "./engine_connections.ts";

/** How long the engine may take for an answer, in milliseconds. */
const PATIENCE = 5000;

/** Asks one question. */
type Ask = (
  path: string,
  method: string,
  deadline: Deadline,
) => Promise<EngineAnswer>;

/**
 * Prepares the way to an engine.
 *
 * @param endpoint Where it is.
 * @param patience How long it may take for an answer, in milliseconds.
 * @returns A function that sends requests; it throws {@link EngineError} where
 *   there is no answer in that time. It keeps connections to a unix socket, until
 *   it is disposed of.
 */
export function engineTransport(
  endpoint: EngineEndpoint,
  patience = PATIENCE,
): Send & Disposable {
  const deadlines = new Deadlines(patience);
  const { ask, close } = endpoint.tls ? overTls(endpoint) : plain(endpoint);

  async function send(
    path: string,
    method = "GET",
  ): Promise<EngineAnswer> {
    const deadline = deadlines.begin();
    try {
      return await ask(path, method, deadline);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new EngineError(
        deadline.isOver
          ? `${endpoint.host} did not answer within ${patience / 1000} s`
          : `${endpoint.host}: ${why}`,
      );
    } finally {
      deadline.clear();
    }
  }
  return Object.assign(send, { [Symbol.dispose]: close });
}

function plain(
  { name, to }: EngineEndpoint,
): { ask: Ask; close(): void } {
  const connections = new EngineConnections(
    () =>
      "path" in to
        ? Deno.connect({ transport: "unix", ...to })
        : Deno.connect(to),
    "path" in to,
  );
  return {
    ask: (path, method, deadline) =>
      connections.ask(
        `${method} ${path} HTTP/1.1\r\nHost: ${name}\r\n\r\n`,
        deadline,
      ),
    close: () => connections.close(),
  };
}

/** Deno's own TLS can't leave a certificate unverified; Node's can. */
function overTls({ to, tls }: EngineEndpoint): { ask: Ask; close(): void } {
  const options: RequestOptions = {
    ...("path" in to
      ? { socketPath: to.path }
      : { host: to.hostname, port: to.port }),
    agent: false,
    ...tls,
    // Without --tls-verify any certificate will do, as it did for the plugins
    // that this one replaces; any list of authorities keeps Deno from looking
    // for the system's.
    ...(!tls?.ca && { ca: tls?.cert, rejectUnauthorized: false }),
  };
  const ask: Ask = async (path, method, deadline) => {
    // Loaded at the first question: serving needs no HTTP client.
    const { request } = await import("node:https");

    return await new Promise<EngineAnswer>((resolve, reject) => {
      const call = request({ ...options, path, method }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
          if (body.length > ANSWER_LIMIT) call.destroy(endless());
        });
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            apiVersion: String(response.headers["api-version"] ?? ""),
            body,
          }));
      });
      deadline.onOver = () => {
        call.destroy();
        reject();
      };
      call.on("error", reject);
      call.end();
    });
  };
  return { ask, close() {} };
}
