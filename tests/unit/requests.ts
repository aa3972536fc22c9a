/**
 * What the unit tests share: AuthZ requests, and an engine that is a plain object.
 *
 * @module
 */
import type { Engine, HostFacts } from "../../lib/engine/engine.ts";
import type { Decision } from "../../lib/policy/decision.ts";
import { Call } from "../../lib/call/call.ts";
import { routeOf } from "../../lib/call/endpoints.ts";
import type { AuthzRequest } from "../../lib/call/authz.ts";

const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** A text as the engine sends bodies: in base64. */
export function base64(text: string): string {
  return bytes(text).toBase64();
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
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    user: "",
    method,
    uri,
    headers: headers ?? {
      "Content-Type": "application/json",
      "Content-Length": String(bytes(text).length),
    },
    body: base64(text),
  };
}

/** A request, read; it has to be one of the endpoint table. */
export function callOf(authz: AuthzRequest): Call {
  const route = routeOf(authz);
  if (!route) throw new Error(`no endpoint for ${authz.method} ${authz.uri}`);
  return new Call(authz, route);
}

/** What an engine with the settings of its packages says of itself. */
export const HOST: HostFacts = {
  apiVersion: "1.41",
  defaultRuntime: "runc",
  defaultLogDriver: "json-file",
  remapsUsers: false,
  hasOwnCgroups: true,
  hasBuiltinSeccomp: true,
  noNewPrivileges: false,
  isExperimental: false,
  rootDirectory: "/var/lib/docker",
};

/** An engine that gives these answers; any other question is a mistake. */
export function engineWith(answers: Partial<Engine>): Engine {
  return { hostFacts: () => Promise.resolve(HOST), ...answers } as Engine;
}

/** A decision in one line: `allowed`, or the denial's message. */
export function said(decision: Decision): string {
  return decision.allow ? "allowed" : decision.message;
}
