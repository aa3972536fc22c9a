/**
 * The monitor API: an HTTP API of our own, beside the plugin socket, for
 * administrators and the programs that watch a host.
 *
 * @module
 */
import { delay } from "@std/async";
import { STATUS_CODE } from "@std/http";
import type { Log } from "../log.ts";
import type { MonitorAddress } from "../monitor_address.ts";
import { messageOf } from "../text.ts";
import { holderOfPort } from "./holder.ts";
import { type Page, serveShort, textPage } from "./short_http.ts";
import { makeWay } from "./socket_file.ts";

/** What the monitor API tells. */
export interface MonitorOptions {
  /** The program's version. */
  version: string;
  /** @returns Why no engine can reach the plugin, or undefined if it can. */
  problem(): string | undefined;
  /** @returns What is wrong although the plugin serves, a text for each. */
  warnings(): readonly string[];
  /** @returns What is enforced, in a few words. */
  enforced(): string;
  /** @returns The settings in force, as JSON can write them. */
  config(): unknown;
  /** @returns The counts, in Prometheus's text format. */
  metrics(): string;
}

/** A monitor API that is up, or is tried again until it is. */
export interface Monitor {
  /** Where it is served. */
  readonly address: string;
  /** @returns Why it can't be reached; undefined if it can. */
  problem(): string | undefined;
  /** Stops it, and removes its socket file. */
  close(): void;
}

/** How long to wait before the address is tried again, in milliseconds. */
const RETRY = { first: 1000, most: 60_000 };

/** Does not keep the process from ending. */
const AT_REST = { persistent: false };

/**
 * Its socket file is for root, and for the group of the process, which `Group=`
 * in the unit names.
 */
const SOCKET_MODE = 0o660;

/**
 * Serves the monitor API. An address that can't be had is an error in the log,
 * and is tried again.
 *
 * @param address Where.
 * @param options What it tells.
 * @param log Where errors go.
 * @returns The server, which may not be up yet.
 */
export function serveMonitor(
  { text: address, to }: MonitorAddress,
  options: MonitorOptions,
  log: Log,
): Monitor {
  let listener: Deno.Listener | undefined;
  let problem: string | undefined = "it is not up yet";
  let isClosed = false;

  async function serve(): Promise<void> {
    let wasLogged = false;
    for (let wait = RETRY.first; !isClosed; wait *= 2) {
      try {
        listener = await listenAt(to);
        break;
      } catch (error) {
        const why = await reasonOf(error, to);
        if (why !== problem) {
          log.error(
            `can't serve the monitor API on ${address}: ${why}; it is tried ` +
              "again",
          );
        }
        wasLogged = true;
        problem = why;
        await delay(Math.min(wait, RETRY.most), AT_REST);
      }
    }
    if (isClosed) return listener?.close();
    problem = undefined;
    if (wasLogged) log.info(`the monitor API is served on ${address} now`);
    await serveShort(
      listener!,
      (method, target) => answer(method, target, options),
    );
  }

  serve();
  return {
    address,
    problem: () => problem,
    close() {
      if (!isClosed) listener?.close();
      isClosed = true;
    },
  };
}

async function listenAt(to: MonitorAddress["to"]): Promise<Deno.Listener> {
  if (to.transport === "tcp") return Deno.listen(to);
  await makeWay(to.path);
  const listener = Deno.listen(to);
  Deno.chmodSync(to.path, SOCKET_MODE);
  return listener;
}

async function reasonOf(
  error: unknown,
  to: MonitorAddress["to"],
): Promise<string> {
  return error instanceof Deno.errors.AddrInUse && to.transport === "tcp"
    ? `it is in use by ${await holderOfPort(to.port)}`
    : messageOf(error);
}

/**
 * Answers a request to the monitor API.
 *
 * @param method Its method.
 * @param target Its target.
 * @param options What there is to tell.
 * @returns The answer.
 */
export function answer(
  method: string,
  target: string,
  options: MonitorOptions,
): Page {
  const read = PAGES.get(target.split("?", 1)[0]);
  if (!read) return textPage(STATUS_CODE.NotFound);
  if (method !== "GET" && method !== "HEAD") {
    return textPage(STATUS_CODE.MethodNotAllowed, undefined, {
      Allow: "GET, HEAD",
    });
  }
  return read(options);
}

const PAGES = new Map<string, (options: MonitorOptions) => Page>([
  // Probes look for the first word.
  ["/health", ({ problem, warnings, enforced }) => {
    const reason = problem();
    if (reason !== undefined) {
      return textPage(STATUS_CODE.ServiceUnavailable, `UNHEALTHY: ${reason}`);
    }
    const amiss = warnings().map((text) => text.replaceAll("\n", "; "));
    const but = amiss.length > 0 ? `, but ${amiss.join("; ")}` : "";
    return textPage(STATUS_CODE.OK, `HEALTHY${but} (${enforced()})`);
  }],
  ["/version", ({ version }) => textPage(STATUS_CODE.OK, version)],
  ["/metrics", ({ metrics }) =>
    textPage(STATUS_CODE.OK, metrics(), {
      "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    })],
  [
    "/config",
    ({ config }) =>
      textPage(STATUS_CODE.OK, JSON.stringify(config(), null, 4) + "\n", {
        "Content-Type": "application/json",
      }),
  ],
]);
