/**
 * Listens for the engine: on a socket of our own, or on systemd's.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { STATUS_CODE } from "@std/http";
import type { PluginHandler, PluginRequest } from "./plugin.ts";
import { PLUGIN_CONTENT_TYPE } from "./wire.ts";

/** A server that is up. */
export interface Listener {
  /** What it listens on, for the log. */
  where: string;
  /** @returns Why engines can't reach it, or undefined where they can. */
  problem(): string | undefined;
  /** Stops accepting, answers what came in, and removes its socket file. */
  close(): Promise<void>;
}

/** The socket can't be had. */
export class ListenError extends Error {
  /** @param problem Which socket, why, and what to do. */
  constructor(problem: string) {
    super(problem);
    this.name = "ListenError";
  }
}

/**
 * How long a stop goes on taking calls, in milliseconds: at least, so that an
 * engine gives up its idle connections, and at most.
 *
 * An engine whose connection breaks before the answer asks again, but with an
 * empty message (moby's pkg/plugins/client.go: the first try has used it up), and
 * its client's call fails. And while we ask the engine something, it asks us about
 * that, on a new connection. So a stop ends each connection with its next answer,
 * and waits for a moment in which there is none.
 */
const LAST_CALLS = { least: 300, most: 3000 };

/** The first file descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_FD = 3;

/** Before it, `listen({ fd })` opens a TCP port, or fails. */
const FIRST_DENO_WITH_FD = [2, 8];

/**
 * Listens where the environment says: on the socket that systemd passes, or else
 * on a socket file of our own.
 *
 * @param handler Answers the requests.
 * @param path The socket file, where systemd passes none.
 * @param environment `LISTEN_FDS` and `LISTEN_PID`, as systemd sets them.
 * @returns The server, ready to answer.
 * @throws {ListenError} where the socket can't be had.
 */
export async function listen(
  handler: PluginHandler,
  path: string,
  environment: { fds?: string; pid?: string },
): Promise<Listener> {
  const passed = environment.fds !== undefined &&
    environment.pid === String(Deno.pid);
  if (!passed) return await listenOnPath(handler, path);
  if (environment.fds !== "1") {
    throw new ListenError(
      `systemd passes ${environment.fds} sockets (LISTEN_FDS): ` +
        "give one ListenStream= in the .socket unit",
    );
  }
  const [major, minor] = Deno.version.deno.split(".").map(Number);
  const [needMajor, needMinor] = FIRST_DENO_WITH_FD;
  if (major < needMajor || (major === needMajor && minor < needMinor)) {
    throw new ListenError(
      `this executable is built on Deno ${Deno.version.deno}, which can't take ` +
        "over systemd's socket: build it on Deno 2.8 or later, or disable the " +
        ".socket unit, so that it listens on a socket of its own",
    );
  }
  return await listenOnDescriptor(handler);
}

async function listenOnPath(
  handler: PluginHandler,
  path: string,
): Promise<Listener> {
  await makeWay(path);
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({ path, onListen() {} }, async (request) => {
      const { status, body } = await handler(new OwnRequest(request));
      return new Response(
        body,
        status === STATUS_CODE.OK ? OK : { ...OK, status },
      );
    });
  } catch (error) {
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  Deno.chmodSync(path, 0o600);
  const { dev, ino } = Deno.lstatSync(path);
  let stopping = false;

  /** Why the socket file is not ours any more; undefined where it is. */
  function lost(): string | undefined {
    try {
      const there = Deno.lstatSync(path);
      if (there.dev === dev && there.ino === ino) return undefined;
      return `${path} is somebody else's socket`;
    } catch (error) {
      return `${path}: ${messageOf(error)}`;
    }
  }

  return {
    where: path,
    problem: () => stopping ? "stopping" : lost(),
    async close() {
      stopping = true;
      await server.shutdown();
      if (lost() === undefined) removeIfThere(path);
    },
  };
}

const OK = { headers: { "Content-Type": PLUGIN_CONTENT_TYPE } };

/** A request as `Deno.serve` takes it. */
class OwnRequest implements PluginRequest {
  readonly #request: Request;
  readonly method: string;
  readonly path: string;

  constructor(request: Request) {
    this.#request = request;
    this.method = request.method;
    // The engine sends no query; a hostile target need not even be a URL.
    const { url } = request;
    this.path = url.slice(url.indexOf("/", url.indexOf("://") + 3));
  }

  length(): number | undefined {
    return lengthOf(this.#request.headers.get("Content-Length"));
  }

  text(): Promise<string> {
    return this.#request.text();
  }

  json(): Promise<unknown> {
    return this.#request.json();
  }

  async read(take: (piece: Uint8Array) => void): Promise<void> {
    const { body } = this.#request;
    if (!body) return;
    let reader: ReadableStreamBYOBReader;
    try {
      reader = body.getReader({ mode: "byob" });
    } catch {
      // A short body is there already, and no stream of bytes.
      for await (const piece of body) take(piece);
      return;
    }
    // One buffer takes each piece in turn: a long body leaves no garbage.
    let buffer = new ArrayBuffer(PIECE);
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done || !value) return;
      take(value);
      buffer = value.buffer;
    }
  }
}

/** How much of a long body is read at a time, in bytes. */
const PIECE = 64 * 1024;

function lengthOf(header: string | null | undefined): number | undefined {
  return header ? Number(header) : undefined;
}

/** Makes the directory, and removes the socket file of somebody who is gone. */
async function makeWay(path: string): Promise<void> {
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) Deno.mkdirSync(path.slice(0, slash), { recursive: true });
    const there = Deno.lstatSync(path);
    if (!there.isSocket) {
      throw new ListenError(`${path} is not a socket: remove it`);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof ListenError) throw error;
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) {
      removeIfThere(path);
      return;
    }
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  throw new ListenError(
    `${path} is in use by ${await holderOf(path)}: stop that first`,
  );
}

/** Who listens on a socket file, as `ss` (iproute2) tells. */
async function holderOf(path: string): Promise<string> {
  try {
    const { stdout } = await new Deno.Command("ss", {
      args: ["-xlpH", "src", path],
      stderr: "null",
    }).output();
    const [, name, pid] = /users:\(\("([^"]*)",pid=(\d+)/
      .exec(new TextDecoder().decode(stdout)) ?? [];
    if (pid !== undefined) return `${name} (process ${pid})`;
  } catch {
    // Without ss the name is missing, not the refusal.
  }
  return "another process";
}

/** Deno has no API of its own for a descriptor that is open already. */
async function listenOnDescriptor(handler: PluginHandler): Promise<Listener> {
  const { createServer } = await import("node:http");
  const { Buffer } = await import("node:buffer");
  const connections = new Set<Socket>();
  const busy = new Set<Socket>();
  let onLast = () => {};
  let stopping = false;
  const server = createServer(async (request, response) => {
    const { socket } = request;
    busy.add(socket);
    try {
      const { status, body } = await handler(new PassedRequest(request));
      if (stopping) response.setHeader("Connection", "close");
      response.writeHead(status, {
        "Content-Type": PLUGIN_CONTENT_TYPE,
        // Without it the answer is chunked, which takes longer than all the rest.
        "Content-Length": Buffer.byteLength(body),
      });
      // As a text it goes out with the head, as bytes behind it.
      response.end(body);
    } catch {
      response.destroy();
    } finally {
      busy.delete(socket);
    }
  });
  server.on("connection", (connection: Socket) => {
    connections.add(connection);
    connection.once("close", () => {
      connections.delete(connection);
      if (connections.size === 0) onLast();
    });
  });
  // The engine keeps its connections: one that we close while it is about to be
  // used again fails a call.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new ListenError(`can't take over systemd's socket: ${error.message}`),
      ));
    server.listen({ fd: FIRST_FD }, resolve);
  });
  const address = server.address();
  if (typeof address === "object" && address?.port !== undefined) {
    server.close();
    throw new ListenError(
      `systemd's socket turned out to be TCP port ${address.port}: ` +
        "ListenStream= must be a path",
    );
  }
  return {
    where: "the socket that systemd passed",
    problem: () => stopping ? "stopping" : undefined,
    async close() {
      stopping = true;
      const idle = connections.difference(busy);
      await sleep(LAST_CALLS.least);
      // Whoever has used one since then has closed it, or is about to.
      for (const connection of idle.difference(busy)) connection.end();
      // No connection is lost between the last one's end and server.close().
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          onLast = () => {};
          server.close(() => resolve());
        };
        const timer = setTimeout(end, LAST_CALLS.most - LAST_CALLS.least);
        onLast = end;
        if (connections.size === 0) end();
      });
    },
  };
}

/** A request as `node:http` takes it. Its events are cheaper than its stream. */
class PassedRequest implements PluginRequest {
  readonly #request: IncomingMessage;
  readonly method: string;
  readonly path: string;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.method = request.method ?? "";
    this.path = request.url ?? "";
  }

  length(): number | undefined {
    return lengthOf(this.#request.headers["content-length"]);
  }

  text(): Promise<string> {
    return new Promise((resolve, reject) => {
      const pieces: Uint8Array[] = [];
      this.#request.on("data", (piece: Uint8Array) => pieces.push(piece));
      this.#request.on("end", () => resolve(decode(pieces)));
      this.#request.on("error", reject);
    });
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  read(take: (piece: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onData = (piece: Uint8Array) => {
        try {
          take(piece);
        } catch (error) {
          this.#request.off("data", onData);
          this.#request.resume(); // To its end all the same.
          reject(error);
        }
      };
      this.#request.on("data", onData);
      this.#request.on("end", resolve);
      this.#request.on("error", reject);
    });
  }
}

const decoder = new TextDecoder();

function decode(pieces: readonly Uint8Array[]): string {
  // Short messages come in one.
  if (pieces.length === 1) return decoder.decode(pieces[0]);
  const texts = pieces.map((piece) => decoder.decode(piece, { stream: true }));
  return texts.join("") + decoder.decode();
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
