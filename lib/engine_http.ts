/**
 * How the engine is reached: a unix socket, TCP, or TCP with TLS.
 *
 * @module
 */
import type { RequestOptions } from "node:https";
import { type EngineAnswer, EngineError, type Send } from "./engine.ts";
import {
  ANSWER_LIMIT,
  Deadline,
  endless,
  EngineConnections,
} from "./engine_connections.ts";

/** Where the engine listens, and who we are to it. */
export interface EngineAddress {
  /** `unix:///path` or `tcp://host:port`. */
  host: string;
  /** Directory with `cert.pem`, `key.pem` and, to verify, `ca.pem`. */
  certPath?: string;
  /** Whether the engine's certificate is verified against `ca.pem`. */
  tlsVerify: boolean;
}

/** How long the engine may take for an answer, in milliseconds. */
const TIMEOUT = 5000;

/** Asks one question. */
type Ask = (
  path: string,
  method: string,
  deadline: Deadline,
) => Promise<EngineAnswer>;

/**
 * Prepares the way to an engine.
 *
 * @param address Where it listens.
 * @returns A function that sends requests; it throws {@link EngineError} where
 *   there is no answer within 5 seconds. It keeps connections until it is disposed
 *   of.
 * @throws {EngineError} where the host is of no supported form, or a certificate
 *   can't be read.
 */
export function engineTransport(address: EngineAddress): Send & Disposable {
  const { ask, close } = wayTo(address);

  async function send(
    path: string,
    method = "GET",
  ): Promise<EngineAnswer> {
    const deadline = new Deadline(TIMEOUT);
    try {
      return await ask(path, method, deadline);
    } catch (error) {
      throw new EngineError(
        deadline.isOver
          ? `${address.host} did not answer within ${TIMEOUT / 1000} s`
          : `${address.host}: ${messageOf(error)}`,
      );
    } finally {
      deadline.clear();
    }
  }
  return Object.assign(send, { [Symbol.dispose]: close });
}

function wayTo(
  { host, certPath, tlsVerify }: EngineAddress,
): { ask: Ask; close(): void } {
  const unix = /^unix:\/\/(\/.+)$/.exec(host);
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^/:[\]]+):(\d+)\/?$/.exec(host);
  if (unix && certPath === undefined) {
    return plain("docker", { transport: "unix", path: unix[1] });
  }
  if (!tcp) {
    throw new EngineError(
      `can't reach an engine at ${host}: give unix:///path or tcp://host:port` +
        (unix ? ", and certificates only with tcp" : ""),
    );
  }
  const hostname = tcp[1].replace(/[[\]]/g, "");
  const port = Number(tcp[2]);
  if (certPath !== undefined) {
    return overTls({
      host: hostname,
      port,
      ...tlsOptions(certPath, tlsVerify),
    });
  }
  if (tlsVerify) {
    throw new EngineError(
      `${host} can't be verified: --tls-verify needs a --cert-path with ` +
        "cert.pem, key.pem and ca.pem",
    );
  }
  return plain(`${tcp[1]}:${port}`, { hostname, port });
}

function plain(
  name: string,
  to: Deno.UnixConnectOptions | Deno.ConnectOptions,
): { ask: Ask; close(): void } {
  const connections = new EngineConnections(() =>
    // Each has a signature of its own.
    "path" in to ? Deno.connect(to) : Deno.connect(to)
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
function overTls(options: RequestOptions): { ask: Ask; close(): void } {
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

function tlsOptions(certPath: string, tlsVerify: boolean): RequestOptions {
  const cert = readPem(`${certPath}/cert.pem`);
  return {
    agent: false,
    cert,
    key: readPem(`${certPath}/key.pem`),
    // Without --tls-verify any certificate will do, as it did for the plugins
    // that this one replaces.
    ...(tlsVerify
      ? { ca: readPem(`${certPath}/ca.pem`) }
      // Any list of authorities keeps Deno from looking for the system's.
      : { ca: cert, rejectUnauthorized: false }),
  };
}

function readPem(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new EngineError(`${file} can't be read: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
