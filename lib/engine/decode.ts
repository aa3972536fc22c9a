/**
 * Reads the engine's JSON answers into facts. A field that is missing, or of
 * another type than the engine sends, counts as empty; only a list that is no
 * list is an error.
 *
 * @module
 */
import { serviceMountType, type ServiceSpec } from "../call/service.ts";
import { EngineError } from "./error.ts";
import type {
  ContainerFacts,
  ImageFacts,
  ListedImage,
  MountPoint,
  ServiceFacts,
} from "./facts.ts";

/** A JSON object. */
export type JsonRecord = Record<string, unknown>;

/**
 * Reads an element of what `GET /containers/json` shows.
 *
 * @param container The element.
 * @param path The path asked for, to be named in an error.
 * @returns The container.
 * @throws {EngineError} If it has something else where a list belongs.
 */
export function containerFacts(
  container: JsonRecord,
  path: string,
): ContainerFacts {
  return {
    id: text(container.Id),
    created: Number(container.Created) * 1000,
    names: array(container.Names, path)
      .map((name) => text(name).replace(/^\//, "")),
    running: RUNNING.has(text(container.State)),
    image: text(container.Image),
    labels: record(container.Labels) as Record<string, string>,
    mounts: mountsOf(container, path),
  };
}

/**
 * Reads what `GET /containers/{id}/json` shows.
 *
 * @param container The answer.
 * @param path The path asked for, to be named in an error.
 * @returns The container.
 * @throws {EngineError} If it has something else where a list belongs.
 */
export function inspectedFacts(
  container: JsonRecord,
  path: string,
): ContainerFacts {
  const config = record(container.Config);
  const made = Date.parse(text(container.Created));
  return {
    id: text(container.Id),
    created: Math.floor(made / 1000) * 1000,
    names: [text(container.Name).replace(/^\//, "")],
    running: RUNNING.has(text(record(container.State).Status)),
    image: text(config.Image),
    labels: record(config.Labels) as Record<string, string>,
    mounts: mountsOf(container, path),
  };
}

/** `State` in moby's daemon/container/state.go. */
const RUNNING = new Set(["running", "paused", "restarting"]);

function mountsOf(container: JsonRecord, path: string): MountPoint[] {
  return records(container.Mounts, path).map((mount) => ({
    // Containers from before Docker 1.13 have no Type.
    type: text(mount.Type) || (text(mount.Driver) ? "volume" : "bind"),
    name: text(mount.Name),
    source: text(mount.Source),
    destination: text(mount.Destination),
    ...(mount.RW === false && { readOnly: true }),
  }));
}

/**
 * Reads what `GET /images/{name}/json` shows.
 *
 * @param image The answer.
 * @param path The path asked for, to be named in an error.
 * @returns The image.
 * @throws {EngineError} If it has something else where a list belongs.
 */
export function imageFacts(image: JsonRecord, path: string): ImageFacts {
  const config = record(image.Config);
  return {
    id: text(image.Id),
    platform: {
      os: text(image.Os),
      architecture: text(image.Architecture),
      variant: text(image.Variant),
    },
    volumes: Object.keys(record(config.Volumes)),
    labels: record(config.Labels) as Record<string, string>,
    user: text(config.User),
    layers: texts(record(image.RootFS).Layers, path),
    parent: text(image.Parent),
    repoDigests: texts(image.RepoDigests, path),
  };
}

/**
 * Reads an element of what `GET /images/json` shows.
 *
 * @param image The element.
 * @param path The path asked for, to be named in an error.
 * @returns The image.
 * @throws {EngineError} If it has something else where a list belongs.
 */
export function listedImage(image: JsonRecord, path: string): ListedImage {
  return {
    id: text(image.Id),
    repoTags: texts(image.RepoTags, path),
    repoDigests: texts(image.RepoDigests, path),
  };
}

/**
 * Reads what `GET /services/{id}` shows.
 *
 * @param service The answer.
 * @returns The service.
 * @throws {EngineError} If it has something else where a list belongs.
 */
export function serviceFacts(service: JsonRecord): ServiceFacts {
  return {
    id: text(service.ID),
    spec: specOf(service.Spec),
    ...(isRecord(service.PreviousSpec) && {
      previousSpec: specOf(service.PreviousSpec),
    }),
  };
}

function specOf(value: unknown): ServiceSpec {
  const task = record(record(value).TaskTemplate);
  const container = record(task.ContainerSpec);
  return {
    name: text(record(value).Name),
    image: text(container.Image),
    mounts: records(container.Mounts, "/services").map((mount) => ({
      type: serviceMountType(text(mount.Type)),
      source: text(mount.Source),
      target: text(mount.Target),
      ...(mount.ReadOnly === true && { readOnly: true }),
    })),
    pluginRemote: text(record(task.PluginSpec).Remote),
  };
}

/**
 * Tells objects from other values.
 *
 * @param value A value of JSON.
 * @returns Whether it is an object: neither a list nor null.
 */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads an object.
 *
 * @param value A value of JSON.
 * @returns The object that it is; an empty one if it is none.
 */
export function record(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

/**
 * Reads a text.
 *
 * @param value A value of JSON.
 * @returns The text that it is; an empty one if it is none.
 */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/**
 * Reads a list of objects.
 *
 * @param value A value of JSON; null and undefined are empty lists.
 * @param path The path asked for, to be named in an error.
 * @returns The objects in the list that it is.
 * @throws {EngineError} If it is none.
 */
export function records(value: unknown, path: string): JsonRecord[] {
  return array(value, path).map(record);
}

function texts(value: unknown, path: string): string[] {
  return array(value, path).map(text);
}

function array(value: unknown, path: string): unknown[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new EngineError(`GET ${path} gave no list where one belongs`);
}
