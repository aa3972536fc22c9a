import { assertEquals } from "@std/assert";
import type { EngineEndpoint } from "../../../lib/engine/address.ts";
import { Presence } from "../../../lib/engine/presence.ts";

function at(path: string): EngineEndpoint {
  return { host: `unix://${path}`, to: { path } };
}

/** Runs with a socket of an engine that does this with each connection. */
async function withEngine(
  serve: (connection: Deno.Conn) => Promise<unknown>,
  test: (presence: Presence) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/engine.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const served = (async () => {
    for await (const connection of listener) {
      await serve(connection).catch(() => {});
      try {
        connection.close();
      } catch {
        // It is closed already.
      }
    }
  })();
  try {
    await test(new Presence(at(path)));
  } finally {
    listener.close();
    await served;
    await Deno.remove(directory, { recursive: true });
  }
}

/** Reads a request to its end. */
async function take(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1024);
  let text = "";
  while (!text.endsWith("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

const OK = new TextEncoder().encode(
  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
);

Deno.test("presence: without systemd, an engine that says something is up, once", async () => {
  const presence = new Presence(at("/nonexistent/engine.sock"));
  assertEquals(await presence.isUp(), false);
  presence.heard();
  assertEquals(await presence.isUp(), true);
  assertEquals(await presence.isUp(), false);
});

Deno.test("presence: nothing wakes an engine behind TCP", async () => {
  const to = { hostname: "127.0.0.1", port: 1 };
  assertEquals(
    await new Presence({ host: "tcp://127.0.0.1:1", to }).isUp(),
    true,
  );
});

Deno.test("presence: an idle connection tells that the engine stops", async () => {
  const asked = Promise.withResolvers<string>();
  const stop = Promise.withResolvers<void>();
  await withEngine(async (connection) => {
    const request = await take(connection);
    // The answer comes in parts, of which none is the end.
    await connection.write(OK.subarray(0, 5));
    await connection.write(OK.subarray(5));
    asked.resolve(request);
    await stop.promise;
  }, async (presence) => {
    let stopped = false;
    const stops = presence.stops().then(() => stopped = true);
    assertEquals(
      await asked.promise,
      "GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n",
    );
    assertEquals([await presence.isUp(), stopped], [true, false]);
    presence.heard();
    stop.resolve();
    await stops;
    assertEquals(await presence.isUp(), false);
  });
});

Deno.test("presence: who waits twice waits on one connection", async () => {
  let connections = 0;
  const stop = Promise.withResolvers<void>();
  await withEngine(async (connection) => {
    connections++;
    await take(connection);
    await connection.write(OK);
    await stop.promise;
  }, async (presence) => {
    const both = [presence.stops(), presence.stops()];
    stop.resolve();
    await Promise.all(both);
    assertEquals(connections, 1);
    await presence.stops(); // And once more.
    assertEquals(connections, 2);
  });
});

Deno.test("presence: a connection that can't be had says nothing for ever", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/engine.sock`;
  const presence = new Presence(at(path));
  const first = await presence.stops().then(() => "stops", () => "fails");
  assertEquals(first, "fails");
  assertEquals(await presence.isUp(), false);
  // The engine is there by now.
  using listener = Deno.listen({ transport: "unix", path });
  const served = (async () => {
    using connection = await listener.accept();
    await take(connection);
    await connection.write(OK);
  })();
  await presence.stops();
  await served;
  await Deno.remove(directory, { recursive: true });
});
