/**
 * The monitor API: an HTTP API of our own, beside the plugin socket, for
 * administrators and the programs that watch a host.
 *
 * @module
 */
import { STATUS_CODE, STATUS_TEXT } from "@std/http";

/** What the monitor API tells. */
export interface MonitorOptions {
  /** The program's version. */
  version: string;
  /** @returns Why no engine can reach the plugin, or undefined if it can. */
  problem(): string | undefined;
  /** @returns What is wrong although the plugin serves, or undefined. */
  warning(): string | undefined;
  /** @returns The settings in force, as JSON can write them. */
  config(): unknown;
  /** @returns The counts, in Prometheus's text format. */
  metrics(): string;
}

/** A monitor API that is up. */
export interface Monitor {
  /** Stops it, after it has answered the requests that came in. */
  close(): Promise<void>;
}

/** The monitor API's address can't be had. */
export class MonitorError extends Error {
  /** @param problem Which address, why, and what to do. */
  constructor(problem: string) {
    super(problem);
    this.name = "MonitorError";
  }
}

/**
 * Serves the monitor API.
 *
 * @param address `HOST:PORT`, the host in brackets if it is IPv6.
 * @param options What it tells.
 * @returns The server, ready to answer.
 * @throws {MonitorError} If the address is none, or in use.
 */
export function serveMonitor(
  address: string,
  options: MonitorOptions,
): Monitor {
  const [, hostname, port] = /^\[?([^\s[\]]+?)\]?:(\d{1,5})$/.exec(address) ??
    [];
  if (port === undefined || Number(port) > 65535) {
    throw new MonitorError(
      `--addr ${address}: give HOST:PORT, such as 127.0.0.1:5006, or off`,
    );
  }
  try {
    const server = Deno.serve(
      { hostname, port: Number(port), onListen() {} },
      (request) => answer(request, options),
    );
    return { close: () => server.shutdown() };
  } catch (error) {
    throw new MonitorError(
      `can't serve the monitor API on ${address}: ` +
        `${error instanceof Error ? error.message : String(error)}; ` +
        "give another --addr, or --addr off",
    );
  }
}

/**
 * Answers a request to the monitor API.
 *
 * @param request The HTTP request.
 * @param options What there is to tell.
 * @returns The HTTP response.
 */
export function answer(request: Request, options: MonitorOptions): Response {
  const read = PAGES[new URL(request.url).pathname];
  if (!read) return text(STATUS_CODE.NotFound);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text(STATUS_CODE.MethodNotAllowed, undefined, {
      Allow: "GET, HEAD",
    });
  }
  return read(options);
}

const REASONS: Readonly<Record<number, string>> = STATUS_TEXT;

const PAGES: Record<string, (options: MonitorOptions) => Response> = {
  "/health": ({ problem, warning }) => {
    const reason = problem();
    if (reason !== undefined) {
      return text(STATUS_CODE.ServiceUnavailable, `UNHEALTHY: ${reason}`);
    }
    const amiss = warning();
    return text(
      STATUS_CODE.OK,
      amiss === undefined ? "HEALTHY" : `HEALTHY, but ${amiss}`,
    );
  },
  "/version": ({ version }) => text(STATUS_CODE.OK, version),
  "/metrics": ({ metrics }) =>
    new Response(metrics(), {
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
    }),
  "/config": ({ config }) =>
    new Response(JSON.stringify(config(), null, 4) + "\n", {
      headers: { "Content-Type": "application/json" },
    }),
};

function text(
  status: number,
  body: string = REASONS[status],
  headers: Record<string, string> = {},
): Response {
  return new Response(body, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...headers },
  });
}
