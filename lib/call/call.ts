import { shown } from "../text.ts";
import type { AuthzRequest } from "./authz.ts";
import type { Endpoint, Route } from "./endpoints.ts";
import { parseJson } from "./json.ts";
import { Struct } from "./struct.ts";
import { Unreadable } from "./unreadable.ts";
import { Query } from "./query.ts";

/** From this length on, engines up to 29.3.0 keep a body to themselves. */
const BODY_LIMIT = 1024 * 1024;

/** A guarded call, read as the engine reads it. */
export class Call {
  readonly endpoint: Endpoint;
  /** The container, service, … in the path; empty where the path names none. */
  readonly subject: string;
  /** API version in the path, if it names one. */
  readonly apiVersion: string | undefined;
  readonly query: Query;
  readonly #request: AuthzRequest;

  /**
   * @param request The AuthZ request.
   * @param route The row of the endpoint table that it matched.
   * @throws {Unreadable} where the path is not UTF-8, or the query ambiguous.
   */
  constructor(request: AuthzRequest, { endpoint, subject, target }: Route) {
    if (!target.isUtf8) {
      throw new Unreadable("its path is not percent-encoded UTF-8");
    }
    this.endpoint = endpoint;
    this.subject = subject;
    this.apiVersion = target.version;
    this.query = new Query(target.rawQuery);
    this.#request = request;
  }

  /** Whether the engine passed the body on. */
  get hasBody(): boolean {
    return this.#request.body !== undefined;
  }

  /**
   * Reads the body as the struct that the engine decodes it into.
   *
   * @returns Its fields.
   * @throws {Unreadable} where it did not arrive, with the reason and the way
   *   out, or is not a JSON object.
   */
  body(): Struct {
    if (!this.#request.body) throw new Unreadable(this.#whyNoBody());
    const value = parseJson(this.#request.body);
    if (value.type !== "object") {
      throw new Unreadable("its body is not a JSON object");
    }
    return new Struct(value, "the body");
  }

  /**
   * Whether the engine could read a body that it does not show: one of another
   * type than JSON, or a chunked one. The header map has the last value of a
   * repeated header, the engine goes by the first, so that only these are sure
   * signs of none: no `Content-Type` at all, `Content-Length: 0` (over HTTP/1.1;
   * HTTP/2, which engines speak from 29.2 on, can repeat that one too), or a body
   * in hand, which means that the first `Content-Type` was JSON.
   */
  get mayHaveHiddenBody(): boolean {
    return !this.hasBody && this.#header("Content-Type") !== undefined &&
      this.#header("Content-Length") !== "0";
  }

  /** Whether there surely is a body, by its length, that the engine keeps. */
  get hasHiddenBody(): boolean {
    const length = this.#header("Content-Length");
    return !this.hasBody && length !== undefined && length !== "0";
  }

  /**
   * Makes sure that the query is what the engine goes by, at an endpoint that
   * reads a form: a form body wins over the query, and is never shown.
   *
   * @throws {Unreadable} where there may be one, saying how to send the call.
   */
  requireNoForm(): void {
    if (!this.mayHaveHiddenBody) return;
    throw new Unreadable(
      "it may carry a form that overrides its query: send it without a " +
        'Content-Type, or with "Content-Length: 0"',
    );
  }

  #header(name: string): string | undefined {
    return Object.hasOwn(this.#request.headers, name)
      ? this.#request.headers[name]
      : undefined;
  }

  /** See `AuthZRequest` and `sendBody` in moby's pkg/authorization/authz.go. */
  #whyNoBody(): string {
    const type = this.#header("Content-Type");
    const length = this.#header("Content-Length");
    if (length === "0" || (type === undefined && length === undefined)) {
      return "it has no body";
    }
    if (type === undefined || !/^\s*application\/json\s*(;|$)/i.test(type)) {
      return `the engine shows its body only as JSON: send "Content-Type: ` +
        `application/json" instead of ${shown(type ?? "none")}`;
    }
    if (length === undefined) {
      return "its body is chunked, and this engine does not show that to " +
        "plugins: send a Content-Length (docker-java: a newer version), or " +
        "use Docker Engine 25 or later";
    }
    if (Number(length) >= BODY_LIMIT) {
      return `its body of ${length} bytes is too long for the engine to show ` +
        `it to plugins: stay below ${BODY_LIMIT} bytes (1 MiB)`;
    }
    return "the engine did not show its body";
  }
}
