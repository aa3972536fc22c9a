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

/** What the engine says of an API call after it served it. */
export interface AuthzResponse {
  /** The call. */
  request: AuthzRequest;
  /**
   * HTTP status of the engine's answer; 0 where that is longer than 64 KiB, and
   * on its way already (`Write` in moby's pkg/authorization/response.go).
   */
  status: number;
  /** The answer's body, where the engine passes it on; never empty. */
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
  return requestOf(parseMessage(text));
}

/**
 * Reads the engine's `AuthZRes` message.
 *
 * @param text The HTTP body.
 * @returns The message.
 * @throws {WireError} where it is not what an engine sends.
 */
export function parseAuthzResponse(text: string): AuthzResponse {
  const message = parseMessage(text);
  const { ResponseStatusCode: status = 0 } = message;
  if (typeof status !== "number") {
    throw new WireError("ResponseStatusCode is not a number");
  }
  return {
    request: requestOf(message),
    status,
    ...bodyOf(message, "ResponseBody"),
  };
}

const STRING = String.raw`"(?:[^"\\]|\\.)*"`;
const HEAD = new RegExp(
  `^{(?:"User":${STRING},)?(?:"UserAuthNMethod":${STRING},)?` +
    `"RequestMethod":(${STRING}),"RequestUri":(${STRING})`,
);

/**
 * Reads which call a message is about, without the rest of it.
 *
 * @param beginning The beginning of the HTTP body. The engine writes the fields in
 *   the order of its struct (moby's pkg/authorization/api.go).
 * @returns Method and request target, or undefined where they aren't there.
 */
export function peekCall(
  beginning: string,
): Pick<AuthzRequest, "method" | "uri"> | undefined {
  const [, method, uri] = HEAD.exec(beginning) ?? [];
  if (uri === undefined) return undefined;
  try {
    return { method: JSON.parse(method), uri: JSON.parse(uri) };
  } catch {
    return undefined;
  }
}

function parseMessage(text: string): Record<string, unknown> {
  if (text === "") {
    // Its client sends the same message again, which it has emptied by then
    // (`callWithRetry` in moby's pkg/plugins/client.go).
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

function requestOf(message: Record<string, unknown>): AuthzRequest {
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
  return {
    user: stringOf(message, "User"),
    method,
    uri,
    headers: headers as Record<string, string>,
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

function bodyOf(
  message: Record<string, unknown>,
  field: string,
): { body?: Uint8Array<ArrayBuffer> } {
  const base64 = stringOf(message, field);
  if (base64 === "") return {};
  try {
    return {
      body: Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" }),
    };
  } catch {
    throw new WireError(`${field} is not base64`);
  }
}
