/**
 * What the engine says of containers, images and services, as policies want it.
 *
 * @module
 */
import type { Platform } from "../call/platform.ts";
import type { ServiceSpec } from "../call/service.ts";

/** A container, as its inspect and the engine's list show it. */
export interface ContainerFacts {
  id: string;
  /** Its names, without the slash that the API writes in front. */
  names: string[];
  /**
   * When it was made, in milliseconds since 1970; a list tells whole seconds.
   */
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
  /** What it says it was made for; parts that it leaves out are empty. */
  platform: Required<Platform>;
  /** Paths that it declares as `VOLUME`, as written. */
  volumes: string[];
  labels: Record<string, string>;
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
  spec: ServiceSpec;
  previousSpec?: ServiceSpec;
}
