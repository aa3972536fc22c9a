/**
 * The engine's API, as far as the policies ask it.
 *
 * @module
 */
import type { Platform } from "./policy/platform.ts";
import { olderThan } from "./request/uri.ts";

/** A container's inspect. */
export interface ContainerFacts {
  /** Everything mounted into it, however it came about. */
  mounts: { type: string; name: string; destination: string }[];
}

/** An image's inspect. */
export interface ImageFacts {
  /** Image ID, `sha256:…`. */
  id: string;
  /** Paths that it declares as `VOLUME`, as written. */
  volumes: string[];
}

/** The part of a service's spec that brings storage. */
export interface ServiceSpecFacts {
  /** Empty where the tasks are no containers. */
  image: string;
  /** Mount types are in lower case, and never empty. */
  mounts: { type: string; source: string; target: string }[];
}

/** A service's inspect. */
export interface ServiceFacts {
  spec: ServiceSpecFacts;
  previousSpec?: ServiceSpecFacts;
}

/** What policies may ask the engine. */
export interface Engine {
  /**
   * @param name Container name or ID, or the beginning of one.
   * @returns Its inspect, or undefined where the engine knows none.
   */
  inspectContainer(name: string): Promise<ContainerFacts | undefined>;
  /**
   * @param name Image reference or ID.
   * @param platform Which of several images behind the name; without one, the
   *   one that the engine itself takes.
   * @returns Its inspect, or undefined where the engine knows none.
   */
  inspectImage(
    name: string,
    platform?: Platform,
  ): Promise<ImageFacts | undefined>;
  /**
   * @param name Service name or ID.
   * @returns Its inspect, or undefined where the engine knows none.
   */
  inspectService(name: string): Promise<ServiceFacts | undefined>;
  /** @returns Whether it can keep images of several platforms behind a name. */
  keepsPlatforms(): Promise<boolean>;
  /** @returns Whether it can inspect the image of a given platform. */
  inspectsPlatforms(): Promise<boolean>;
}

/** The engine gave no usable answer. */
export class EngineError extends Error {
  /** @param problem What went wrong, and with which engine. */
  constructor(problem: string) {
    super(problem);
    this.name = "EngineError";
  }
}

/** The newest API version whose answers this module knows. */
const NEWEST_API = "1.51";

/** The first API version with `platform` on image inspect. */
const PLATFORM_INSPECT_API = "1.49";

/** Gets a path from the engine. */
export type Get = (path: string) => Promise<EngineAnswer>;

/** An answer of the engine's API. */
export interface EngineAnswer {
  status: number;
  /** The `Api-Version` header: the newest version that the engine speaks. */
  apiVersion: string;
  body: string;
}

/**
 * Asks an engine over its API, at a version that both sides know.
 *
 * @param get Gets a path from the engine; throws {@link EngineError}.
 * @returns The engine. Its functions throw {@link EngineError} where it gives no
 *   usable answer.
 */
export function connectEngine(get: Get): Engine {
  let version: Promise<string> | undefined;

  async function negotiate(): Promise<string> {
    const { status, apiVersion } = await get("/_ping");
    if (status !== 200 || !/^\d+\.\d+$/.test(apiVersion)) {
      throw new EngineError(`the engine's ping gave HTTP ${status}`);
    }
    return olderThan(apiVersion, NEWEST_API) ? apiVersion : NEWEST_API;
  }

  /** The engine can be replaced while we live: a failure asks again. */
  function agreedVersion(): Promise<string> {
    version ??= negotiate().catch((error) => {
      version = undefined;
      throw error;
    });
    return version;
  }

  async function inspect(path: string): Promise<Json | undefined> {
    const { status, body } = await get(`/v${await agreedVersion()}${path}`);
    if (status === 404) return undefined;
    if (status !== 200) {
      version = undefined;
      throw new EngineError(
        `GET ${path} gave HTTP ${status}: ${messageOf(body)}`,
      );
    }
    return parse(body, path);
  }

  return {
    async inspectContainer(name) {
      const path = `/containers/${encodeURIComponent(name)}/json`;
      const container = await inspect(path);
      return container && {
        mounts: list(container.Mounts, path).map((mount) => ({
          // Containers from before Docker 1.13 have no Type.
          type: text(mount.Type) || (text(mount.Driver) ? "volume" : "bind"),
          name: text(mount.Name),
          destination: text(mount.Destination),
        })),
      };
    },

    async inspectImage(name, platform) {
      const path = `/images/${encodeURIComponent(name)}/json` +
        (platform
          ? `?platform=${encodeURIComponent(JSON.stringify(platform))}`
          : "");
      const image = await inspect(path);
      if (image && text(image.Os) === "") {
        // The containerd store shows an empty config where it has no image for
        // the platform asked, or the host's; `create` may still find one.
        throw new EngineError(
          `image ${name} has several platforms, and none for this host`,
        );
      }
      return image && {
        id: text(image.Id),
        volumes: Object.keys(record(record(image.Config).Volumes)),
      };
    },

    async inspectService(name) {
      const service = await inspect(`/services/${encodeURIComponent(name)}`);
      if (!service) return undefined;
      return {
        spec: serviceSpec(record(service.Spec)),
        ...(service.PreviousSpec !== undefined && {
          previousSpec: serviceSpec(record(service.PreviousSpec)),
        }),
      };
    },

    async keepsPlatforms() {
      const info = await inspect("/info");
      if (!info) throw new EngineError("GET /info gave HTTP 404");
      // LayerStoreStatus in moby's daemon/containerd/service.go
      return Array.isArray(info.DriverStatus) &&
        info.DriverStatus.some((pair) =>
          Array.isArray(pair) && pair[0] === "driver-type" &&
          String(pair[1]).startsWith("io.containerd.snapshotter")
        );
    },

    async inspectsPlatforms() {
      return !olderThan(await agreedVersion(), PLATFORM_INSPECT_API);
    },
  };
}

type Json = Record<string, unknown>;

function parse(body: string, path: string): Json {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null) return value as Json;
  } catch {
    // Said below.
  }
  throw new EngineError(`GET ${path} gave no JSON object`);
}

function messageOf(body: string): string {
  try {
    return String(JSON.parse(body).message);
  } catch {
    return body.slice(0, 200);
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function record(value: unknown): Json {
  return typeof value === "object" && value !== null ? value as Json : {};
}

function list(value: unknown, path: string): Json[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new EngineError(`GET ${path} gave no list where one belongs`);
  }
  return value.map(record);
}

function serviceSpec(spec: Json): ServiceSpecFacts {
  const container = record(record(spec.TaskTemplate).ContainerSpec);
  return {
    image: text(container.Image),
    mounts: list(container.Mounts, "/services").map((mount) => ({
      type: text(mount.Type).toLowerCase() || "bind",
      source: text(mount.Source),
      target: text(mount.Target),
    })),
  };
}
