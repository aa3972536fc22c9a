/**
 * Finds containers by the engine's list. An inspect would wait for a
 * container's lock, which `docker cp` holds for as long as its client likes.
 *
 * @module
 */
import { escape } from "@std/regexp";
import type { EngineApi } from "./api.ts";
import { containerFacts, inspectedFacts, records } from "./decode.ts";
import { EngineTooMuch } from "./error.ts";
import type { ContainerFacts } from "./facts.ts";

/** How many containers are listed at a time. */
const PAGE = 100;

/** Filters as the engine's `GET /containers/json` takes them. */
type Filters = Record<string, string[]>;

/**
 * Finds the containers that the engine may take a name for (`GetContainer` in
 * moby's daemon/container.go): an ID, then a name, then the beginning of an ID.
 *
 * @param api The engine.
 * @param name Container name or ID, or the beginning of one.
 * @returns The containers, the one that it means now first. All of them count:
 *   if the bearer of a name is renamed or removed, the name means the next one.
 */
export async function findContainers(
  api: EngineApi,
  name: string,
): Promise<ContainerFacts[]> {
  const plain = name.replace(/^\//, "");
  let named, byId;
  try {
    named = await findListed(api, { name: [`^/?${escape(plain)}$`] });
    byId = /^[0-9a-f]+$/.test(name)
      ? await findListed(api, { id: [name] })
      : [];
  } catch (error) {
    if (!(error instanceof EngineTooMuch)) throw error;
    const container = await inspect(api, name);
    return container ? [container] : [];
  }
  const found = [
    ...byId.filter(({ id }) => id === name),
    ...named,
    ...byId.filter(({ id }) => id !== name),
  ];
  if (found.length > 0) return found;
  // A link can give a container one more name, which the filter does not know.
  const linked = await inspect(api, name);
  return linked ? await findListed(api, { id: [linked.id] }) : [];
}

/**
 * Finds a container.
 *
 * @param api The engine.
 * @param id Its ID.
 * @returns The container, or undefined if it is gone.
 * @throws {EngineTooMuch} If what its maker wrote on it is too long to be read.
 */
export async function findContainer(
  api: EngineApi,
  id: string,
): Promise<ContainerFacts | undefined> {
  try {
    const [container] = await findListed(api, { id: [id] });
    return container;
  } catch (error) {
    if (!(error instanceof EngineTooMuch)) throw error;
    return await inspect(api, id);
  }
}

/**
 * An inspect has no names but the container's own: others can give it names by
 * links, of any length, and so make its entry in the list too long to be read.
 */
async function inspect(
  api: EngineApi,
  name: string,
): Promise<ContainerFacts | undefined> {
  const path = `/containers/${encodeURIComponent(name)}/json`;
  const container = await api.inspect(path);
  return container && inspectedFacts(container, path);
}

/**
 * Lists the containers that pass some filters.
 *
 * @param api The engine.
 * @param filters The filters.
 * @returns The containers, running or not.
 */
export async function findListed(
  api: EngineApi,
  filters: Filters,
): Promise<ContainerFacts[]> {
  const path = pathOf(filters);
  return readList(await api.ask(path), path);
}

/**
 * Lists all containers, some at a time: what their makers wrote on them has no
 * limit, and must not make the list longer than can be read.
 *
 * @param api The engine.
 * @returns The containers, running or not, the newest first.
 */
export async function* listContainers(
  api: EngineApi,
): AsyncGenerator<ContainerFacts> {
  const passed: string[] = [];
  const told = new Set<string>();
  for (let size = PAGE;;) {
    const last = passed.at(-1);
    const path = pathOf(last === undefined ? {} : { before: [last] }, size);
    let answer: unknown;
    try {
      answer = await api.find(path);
    } catch (error) {
      if (!(error instanceof EngineTooMuch)) throw error;
      const [, id] = /^\[\{"Id":"([0-9a-f]{64})"/.exec(error.beginning) ?? [];
      if (size > 1) size = Math.ceil(size / 2);
      else if (id === undefined) throw error;
      else {
        const container = await inspect(api, id);
        if (container) yield container;
        told.add(id);
        passed.push(id);
      }
      continue;
    }
    if (answer === undefined) {
      passed.pop(); // The last one is gone: go on behind the one before it.
      continue;
    }
    const page = readList(answer, path);
    for (const container of page) {
      passed.push(container.id);
      if (!told.has(container.id)) yield container;
      told.add(container.id);
    }
    if (page.length < size) return;
  }
}

function pathOf(filters: Filters, limit?: number): string {
  return `/containers/json?all=1&${limit ? `limit=${limit}&` : ""}filters=${
    encodeURIComponent(JSON.stringify(filters))
  }`;
}

function readList(answer: unknown, path: string): ContainerFacts[] {
  return records(answer, path)
    .map((container) => containerFacts(container, path));
}
