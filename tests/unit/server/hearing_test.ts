import { assertEquals } from "@std/assert";
import { watchHearing } from "../../../lib/server/hearing.ts";
import { sleep } from "../../helpers/programs.ts";

Deno.test("hearing: a server that accepts no more is found out", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/s.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  let isDeaf = false;
  const stop = watchHearing(path, () => {
    isDeaf = true;
  }, 60);
  const accept = async () => (await listener.accept()).close();
  await accept();
  await accept();
  await accept();
  assertEquals(isDeaf, false);
  await sleep(600);
  assertEquals(isDeaf, true);
  stop();
  listener.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("hearing: where nobody listens, nothing is concluded", async () => {
  const dir = await Deno.makeTempDir();
  let isDeaf = false;
  const path = `${dir}/none.sock`;
  const stop = watchHearing(path, () => {
    isDeaf = true;
  }, 20);
  await sleep(300);
  stop();
  assertEquals(isDeaf, false);
  await Deno.remove(dir, { recursive: true });
});
