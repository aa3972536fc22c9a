/**
 * How the engine is reached: a unix socket, TCP, or TCP with TLS.
 *
 * @module
 */
import type { RequestOptions } from "node:https";
import { type EngineAnswer, EngineError, type Send } from "./engine.ts";

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

/** Longer answers are none to the questions asked here, in characters. */
const ANSWER_LIMIT = 16 * 1024 * 1024;

/**
 * Prepares the way to an engine.
 *
 * @param address Where it listens.
 * @returns A function that sends requests, by a connection of its own each; it
 *   throws {@link EngineError} where there is no answer within 5 seconds.
 * @throws {EngineError} where the host is of no supported form, or a certificate
 *   can't be read.
 */
export function engineTransport(address: EngineAddress): Send {
  const where = address.host;
  const options = requestOptions(address);
  const secure = address.certPath !== undefined;

  return async (path, method = "GET") => {
    // Loaded at the first question: serving needs no HTTP client.
    const { request } = secure
      ? await import("node:https")
      : await import("node:http");

    return await new Promise<EngineAnswer>((resolve, reject) => {
      const fail = (problem: string) => {
        clearTimeout(timer);
        reject(new EngineError(problem));
        call.destroy();
      };
      const call = request({ ...options, path, method }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
          if (body.length > ANSWER_LIMIT) fail(`${where} answers without end`);
        });
        response.on("error", (error) => fail(`${where}: ${error.message}`));
        response.on("end", () => {
          clearTimeout(timer);
          resolve({
            status: response.statusCode ?? 0,
            apiVersion: String(response.headers["api-version"] ?? ""),
            body,
          });
        });
      });
      const timer = setTimeout(
        () => fail(`${where} did not answer within ${TIMEOUT / 1000} s`),
        TIMEOUT,
      );
      call.on("error", (error: Error) => fail(`${where}: ${error.message}`));
      call.end();
    });
  };
}

function requestOptions(
  { host, certPath, tlsVerify }: EngineAddress,
): RequestOptions {
  const unix = /^unix:\/\/(\/.+)$/.exec(host);
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^/:[\]]+):(\d+)\/?$/.exec(host);
  if (unix && certPath === undefined) {
    return { socketPath: unix[1], headers: { Host: "docker" }, agent: false };
  }
  if (!tcp) {
    throw new EngineError(
      `can't reach an engine at ${host}: give unix:///path or tcp://host:port` +
        (unix ? ", and certificates only with tcp" : ""),
    );
  }
  const address = { host: tcp[1].replace(/[[\]]/g, ""), port: Number(tcp[2]) };
  if (certPath === undefined) {
    if (tlsVerify) {
      throw new EngineError(
        `${host} can't be verified: --tls-verify needs a --cert-path with ` +
          "cert.pem, key.pem and ca.pem",
      );
    }
    return { ...address, agent: false };
  }
  const cert = readPem(`${certPath}/cert.pem`);
  return {
    ...address,
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
    throw new EngineError(
      `${file} can't be read: ${
        error instanceof Error ? error.message : error
      }`,
    );
  }
}
