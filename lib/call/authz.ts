/**
 * What the engine says of an API call.
 *
 * @module
 */

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
  /** The body in base64, if the engine passes it on; never empty. */
  body?: string;
}

/** What the engine says of an API call after it served it. */
export interface AuthzResponse {
  /** The call. */
  request: AuthzRequest;
  /**
   * HTTP status of the engine's answer; 0 if that is longer than 64 KiB, and so
   * on its way already (`Write` in moby's pkg/authorization/response.go).
   */
  status: number;
  /** The answer's body in base64, if the engine passes it on; never empty. */
  body?: string;
}
