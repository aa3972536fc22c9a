/**
 * The plugin API: what the engine posts, and what it gets.
 *
 * @module
 */
import { STATUS_CODE } from "@std/http";
import type { Judge } from "./judge.ts";
import type { Recheck } from "./recheck.ts";
import {
  formatDecision,
  formatError,
  parseAuthzRequest,
  parseAuthzResponse,
  peekCall,
  WireError,
} from "./wire.ts";
import { ALLOW, type Decision } from "./policy/decision.ts";

/** An HTTP request to the plugin, from whichever server took it. */
export interface PluginRequest {
  method: string;
  /** Path of the request target. */
  path: string;
  /** The body, in pieces. */
  body: AsyncIterable<Uint8Array>;
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

/**
 * Makes the handler of the plugin API.
 *
 * @param judge Decides on API calls.
 * @param recheck Looks again at what came of some of them.
 * @returns The handler.
 */
export function pluginHandler(judge: Judge, recheck: Recheck): PluginHandler {
  async function respond(path: string, body: Body): Promise<PluginResponse> {
    switch (path) {
      case "/Plugin.Activate":
        await drain(body);
        return { status: STATUS_CODE.OK, body: '{"Implements":["authz"]}' };
      case "/AuthZPlugin.AuthZReq":
        return decided(await judge(parseAuthzRequest(await readText(body))));
      case "/AuthZPlugin.AuthZRes": {
        const text = await readIfConcerned(body, recheck);
        return decided(
          text === undefined
            ? ALLOW
            : await recheck.judge(parseAuthzResponse(text)),
        );
      }
      default:
        await drain(body);
        return { status: STATUS_CODE.NotFound, body: formatError("not found") };
    }
  }

  return async ({ method, path, body }) => {
    try {
      return await respond(method === "POST" ? path : "", body);
    } catch (error) {
      // The engine refuses a call at any status but 200.
      const known = error instanceof WireError;
      return {
        status: known
          ? STATUS_CODE.BadRequest
          : STATUS_CODE.InternalServerError,
        body: formatError(known ? error.message : String(error)),
      };
    }
  };
}

type Body = PluginRequest["body"];

function decided(decision: Decision): PluginResponse {
  return { status: STATUS_CODE.OK, body: formatDecision(decision) };
}

/** An answer before the end of a message breaks the connection. */
async function drain(body: Body): Promise<void> {
  for await (const _ of body);
}

function readText(body: Body): Promise<string> {
  return readIf(body, () => true).then((text) => text ?? "");
}

/**
 * Reads a response message to its end, and keeps it only where it matters: the
 * others can be megabytes, and nothing hangs on them.
 */
function readIfConcerned(
  body: Body,
  recheck: Recheck,
): Promise<string | undefined> {
  return readIf(body, (beginning) => {
    const call = peekCall(beginning);
    return call && recheck.concerns(call);
  });
}

/**
 * Reads a message as long as it is wanted, and to its end in any case.
 *
 * @param body The message.
 * @param isWanted Tells by its beginning; undefined where that is too short.
 * @returns The text, or undefined where it isn't wanted.
 */
async function readIf(
  body: Body,
  isWanted: (beginning: string) => boolean | undefined,
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let wanted: boolean | undefined;
  let text = "";
  for await (const chunk of body) {
    if (wanted === false) continue;
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MESSAGE_LIMIT) {
      throw new WireError(`the message is longer than ${MESSAGE_LIMIT}`);
    }
    wanted ??= isWanted(text);
  }
  return wanted === false ? undefined : text + decoder.decode();
}
