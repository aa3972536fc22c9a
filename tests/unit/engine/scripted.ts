/**
 * An engine that answers as it was told, for the tests of what stands on it.
 *
 * @module
 */
import { assertRejects } from "@std/assert";
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
}

/**
 * An engine of some API version that answers these paths; a number is a status.
 * The answers can be changed while it lives.
 */
export function scripted(
  apiVersion: string,
  answers: Record<string, unknown>,
): Scripted {
  const all: string[] = [];
  const sent: string[] = [];
  const engine = connectEngine((path, method = "GET") => {
    all.push(`${method} ${path}`);
    if (path === "/_ping") {
      return Promise.resolve({ status: 200, apiVersion, body: "OK" });
    }
    sent.push(`${method} ${path}`);
    const answer = answers[path.replace(/^\/v[0-9.]+/, "")] ?? 404;
    const [status, body]: [number, unknown] = typeof answer === "number"
      ? [answer, { message: `status ${answer}` }]
      : [200, answer];
    return Promise.resolve({
      status,
      apiVersion,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  });
  return { engine, sent, all };
}

/** What the engine could not be asked for. */
export async function problem(asked: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => asked, EngineError)).message;
}
