/**
 * The floor: servers that allow everything and look at nothing.
 *
 *   floor.ts path|fd unread|read|plugin [SOCKET]
 *
 * `unread` answers without reading what was posted. Where that is more than arrives with the head, Deno then closes the
 * connection; `read` reads it in the cheapest way there is, and throws it away. `plugin` also tells an engine that it is
 * one.
 *
 * @module
 */
const ANSWER = '{"Allow":true}';
const TYPE = { "Content-Type": "application/vnd.docker.plugins.v1.2+json" };

/** Up to here Deno reads a body fastest in one piece, in bytes. */
const ONE_PIECE = 64 * 1024;

const [kind, how, path] = Deno.args;
const reads = how !== "unread";

if (kind === "path") {
  const answer = () => new Response(ANSWER, { headers: TYPE });
  Deno.serve(
    { path, onListen() {} },
    !reads ? answer : async (request) => {
      if (Number(request.headers.get("Content-Length")) > ONE_PIECE) {
        await drain(request.body!);
      } else await request.arrayBuffer();
      return how === "plugin" && request.url.endsWith("/Plugin.Activate")
        ? new Response('{"Implements":["authz"]}')
        : answer();
    },
  );
} else {
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => {
    const answer = () => {
      // Without a length the answer is chunked, at twice the cost.
      response.writeHead(200, { ...TYPE, "Content-Length": ANSWER.length });
      response.end(ANSWER);
    };
    if (!reads) return answer();
    request.on("data", () => {});
    request.on("end", answer);
  });
  server.keepAliveTimeout = 0;
  server.listen({ fd: 3 });
}

async function drain(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(ONE_PIECE);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done) return;
    buffer = value.buffer;
  }
}
