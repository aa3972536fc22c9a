/**
 * The plugin API: what the engine posts, and what it gets.
 *
 * @module
 */
import { STATUS_CODE } from "@std/http";
import type { Judge } from "./judge.ts";
import type { Log } from "./log.ts";
import type { Recheck } from "./recheck.ts";
import {
  type AuthzRequest,
  formatDecision,
  formatError,
  parseAuthzRequest,
  parseAuthzResponse,
  peekCall,
  WireError,
} from "./wire.ts";
import { ALLOW, type Decision, shown } from "./policy/decision.ts";

/** An HTTP request to the plugin, from whichever server took it. */
export interface PluginRequest {
  method: string;
  /** Path of the request target, and its query if there is one. */
  path: string;
  /** Length of the body in bytes, where the request says it. */
  length?: number;
  /** Reads the body at once. */
  text(): Promise<string>;
  /** Reads the body piece by piece; a piece is good until the next one. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** The answer to it; the content type is always the plugin API's. */
export interface PluginResponse {
  status: number;
  body: string;
}

/** Answers HTTP requests to the plugin; it never throws. */
export type PluginHandler = (request: PluginRequest) => Promise<PluginResponse>;

/**
 * The longest message that is read, in characters. An engine forwards at most
 * 4 MiB of body, coded in base64, beside at most 1 MiB of headers.
 */
const MESSAGE_LIMIT = 8 * 1024 * 1024;

/** How much of long messages is held at a time, in bytes, over all connections. */
const HELD_LIMIT = 64 * 1024 * 1024;

/** How far into a message to look for the call that it is about, in bytes. */
const BEGINNING = 64 * 1024;

/** Up to this length a message is read at once, in bytes: that is cheaper. */
const SHORT = 64 * 1024;

/**
 * Makes the handler of the plugin API.
 *
 * @param judge Decides on API calls.
 * @param recheck Looks again at what came of some of them.
 * @param log Where requests that can't be answered are noted.
 * @returns The handler.
 */
export function pluginHandler(
  judge: Judge,
  recheck: Recheck,
  log: Log,
): PluginHandler {
  async function decide(request: AuthzRequest): Promise<Decision> {
    const decision = await judge(request);
    return decision.allow ? await recheck.admit(request) : decision;
  }

  async function respond(
    path: string,
    body: PluginRequest,
  ): Promise<PluginResponse> {
    switch (path) {
      case "/Plugin.Activate":
        await drain(body);
        return { status: STATUS_CODE.OK, body: '{"Implements":["authz"]}' };
      case "/AuthZPlugin.AuthZReq":
        return decided(await decide(parseAuthzRequest(await readText(body))));
      case "/AuthZPlugin.AuthZRes": {
        const text = await readIfConcerned(body, recheck);
        if (text === undefined) return decided(ALLOW);
        const response = parseAuthzResponse(text);
        return decided(
          recheck.concerns(response.request)
            ? await recheck.judge(response)
            : ALLOW,
        );
      }
      default:
        await drain(body);
        return { status: STATUS_CODE.NotFound, body: formatError("not found") };
    }
  }

  return async (request) => {
    const { method, path } = request;
    try {
      return await respond(method === "POST" ? path : "", request);
    } catch (error) {
      // The engine refuses a call at any status but 200.
      const known = error instanceof WireError;
      log.error(`can't answer ${shown(method)} ${shown(path)}: ${error}`);
      return {
        status: known
          ? STATUS_CODE.BadRequest
          : STATUS_CODE.InternalServerError,
        body: formatError(known ? error.message : String(error)),
      };
    }
  };
}

function decided(decision: Decision): PluginResponse {
  return { status: STATUS_CODE.OK, body: formatDecision(decision) };
}

/** An answer before the end of a message breaks the connection. */
async function drain(body: PluginRequest): Promise<void> {
  for await (const _ of body.pieces());
}

async function readText(body: PluginRequest): Promise<string> {
  return await readIf(body, () => true) ?? "";
}

/**
 * Reads a response message to its end, and keeps it only where it matters: the
 * others can be megabytes, and nothing hangs on them.
 */
function readIfConcerned(
  body: PluginRequest,
  recheck: Recheck,
): Promise<string | undefined> {
  return readIf(body, (beginning) => {
    const call = peekCall(beginning);
    return call && recheck.concerns(call);
  });
}

/** How much is held now. */
let held = 0;

function beginning(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return pieces.map((piece) => decoder.decode(piece, { stream: true }))
    .join("");
}

/**
 * Reads a message as long as it is wanted, and to its end otherwise.
 *
 * @param body The message.
 * @param isWanted Tells by its beginning; undefined where that is too short.
 * @returns The text, or undefined where it isn't wanted.
 */
async function readIf(
  body: PluginRequest,
  isWanted: (beginning: string) => boolean | undefined,
): Promise<string | undefined> {
  if (body.length !== undefined && body.length <= SHORT) {
    const text = await body.text();
    return isWanted(text) === false ? undefined : text;
  }
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let wanted: boolean | undefined;
  let length = 0;
  let look = 0;
  try {
    for await (const piece of body.pieces()) {
      if (wanted === false) continue;
      pieces.push(new Uint8Array(piece));
      length += piece.length;
      held += piece.length;
      if (wanted === undefined && length >= look && look <= BEGINNING) {
        wanted = isWanted(beginning(pieces));
        look = 2 * length; // Pieces can be single bytes.
      }
      if (wanted === false) pieces.length = 0;
      if (length > MESSAGE_LIMIT) {
        throw new WireError(`the message has more than ${MESSAGE_LIMIT} bytes`);
      }
      if (held > HELD_LIMIT) {
        throw new WireError("too many long messages at once");
      }
    }
    if (wanted === false) return undefined;
    const text = await new Blob(pieces).text();
    return wanted === undefined && isWanted(text) === false ? undefined : text;
  } finally {
    held -= length;
  }
}
