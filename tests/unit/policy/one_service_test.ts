import { assertEquals, assertRejects } from "@std/assert";
import { Call } from "../../../lib/call/call.ts";
import { routeOf } from "../../../lib/call/endpoints.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import { requireOneService } from "../../../lib/policy/one_service.ts";
import { request } from "../requests.ts";

const WEB = "1zv9g3h5x0c2o7b8k4m6n1p2q";
const SERVICES = [
  { id: WEB, name: "web", spec: {} },
  { id: "9ab".padEnd(25, "x"), name: WEB.slice(0, 8), spec: {} },
];

function ask(subject: string, image = "plain:1"): Promise<void> {
  const sent = request(`POST /services/${subject}/update?version=1`, {
    TaskTemplate: { ContainerSpec: { Image: image } },
  });
  return requireOneService(new Call(sent, routeOf(sent)!), {
    listServices: () => Promise.resolve(SERVICES),
  });
}

Deno.test("one service: by its whole ID or its name", async () => {
  assertEquals(await ask(WEB), undefined);
  assertEquals(await ask("web"), undefined);
  assertEquals(await ask("WEB"), undefined);
  // The engine says that there is none.
  assertEquals(await ask("nobody"), undefined);
});

Deno.test("one service: not by what can come to mean another", async () => {
  for (const subject of [WEB.slice(0, 8), WEB.slice(0, 1), "9AB"]) {
    await assertRejects(
      () => ask(subject),
      Unreadable,
      "name the service by its whole ID",
      subject,
    );
  }
});

Deno.test("one service: not with an answer that nobody is shown", async () => {
  await assertRejects(
    () => ask(WEB, `${"a.".repeat(35_000)}a:5000/x`),
    Unreadable,
    "its image name has more than 1000 characters",
  );
});
