/**
 * Where the engine is, as the command line says it.
 *
 * @module
 */
import { EngineError } from "./error.ts";
import { messageOf } from "../text.ts";

/** Where the engine listens, and who we are to it. */
export interface EngineAddress {
  /** `unix:///path` or `tcp://host:port`. */
  host: string;
  /** Directory with `cert.pem`, `key.pem` and, to verify, `ca.pem`. */
  certPath?: string;
  /** Whether the engine's certificate is verified against `ca.pem`. */
  tlsVerify: boolean;
}

/** The same, ready to connect to. */
export interface EngineEndpoint {
  /** What to call it: the `host` of its address. */
  host: string;
  to: { path: string } | { hostname: string; port: number };
  /** Missing if it is asked in plain HTTP. */
  tls?: {
    cert: string;
    key: string;
    /** Missing if any certificate of the engine's will do. */
    ca?: string;
  };
}

const UNIX = /^unix:\/\/(\/.+)$/;
const TCP = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^/:[\]]+):(\d{1,5})\/?$/;

/** What an engine's host looks like. */
export const HOST_FORM = "unix:///path or tcp://host:port";

/**
 * @param host The `host` of an engine's address.
 * @returns Whether it has a supported form.
 */
export function isHost(host: string): boolean {
  return UNIX.test(host) || Number(TCP.exec(host)?.[2]) <= 65535;
}

/**
 * Reads an engine's address, and the certificates for it.
 *
 * @param address The address.
 * @returns Where to connect to.
 * @throws {EngineError} If the host has no supported form, or a certificate
 *   can't be read.
 */
export function engineEndpoint(
  { host, certPath, tlsVerify }: EngineAddress,
): EngineEndpoint {
  const unix = UNIX.exec(host);
  const tcp = TCP.exec(host);
  if (unix && certPath === undefined) {
    return { host, to: { path: unix[1] } };
  }
  if (!tcp || !isHost(host)) {
    throw new EngineError(
      `can't reach an engine at ${host}: give ${HOST_FORM}` +
        (unix ? ", and certificates only with tcp" : ""),
    );
  }
  const endpoint = {
    host,
    to: { hostname: tcp[1].replace(/[[\]]/g, ""), port: Number(tcp[2]) },
  };
  if (certPath !== undefined) {
    return {
      ...endpoint,
      tls: {
        cert: readPem(`${certPath}/cert.pem`),
        key: readPem(`${certPath}/key.pem`),
        ...(tlsVerify && { ca: readPem(`${certPath}/ca.pem`) }),
      },
    };
  }
  if (tlsVerify) {
    throw new EngineError(
      `${host} can't be verified: --tls-verify needs a --cert-path with ` +
        "cert.pem, key.pem and ca.pem",
    );
  }
  return endpoint;
}

function readPem(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const why = messageOf(error);
    throw new EngineError(`${file} can't be read: ${why}`);
  }
}
