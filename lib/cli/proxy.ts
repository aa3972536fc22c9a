/**
 * A socket that a docker client takes for the engine's. What only reads goes
 * to the engine; everything else is answered here, and never passed on.
 *
 * @module
 */
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import type { AuthzRequest } from "../call/authz.ts";
import { routeOf } from "../call/endpoints.ts";
import type { EngineEndpoint } from "../engine/address.ts";
import { requestOptions } from "../engine/client.ts";
import { EngineError } from "../engine/error.ts";
import { olderThan } from "../version.ts";
import { messageOf } from "../text.ts";

/** An answer in the engine's place. */
export interface Answer {
  status: number;
  /** Sent as JSON; the engine's errors are a `message`. */
  body: Record<string, unknown>;
}

/** What a proxy works with. */
export interface ProxyOptions {
  /** The engine. */
  endpoint: EngineEndpoint;
  /** @returns The engine's version, for what it shows to plugins. */
  serverVersion(): Promise<string>;
  /** Who calls, as the engine would name them. */
  user: string;
  /** Answers a call that is not passed on. */
  answer(request: AuthzRequest): Promise<Answer>;
}

/** A proxy that listens. */
export interface Proxy extends AsyncDisposable {
  /** The path of its socket, in a directory that only this user may enter. */
  socket: string;
}

/**
 * Before it, Node's server takes a path for any TCP port, open to everybody.
 */
const SERVES_PATHS = "2.8";

const MIB = 1024 * 1024;

/** Calls that do nothing but tell. */
const READS = ["GET", "HEAD"];

/** Headers that concern one connection alone. */
const HOP = /^(connection|keep-alive|upgrade|transfer-encoding)$/i;

/**
 * Starts a proxy. It is Node's server, since Deno's own refuses what opens a
 * hijacked connection: an `Upgrade` with a `Content-Length`.
 *
 * @param options What it works with.
 * @returns The proxy; disposing of it ends it and removes its socket.
 * @throws {EngineError} If this runtime can't serve a socket.
 */
export async function serveProxy(options: ProxyOptions): Promise<Proxy> {
  const { deno } = Deno.version;
  if (olderThan(deno, SERVES_PATHS)) {
    throw new EngineError(
      `explain needs Deno ${SERVES_PATHS} or later, and this is ${deno}`,
    );
  }
  const dir = await Deno.makeTempDir({ prefix: "docker-policy-plugin-" });
  const socket = `${dir}/docker.sock`;
  const server = createServer((request, response) => {
    response.on("error", () => {}); // The client is gone.
    if (isPassedOn(request)) {
      passOn(options.endpoint, request, response);
    } else answerHere(options, request, response);
  });
  await new Promise<void>((resolve, reject) =>
    server.on("error", reject).listen(socket, resolve)
  );
  return {
    socket,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Some reads are guarded: they copy out of containers, or tell secrets. */
function isPassedOn({ method = "", url = "" }: IncomingMessage): boolean {
  return READS.includes(method) && !routeOf({ method, uri: url });
}

function passOn(
  endpoint: EngineEndpoint,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const send = endpoint.tls ? httpsRequest : httpRequest;
  const sent = send({
    ...requestOptions(endpoint),
    method: request.method,
    path: request.url,
    headers: withoutHop(request),
    agent: false,
  });
  sent.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 0, withoutHop(answer));
    response.flushHeaders();
    answer.on("error", () => response.destroy()).pipe(response);
  });
  sent.on("error", ({ message }) => {
    if (response.headersSent) response.destroy();
    else {
      reply(response, {
        status: 502,
        body: { message: `explain: ${endpoint.host}: ${message}` },
      });
    }
  });
  response.on("close", () => sent.destroy());
  sent.end();
}

async function answerHere(
  options: ProxyOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await options.answer(await asShown(request, options));
  } catch (error) {
    const why = messageOf(error);
    answer = { status: 500, body: { message: `explain: ${why}` } };
  }
  reply(response, answer);
}

function reply(response: ServerResponse, { status, body }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": new TextEncoder().encode(text).length,
  }).end(text);
}

function withoutHop(
  { rawHeaders }: IncomingMessage,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of pairs(rawHeaders)) {
    if (HOP.test(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

/**
 * What the engine would show a plugin of a request: `NewCtx` and `AuthZRequest`
 * in moby's pkg/authorization/authz.go. What distributors changed in older
 * engines can't be known here.
 */
async function asShown(
  request: IncomingMessage,
  { user, serverVersion }: ProxyOptions,
): Promise<AuthzRequest> {
  const { method = "", url: uri = "" } = request;
  const all = pairs(request.rawHeaders)
    .map(([name, value]) => [canonical(name), value]);
  const isChunked = all.some(([name]) => name === "Transfer-Encoding");
  const headers = Object.fromEntries(
    all.filter(([name]) => !NEVER_SHOWN.includes(name))
      .filter(([name]) => !(isChunked && name === "Content-Length")),
  );
  const [, type = ""] = all.find(([name]) => name === "Content-Type") ?? [];
  const shown = { user, method, uri, headers };
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    request.resume(); // An archive, that nobody needs.
    return shown;
  }
  const { length, body } = await readBody(request);
  if (length === 0) return shown;
  if (isChunked || length >= MIB) {
    const version = (await serverVersion()).replace(/[^0-9.].*/, "");
    const limit = olderThan(version, "29.3.1") ? MIB - 1 : 4 * MIB;
    if (length > limit || (isChunked && olderThan(version, "25"))) return shown;
  }
  return { ...shown, body: body.toBase64() };
}

/** Go's net/http takes the first two off; `headers` in authz.go the others. */
const NEVER_SHOWN = [
  ...["Host", "Transfer-Encoding"],
  ...["Authorization", "X-Registry-Auth", "X-Registry-Config"],
];

/** Reads a body to its end, and keeps what any engine would show of it. */
async function readBody(
  request: IncomingMessage,
): Promise<{ length: number; body: Uint8Array }> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length <= 4 * MIB) parts.push(part);
  }
  return { length, body: await new Blob(parts as BlobPart[]).bytes() };
}

/** `CanonicalMIMEHeaderKey` in Go's net/textproto. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());
}

function pairs(rawHeaders: string[]): [name: string, value: string][] {
  return rawHeaders.flatMap((name, at) =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1]]] : []
  );
}
