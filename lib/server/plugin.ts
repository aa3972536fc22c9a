/**
 * The plugin API: what the engine posts, and what it gets.
 *
 * @module
 */
import { STATUS_CODE } from "@std/http";
import type { Log } from "../log.ts";
import type { Lines } from "../verdict/lines.ts";
import {
  formatDecision,
  formatError,
  peekCall,
  readAuthzRequest,
  readAuthzResponse,
  unreadableMessage,
  WireError,
} from "./wire.ts";
import { ALLOW, type Decision } from "../policy/decision.ts";
import { shown } from "../text.ts";

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
 * @param lines What decides on API calls; loaded when it is first asked for.
 * @param log Where requests that can't be answered are noted.
 * @returns The handler.
 */
export function pluginHandler(
  lines: () => Lines | Promise<Lines>,
  log: Log,
): PluginHandler {
  return async (request) => {
    const { method, path } = request;
    try {
      // One function for the whole way: each that waits for another costs as
      // much as a thought on most calls.
      switch (method === "POST" ? path : "") {
        case "/AuthZPlugin.AuthZReq": {
          const message = isShort(request)
            ? await request.json()
            : JSON.parse(await readLong(request, () => true) ?? "");
          const { firstLine } = await lines();
          return decided(await firstLine(readAuthzRequest(message)));
        }
        case "/AuthZPlugin.AuthZRes": {
          const { secondLine } = await lines();
          const isWanted: IsWanted = (beginning) => {
            const call = peekCall(beginning);
            return call && secondLine.concerns(call);
          };
          const text = isShort(request)
            ? await request.text()
            : await readLong(request, isWanted);
          if (text === undefined || isWanted(text) === false) return ALLOWED;
          const response = readAuthzResponse(JSON.parse(text));
          return secondLine.concerns(response.request)
            ? decided(await secondLine.decide(response))
            : ALLOWED;
        }
        case "/Plugin.Activate":
          await drain(request);
          lines(); // They will be wanted next.
          return { status: STATUS_CODE.OK, body: '{"Implements":["authz"]}' };
        default:
          await drain(request);
          return {
            status: STATUS_CODE.NotFound,
            body: formatError("not found"),
          };
      }
    } catch (error) {
      // The engine refuses a call at any status but 200.
      const problem = error instanceof SyntaxError
        ? unreadableMessage(request.length() === 0)
        : error;
      const known = problem instanceof WireError;
      log.error(`can't answer ${shown(method)} ${shown(path)}: ${problem}`);
      return {
        status: known
          ? STATUS_CODE.BadRequest
          : STATUS_CODE.InternalServerError,
        body: formatError(known ? problem.message : String(problem)),
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
async function drain(body: PluginRequest): Promise<void> {
  // At once where it can be: a stream has to be loaded first.
  if (isShort(body)) await body.text();
  else await body.read(() => {});
}

function isShort(body: PluginRequest): boolean {
  const length = body.length();
  return length !== undefined && length <= SHORT;
}

/** Tells by the beginning of a message; undefined where that is too short. */
type IsWanted = (beginning: string) => boolean | undefined;

/** How much is held now. */
let held = 0;

/**
 * Reads a message to its end, and keeps it only where it is wanted: response
 * messages can be megabytes, and on most of them nothing hangs.
 *
 * @param body The message.
 * @param isWanted Tells whether it is.
 * @returns The text, or undefined where it isn't wanted.
 */
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
      length += piece.length;
      held += piece.length;
      while (wanted === undefined && look <= length && look <= BEGINNING.last) {
        wanted = isWanted(beginning([...pieces, piece], look));
        look *= 4;
      }
      // Nothing is copied that is not wanted: that would double the cost.
      if (wanted === false) pieces.length = 0;
      else pieces.push(new Uint8Array(piece));
      if (length > MESSAGE_LIMIT) {
        throw new WireError(`the message has more than ${MESSAGE_LIMIT} bytes`);
      }
      if (held > HELD_LIMIT) {
        throw new WireError("too many long messages at once");
      }
    });
    return wanted === false ? undefined : await new Blob(pieces).text();
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
