import { assertEquals, assertRejects } from "@std/assert";
import type { Section } from "../../../lib/call/endpoints.ts";
import { EngineError } from "../../../lib/engine/engine.ts";
import { Kept } from "../../../lib/verdict/kept.ts";
import { Whose } from "../../../lib/verdict/whose.ts";
import { FakeClock, isOver } from "../fake_clock.ts";
import { answer, call, Host, idOf, mountsOf } from "./host.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const A = idOf("a");
const CREATE = call("POST /containers/create", {});
const BUILD = call("POST /build?t=x");
const BUILDKIT = call("POST /build?version=2&buildid=1");

/** A test that no timing decides. */
function test(name: string, run: (clock: FakeClock) => Promise<void>): void {
  Deno.test(`whose: ${name}`, async () => {
    using clock = new FakeClock();
    await run(clock);
  });
}

async function open() {
  const host = await Host.open();
  const kept = Kept.open(undefined);
  const whose = new Whose(host.engine, kept);
  return { host, kept, whose };
}

/** The entries that are kept, such as `aa: volumes`. */
function entries(map: Kept["containers"]): string[] {
  return [...map].map(([id, { because, sections }]) =>
    `${id.slice(0, 4)} ${because}: ${sections.join(",")}`
  );
}

/** A container that is made now, with these mounts. */
function made(host: Host, ...mounts: string[]) {
  return host.containers.get(host.add("1", mountsOf(...mounts)))!;
}

test("an answer names what an exempt user made", async () => {
  for (
    const [status, id, exempt, expected] of [
      [201, A, ["volumes"], ["aaaa exempt: volumes"]],
      [201, A, ["volumes", "images"], ["aaaa exempt: volumes,images"]],
      [201, A, [], []],
      // It made nothing.
      [409, A, ["volumes"], []],
      [200, A, ["volumes"], []],
      // Nothing is shown of it.
      [0, undefined, ["volumes"], []],
    ] as [number, string | undefined, Section[], string[]][]
  ) {
    const { kept, whose } = await open();
    const [request, route] = CREATE;
    await whose.allowed(request, route, exempt);
    await whose.served(answer(CREATE, status, id), route, exempt);
    assertEquals(entries(kept.containers), expected);
    const service = call("POST /services/create", {});
    await whose.allowed(...service, exempt);
    await whose.served(answer(service, status, id), service[1], exempt);
    assertEquals(entries(kept.services), expected);
  }
});

test("an answer that names nothing is an error, for exempt users alone", async () => {
  for (const line of ["POST /containers/create", "POST /services/create"]) {
    const { host, kept, whose } = await open();
    const create = call(line, {});
    const [request, route] = create;
    await whose.allowed(request, route, []);
    await assertRejects(() =>
      whose.served(answer(create, 201), route, ["volumes"])
    );
    await whose.served(answer(create, 201), route, []);
    await whose.allowed(request, route, []);
    await whose.served(answer(create, 201, A), route, undefined);
    assertEquals([kept.containers.size, kept.services.size], [0, 0]);
    // It is over in any case.
    assertEquals(await isOver(whose.known(made(host, "data"))), true);
  }
});

test("calls that make nothing are none of its business", async () => {
  const { host, kept, whose } = await open();
  for (
    const each of [
      call("POST /containers/c1/rename?name=x"),
      call("PUT /containers/c1/archive"),
      call("POST /images/create?fromImage=b"),
      call("POST /images/b/push"),
    ]
  ) {
    const [request, route] = each;
    await whose.allowed(request, route, ["volumes", "images"]);
    await whose.served(answer(each, 201, A), route, ["volumes", "images"]);
  }
  assertEquals([kept.containers.size, kept.services.size], [0, 0]);
  assertEquals(await isOver(whose.known(made(host))), true);
});

test("a new container waits for the creates that began before it", async (clock) => {
  const { host, whose } = await open();
  const [request, route] = CREATE;
  await whose.allowed(request, route, []);
  const known = whose.known(made(host, "data"));
  assertEquals(await isOver(known), false);
  await clock.pass(2000);
  // Not for those that came later.
  await whose.allowed({ ...request, user: "bob" }, route, []);
  await whose.served(answer(CREATE, 404), route, []);
  assertEquals(await isOver(known), true);
  assertEquals(clock.timers, 0);
});

test("a create that is never reported is over after a minute", async (clock) => {
  const { host, whose } = await open();
  await whose.allowed(...CREATE, []);
  const known = whose.known(made(host, "data"));
  await clock.pass(MINUTE - 1);
  assertEquals(await isOver(known), false);
  await clock.pass(1);
  assertEquals(await isOver(known), true);
});

test("a classic build shelters what may be a step of it, while it runs", async () => {
  const [request, route] = BUILD;
  for (
    const [mounts, sheltered] of [
      [[""], true],
      [[], true],
      [["", ""], true],
      [["data"], false],
      [["", "data"], false],
      [["", "/srv"], false],
    ] as const
  ) {
    const { host, whose } = await open();
    await whose.allowed(request, route, []);
    const known = whose.known(made(host, ...mounts));
    assertEquals(await isOver(known), !sheltered, JSON.stringify(mounts));
    await whose.served(answer(BUILD, 200), route, []);
    assertEquals(await isOver(known), true);
    // Nor does it shelter what comes after it.
    assertEquals(await isOver(whose.known(made(host, ""))), true);
  }
});

test("a build by BuildKit shelters nothing", async () => {
  const { host, whose } = await open();
  const [request, route] = BUILDKIT;
  await whose.allowed(request, route, []);
  assertEquals(await isOver(whose.known(made(host, ""))), true);
  // A form that is not shown could make a classic one of it.
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  await whose.allowed({ ...request, headers }, route, []);
  const known = whose.known(made(host, ""));
  assertEquals(await isOver(known), false);
  await whose.served(
    { request: { ...request, headers }, status: 200 },
    route,
    [],
  );
  assertEquals(await isOver(known), true);
});

test("one build's end is not another's", async () => {
  const { host, whose } = await open();
  const other = call("POST /build?t=y");
  const bobs = call("POST /build?t=x", undefined, "bob");
  await whose.allowed(...BUILD, []);
  const known = whose.known(made(host, ""));
  for (const build of [other, bobs]) {
    await whose.allowed(...build, []);
    await whose.served(answer(build, 200), build[1], []);
  }
  assertEquals(await isOver(known), false);
  await whose.served(answer(BUILD, 200), BUILD[1], []);
  assertEquals(await isOver(known), true);
});

test("a build shelters nothing for ever", async (clock) => {
  const { host, whose } = await open();
  await whose.allowed(...BUILD, []);
  const known = whose.known(made(host, ""));
  await clock.pass(6 * HOUR - 1);
  assertEquals(await isOver(known), false);
  await clock.pass(1);
  assertEquals(await isOver(known), true);
});

test("builds go on while the plugin restarts", async () => {
  const { host, kept, whose } = await open();
  await whose.allowed(...BUILD, []);
  const other = new Whose(host.engine, kept);
  const known = other.known(made(host, ""));
  assertEquals(await isOver(known), false);
  await other.served(answer(BUILD, 200), BUILD[1], []);
  assertEquals(await isOver(known), true);
  assertEquals(kept.builds.size, 0);
});

test("with the engine all calls end", async () => {
  const { host, whose } = await open();
  await whose.allowed(...CREATE, []);
  await whose.allowed(...BUILD, []);
  const known = whose.known(made(host, ""));
  assertEquals(await isOver(known), false);
  whose.engineEnded();
  assertEquals(await isOver(known), true);
});

test("an exempt user may start what he meant when he asked", async () => {
  for (
    const line of [
      "POST /containers/c1/start",
      "POST /containers/c1/restart",
      "POST /containers/c1/update",
    ]
  ) {
    const { host, kept, whose } = await open();
    host.add("1", mountsOf("data"));
    const [request, route] = call(line, {});
    await whose.allowed(request, route, []);
    assertEquals(entries(kept.containers), []);
    await whose.allowed(request, route, ["volumes"]);
    assertEquals(entries(kept.containers), ["1111 exempt: volumes"]);
    // Nobody is kept who has no container.
    const none = call(line.replace("c1", "none"), {});
    await whose.allowed(...none, ["volumes"]);
    assertEquals(kept.containers.size, 1);
  }
});

test("of several that a name may mean, the one that it means now", async () => {
  const { host, kept, whose } = await open();
  const meant = host.containers.get(host.add("1"))!;
  const other = host.containers.get(host.add("2"))!;
  host.engine.findContainers = () => Promise.resolve([meant, other]);
  await whose.allowed(...call("POST /containers/ab/start"), ["volumes"]);
  assertEquals(entries(kept.containers), ["1111 exempt: volumes"]);
  host.engine.findContainers = () => Promise.reject(new EngineError("silence"));
  await assertRejects(
    () => whose.allowed(...call("POST /containers/ab/start"), ["volumes"]),
    EngineError,
    "silence",
  );
});

test("whoever changes a service last answers for it", async () => {
  const { kept, whose } = await open();
  const update = call("POST /services/db/update?version=1", {});
  const [request, route] = update;
  const change = async (exempt: Section[] | undefined, status: number) => {
    await whose.allowed(request, route, exempt ?? []);
    const meanwhile = entries(kept.services);
    await whose.served(answer(update, status), route, exempt);
    return [meanwhile, entries(kept.services)];
  };
  const none: string[] = [];
  const volumes = ["db-i exempt: volumes"];
  const both = ["db-i exempt: volumes,images"];
  assertEquals(await change([], 200), [none, none]);
  // Its tasks can come before the answer.
  assertEquals(await change(["volumes"], 200), [volumes, volumes]);
  assertEquals(await change(["volumes", "images"], 200), [both, both]);
  for (const status of [0, 400, 404, 500]) {
    assertEquals(await change([], status), [both, both], `${status}`);
  }
  // Whoever it was by then, nothing is taken from anybody.
  assertEquals(await change(undefined, 200), [both, both]);
  assertEquals(await change(["volumes"], 200), [both, volumes]);
  assertEquals(await change([], 200), [volumes, none]);
});

test("a service that the engine does not know is nobody's", async () => {
  const { host, kept, whose } = await open();
  await kept.keep("services", "db-id", "exempt", "volumes");
  host.engine.inspectService = () => Promise.resolve(undefined);
  const update = call("POST /services/db/update?version=1", {});
  await whose.allowed(...update, ["volumes"]);
  await whose.served(answer(update, 200), update[1], []);
  assertEquals(entries(kept.services), ["db-i exempt: volumes"]);
});

/** Whose settings something is judged by. */
function judged(map: Kept["containers"]): string[] {
  return [...map].map(([id, entry]) =>
    `${id.slice(0, 4)} ${entry.for?.map((name) => name || "all").join()}`
  );
}

test("an answer names what a user with other settings made", async () => {
  for (
    const [status, id, settings, expected] of [
      [201, A, "ops", ["aaaa ops"]],
      [201, A, "", []],
      [409, A, "ops", []],
      [0, undefined, "ops", []],
    ] as [number, string | undefined, string, string[]][]
  ) {
    for (const line of ["POST /containers/create", "POST /services/create"]) {
      const { kept, whose } = await open();
      const create = call(line, {});
      await whose.allowed(...create, [], settings);
      await whose.served(answer(create, status, id), create[1], [], settings);
      assertEquals(
        [...judged(kept.containers), ...judged(kept.services)],
        expected,
      );
    }
  }
});

test("who starts a container takes it from nobody's settings", async () => {
  const { host, kept, whose } = await open();
  const start = call("POST /containers/c1/start");
  host.add("1");
  await whose.allowed(...start, [], "");
  assertEquals(judged(kept.containers), []);
  await whose.allowed(...start, [], "ops");
  assertEquals(judged(kept.containers), ["1111 all,ops"]);
  await whose.allowed(...start, [], "interns");
  assertEquals(judged(kept.containers), ["1111 all,ops,interns"]);
  await kept.judgeBy("containers", idOf("1"), "interns");
  await whose.allowed(...start, [], "");
  assertEquals(judged(kept.containers), ["1111 interns,all"]);
});

test("a service is judged by the settings of who changed it last", async () => {
  const { kept, whose } = await open();
  const update = call("POST /services/db/update?version=1", {});
  const change = async (settings: string, status: number) => {
    await whose.allowed(...update, [], settings);
    const meanwhile = judged(kept.services);
    await whose.served(answer(update, status), update[1], [], settings);
    return [meanwhile, judged(kept.services)];
  };
  assertEquals(await change("", 200), [[], []]);
  assertEquals(await change("ops", 200), [["db-i all,ops"], ["db-i ops"]]);
  assertEquals(await change("", 400), [["db-i ops,all"], ["db-i ops,all"]]);
  assertEquals(await change("ops", 200), [["db-i ops,all"], ["db-i ops"]]);
  assertEquals(await change("", 200), [["db-i ops,all"], []]);
});

test("services that are gone are forgotten when they are many", async () => {
  const { host, kept, whose } = await open();
  const listed = (...ids: string[]) => () =>
    Promise.resolve(ids.map((id) => ({ id, name: id, spec: {} })));
  const keep = async (from: number, to: number) => {
    for (let at = from; at < to; at++) {
      await kept.keep("services", `s${at}`, "exempt", "volumes");
    }
  };
  const forget = async () => {
    await whose.forgetServices();
    return [...kept.services.keys()];
  };

  await keep(0, 99);
  host.engine.listServices = listed("other");
  assertEquals((await forget()).length, 99);
  await keep(99, 100);
  // Who lists none may be no manager any more, and still have tasks of them.
  host.engine.listServices = listed();
  assertEquals((await forget()).length, 100);
  host.engine.listServices = () => Promise.reject(new EngineError("no leader"));
  assertEquals((await forget()).length, 100);
  // One that comes meanwhile is not in the list, and not gone either.
  host.engine.listServices = async () => {
    await keep(100, 101);
    return await listed("s7", "other")();
  };
  assertEquals(await forget(), ["s7", "s100"]);
  // The engine is not asked again before they are many again.
  host.engine.listServices = listed("other");
  await keep(0, 100);
  assertEquals((await forget()).length, 101);
  await keep(101, 104);
  assertEquals(await forget(), []);
});
