/**
 * The messages of the engine's authorization plugin protocol, as they are on the
 * wire (moby's pkg/authorization/api.go).
 *
 * @module
 */
import type { Decision } from "./policy/decision.ts";

/** Content type of every answer to the engine. */
export const PLUGIN_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json";

/** What the engine says of an API call before it serves it. */
export interface AuthzRequest {
  /** Common name of the verified client certificate; empty without one. */
  user: string;
  /** HTTP method, as sent by the client. */
  method: string;
  /** Request target, as sent by the client. */
  uri: string;
  /** Headers under Go's canonical names; of a repeated one, the last value. */
  headers: Readonly<Record<string, string>>;
  /** The body, where the engine passes it on; never empty. */
  body?: Uint8Array<ArrayBuffer>;
}

/** A message that no engine sends. */
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
 * @param text The HTTP body.
 * @returns The message.
 * @throws {WireError} where it is not what an engine sends.
 */
export function parseAuthzRequest(text: string): AuthzRequest {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new WireError("the message is not JSON");
  }
  if (!isRecord(message)) throw new WireError("the message is not an object");

  const headers = message.RequestHeaders ?? {};
  if (
    !isRecord(headers) ||
    !Object.values(headers).every((value) => typeof value === "string")
  ) {
    throw new WireError("RequestHeaders is not an object of strings");
  }
  const method = stringOf(message, "RequestMethod");
  const uri = stringOf(message, "RequestUri");
  if (method === "" || uri === "") {
    throw new WireError("RequestMethod or RequestUri is missing");
  }
  const body = bytesOf(stringOf(message, "RequestBody"));
  return {
    user: stringOf(message, "User"),
    method,
    uri,
    headers: headers as Record<string, string>,
    ...(body.length > 0 && { body }),
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
  return decision.allow
    ? '{"Allow":true}'
    : JSON.stringify({ Allow: false, Msg: decision.message });
}

/**
 * Writes the answer to a message that cannot be answered otherwise; the engine
 * reads `Err` with any HTTP status but 200, and refuses the call.
 *
 * @param problem What went wrong.
 * @returns The HTTP body.
 */
export function formatError(problem: string): string {
  return JSON.stringify({ Allow: false, Err: problem });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stringOf(message: Record<string, unknown>, field: string): string {
  const value = message[field] ?? "";
  if (typeof value !== "string") {
    throw new WireError(`${field} is not a string`);
  }
  return value;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch {
    throw new WireError("RequestBody is not base64");
  }
}
