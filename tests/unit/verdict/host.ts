/**
 * A host for the third line: containers, and an engine that tells of them and notes
 * what is done to them.
 *
 * @module
 */
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import {
  type Route,
  routeOf,
  type Section,
} from "../../../lib/call/endpoints.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import type { Config } from "../../../lib/config/config.ts";
import type { ContainerFacts, Engine } from "../../../lib/engine/engine.ts";
import { openLog } from "../../../lib/log.ts";
import { type Deed, Metrics } from "../../../lib/metrics.ts";
import { Kept } from "../../../lib/verdict/kept.ts";
import {
  createThirdLine,
  type ThirdLine,
} from "../../../lib/verdict/third_line.ts";
import { base64, request } from "../requests.ts";

/** An ID: a digit, repeated. */
export function idOf(digit: string): string {
  return digit.repeat(64);
}

/** Mounts, such as `data` for a named volume, `` for an anonymous one, `/host`. */
export function mountsOf(...names: string[]): ContainerFacts["mounts"] {
  return names.map((name, at) => ({
    type: name.startsWith("/") ? "bind" : "volume",
    name: name.startsWith("/") ? "" : name || idOf("f"),
    source: name.startsWith("/") ? name : "",
    destination: `/x${at}`,
  }));
}

/** What swarm writes on a task's container. */
export function taskLabels(service: string): Record<string, string> {
  return {
    "com.docker.swarm.service.id": `${service}-id`,
    "com.docker.swarm.service.name": service,
  };
}

/** A host with a third line. */
export class Host {
  readonly containers = new Map<string, ContainerFacts>();
  /** IDs of the tasks' containers, with the image of their service. */
  readonly tasks = new Map<string, string>();
  /** What was done, such as `remove 11…`. */
  readonly done: string[] = [];
  readonly log: string[] = [];
  /** Which containers were asked for. */
  readonly asked: string[] = [];
  readonly deeds: Deed[] = [];
  readonly engine: Engine;
  asksUs = true;
  config!: Config;
  kept = Kept.open(undefined);
  thirdLine!: ThirdLine;

  private constructor(engine: Partial<Engine>) {
    const known = (id: string) => this.containers.get(id);
    const containers = this.containers;
    const note = (what: string) => {
      this.done.push(what);
      return Promise.resolve();
    };
    const usual: Partial<Engine> = {
      findContainer: (id) => {
        this.asked.push(id);
        return Promise.resolve(known(id));
      },
      findContainers: (name) =>
        Promise.resolve(
          [...containers.values()].filter(({ id, names }) =>
            id === name || names.includes(name)
          ),
        ),
      madeAt: (id) => Promise.resolve(known(id)?.created ?? 0),
      async *listContainers() {
        yield* [...containers.values()];
      },
      isTask: (id) => Promise.resolve(this.tasks.has(id)),
      taskImage: (id) => Promise.resolve(this.tasks.get(id) ?? ""),
      inspectService: (name) =>
        Promise.resolve({
          id: `${name}-id`,
          spec: { name, image: "b", mounts: [], pluginRemote: "" },
        }),
      removeContainer: (id) => {
        containers.delete(id);
        return note(`remove ${id[0]}`);
      },
      removeVolume: async (name, since) => {
        await note(`remove volume ${name} ${since}`);
        return undefined;
      },
      stopForGood: (id) => {
        const container = known(id);
        if (container) containers.set(id, { ...container, running: false });
        return note(`stop ${id[0]}`);
      },
      scaleToZero: async (id) => {
        await note(`scale ${id}`);
        return true;
      },
      asksUs: () => this.asksUs,
    };
    this.engine = { ...usual, ...engine } as Engine;
  }

  /** A host with these settings, whose engine differs so from the usual one. */
  static async open(
    config = "[volumes]",
    engine: Partial<Engine> = {},
  ): Promise<Host> {
    const host = new Host(engine);
    host.config = await parseConfig(
      "x.toml",
      config || "enforce-nothing = true",
    );
    host.restart();
    return host;
  }

  /** Another third line takes over, with what the one before has kept. */
  restart(): void {
    // deno-lint-ignore no-this-alias -- the settings of the moment count
    const host = this;
    const metrics = new Metrics();
    this.thirdLine = createThirdLine({
      get config() {
        return host.config;
      },
      engine: this.engine,
      isExempt: () => Promise.resolve(false),
      kept: this.kept,
      log: openLog(
        { debug: false, journal: true, format: "text" },
        (line) => this.log.push(line),
      ),
      metrics: Object.assign(metrics, {
        acted: (deed: Deed) => this.deeds.push(deed),
      }),
    });
  }

  /** Other settings. */
  async set(config: string): Promise<void> {
    this.config = await parseConfig(
      "x.toml",
      config || "enforce-nothing = true",
    );
  }

  /** Puts a container on the host; nobody is told. */
  add(
    digit: string,
    mounts: ContainerFacts["mounts"] = [],
    more: Partial<ContainerFacts> = {},
  ): string {
    const id = idOf(digit);
    this.containers.set(id, {
      id,
      names: [`c${digit}`],
      created: Math.floor(Date.now() / 1000) * 1000,
      running: false,
      image: "b:1",
      labels: {},
      mounts,
      ...more,
    });
    return id;
  }

  /** The same, as a task of a service. */
  addTask(digit: string, service: string, ...mounts: string[]): string {
    const id = this.add(digit, mountsOf(...mounts), {
      running: true,
      labels: taskLabels(service),
    });
    this.tasks.set(id, "evil:1");
    return id;
  }

  /** Starts a container; nobody is told. */
  start(id: string): string {
    this.containers.set(id, { ...this.containers.get(id)!, running: true });
    return id;
  }

  /** The names of the containers that are there. */
  get names(): string {
    return [...this.containers.keys()].map((id) => id[0]).join("");
  }
}

/** A call, with its row in the endpoint table. */
export function call(
  line: string,
  body?: unknown,
  user = "",
): [request: AuthzRequest, route: Route] {
  const authz = { ...request(line, body), user };
  const route = routeOf(authz);
  if (!route) throw new Error(`no endpoint for ${line}`);
  return [authz, route];
}

/** What came of a call; of a create, with the ID that its answer names. */
export function answer(
  [authz]: [AuthzRequest, Route],
  status: number,
  id?: string,
) {
  return {
    request: authz,
    status,
    ...(id !== undefined && {
      body: base64(
        JSON.stringify({ [authz.uri.includes("services") ? "ID" : "Id"]: id }),
      ),
    }),
  };
}

/** A create of a container or service, from its AuthZ request to its response. */
export class Create {
  readonly #host: Host;
  readonly #call: [AuthzRequest, Route];
  readonly #exempt: Section[];
  readonly #settings: string;

  private constructor(
    host: Host,
    line: string,
    exempt: Section[],
    settings: string,
  ) {
    this.#host = host;
    this.#call = call(line, {}, exempt.length > 0 || settings ? "alice" : "");
    this.#exempt = exempt;
    this.#settings = settings;
  }

  static async begin(
    host: Host,
    exempt: Section[] = [],
    line = "POST /containers/create",
    settings = "",
  ): Promise<Create> {
    const create = new Create(host, line, exempt, settings);
    await host.thirdLine.allowed(...create.#call, exempt, settings);
    return create;
  }

  async end(status: number, id?: string): Promise<void> {
    const [, route] = this.#call;
    const response = answer(this.#call, status, id);
    await this.#host.thirdLine.served(
      response,
      route,
      this.#exempt,
      this.#settings,
    );
  }
}
