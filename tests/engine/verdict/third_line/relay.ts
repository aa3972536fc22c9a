/**
 * Lets a named user call an engine's API by a unix socket of his own: what
 * comes in goes on over TLS, with the user's certificate. So docker clients and
 * requests written by hand need to know nothing of TLS.
 *
 * It runs in the engine's network. Arguments: the port, the authority's
 * certificate, and for each user the folder of his certificate and the path of
 * his socket.
 */

async function carry(
  from: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
): Promise<void> {
  await from.pipeTo(to).catch(() => {});
}

async function serve(
  port: number,
  caCerts: string[],
  dir: string,
  path: string,
): Promise<void> {
  const cert = await Deno.readTextFile(`${dir}/cert.pem`);
  const key = await Deno.readTextFile(`${dir}/key.pem`);
  const listener = Deno.listen({ transport: "unix", path });
  for await (const client of listener) {
    (async () => {
      const engine = await Deno.connectTls({
        hostname: "127.0.0.1",
        port,
        caCerts,
        cert,
        key,
      });
      await Promise.all([
        carry(client.readable, engine.writable),
        carry(engine.readable, client.writable),
      ]);
    })().catch(() => {
      try {
        client.close();
      } catch {
        // It is closed already.
      }
    });
  }
}

const [port, ca, ...users] = Deno.args;
const caCerts = [await Deno.readTextFile(ca)];
for (let at = 0; at < users.length; at += 2) {
  serve(Number(port), caCerts, users[at], users[at + 1]);
}
