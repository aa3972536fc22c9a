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
  formatDecision,
  formatError,
  peekCall,
  readAuthzRequest,
  readAuthzResponse,
  unreadableMessage,
  WireError,
} from "./wire.ts";
import { ALLOW, type Decision, shown } from "./policy/decision.ts";

/** An HTTP request to the plugin, from whichever server took it. */
export interface PluginRequest {
  method: string;
  /** Path of the request target, and its query if there is one. */
  path: string;
  /** @returns Length of the body in bytes, where the request says it. */
  length(): number | undefined;
  /** Reads the body at once. */
  text(): Promise<string>;
  /** Reads the body at once, as JSON; rejected with SyntaxError for none. */
  json(): Promise<unknown>;
  /**
   * Reads the body to its end, piece by piece.
   *
   * @param take Gets the pieces; each is good until the next one.
   */
  read(take: (piece: Uint8Array) => void): Promise<void>;
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
const BEGINNING = { first: 1024, last: 64 * 1024 };

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
  async function respond(
    path: string,
    body: PluginRequest,
  ): Promise<PluginResponse> {
    switch (path) {
      case "/AuthZPlugin.AuthZReq": {
        const decision = judge(readAuthzRequest(await readJson(body)));
        return decided(
          decision instanceof Promise ? await decision : decision,
        );
      }
      case "/AuthZPlugin.AuthZRes": {
        const text = await readIf(body, (beginning) => {
          const call = peekCall(beginning);
          return call && recheck.concerns(call);
        });
        if (text === undefined) return ALLOWED;
        const response = readAuthzResponse(parse(text));
        return recheck.concerns(response.request)
          ? decided(await recheck.judge(response))
          : ALLOWED;
      }
      case "/Plugin.Activate":
        await drain(body);
        return { status: STATUS_CODE.OK, body: '{"Implements":["authz"]}' };
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

const ALLOWED: PluginResponse = {
  status: STATUS_CODE.OK,
  body: formatDecision(ALLOW),
};

function decided(decision: Decision): PluginResponse {
  return decision.allow
    ? ALLOWED
    : { status: STATUS_CODE.OK, body: formatDecision(decision) };
}

/** An answer before the end of a message breaks the connection. */
function drain(body: PluginRequest): Promise<void> {
  return body.read(() => {});
}

async function readJson(body: PluginRequest): Promise<unknown> {
  const length = body.length();
  if (length === undefined || length > SHORT) {
    return parse(await readLong(body, () => true) ?? "");
  }
  try {
    return await body.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw unreadableMessage(length === 0);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadableMessage(text === "");
  }
}

/** Tells by the beginning of a message; undefined where that is too short. */
type IsWanted = (beginning: string) => boolean | undefined;

/**
 * Reads a message to its end, and keeps it only where it is wanted: response
 * messages can be megabytes, and on most of them nothing hangs.
 *
 * @param body The message.
 * @param isWanted Tells whether it is.
 * @returns The text, or undefined where it isn't wanted.
 */
async function readIf(
  body: PluginRequest,
  isWanted: IsWanted,
): Promise<string | undefined> {
  const length = body.length();
  if (length === undefined || length > SHORT) {
    return await readLong(body, isWanted);
  }
  const text = await body.text();
  return isWanted(text) === false ? undefined : text;
}

/** How much is held now. */
let held = 0;

/** The same, where the message may be long. */
async function readLong(
  body: PluginRequest,
  isWanted: IsWanted,
): Promise<string | undefined> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let wanted: boolean | undefined;
  let length = 0;
  let look = BEGINNING.first;
  try {
    await body.read((piece) => {
      if (wanted === false) return;
      pieces.push(new Uint8Array(piece));
      length += piece.length;
      held += piece.length;
      while (wanted === undefined && look <= length && look <= BEGINNING.last) {
        wanted = isWanted(beginning(pieces, look));
        look *= 4;
      }
      if (wanted === false) pieces.length = 0;
      if (length > MESSAGE_LIMIT) {
        throw new WireError(`the message has more than ${MESSAGE_LIMIT} bytes`);
      }
      if (held > HELD_LIMIT) {
        throw new WireError("too many long messages at once");
      }
    });
    if (wanted === false) return undefined;
    const text = await new Blob(pieces).text();
    return wanted === undefined && isWanted(text) === false ? undefined : text;
  } finally {
    held -= length;
  }
}

function beginning(pieces: readonly Uint8Array[], length: number): string {
  const decoder = new TextDecoder();
  let text = "";
  for (const piece of pieces) {
    text += decoder.decode(piece.subarray(0, length), { stream: true });
    length -= piece.length;
    if (length <= 0) break;
  }
  return text;
}
