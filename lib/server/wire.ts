/**
 * The messages of the engine's authorization plugin protocol, as they are on
 * the wire (moby's pkg/authorization/api.go).
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import { isRecord, type JsonRecord } from "../engine/decode.ts";
import type { Decision } from "../policy/decision.ts";

/** Content type of every answer to the engine. */
export const PLUGIN_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json";

/** A message that an engine does not send. */
export class WireError extends Error {
  /** @param problem What is wrong with the message. */
  constructor(problem: string) {
    super(problem);
    this.name = "WireError";
  }
}

/**
 * Reads the engine's `AuthZReq` message.
 *
 * @param message The HTTP body.
 * @returns The message.
 * @throws {WireError} If it is not what an engine sends.
 */
export function readAuthzRequest(message: string): AuthzRequest {
  return requestOf(objectOf(message));
}

/**
 * Reads the engine's `AuthZRes` message.
 *
 * @param message The HTTP body.
 * @returns The message.
 * @throws {WireError} If it is not what an engine sends.
 */
export function readAuthzResponse(message: string): AuthzResponse {
  const fields = objectOf(message);
  const { ResponseStatusCode: status = 0 } = fields;
  if (typeof status !== "number") {
    throw new WireError("ResponseStatusCode is not a number");
  }
  return {
    request: requestOf(fields),
    status,
    ...bodyOf(fields, "ResponseBody"),
  };
}

function objectOf(text: string): JsonRecord {
  if (text === "") {
    // The engine's client sends a message again if the connection broke, but
    // has emptied it by then (`callWithRetry` in moby's pkg/plugins/client.go).
    throw new WireError(
      "the engine lost its message when a connection broke: try again",
    );
  }
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new WireError("the message is not JSON");
  }
  if (!isRecord(message)) throw new WireError("the message is not an object");
  return message;
}

function requestOf(message: JsonRecord): AuthzRequest {
  const headers = message.RequestHeaders ?? {};
  if (!isRecord(headers) || !areStrings(headers)) {
    throw new WireError("RequestHeaders is not an object of strings");
  }
  const method = stringOf(message, "RequestMethod");
  const uri = stringOf(message, "RequestUri");
  if (method === "" || uri === "") {
    throw new WireError("RequestMethod or RequestUri is missing");
  }
  return {
    user: stringOf(message, "User"),
    method,
    uri,
    headers,
    ...bodyOf(message, "RequestBody"),
  };
}

/**
 * Writes the answer to an AuthZ message.
 *
 * At HTTP 200 the engine reads `Allow` and `Msg` alone.
 *
 * @param decision What the policies made of the call.
 * @returns The HTTP body.
 */
export function formatDecision(decision: Decision): string {
  return JSON.stringify(
    decision.allow ? { Allow: true } : { Allow: false, Msg: decision.message },
  );
}

/**
 * Writes the answer to a message that can't be answered otherwise. The engine
 * reads `Err` at any HTTP status but 200, and refuses the call.
 *
 * @param problem What went wrong.
 * @returns The HTTP body.
 */
export function formatError(problem: string): string {
  return JSON.stringify({ Allow: false, Err: problem });
}

function areStrings(
  values: JsonRecord,
): values is Record<string, string> {
  return Object.values(values).every((value) => typeof value === "string");
}

function stringOf(message: JsonRecord, field: string): string {
  const value = message[field] ?? "";
  if (typeof value !== "string") {
    throw new WireError(`${field} is not a string`);
  }
  return value;
}

function bodyOf(
  message: JsonRecord,
  field: string,
): { body?: string } {
  const base64 = stringOf(message, field);
  if (base64 === "") return {};
  if (!isBase64(base64)) throw new WireError(`${field} is not base64`);
  return { body: base64 };
}

/**
 * The bytes themselves are of no use yet: for most calls nobody reads the body.
 */
function isBase64(text: string): boolean {
  try {
    Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
    return true;
  } catch {
    return false;
  }
}
