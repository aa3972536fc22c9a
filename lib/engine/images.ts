/**
 * Which image the engine takes for a name, if several platforms stand behind
 * it.
 *
 * @module
 */
import type { Platform } from "../call/platform.ts";
import { Unreadable } from "../call/unreadable.ts";
import { shown } from "../text.ts";
import { olderThan } from "../version.ts";
import type { EngineApi } from "./api.ts";
import {
  imageFacts,
  type JsonRecord,
  record,
  records,
  text,
} from "./decode.ts";
import { EngineError } from "./error.ts";
import type { ImageFacts } from "./facts.ts";

/** The first API version with `manifests` on image inspect. */
const MANIFESTS_API = "1.48";

/** The first API version with `platform` on image inspect. */
const PLATFORM_INSPECT_API = "1.49";

/**
 * Inspects the image that the engine takes.
 *
 * @param api The engine's API.
 * @param name Image reference or ID.
 * @param platform Which of several images behind the name; without one, the one
 *   that the engine itself takes.
 * @returns The image, or undefined if the engine knows none.
 * @throws {EngineError} If the engine gives no usable answer.
 * @throws {Unreadable} If the engine may take another one than it shows.
 */
export async function inspectImage(
  api: EngineApi,
  name: string,
  platform?: Platform,
): Promise<ImageFacts | undefined> {
  // An engine that was replaced in the middle may want to be asked otherwise.
  for (let tries = 0; tries < 2; tries++) {
    const version = await api.version();
    const tellsManifests = !olderThan(version, MANIFESTS_API);
    const manifests = inspectPath(name, { manifests: "1" });
    const path = platform
      ? inspectPath(name, { platform: JSON.stringify(platform) })
      : tellsManifests
      ? manifests
      : inspectPath(name, {});
    const image = await api.inspect(path);
    if (await api.version() !== version) continue;
    if (!image) return undefined;
    if (text(image.Os) === "") {
      // The containerd store shows an empty config if it has no image for the
      // platform asked for, or the host's; `create` may still find one.
      throw new Unreadable(
        `image ${shown(name)} has several platforms, and none for this host`,
      );
    }
    if (tellsManifests) {
      const all = platform ? await api.inspect(manifests) : image;
      if (hidesManifest(records(all?.Manifests, path), image)) {
        throw new Unreadable(
          `image ${shown(name)} holds more than one image for its platform`,
        );
      }
    }
    return imageFacts(image, path);
  }
  throw new EngineError("the engine's API version changes all the time");
}

/**
 * Inspects the images of all platforms behind a name.
 *
 * @param api The engine's API.
 * @param name Image reference or ID.
 * @returns The images; none if the engine knows none. Engines before 28.1 tell
 *   one of them only.
 * @throws {EngineError} If the engine gives no usable answer.
 * @throws {Unreadable} If the engine may take another one than it shows.
 */
export async function inspectEveryPlatform(
  api: EngineApi,
  name: string,
): Promise<ImageFacts[]> {
  const platforms = await inspectsPlatforms(api)
    ? await platformsOf(api, name)
    : [];
  const images = await Promise.all(
    platforms.length > 0
      ? platforms.map((platform) => inspectImage(api, name, platform))
      : [inspectImage(api, name)],
  );
  return images.filter((image) => image !== undefined);
}

/**
 * @param api The engine's API.
 * @returns Whether the engine can inspect the image of a given platform.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function inspectsPlatforms(api: EngineApi): Promise<boolean> {
  return !olderThan(await api.version(), PLATFORM_INSPECT_API);
}

/**
 * @param api The engine's API.
 * @returns Whether the engine can keep images of several platforms behind a
 *   name: `LayerStoreStatus` in moby's daemon/containerd/service.go.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function keepsPlatforms(api: EngineApi): Promise<boolean> {
  const info = record(await api.ask("/info"));
  return Array.isArray(info.DriverStatus) &&
    info.DriverStatus.some((pair) =>
      Array.isArray(pair) && pair[0] === "driver-type" &&
      String(pair[1]).startsWith("io.containerd.snapshotter")
    );
}

/** None if the image store keeps one image a name. */
async function platformsOf(api: EngineApi, name: string): Promise<Platform[]> {
  const path = inspectPath(name, { manifests: "1" });
  const image = await api.inspect(path);
  return records(image?.Manifests, path)
    .filter(({ Kind, Available }) => Kind === "image" && Available === true)
    .map(({ ImageData }) => record(record(ImageData).Platform))
    .map(({ os, architecture, variant }) => ({
      os: text(os),
      architecture: text(architecture),
      ...(variant !== undefined && { variant: text(variant) }),
    }));
}

/**
 * Whether an image of several manifests holds another one that `create` may
 * take: it goes by the platform alone (`getBestPresentImageManifest` in moby's
 * daemon/containerd/image.go), while inspect passes over attestations and
 * images that are not complete (`multiPlatformSummary` in image_list.go).
 */
function hidesManifest(manifests: JsonRecord[], image: JsonRecord): boolean {
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
  // If none fits the host, the first that is there is taken, whatever it is.
  const first = platforms.findIndex(({ isImage }) => isImage);
  return same.length > 1 ||
    platforms.some(({ isImage, platform }, at) =>
      !isImage && (platform.os !== "unknown" || at < first)
    );
}

/** The default variants are left out: containerd's `platforms.Normalize`. */
function platformKey(os: unknown, arch: unknown, variant: unknown): string {
  const plain = `${text(arch)}/${text(variant)}`
    .replace(/^arm64\/v8$/, "arm64/").replace(/^amd64\/v1$/, "amd64/");
  return `${text(os)}/${plain}`;
}

function inspectPath(name: string, query: Record<string, string>): string {
  const search = new URLSearchParams(query).toString();
  return `/images/${encodeURIComponent(name)}/json${search && `?${search}`}`;
}
