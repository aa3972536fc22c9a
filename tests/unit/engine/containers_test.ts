import { assertEquals } from "@std/assert";
import { escape } from "@std/regexp";
import { EngineTooMuch } from "../../../lib/engine/engine.ts";
import { listPath, problem, scripted } from "./scripted.ts";

const A = "aaaa".repeat(16);
const AB = `ab${"0".repeat(62)}`;

/** A container as the engine lists it. */
function listed(id: string, ...names: string[]) {
  return { Id: id, Names: names.map((name) => `/${name}`), Created: 0 };
}

function byName(name: string): string {
  return listPath({ name: [`^/?${escape(name)}$`] });
}

function byId(id: string): string {
  return listPath({ id: [id] });
}

Deno.test("containers: found by name, without an inspect", async () => {
  const { engine, sent } = scripted("1.41", {
    [byName("web")]: [listed(A, "web")],
  });
  for (const name of ["web", "/web"]) {
    const found = await engine.findContainers(name);
    assertEquals(found.map(({ id }) => id), [A]);
  }
  assertEquals(new Set(sent), new Set([`GET /v1.41${byName("web")}`]));
});

Deno.test("containers: an ID comes first, then a name, then the beginning of an ID", async () => {
  const { engine } = scripted("1.41", {
    [byName("ab")]: [listed(A, "ab")],
    [byId("ab")]: [listed(AB, "other")],
    [byName(AB)]: [listed(A, AB)],
    [byId(AB)]: [listed(AB, "other")],
    [byName("aa")]: [],
    [byId("aa")]: [listed(A, "ab")],
  });
  const found = async (name: string) =>
    (await engine.findContainers(name)).map(({ id }) => id);
  assertEquals(await found("ab"), [A, AB]);
  assertEquals(await found(AB), [AB, A]);
  assertEquals(await found("aa"), [A]);
});

Deno.test("containers: a name is no pattern", async () => {
  const { engine, sent } = scripted("1.41", {});
  await problem(engine.findContainers("a.b"));
  assertEquals(sent, [`GET /v1.41${byName("a.b")}`]);
  assertEquals(byName("a.b").includes(encodeURIComponent("\\\\.b")), true);
});

Deno.test("containers: a name that a link gave is found by an inspect", async () => {
  const { engine } = scripted("1.41", {
    [byName("q/a")]: [],
    "/containers/q%2Fa/json": { Id: A },
    [byId(A)]: [listed(A, "bad", "q/a")],
    [byName("none")]: [],
    "/containers/none/json": 404,
    [byName("gone")]: [],
    "/containers/gone/json": { Id: AB },
    [byId(AB)]: [],
  });
  const [linked] = await engine.findContainers("q/a");
  assertEquals([linked.id, linked.names], [A, ["bad", "q/a"]]);
  assertEquals(await engine.findContainers("none"), []);
  // It went away between the two questions.
  assertEquals(await engine.findContainers("gone"), []);
});

/** An engine with these containers, the newest first, that lists them by pages. */
class Store {
  /** How long each page was, in containers. */
  readonly pages: number[] = [];
  readonly engine;

  /**
   * @param ids Of the containers.
   * @param most How many of them make an answer that can just be read.
   * @param before What happens before each question.
   */
  constructor(
    readonly ids: string[],
    { most = Infinity, before = (_question: number) => {} } = {},
  ) {
    let questions = 0;
    const answers = new Proxy<Record<string, unknown>>({}, {
      get: (_, path: string) => {
        before(questions++);
        const query = new URL(path, "http://engine").searchParams;
        const filters = JSON.parse(query.get("filters")!);
        const limit = Number(query.get("limit"));
        let at = 0;
        if (filters.before) {
          at = this.ids.indexOf(filters.before[0]) + 1;
          if (at === 0) return 404;
        }
        if (limit > most) return new EngineTooMuch("too long", "");
        const page = this.ids.slice(at, at + limit);
        this.pages.push(page.length);
        return page.map((id) => listed(id, id));
      },
    });
    this.engine = scripted("1.41", answers).engine;
  }

  async list(): Promise<string[]> {
    return (await Array.fromAsync(this.engine.listContainers()))
      .map(({ id }) => id);
  }
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `c${i}`);
}

Deno.test("containers: all of them, some at a time", async () => {
  for (const count of [0, 1, 99, 100, 101, 200, 250]) {
    assertEquals(await new Store(ids(count)).list(), ids(count), `${count}`);
  }
  const store = new Store(ids(250));
  await store.list();
  assertEquals(store.pages, [100, 100, 50]);
});

Deno.test("containers: pages that are too long are asked for in parts", async () => {
  const store = new Store(ids(120), { most: 30 });
  assertEquals(await store.list(), ids(120));
  assertEquals(store.pages, [25, 25, 25, 25, 20]);
  assertEquals(await new Store(ids(5), { most: 1 }).list(), ids(5));
  // One alone is too long.
  assertEquals(
    await problem(new Store(ids(5), { most: 0 }).list()),
    "too long",
  );
});

Deno.test("containers: the last one of a page goes away", async () => {
  const store: Store = new Store(ids(150), {
    before: (question) => {
      if (question === 1) store.ids.splice(99, 1);
    },
  });
  const listed = await store.list();
  assertEquals(listed, ids(150));
  assertEquals(new Set(listed).size, listed.length);
});

Deno.test("containers: all that were listed go away", async () => {
  const others = ["d0", "d1"];
  const store: Store = new Store(ids(100), {
    before: (question) => {
      if (question === 1) store.ids.splice(0, 100, ...others);
    },
  });
  assertEquals(await store.list(), [...ids(100), ...others]);
});

Deno.test("containers: new ones and gone ones neither repeat nor hide others", async () => {
  let made = 0;
  const store: Store = new Store(ids(250), {
    before: (question) => {
      store.ids.unshift(`new${made++}`);
      if (question > 0) store.ids.splice(60, 5);
    },
  });
  const listed = await store.list();
  assertEquals(new Set(listed).size, listed.length);
  // Whoever was there from the start to the end is in it.
  const stayed = store.ids.filter((id) => id.startsWith("c"));
  assertEquals(stayed.filter((id) => !listed.includes(id)), []);
});

Deno.test("containers: another error ends the list", async () => {
  const { engine } = scripted("1.41", { [listPath({}, 100)]: 500 });
  assertEquals(
    await problem(Array.fromAsync(engine.listContainers())),
    `GET ${listPath({}, 100)} gave HTTP 500: status 500`,
  );
});
