/**
 * The messages of the engine's authorization plugin protocol, as they are on the
 * wire (moby's pkg/authorization/api.go).
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import type { Decision } from "../policy/decision.ts";

/** Content type of every answer to the engine. */
export const PLUGIN_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json";

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
 * @param message The HTTP body, as `JSON.parse` reads it.
 * @returns The message.
 * @throws {WireError} where it is not what an engine sends.
 */
export function readAuthzRequest(message: unknown): AuthzRequest {
  return requestOf(objectOf(message));
}

/**
 * Reads the engine's `AuthZRes` message.
 *
 * @param message The HTTP body, as `JSON.parse` reads it.
 * @returns The message.
 * @throws {WireError} where it is not what an engine sends.
 */
export function readAuthzResponse(message: unknown): AuthzResponse {
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

/**
 * Says what is wrong with a message that could not be read.
 *
 * @param isEmpty Whether nothing was posted.
 * @returns The error for the engine and the log.
 */
export function unreadableMessage(isEmpty: boolean): WireError {
  return new WireError(
    isEmpty
      // Its client sends the same message again, which it has emptied by then
      // (`callWithRetry` in moby's pkg/plugins/client.go).
      ? "the engine lost its message when a connection broke: try again"
      : "the message is not JSON",
  );
}

function objectOf(message: unknown): Record<string, unknown> {
  if (!isRecord(message)) throw new WireError("the message is not an object");
  return message;
}

function requestOf(message: Record<string, unknown>): AuthzRequest {
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

function areStrings(
  values: Record<string, unknown>,
): values is Record<string, string> {
  for (const name in values) {
    if (typeof values[name] !== "string") return false;
  }
  return true;
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
): { body?: string } {
  const base64 = stringOf(message, field);
  if (base64 === "") return {};
  if (!isBase64(base64)) throw new WireError(`${field} is not base64`);
  return { body: base64 };
}

/** Whoever wants the bytes decodes them once more: most bodies nobody wants. */
function isBase64(text: string): boolean {
  const options = { lastChunkHandling: "strict" } as const;
  try {
    // Room that is there already costs a tenth of what new room does.
    if (text.length <= ROOM.length) ROOM.setFromBase64(text, options);
    else Uint8Array.fromBase64(text, options);
    return true;
  } catch {
    return false;
  }
}

/** Written to, and never read. */
const ROOM = new Uint8Array(64 * 1024);
