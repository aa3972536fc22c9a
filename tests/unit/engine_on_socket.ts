/**
 * An engine on a unix socket, for what connects to one itself.
 *
 * @module
 */
import { createServer } from "node:http";
import { createServer as listener, type Socket } from "node:net";

/** What an engine is to be. */
export interface EngineOnSocket {
  /** The newest API version that it speaks. */
  apiVersion: string;
  /** Whether it speaks HTTP/2 too. */
  http2: boolean;
  /** Its answers, by path behind the version. */
  answers: Readonly<Record<string, unknown>>;
}

/** The server's first frame in HTTP/2: settings that change nothing. */
const SETTINGS = "\0\0\0\x04\0\0\0\0\0";

/**
 * Runs a test with an engine.
 *
 * @param engine What it is; read anew for each connection and request.
 * @param test Gets its address.
 */
export async function withEngine(
  engine: EngineOnSocket,
  test: (host: string) => Promise<void>,
): Promise<void> {
  const http = createServer((request, response) => {
    const path = (request.url ?? "").replace(/^\/v[0-9.]+/, "");
    const answer = path === "/_ping" ? "OK" : engine.answers[path];
    response.writeHead(answer === undefined ? 404 : 200, {
      "Api-Version": engine.apiVersion,
    });
    response.end(JSON.stringify(answer ?? { message: "page not found" }));
  });
  const sockets = new Set<Socket>();
  const server = listener((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", (bytes) => {
      if (engine.http2 && bytes.toString("latin1").startsWith("PRI ")) {
        socket.write(SETTINGS, "latin1");
        return;
      }
      http.emit("connection", socket);
      socket.unshift(bytes);
    });
  });
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/docker.sock`;
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await test(`unix://${path}`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    Deno.removeSync(directory, { recursive: true });
  }
}
