import { shown } from "../text.ts";
import { olderThan } from "../version.ts";
import type { AuthzRequest } from "./authz.ts";
import type { Endpoint, Route } from "./endpoints.ts";
import { isObject, parseJson } from "./json.ts";
import { Query } from "./query.ts";
import { Struct } from "./struct.ts";
import { Unreadable } from "./unreadable.ts";

/** Engines up to 29.3.0 show plugins no body of this many bytes or more. */
const BODY_LIMIT = 1024 * 1024;

/** A guarded call, read as the engine reads it. */
export class Call {
  readonly endpoint: Endpoint;
  /** The container, service, … in the path; empty if the path names none. */
  readonly subject: string;
  /** API version in the path, if it names one. */
  readonly apiVersion: string | undefined;
  readonly query: Query;
  readonly #request: AuthzRequest;
  #body?: Struct;

  /**
   * @param request The AuthZ request.
   * @param route The row of the endpoint table that it matched.
   * @throws {Unreadable} If the path is not UTF-8, or the query is ambiguous.
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

  /**
   * Whether `start` takes a HostConfig: before API 1.24 (postContainersStart in
   * 20.10). A version that is not in the path is a later one.
   */
  get startTakesHostConfig(): boolean {
    return this.apiVersion !== undefined && olderThan(this.apiVersion, "1.24");
  }

  /** Whether the engine passed the body on. */
  get hasBody(): boolean {
    return this.#request.body !== undefined;
  }

  /**
   * Reads the body as the struct that the engine decodes it into.
   *
   * @returns Its fields.
   * @throws {Unreadable} If the engine did not pass it on, saying why and what
   *   to change; or if it is not a JSON object.
   */
  body(): Struct {
    return this.#body ??= this.#readBody();
  }

  #readBody(): Struct {
    if (!this.#request.body) throw new Unreadable(this.#whyNoBody());
    const value = parseJson(this.#request.body);
    if (!isObject(value)) {
      throw new Unreadable("its body is not a JSON object");
    }
    return new Struct(value, "the body");
  }

  /**
   * Whether the engine may read a body that it does not show: one of another
   * type than JSON, or a chunked one. Of a repeated header, we see the last
   * value and the engine goes by the first. So only these are sure signs that
   * there is none:
   * - no `Content-Type` at all;
   * - `Content-Length: 0` (over HTTP/1.1; HTTP/2, which engines speak from 29.2
   *   on, can repeat that header too);
   * - a body that is shown, since the first `Content-Type` was JSON then.
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
   * reads a form: a form in the body wins over the query, and is never shown.
   *
   * @throws {Unreadable} If there may be one, saying how to send the call.
   */
  requireNoForm(): void {
    if (!this.mayHaveHiddenBody) return;
    throw new Unreadable(
      "it may carry a form that overrides its query: send it without a " +
        'Content-Type, or with "Content-Length: 0", as docker-java 3.5 or ' +
        "later does",
    );
  }

  #header(name: string): string | undefined {
    return Object.hasOwn(this.#request.headers, name)
      ? this.#request.headers[name]
      : undefined;
  }

  /**
   * Says why the engine did not pass the body on: `AuthZRequest` and `sendBody`
   * in moby's pkg/authorization/authz.go.
   */
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
        "plugins: send a Content-Length (docker-java 3.5 or later does), or " +
        "use Docker Engine 25 or later";
    }
    if (Number(length) >= BODY_LIMIT) {
      return `its body of ${length} bytes is too long for the engine to show ` +
        `it to plugins: stay below ${BODY_LIMIT} bytes (1 MiB)`;
    }
    return "the engine did not show its body";
  }
}
