/**
 * What brings storage to a container, and what of it is refused.
 *
 * @module
 */
import type { Mount } from "../../call/mount.ts";
import type { Platform } from "../../call/platform.ts";
import type { MountPoint } from "../../engine/facts.ts";
import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";
import type { Bind } from "./binds.ts";

/**
 * The fields of the engine's HostConfig that bring storage, or cover a path.
 */
export interface Storage {
  readonly binds: readonly string[];
  readonly mounts: readonly Mount[];
  readonly volumesFrom: readonly string[];
  /** The keys, which are paths in the container. */
  readonly tmpfs: readonly string[];
}

/**
 * Checks the storage that a container is to get. Where its bind mounts come
 * from is not looked at here.
 *
 * @param storage What the request asks for.
 * @returns The denial if a part of it is a volume.
 */
export function checkStorage(storage: Storage): Denial | undefined {
  for (const bind of storage.binds) {
    const { source, target } = splitBind(bind);
    if (!source.startsWith("/")) return denyVolume(source, target);
  }
  const denied = checkMounts(storage.mounts);
  if (denied) return denied;
  const [from] = storage.volumesFrom;
  return from === undefined
    ? undefined
    : denyStorage("volumes-from", `--volumes-from ${shown(from)}`);
}

/**
 * Checks the mounts of a container or service (`--mount`).
 *
 * @param mounts What the request asks for.
 * @returns The denial if one of them is neither a bind mount, a tmpfs nor an
 *   image.
 */
export function checkMounts(mounts: readonly Mount[]): Denial | undefined {
  const mount = mounts.find(({ type }) => !isHarmless(type));
  if (!mount) return undefined;
  const { type, source, target } = mount;
  return type === "volume" ? denyVolume(source, target) : denyStorage(
    "mount-type",
    `mount of type ${shown(type) || '""'} at ${shown(target)}`,
  );
}

/**
 * Checks what a container really has. Where its bind mounts come from is not
 * looked at here.
 *
 * @param name What to call the container.
 * @param mounts Its mounts.
 * @returns The denial if one of them is neither a bind mount, a tmpfs nor an
 *   image.
 */
export function checkContainer(
  name: string,
  mounts: readonly MountPoint[],
): Denial | undefined {
  const mount = mounts.find(({ type }) => !isHarmless(type));
  if (!mount) return undefined;
  const { type, name: volume, destination } = mount;
  const what = type !== "volume"
    ? `a mount of type ${shown(type)}`
    : isAnonymous(volume)
    ? "an anonymous volume"
    : `volume "${shown(volume)}"`;
  return denyStorage(
    "container",
    `container ${shown(name)} has ${what} at ${shown(destination)}`,
  );
}

/** Far more characters than a part of a platform has, such as `riscv64`. */
const PLATFORM_LIMIT = 100;

/**
 * Checks the platform of an image. The engine repeats it in a warning with the
 * new container's ID (`containerCreate` in moby's daemon/create.go), and an
 * answer of more than 64 KiB reaches its client without being shown to plugins.
 *
 * @param image The image as the request names it.
 * @param platform What the image says it was made for.
 * @returns The denial if a part of it is longer than 100 characters.
 */
export function checkImagePlatform(
  image: string,
  platform: Required<Platform>,
): Denial | undefined {
  const part = (["os", "architecture", "variant"] as const)
    .find((part) => platform[part].length > PLATFORM_LIMIT);
  return part && deny(
    "volumes/image-platform",
    `image ${shown(image)} is not allowed: its ${part} has ` +
      `${platform[part].length} characters, more than ${PLATFORM_LIMIT}`,
  );
}

/**
 * Checks a build. If a step of a classic build fails, the volumes of its
 * container stay.
 *
 * @param usesBuildKit Whether BuildKit builds it for sure.
 * @returns The denial if it may be a classic build.
 */
export function checkBuild(usesBuildKit: boolean): Denial | undefined {
  return usesBuildKit ? undefined : denyStorage(
    "classic-build",
    "a classic build can leave volumes behind: build with BuildKit",
  );
}

/** The longest link that is taken, in characters: two names, and more. */
const LONGEST_LINK = 512;

/**
 * Checks the links of a new container. Each gives another container one more
 * name, which may not make that one's entry in the engine's list too long to be
 * read.
 *
 * @param links The links, `container:alias`.
 * @returns The denial if one is too long.
 */
export function checkLinks(links: readonly string[]): Denial | undefined {
  const long = links.find(({ length }) => length > LONGEST_LINK);
  return long === undefined ? undefined : deny(
    "volumes/link",
    `link ${shown(long, 40)} is not allowed: it has ${long.length} ` +
      `characters, more than ${LONGEST_LINK}`,
  );
}

/**
 * Lists the host paths that are to be mounted.
 *
 * @param storage What the request asks for; without volumes.
 * @returns The sources of the bind mounts, as they were sent.
 */
export function bindSources({ binds, mounts }: Storage): Bind[] {
  return [
    ...binds.map(splitBind),
    ...mounts.filter(({ type }) => type === "bind"),
  ].map(({ source, readOnly = false }) => ({ source, readOnly }));
}

/**
 * Splits an element of `Binds`: `ParseMountRaw` in moby's
 * daemon/volume/mounts/linux_parser.go.
 *
 * @param bind Such as `/host:/container:ro`.
 * @returns Its first two parts, and whether the third makes it read-only. A
 *   single part is a path in the container, without a source.
 */
export function splitBind(
  bind: string,
): { source: string; target: string; readOnly: boolean } {
  const [first, second, mode = ""] = bind.split(":");
  return second === undefined
    ? { source: "", target: first, readOnly: false }
    : {
      source: first,
      target: second,
      readOnly: mode.split(",").includes("ro"),
    };
}

/**
 * Refuses storage.
 *
 * @param rule Stable short name of the rule, without `volumes/`.
 * @param what The thing refused.
 * @returns The denial.
 */
export function denyStorage(rule: string, what: string): Denial {
  return deny(`volumes/${rule}`, `volumes are not allowed: ${what}`);
}

/**
 * Refuses a volume.
 *
 * @param name Its name; empty for an anonymous one.
 * @param path Where in the container it would be.
 * @returns The denial.
 */
export function denyVolume(name: string, path: string): Denial {
  return name === ""
    ? denyStorage("anonymous", `anonymous volume at ${shown(path)}`)
    : denyStorage("named", `named volume "${shown(name)}"`);
}

/** An image mount is read-only, and brings no storage. */
function isHarmless(mountType: string): boolean {
  return mountType === "bind" || mountType === "tmpfs" || mountType === "image";
}

/** The engine names anonymous volumes itself; 28 does not always tell how. */
function isAnonymous(volume: string): boolean {
  return volume === "" || /^[0-9a-f]{64}$/.test(volume);
}
