/** A plugin that allows everything and keeps what the engine showed it. */

/** A call as the engine describes it to a plugin. */
export interface Shown {
  User: string;
  RequestMethod: string;
  RequestUri: string;
  RequestHeaders?: Record<string, string>;
  /** The body, decoded; undefined if the engine does not show it. */
  body: string | undefined;
}

/** A running recorder. */
export interface Recorder extends AsyncDisposable {
  /** The calls in the order they came, answers left out. */
  shown: Shown[];
}

/**
 * Starts a recorder.
 *
 * @param socket where it listens
 * @returns what it saw so far; disposing of it ends it
 */
export function record(socket: string): Recorder {
  const shown: Shown[] = [];
  const server = Deno.serve(
    { path: socket, onListen: () => {} },
    async (request) => {
      const path = new URL(request.url).pathname;
      const text = await request.text();
      if (path === "/Plugin.Activate") {
        return Response.json({ Implements: ["authz"] });
      }
      if (path === "/AuthZPlugin.AuthZReq") {
        const { RequestBody, ...call } = JSON.parse(text);
        const body = RequestBody ? decode(RequestBody) : undefined;
        shown.push({ ...call, body });
      }
      return Response.json({ Allow: true });
    },
  );
  return { shown, [Symbol.asyncDispose]: () => server.shutdown() };
}

function decode(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}
