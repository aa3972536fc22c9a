/**
 * The plugin API: what the engine posts, and what it gets.
 *
 * @module
 */
import { STATUS_CODE } from "@std/http";
import type { Judge } from "./judge.ts";
import {
  formatDecision,
  formatError,
  parseAuthzRequest,
  WireError,
} from "./wire.ts";
import { ALLOW } from "./policy/decision.ts";

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
 * The longest request message that is read, in bytes. An engine forwards at most
 * 4 MiB of body, coded in base64, beside at most 1 MiB of headers.
 */
const MESSAGE_LIMIT = 8 * 1024 * 1024;

/**
 * Makes the handler of the plugin API.
 *
 * @param judge Decides on API calls.
 * @returns The handler.
 */
export function pluginHandler(judge: Judge): PluginHandler {
  return async ({ method, path, body }) => {
    switch (method === "POST" ? path : undefined) {
      case "/Plugin.Activate":
        await drain(body);
        return answer(STATUS_CODE.OK, '{"Implements":["authz"]}');
      case "/AuthZPlugin.AuthZReq":
        try {
          const request = parseAuthzRequest(await readText(body));
          return answer(STATUS_CODE.OK, formatDecision(await judge(request)));
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          return answer(STATUS_CODE.BadRequest, formatError(error.message));
        }
      case "/AuthZPlugin.AuthZRes":
        // Nothing hangs on what the engine answers. It is read all the same: an
        // answer before the end of a message breaks the connection.
        await drain(body);
        return answer(STATUS_CODE.OK, formatDecision(ALLOW));
      default:
        await drain(body);
        return answer(STATUS_CODE.NotFound, formatError("not found"));
    }
  };
}

function answer(status: number, body: string): PluginResponse {
  return { status, body };
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > MESSAGE_LIMIT) {
      throw new WireError(`the message is longer than ${MESSAGE_LIMIT} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
