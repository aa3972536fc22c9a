import { assertEquals, assertMatch } from "@std/assert";
import { program } from "../program.ts";

Deno.test("health: it prints what it is told, and exits accordingly", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/m.sock`;
  const address = `--addr=unix:${path}`;
  for (
    const [status, body, code, out] of [
      [200, "HEALTHY (enforcing [volumes])", 0],
      [200, "HEALTHY, but x\n", 0, "HEALTHY, but x"],
      [503, "UNHEALTHY: gone", 1],
      [200, "<html>\u001b[31m", 1, "<html>\\u001b[31m"],
    ] as [number, string, number, string?][]
  ) {
    const server = Deno.serve(
      { path, onListen() {} },
      () => new Response(body, { status }),
    );
    const said = await program("health", address);
    await server.shutdown();
    assertEquals(said, { code, out: `${out ?? body}\n`, err: "" });
  }
  const gone = await program("health", address);
  assertEquals([gone.code, gone.out], [2, ""]);
  assertMatch(gone.err, /^can't ask at unix:.*\/m\.sock: .*\n$/);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("health: who answers nothing can't be asked", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${silent.addr.port}`;
  const { code, err } = await program("health", "--addr", address);
  assertEquals([code, err], [
    2,
    `can't ask at ${address}: no answer within 5 s\n`,
  ]);
});
