/**
 * An engine that answers as it was told, for the tests of what stands on it.
 *
 * @module
 */
import { assertRejects } from "@std/assert";
import type {
  EngineAnswer,
  EngineClient,
  EngineRequest,
} from "../../../lib/engine/client.ts";
import {
  connectEngine,
  type Engine,
  EngineError,
} from "../../../lib/engine/engine.ts";

/** An engine, and what it was asked. */
export interface Scripted {
  engine: Engine;
  /** What it was sent, the ping left out, such as `GET /v1.41/info`. */
  sent: string[];
  /** The same with the pings. */
  all: string[];
  /** The bodies that it was sent. */
  bodies: unknown[];
}

/**
 * A client of an engine that answers so. What is left out of an answer is an
 * ordinary engine's, which asks this plugin.
 */
export function clientWith(
  send: (
    request: EngineRequest,
  ) => Promise<Partial<EngineAnswer>> | Partial<EngineAnswer>,
): EngineClient {
  return {
    async send(request) {
      const usual = { status: 200, wasAsked: true, apiVersion: "", body: "" };
      return { ...usual, ...await send(request) };
    },
    stream: () => Promise.reject(new EngineError("no stream here")),
    [Symbol.dispose]() {},
  };
}

/** What is answered: JSON, a text as it is, an HTTP status, or an error thrown. */
type Answer = unknown;

/**
 * An engine of some API version that answers these paths, behind a method if that
 * is not GET; a function is asked for its answer each time.
 * The answers can be changed while it lives.
 */
export function scripted(
  apiVersion: string,
  answers: Record<string, Answer | (() => Answer)>,
): Scripted {
  const all: string[] = [];
  const sent: string[] = [];
  const bodies: unknown[] = [];
  const engine = connectEngine(clientWith(({ method, path, body }) => {
    all.push(`${method} ${path}`);
    if (path === "/_ping") return { apiVersion, body: "OK" };
    sent.push(`${method} ${path}`);
    if (body !== undefined) bodies.push(JSON.parse(body));
    const plain = path.replace(/^\/v[0-9.]+/, "");
    const known = answers[method === "GET" ? plain : `${method} ${plain}`];
    const answer = typeof known === "function" ? known() : known ?? 404;
    if (answer instanceof Error) throw answer;
    if (typeof answer === "number") {
      const message = JSON.stringify({ message: `status ${answer}` });
      return { status: answer, apiVersion, body: message };
    }
    return {
      apiVersion,
      body: typeof answer === "string" ? answer : JSON.stringify(answer),
    };
  }));
  return { engine, sent, all, bodies };
}

/** The path of a list of containers. */
export function listPath(
  filters: Record<string, string[]>,
  limit?: number,
): string {
  return `/containers/json?all=1&${limit ? `limit=${limit}&` : ""}filters=${
    encodeURIComponent(JSON.stringify(filters))
  }`;
}

/** What the engine could not be asked for. */
export async function problem(asked: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => asked, EngineError)).message;
}
