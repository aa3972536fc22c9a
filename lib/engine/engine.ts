/**
 * What policies may ask the engine.
 *
 * @module
 */
import type { Platform } from "../call/platform.ts";
import { EngineApi } from "./api.ts";
import type { Send } from "./client.ts";
import {
  containerFacts,
  listedContainerFacts,
  listedImage,
  record,
  records,
  serviceFacts,
  text,
} from "./decode.ts";
import type {
  ContainerFacts,
  ImageFacts,
  ListedImage,
  ServiceFacts,
} from "./facts.ts";
import {
  inspectEveryPlatform,
  inspectImage,
  inspectsPlatforms,
  keepsPlatforms,
} from "./images.ts";

export { EngineError } from "./error.ts";
export type { ContainerFacts, ImageFacts, ListedImage, ServiceFacts };

/** Every function throws {@link EngineError} if there is no usable answer. */
export interface Engine {
  /**
   * @param name Container name or ID, or the beginning of one.
   * @returns Its inspect, or undefined if the engine knows none.
   */
  inspectContainer(name: string): Promise<ContainerFacts | undefined>;
  /** @returns All containers, running or not. */
  listContainers(): Promise<ContainerFacts[]>;
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
  /** @returns The engine's own version, such as `28.5.2`. */
  serverVersion(): Promise<string>;
  /** @returns Whether it can keep images of several platforms behind a name. */
  keepsPlatforms(): Promise<boolean>;
  /** @returns Whether it can inspect the image of a given platform. */
  inspectsPlatforms(): Promise<boolean>;
}

/**
 * Makes an engine that can be asked out of a way to send it requests.
 *
 * @param send Sends the engine a request; throws {@link EngineError}.
 * @returns The engine.
 */
export function connectEngine(send: Send): Engine {
  const api = new EngineApi(send);
  return {
    async inspectContainer(name) {
      const path = `/containers/${encodeURIComponent(name)}/json`;
      const container = await api.inspect(path);
      return container && containerFacts(container, path);
    },

    async listContainers() {
      const path = "/containers/json?all=1";
      return records(await api.ask(path), path)
        .map((container) => listedContainerFacts(container, path));
    },

    inspectImage: (name, platform) => inspectImage(api, name, platform),

    inspectEveryPlatform: (name) => inspectEveryPlatform(api, name),

    async inspectService(name) {
      const service = await api.inspect(
        `/services/${encodeURIComponent(name)}`,
      );
      return service && serviceFacts(service);
    },

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
      await api.remove(`/containers/${encodeURIComponent(id)}?v=1&force=1`);
    },

    async serverVersion() {
      return text(record(await api.ask("/version")).Version);
    },

    keepsPlatforms: () => keepsPlatforms(api),

    inspectsPlatforms: () => inspectsPlatforms(api),
  };
}
