/**
 * The plugin API: what the engine posts, and what it gets.
 *
 * @module
 */
import { STATUS_CODE } from "@std/http";
import type { Log } from "../log.ts";
import { messageOf, shown } from "../text.ts";
import type { Lines } from "../verdict/lines.ts";
import {
  formatDecision,
  formatError,
  readAuthzRequest,
  readAuthzResponse,
  WireError,
} from "./wire.ts";

/** An HTTP request to the plugin, from whichever server took it. */
export interface PluginRequest {
  method: string;
  /** Path of the request target, and its query if there is one. */
  path: string;
  /**
   * @param name Name of a header, in lower case.
   * @returns Its value, or undefined if it is missing.
   */
  header(name: string): string | undefined;
  /** @returns The body. */
  text(): Promise<string>;
}

/** The answer to it; the content type is always the plugin API's. */
export interface PluginResponse {
  status: number;
  body: string;
}

/** Answers HTTP requests to the plugin; it never throws. */
export type PluginHandler = (request: PluginRequest) => Promise<PluginResponse>;

/**
 * The longest message that is read, in bytes. An engine forwards at most 4 MiB
 * of body, coded in base64, beside at most 1 MiB of headers.
 */
const MESSAGE_LIMIT = 8 * 1024 * 1024;

/**
 * How much of long messages is held at a time, in bytes, over all connections.
 */
const HELD_LIMIT = 64 * 1024 * 1024;

/**
 * Up to this length, in bytes, a message is always read: whoever sends many
 * long ones must not get those of others refused.
 */
const SHORT = 64 * 1024;

/**
 * Makes the handler of the plugin API.
 *
 * @param lines What decides on API calls.
 * @param log Where requests that can't be answered are noted.
 * @returns The handler.
 */
export function pluginHandler(
  { firstLine, secondLine, activated }: Lines,
  log: Log,
): PluginHandler {
  /** How much of long messages is held now, in bytes. */
  let held = 0;

  async function answer(request: PluginRequest): Promise<PluginResponse> {
    const length = lengthOf(request);
    if (length > MESSAGE_LIMIT) {
      throw new WireError(`the message has more than ${MESSAGE_LIMIT} bytes`);
    }
    const counted = length > SHORT ? length : 0;
    if (counted > 0 && held + counted > HELD_LIMIT) {
      throw new WireError("too many long messages at once");
    }
    held += counted;
    try {
      return await answerMessage(request, await request.text());
    } finally {
      held -= counted;
    }
  }

  async function answerMessage(
    { method, path }: PluginRequest,
    message: string,
  ): Promise<PluginResponse> {
    switch (method === "POST" ? path : "") {
      case "/Plugin.Activate":
        activated();
        return ok('{"Implements":["authz"]}');
      case "/AuthZPlugin.AuthZReq": {
        const decision = await firstLine(readAuthzRequest(message));
        return ok(formatDecision(decision));
      }
      case "/AuthZPlugin.AuthZRes": {
        const response = readAuthzResponse(message);
        return ok(formatDecision(await secondLine(response)));
      }
      default:
        return { status: STATUS_CODE.NotFound, body: formatError("not found") };
    }
  }

  return async (request) => {
    try {
      return await answer(request);
    } catch (error) {
      const { method, path } = request;
      log.error(
        `can't answer ${shown(method)} ${shown(path)}: ${messageOf(error)}`,
      );
      // The engine refuses a call at any status but 200.
      return error instanceof WireError
        ? { status: STATUS_CODE.BadRequest, body: formatError(error.message) }
        : {
          status: STATUS_CODE.InternalServerError,
          body: formatError(messageOf(error)),
        };
    }
  };
}

function ok(body: string): PluginResponse {
  return { status: STATUS_CODE.OK, body };
}

/** What is longer than it says, the HTTP server cuts off. */
function lengthOf(request: PluginRequest): number {
  const length = request.header("content-length");
  if (length !== undefined) return Number(length);
  if (request.header("transfer-encoding") === undefined) return 0;
  throw new WireError("the message has no Content-Length");
}
