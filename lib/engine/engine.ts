/**
 * What policies may ask the engine.
 *
 * @module
 */
import type { ServiceOptions } from "../call/container_options.ts";
import type { Platform } from "../call/platform.ts";
import { EngineApi } from "./api.ts";
import type { EngineClient } from "./client.ts";
import { listedImage, record, records, serviceFacts, text } from "./decode.ts";
import { EngineRefusal } from "./error.ts";
import {
  type ContainerEvent,
  EVENTS_PATH,
  type EventStream,
  readEvents,
} from "./event_stream.ts";
import type {
  ContainerFacts,
  ExecFacts,
  HostFacts,
  ImageFacts,
  ListedImage,
  ListedService,
  RecordedContainer,
  ServiceFacts,
} from "./facts.ts";
import {
  hostFacts,
  inspectExec,
  inspectOptions,
  inspectPreviousService,
  networkDriver,
} from "./host.ts";
import {
  inspectEveryPlatform,
  inspectImage,
  inspectsPlatforms,
  keepsPlatforms,
} from "./images.ts";
import {
  findContainer,
  findContainers,
  findListed,
  listContainers,
} from "./containers.ts";
import { listServices, scaleToZero } from "./services.ts";
import { olderThan } from "../version.ts";

export { EngineError, EngineTooMuch } from "./error.ts";
export type { ContainerEvent, EventStream };
export type {
  ContainerFacts,
  ExecFacts,
  HostFacts,
  ImageFacts,
  ListedImage,
  ListedService,
  RecordedContainer,
  ServiceFacts,
};

/** Every function throws {@link EngineError} if there is no usable answer. */
export interface Engine {
  /**
   * @param name Container name or ID, or the beginning of one.
   * @returns The containers that the engine may take it for, the one that it
   *   means now first (`GetContainer` in moby's daemon/container.go): a name
   *   can also be the beginning of another's ID, and means that one as soon as
   *   its bearer is renamed or gone.
   */
  findContainers(name: string): Promise<ContainerFacts[]>;
  /**
   * @param id Container ID.
   * @returns The container, or undefined if it is gone.
   */
  findContainer(id: string): Promise<ContainerFacts | undefined>;
  /**
   * @param id Container ID.
   * @returns When it was made, in milliseconds since 1970; 0 if it is gone.
   *   Waits for the container's lock.
   */
  madeAt(id: string): Promise<number>;
  /**
   * @param id Container ID.
   * @returns How it is to run, or undefined if it is gone. Waits for its lock.
   */
  inspectOptions(id: string): Promise<RecordedContainer | undefined>;
  /**
   * @param id Exec ID.
   * @returns Its inspect, or undefined if there is none.
   */
  inspectExec(id: string): Promise<ExecFacts | undefined>;
  /**
   * @param name Service name or ID.
   * @returns What its tasks would have after a rollback; undefined if there is
   *   nothing to go back to.
   */
  inspectPreviousService(name: string): Promise<ServiceOptions | undefined>;
  /**
   * @param name Network name or ID.
   * @returns Its driver; empty if there is no such network.
   */
  networkDriver(name: string): Promise<string>;
  /**
   * @returns What the engine says of itself and its settings. It is remembered
   *   for {@link FACTS_TIME}: the engine runs other programs to tell it.
   */
  hostFacts(): Promise<HostFacts>;
  /** @returns All containers, running or not, the newest first. */
  listContainers(): AsyncIterable<ContainerFacts>;
  /**
   * @param name Image reference or ID.
   * @param platform Which of several images behind the name; without one, the
   *   one that the engine itself takes.
   * @returns Its inspect, or undefined if the engine knows none.
   * @throws {Unreadable} If the engine may take another one than it shows.
   */
  inspectImage(
    name: string,
    platform?: Platform,
  ): Promise<ImageFacts | undefined>;
  /**
   * @param name Image reference or ID.
   * @returns The inspects of the images of all platforms behind the name; none
   *   if the engine knows none. Engines before 28.1 tell one of them only.
   * @throws {Unreadable} If the engine may take another one than it shows.
   */
  inspectEveryPlatform(name: string): Promise<ImageFacts[]>;
  /**
   * @param name Service name or ID.
   * @returns Its inspect, or undefined if the engine knows none.
   */
  inspectService(name: string): Promise<ServiceFacts | undefined>;
  /** @returns All services; none on a host that is no manager of a swarm. */
  listServices(): Promise<ListedService[]>;
  /**
   * @param filters As the engine's `GET /images/json` takes them.
   * @returns The images that pass them all.
   */
  listImages(filters: Record<string, string[]>): Promise<ListedImage[]>;
  /**
   * @returns Names of the registries that Red Hat's patched engine tries for an
   *   unqualified name, in its order; undefined on every other engine.
   */
  additionalRegistries(): Promise<string[] | undefined>;
  /**
   * Removes a container, running or not, with its anonymous volumes; named ones
   * stay. It is fine if there is none.
   *
   * @param id Its ID.
   */
  removeContainer(id: string): Promise<void>;
  /**
   * Stops a container at once, and makes sure that the engine does not start it
   * again by itself.
   *
   * @param id Its ID.
   */
  stopForGood(id: string): Promise<void>;
  /**
   * Removes a volume that nothing uses, unless it is older than the container
   * that it was found in.
   *
   * @param name Its name.
   * @param since When that container was made, in milliseconds since 1970.
   * @param orMade When a volume of that name was made that may go although it
   *   is older.
   * @returns When it was made, if it may go and something uses it.
   */
  removeVolume(
    name: string,
    since: number,
    orMade?: number,
  ): Promise<number | undefined>;
  /**
   * @param id Container ID.
   * @returns Whether it is a task of a swarm, by the engine's own mark.
   */
  isTask(id: string): Promise<boolean>;
  /**
   * @param id ID of a task's container.
   * @returns The image as its service names it; empty if it is gone. Waits for
   *   the container's lock.
   */
  taskImage(id: string): Promise<string>;
  /**
   * Makes a service have no tasks. Does nothing on a host that is no manager.
   *
   * @param id Its ID.
   * @returns Whether it had to be changed.
   */
  scaleToZero(id: string): Promise<boolean>;
  /** @returns What happens to containers from now on, until the engine ends. */
  followContainers(): Promise<EventStream>;
  /** @returns Whether the engine asked this plugin about the last question. */
  asksUs(): boolean;
  /** @returns The engine's own version, such as `28.5.2`. */
  serverVersion(): Promise<string>;
  /** @returns Whether it takes gRPC over HTTP/2 without asking any plugin. */
  takesGrpc(): Promise<boolean>;
  /** @returns Whether it can keep images of several platforms behind a name. */
  keepsPlatforms(): Promise<boolean>;
  /** @returns Whether it can inspect the image of a given platform. */
  inspectsPlatforms(): Promise<boolean>;
}

/**
 * Docker Engine 29.2's, the first that takes gRPC (moby's
 * daemon/command/httphandler.go). A version of its own says less: builds from
 * source have any.
 */
const GRPC_API = "1.53";

/** How long the engine's word on itself is good for, in milliseconds. */
const FACTS_TIME = 10_000;

/**
 * Makes an engine that can be asked.
 *
 * @param client Sends the engine requests.
 * @returns The engine.
 */
export function connectEngine(client: EngineClient): Engine {
  const api = new EngineApi(client);
  let facts = { until: 0, told: undefined as unknown as Promise<HostFacts> };
  return {
    findContainers: (name) => findContainers(api, name),

    findContainer: (id) => findContainer(api, id),

    async madeAt(id) {
      const container = await api.inspect(`/containers/${id}/json`);
      return container ? Date.parse(text(container.Created)) : 0;
    },

    inspectOptions: (id) => inspectOptions(api, id),

    inspectExec: (id) => inspectExec(api, id),

    inspectPreviousService: (name) => inspectPreviousService(api, name),

    networkDriver: (name) => networkDriver(api, name),

    hostFacts() {
      // Not by the wall clock: one that goes back would keep them for long.
      const now = performance.now();
      if (facts.until < now) {
        facts = { until: now + FACTS_TIME, told: hostFacts(api) };
        facts.told.catch(() => facts.until = 0);
      }
      return facts.told;
    },

    listContainers: () => listContainers(api),

    inspectImage: (name, platform) => inspectImage(api, name, platform),

    inspectEveryPlatform: (name) => inspectEveryPlatform(api, name),

    async inspectService(name) {
      const service = await api.inspect(
        `/services/${encodeURIComponent(name)}`,
      );
      return service && serviceFacts(service);
    },

    listServices: () => listServices(api),

    async listImages(filters) {
      const path = `/images/json?filters=${
        encodeURIComponent(JSON.stringify(filters))
      }`;
      return records(await api.ask(path), path)
        .map((image) => listedImage(image, path));
    },

    async additionalRegistries() {
      const { Registries: registries } = record(await api.ask("/info"));
      return Array.isArray(registries)
        ? registries.map((registry) => text(record(registry).Name))
        : undefined;
    },

    async removeContainer(id) {
      await api.change(
        "DELETE",
        `/containers/${encodeURIComponent(id)}?v=1&force=1`,
      );
    },

    async stopForGood(id) {
      const path = `/containers/${encodeURIComponent(id)}`;
      const setPolicy = () =>
        api.change("POST", `${path}/update`, { RestartPolicy: { Name: "no" } });
      // Side by side: each may have to wait for the container's lock.
      const [policy, stop] = await Promise.allSettled([
        setPolicy(),
        api.change("POST", `${path}/stop?t=0`),
      ]);
      if (stop.status === "rejected") throw stop.reason;
      if (policy.status === "fulfilled") return;
      if (!(policy.reason instanceof EngineRefusal)) throw policy.reason;
      // With --rm there is no restart policy, and none can be set. Else the
      // container ended meanwhile, and the engine took back what it had set
      // (`update` in moby's daemon/update.go).
      if (policy.reason.status !== 409) await setPolicy();
    },

    async removeVolume(name, since, orMade) {
      const path = `/volumes/${encodeURIComponent(name)}`;
      const volume = await api.inspect(path);
      // Some drivers don't tell it: NaN is as old as can be.
      const made = Date.parse(text(volume?.CreatedAt));
      if (!(made >= since || made === orMade)) return undefined;
      try {
        await api.change("DELETE", path);
        return undefined;
      } catch (error) {
        // Another container uses it.
        if (error instanceof EngineRefusal && error.status === 409) return made;
        throw error;
      }
    },

    async isTask(id) {
      const filters = { "id": [id], "is-task": ["true"] };
      return (await findListed(api, filters)).length > 0;
    },

    async taskImage(id) {
      const container = await api.inspect(`/containers/${id}/json`);
      return text(record(container?.Config).Image);
    },

    scaleToZero: (id) => scaleToZero(api, id),

    async followContainers() {
      const { pieces, close } = await api.stream(EVENTS_PATH);
      return { events: readEvents(pieces), close };
    },

    asksUs: () => api.asksUs,

    async serverVersion() {
      return text(record(await api.ask("/version")).Version);
    },

    async takesGrpc() {
      return !olderThan(await api.newestVersion(), GRPC_API);
    },

    keepsPlatforms: () => keepsPlatforms(api),

    inspectsPlatforms: () => inspectsPlatforms(api),
  };
}
