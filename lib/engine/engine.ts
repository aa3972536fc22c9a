/**
 * The engine's API, as far as the policies ask it.
 *
 * @module
 */
import { EngineError } from "./error.ts";
import { shown } from "../text.ts";
import type { Platform } from "../call/platform.ts";
import { serviceMountType, type ServiceSpec } from "../call/service.ts";
import { Unreadable } from "../call/unreadable.ts";
import { olderThan } from "../version.ts";

/** A container, as its inspect and the engine's list show it. */
export interface ContainerFacts {
  id: string;
  /** Its names, without the slash that the API writes in front. */
  names: string[];
  /** When it was made, in milliseconds since 1970; a list tells whole seconds. */
  created: number;
  /** Everything mounted into it, however it came about. */
  mounts: {
    type: string;
    name: string;
    source: string;
    destination: string;
  }[];
}

/** An image's inspect. */
export interface ImageFacts {
  /** Image ID, `sha256:…`. */
  id: string;
  /** Paths that it declares as `VOLUME`, as written. */
  volumes: string[];
  labels: Record<string, string>;
  /** Digests of its layers' contents, the lowest first (`RootFS.Layers`). */
  layers: string[];
  /** ID of the image that it was made from; empty where that isn't known. */
  parent: string;
  /** What it was pulled or pushed as, `repository@sha256:…`. */
  repoDigests: string[];
}

/** What an image declares as `VOLUME`. */
export type ImageVolumes = Pick<ImageFacts, "volumes">;

/** An image in the engine's list. */
export interface ListedImage {
  /** Image ID, `sha256:…`. */
  id: string;
  /** `repository:tag`, in the engine's familiar form. */
  repoTags: string[];
  /** What it was pulled or pushed as, `repository@sha256:…`. */
  repoDigests: string[];
}

/** A service's inspect. */
export interface ServiceFacts {
  spec: ServiceSpec;
  previousSpec?: ServiceSpec;
}

/** What policies may ask the engine. */
export interface Engine {
  /**
   * @param name Container name or ID, or the beginning of one.
   * @returns Its inspect, or undefined where the engine knows none.
   */
  inspectContainer(name: string): Promise<ContainerFacts | undefined>;
  /** @returns All containers, running or not. */
  listContainers(): Promise<ContainerFacts[]>;
  /**
   * @param name Image reference or ID.
   * @param platform Which of several images behind the name; without one, the
   *   one that the engine itself takes.
   * @returns Its inspect, or undefined where the engine knows none.
   * @throws {Unreadable} where the engine may take another one than it shows.
   */
  inspectImage(
    name: string,
    platform?: Platform,
  ): Promise<ImageFacts | undefined>;
  /**
   * The same of {@link Engine.inspectImage}, but only what is declared as
   * `VOLUME`. Of an image ID that is the digest of an image's configuration it is
   * remembered: it can't change.
   */
  inspectImageVolumes(
    name: string,
    platform?: Platform,
  ): Promise<ImageVolumes | undefined> | ImageVolumes;
  /**
   * @param name Image reference or ID.
   * @returns The inspects of the images of all platforms behind the name; none
   *   where the engine knows none. Engines before 28.1 tell one of them only.
   */
  inspectEveryPlatform(name: string): Promise<ImageFacts[]>;
  /**
   * @param name Service name or ID.
   * @returns Its inspect, or undefined where the engine knows none.
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
   * stay.
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

export { EngineError };

/** How many image IDs are remembered; more, and the memory starts anew. */
const PINNED_LIMIT = 1000;

/**
 * How long, in milliseconds: the engine can be started anew with another image
 * store, where an ID pins less.
 */
const PINNED_TIME = 60_000;

/** The newest API version whose answers this module knows. */
const NEWEST_API = "1.51";

const IMAGE_ID = /^sha256:[0-9a-f]{64}$/;

/** The first API version with `manifests` on image inspect. */
const MANIFESTS_API = "1.48";

/** The first API version with `platform` on image inspect. */
const PLATFORM_INSPECT_API = "1.49";

/** Sends the engine a request without a body. */
export type Send = (
  path: string,
  method?: "GET" | "DELETE",
) => Promise<EngineAnswer>;

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
 * @param send Sends the engine a request; throws {@link EngineError}.
 * @returns The engine. Its functions throw {@link EngineError} where it gives no
 *   usable answer.
 */
export function connectEngine(send: Send): Engine {
  /** The newest API version that the engine speaks. */
  let newest: Promise<string> | undefined;
  const pinned = new Map<string, { volumes: ImageVolumes; until: number }>();

  async function negotiate(): Promise<string> {
    const { status, apiVersion } = await send("/_ping");
    if (status !== 200 || !/^\d+\.\d+$/.test(apiVersion)) {
      throw new EngineError(`the engine's ping gave HTTP ${status}`);
    }
    return apiVersion;
  }

  async function agreedVersion(): Promise<string> {
    newest ??= negotiate().catch((error) => {
      newest = undefined;
      throw error;
    });
    const version = await newest;
    return olderThan(version, NEWEST_API) ? version : NEWEST_API;
  }

  /** The engine can be replaced while we live. */
  function forgetEngine(): void {
    newest = undefined;
    pinned.clear();
  }

  async function sendAgreed(path: string): Promise<EngineAnswer> {
    const version = await agreedVersion();
    const answer = await send(`/v${version}${path}`);
    if (answer.apiVersion === "" || answer.apiVersion === await newest) {
      return answer;
    }
    // Another one than was asked for its version.
    forgetEngine();
    return await send(`/v${await agreedVersion()}${path}`);
  }

  async function find(path: string): Promise<unknown> {
    const { status, body } = await sendAgreed(path);
    if (status === 404 || (status === 503 && isNoManager(body))) {
      return undefined;
    }
    if (status !== 200) {
      forgetEngine();
      throw new EngineError(
        `GET ${path} gave HTTP ${status}: ${messageOf(body)}`,
      );
    }
    try {
      return JSON.parse(body);
    } catch {
      throw new EngineError(`GET ${path} gave no JSON`);
    }
  }

  async function inspect(path: string): Promise<Json | undefined> {
    const found = await find(path);
    if (found === undefined || isRecord(found)) return found;
    throw new EngineError(`GET ${path} gave no JSON object`);
  }

  /** Asks for what every engine has. */
  async function ask(path: string): Promise<unknown> {
    const found = await find(path);
    if (found === undefined) {
      throw new EngineError(`GET ${path} gave HTTP 404`);
    }
    return found;
  }

  function inspectImage(
    name: string,
    platform?: Platform,
  ): Promise<ImageFacts | undefined> {
    return inspectImageOf(name, platform, true);
  }

  async function inspectImageOf(
    name: string,
    platform: Platform | undefined,
    mayAskAgain: boolean,
  ): Promise<ImageFacts | undefined> {
    const version = await agreedVersion();
    const tellsManifests = !olderThan(version, MANIFESTS_API);
    const manifests = imagePath(name, { manifests: "1" });
    const path = platform
      ? imagePath(name, { platform: JSON.stringify(platform) })
      : tellsManifests
      ? manifests
      : imagePath(name, {});
    const image = await inspect(path);
    if (await agreedVersion() !== version) {
      // It was another engine's answer, which may want to be asked otherwise.
      if (mayAskAgain) return await inspectImageOf(name, platform, false);
      throw new EngineError("the engine's API version changes all the time");
    }
    if (!image) return undefined;
    if (text(image.Os) === "") {
      // The containerd store shows an empty config where it has no image for
      // the platform asked, or the host's; `create` may still find one.
      throw new Unreadable(
        `image ${shown(name)} has several platforms, and none for this host`,
      );
    }
    if (tellsManifests) {
      const all = platform ? await inspect(manifests) : image;
      if (hidesManifest(list(all?.Manifests, path), image)) {
        throw new Unreadable(
          `image ${shown(name)} holds more than one image for its platform`,
        );
      }
    }
    const config = record(image.Config);
    return {
      id: text(image.Id),
      volumes: Object.keys(record(config.Volumes)),
      labels: record(config.Labels) as Record<string, string>,
      layers: texts(record(image.RootFS).Layers, path),
      parent: text(image.Parent),
      repoDigests: texts(image.RepoDigests, path),
    };
  }

  async function inspectVolumes(
    name: string,
    platform?: Platform,
  ): Promise<ImageVolumes | undefined> {
    const image = await inspectImage(name, platform);
    if (!image) return undefined;
    const { id, volumes } = image;
    if (id === name && IMAGE_ID.test(name)) pin(name, { volumes });
    return { volumes };
  }

  /** For the next time: no verdict waits for it, or fails with it. */
  async function pin(id: string, volumes: ImageVolumes): Promise<void> {
    // Where a name can stand for several images, an ID is the digest of their
    // list, and which of them are there can change.
    const canChange = await keepsPlatforms().catch(() => true);
    if (canChange) return;
    if (pinned.size >= PINNED_LIMIT) pinned.clear();
    pinned.set(id, { volumes, until: performance.now() + PINNED_TIME });
  }

  function pinnedVolumes(id: string): ImageVolumes | undefined {
    const known = pinned.get(id);
    return known && known.until > performance.now() ? known.volumes : undefined;
  }

  async function keepsPlatforms(): Promise<boolean> {
    const info = record(await ask("/info"));
    // LayerStoreStatus in moby's daemon/containerd/service.go
    return Array.isArray(info.DriverStatus) &&
      info.DriverStatus.some((pair) =>
        Array.isArray(pair) && pair[0] === "driver-type" &&
        String(pair[1]).startsWith("io.containerd.snapshotter")
      );
  }

  /** None where the image store keeps one image a name. */
  async function platformsOf(name: string): Promise<Platform[]> {
    const path = imagePath(name, { manifests: "1" });
    const image = await inspect(path);
    return list(image?.Manifests, path)
      .filter(({ Kind, Available }) => Kind === "image" && Available === true)
      .map(({ ImageData }) => record(record(ImageData).Platform))
      .map(({ os, architecture, variant }) => ({
        os: text(os),
        architecture: text(architecture),
        ...(variant !== undefined && { variant: text(variant) }),
      }));
  }

  return {
    async inspectContainer(name) {
      const path = `/containers/${encodeURIComponent(name)}/json`;
      const container = await inspect(path);
      return container && containerOf(container, [container.Name], path);
    },

    async listContainers() {
      const path = "/containers/json?all=1";
      return list(await ask(path), path).map((container) =>
        containerOf(container, array(container.Names, path), path)
      );
    },

    inspectImage,

    inspectImageVolumes: (name, platform) =>
      (platform ? undefined : pinnedVolumes(name)) ??
        inspectVolumes(name, platform),

    async inspectEveryPlatform(name) {
      const platforms = await this.inspectsPlatforms()
        ? await platformsOf(name)
        : [];
      const images = await Promise.all(
        platforms.length > 0
          ? platforms.map((platform) => inspectImage(name, platform))
          : [inspectImage(name)],
      );
      return images.filter((image) => image !== undefined);
    },

    async inspectService(name) {
      const service = await inspect(`/services/${encodeURIComponent(name)}`);
      if (!service) return undefined;
      return {
        spec: specOf(service.Spec),
        ...(isRecord(service.PreviousSpec) && {
          previousSpec: specOf(service.PreviousSpec),
        }),
      };
    },

    async listImages(filters) {
      const path = `/images/json?filters=${
        encodeURIComponent(JSON.stringify(filters))
      }`;
      return list(await ask(path), path).map((image) => ({
        id: text(image.Id),
        repoTags: texts(image.RepoTags, path),
        repoDigests: texts(image.RepoDigests, path),
      }));
    },

    async additionalRegistries() {
      const { Registries: registries } = record(await ask("/info"));
      return Array.isArray(registries)
        ? registries.map((registry) => text(record(registry).Name))
        : undefined;
    },

    async removeContainer(id) {
      const path = `/containers/${encodeURIComponent(id)}?v=1&force=1`;
      const { status, body } = await send(
        `/v${await agreedVersion()}${path}`,
        "DELETE",
      );
      if (status !== 204 && status !== 404) {
        throw new EngineError(
          `DELETE ${path} gave HTTP ${status}: ${messageOf(body)}`,
        );
      }
    },

    async serverVersion() {
      return text(record(await ask("/version")).Version);
    },

    keepsPlatforms,

    async inspectsPlatforms() {
      return !olderThan(await agreedVersion(), PLATFORM_INSPECT_API);
    },
  };
}

/**
 * Whether an image of several manifests holds another one that `create` may take:
 * it goes by the platform alone (`getBestPresentImageManifest` in moby's
 * daemon/containerd/image.go), while inspect passes over attestations and images
 * that are not complete (`multiPlatformSummary` in image_list.go).
 */
function hidesManifest(manifests: Json[], image: Json): boolean {
  const platforms = manifests.map(({ Kind, Descriptor, ImageData }) => ({
    isImage: Kind === "image",
    platform: record(
      record(Descriptor).platform ?? record(ImageData).Platform,
    ),
  }));
  const wanted = platformKey(image.Os, image.Architecture, image.Variant);
  const same = platforms.filter(({ isImage, platform }) =>
    isImage && wanted ===
      platformKey(platform.os, platform.architecture, platform.variant)
  );
  // Where none fits the host, the first that is there is taken, whatever it is.
  const first = platforms.findIndex(({ isImage }) => isImage);
  return same.length > 1 ||
    platforms.some(({ isImage, platform }, at) =>
      !isImage && (platform.os !== "unknown" || at < first)
    );
}

/** The variants that go without saying: containerd's `platforms.Normalize`. */
function platformKey(os: unknown, arch: unknown, variant: unknown): string {
  const plain = `${text(arch)}/${text(variant)}`
    .replace(/^arm64\/v8$/, "arm64/").replace(/^amd64\/v1$/, "amd64/");
  return `${text(os)}/${plain}`;
}

function imagePath(name: string, query: Record<string, string>): string {
  const search = new URLSearchParams(query).toString();
  return `/images/${encodeURIComponent(name)}/json${search && `?${search}`}`;
}

type Json = Record<string, unknown>;

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body);
    if (typeof message === "string") return message;
  } catch {
    // Old engines answer in plain text.
  }
  return body.slice(0, 200);
}

/** Where there is no swarm there is no service, as the engine says itself. */
function isNoManager(body: string): boolean {
  return messageOf(body).startsWith("This node is not a swarm manager");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {};
}

function array(value: unknown, path: string): unknown[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new EngineError(`GET ${path} gave no list where one belongs`);
}

function list(value: unknown, path: string): Json[] {
  return array(value, path).map(record);
}

function texts(value: unknown, path: string): string[] {
  return array(value, path).map(text);
}

function containerOf(
  container: Json,
  names: unknown[],
  path: string,
): ContainerFacts {
  return {
    id: text(container.Id),
    created: typeof container.Created === "number"
      ? container.Created * 1000
      : Date.parse(text(container.Created)),
    names: names.map((name) => text(name).replace(/^\//, "")),
    mounts: list(container.Mounts, path).map((mount) => ({
      // Containers from before Docker 1.13 have no Type.
      type: text(mount.Type) || (text(mount.Driver) ? "volume" : "bind"),
      name: text(mount.Name),
      source: text(mount.Source),
      destination: text(mount.Destination),
    })),
  };
}

function specOf(value: unknown): ServiceSpec {
  const task = record(record(value).TaskTemplate);
  const container = record(task.ContainerSpec);
  return {
    image: text(container.Image),
    mounts: list(container.Mounts, "/services").map((mount) => ({
      type: serviceMountType(text(mount.Type)),
      source: text(mount.Source),
      target: text(mount.Target),
    })),
    pluginRemote: text(record(task.PluginSpec).Remote),
  };
}
