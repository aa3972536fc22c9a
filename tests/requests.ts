/**
 * What the unit tests share: AuthZ requests, and an engine that is a plain object.
 *
 * @module
 */
import type { Engine } from "../lib/engine.ts";
import type { Decision } from "../lib/policy/decision.ts";
import { Call } from "../lib/request/call.ts";
import { matchEndpoint } from "../lib/request/endpoints.ts";
import { parseTarget } from "../lib/request/uri.ts";
import type { AuthzRequest } from "../lib/wire.ts";

const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/**
 * An AuthZ request, with the headers that the docker CLI sends.
 *
 * @param line Method and target, such as `POST /containers/create`.
 * @param body A text as it is, anything else as JSON, undefined for none.
 * @param headers Instead of those that go with the body.
 */
export function request(
  line: string,
  body?: unknown,
  headers?: Record<string, string>,
): AuthzRequest {
  const [method, uri] = line.split(" ");
  if (body === undefined) {
    return { user: "", method, uri, headers: headers ?? {} };
  }
  const content = bytes(typeof body === "string" ? body : JSON.stringify(body));
  return {
    user: "",
    method,
    uri,
    headers: headers ?? {
      "Content-Type": "application/json",
      "Content-Length": String(content.length),
    },
    body: content,
  };
}

/** A request, read; it has to be one of the endpoint table. */
export function callOf(authz: AuthzRequest): Call {
  const target = parseTarget(authz.uri);
  const match = matchEndpoint(authz.method, target.path);
  if (!match) throw new Error(`no endpoint for ${authz.method} ${authz.uri}`);
  return new Call(authz, match, target);
}

/** An engine that gives these answers; any other question is a mistake. */
export function engineWith(answers: Partial<Engine>): Engine {
  return answers as Engine;
}

/** A decision in one line: `allowed`, or the denial's message. */
export function said(decision: Decision): string {
  return decision.allow ? "allowed" : decision.message;
}
