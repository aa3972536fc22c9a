/**
 * What the engine says of containers, images and services, as policies want it.
 *
 * @module
 */
import type { ContainerOptions } from "../call/container_options.ts";
import type { Platform } from "../call/platform.ts";
import type { ServiceSpec } from "../call/service.ts";

/**
 * A container, as the engine's list shows it. Its inspect would wait for the
 * container's lock, which `docker cp` holds for as long as its client likes.
 */
export interface ContainerFacts {
  id: string;
  /**
   * Its names, without the slash that the API writes in front; those that links
   * give it (`other/alias`) too.
   */
  names: string[];
  /**
   * When it was made, in milliseconds since 1970, rounded down to whole
   * seconds.
   */
  created: number;
  /** Whether a process of it runs or is paused. */
  running: boolean;
  /** The image's name as its maker gave it, or its ID if that moved on. */
  image: string;
  /** What its maker or its image chose to say; of a task, swarm's word too. */
  labels: Record<string, string>;
  /** Everything mounted into it, however it came about. */
  mounts: MountPoint[];
}

/** A mount that a container has. */
export interface MountPoint {
  type: string;
  /** The volume's name, if it is one. */
  name: string;
  /** Path on the host. */
  source: string;
  /** Path in the container. */
  destination: string;
  readOnly?: boolean;
}

/** An image's inspect. */
export interface ImageFacts {
  /** Image ID, `sha256:…`. */
  id: string;
  /** What it says it was made for; parts that it leaves out are empty. */
  platform: Required<Platform>;
  /** Paths that it declares as `VOLUME`, as written. */
  volumes: string[];
  labels: Record<string, string>;
  /** Who runs its processes, if nobody else is named; empty for root. */
  user: string;
  /** Digests of its layers' contents, the lowest first (`RootFS.Layers`). */
  layers: string[];
  /** ID of the image that it was made from; empty if that isn't known. */
  parent: string;
  /** What it was pulled or pushed as, `repository@sha256:…`. */
  repoDigests: string[];
}

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
  id: string;
  spec: ServiceSpec;
  previousSpec?: ServiceSpec;
}

/** A service in the engine's list. */
export interface ListedService {
  id: string;
  name: string;
  /** As the engine tells it, and as an update sends it. */
  spec: Readonly<Record<string, unknown>>;
}

/** What the engine recorded of how a container is to run. */
export interface RecordedContainer {
  /** With `Config.User`, which the engine takes from the image if need be. */
  options: ContainerOptions;
}

/** An exec's inspect. */
export interface ExecFacts {
  /** ID of its container. */
  container: string;
  privileged: boolean;
  /** Empty for the container's own. */
  user: string;
}

/** What the engine says of itself and its settings. */
export interface HostFacts {
  /** The newest API that it speaks. */
  apiVersion: string;
  defaultRuntime: string;
  defaultLogDriver: string;
  /** Whether users of containers are other ones on the host. */
  remapsUsers: boolean;
  /** Whether containers have a cgroup namespace of their own by default. */
  hasOwnCgroups: boolean;
  /** Whether the engine's seccomp profile is the one that comes with it. */
  hasBuiltinSeccomp: boolean;
  /** Whether all containers have `no-new-privileges`. */
  noNewPrivileges: boolean;
  /** Whether checkpoints are open. */
  isExperimental: boolean;
  /** The directory in which it keeps everything. */
  rootDirectory: string;
}
