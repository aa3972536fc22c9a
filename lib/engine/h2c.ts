/**
 * Whether an engine can be reached past its authorization plugins.
 *
 * From 29.2 on the engine hands gRPC over HTTP/2 to BuildKit before it asks any
 * plugin (moby's daemon/command/httphandler.go). It speaks HTTP/2 on a unix
 * socket or plain TCP to who begins with it ("h2c"), and behind TLS to who asks
 * for "h2" by ALPN, if systemd passed the listener. (On those that it opens
 * itself go-connections' sockets/tcp_socket.go takes "h2" back.) Who is refused
 * HTTP/2 is left with HTTP/1.1, which plugins see.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { connect as connectTls } from "node:tls";
import { type EngineEndpoint, engineEndpoint } from "./address.ts";
import { tlsOptions } from "./client.ts";
import { EngineError } from "./error.ts";

/** How long the engine may take for its first bytes, in milliseconds. */
const PATIENCE = 5000;

/**
 * What a client begins with: the preface, and SETTINGS that change nothing (RFC
 * 9113, 3.4).
 */
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0\0\0\x04\0\0\0\0\0";

/** How many bytes a frame has before its content (RFC 9113, 4.1). */
const FRAME_HEADER = 9;

/** The type of a frame with settings (RFC 9113, 6.5). */
const SETTINGS = 4;

/** Where users find an engine that they know nothing else of. */
export const USUAL_HOST = "unix:///var/run/docker.sock";

/** Deno's word and Node's for the alert `no_application_protocol`. */
const NO_PROTOCOL = /no_?application_?protocol/i;

/**
 * Says where users reach an engine. If only root reaches its socket, something
 * stands in front, and has the usual one.
 *
 * @param endpoint Where this program reaches it.
 * @param usual The usual socket, for tests.
 * @returns The same, or the usual socket; undefined if there is none then.
 */
export function usersEndpoint(
  endpoint: EngineEndpoint,
  usual = USUAL_HOST,
): EngineEndpoint | undefined {
  if (!("path" in endpoint.to)) return endpoint;
  const own = realPath(endpoint.to.path);
  if (own === undefined || !isForRootAlone(own)) return endpoint;
  const shared = engineEndpoint({ host: usual, tlsVerify: false });
  const { path } = shared.to as { path: string };
  return realPath(path) === undefined ? undefined : shared;
}

/** Undefined if there is nothing. */
function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

/**
 * To connect to a socket is to write to it, in a directory that lets one in.
 */
function isForRootAlone(socket: string): boolean {
  if (isClosed(socket, 0o2)) return true;
  for (let path = socket; path !== "/"; path = dirname(path)) {
    if (isClosed(dirname(path), 0o1)) return true;
  }
  return false;
}

/**
 * Whether only root has a permission. What an ACL gives to anybody shows as the
 * group's.
 */
function isClosed(path: string, permission: number): boolean {
  try {
    const { uid, mode } = Deno.statSync(path);
    return uid === 0 && mode !== null &&
      (mode & (permission | permission << 3)) === 0;
  } catch {
    return false; // It is gone.
  }
}

/**
 * Asks whether the other side of an address speaks HTTP/2.
 *
 * @param endpoint Where the engine is, or what stands in front of it.
 * @param patience How long it may take to answer, in milliseconds.
 * @returns `true` if it answers the beginning of HTTP/2 as RFC 9113 has it,
 *   with SETTINGS; `false` if it answers anything else or ends the connection.
 * @throws {EngineError} If it can't be reached, or says nothing in that time.
 */
export async function opensHttp2(
  endpoint: EngineEndpoint,
  patience = PATIENCE,
): Promise<boolean> {
  const socket = open(endpoint);
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const fail = (reason: string) =>
    reject(new EngineError(`${endpoint.host}: ${reason}`));
  let connected = false;
  let got = "";
  socket.setEncoding("latin1");
  socket.on(endpoint.tls ? "secureConnect" : "connect", () => {
    connected = true;
    socket.write(PREFACE, "latin1");
  });
  socket.on("data", (bytes: string) => {
    got += bytes;
    if (got.length >= FRAME_HEADER) resolve(isSettings(got));
  });
  // Who hangs up on HTTP/2 speaks something else, or refuses it: so does a TLS
  // server that says it has no such protocol (RFC 7301, 3.2). Before that, an
  // end tells nothing.
  const hangsUp = (reason: string) =>
    connected || NO_PROTOCOL.test(reason) ? resolve(false) : fail(reason);
  socket.on("error", ({ message }) => hangsUp(message));
  socket.on("end", () => hangsUp("hung up"));
  socket.on("close", () => hangsUp("hung up"));
  const deadline = setTimeout(
    () => fail(`no answer to HTTP/2 within ${patience / 1000} s`),
    patience,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    socket.destroy();
  }
}

function open({ to, tls }: EngineEndpoint): Socket {
  const address = "path" in to ? to : { host: to.hostname, port: to.port };
  return tls
    ? connectTls({ ...address, ...tlsOptions(tls), ALPNProtocols: ["h2"] })
    : connect(address);
}

/** Whether bytes begin with a frame of settings that are no acknowledgement. */
function isSettings(bytes: string): boolean {
  const [type, flags, ...stream] = [...bytes.slice(3, FRAME_HEADER)]
    .map((byte) => byte.charCodeAt(0));
  return type === SETTINGS && flags === 0 && stream.every((byte) => byte === 0);
}
