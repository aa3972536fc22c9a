import type { Struct } from "./struct.ts";

/** A mount of a container or service (`--mount`), as far as policies care. */
export interface Mount {
  type: string;
  source: string;
  target: string;
}

/**
 * Reads an element of a `Mounts` list.
 *
 * @param mount The element.
 * @returns The mount; what is absent is empty.
 */
export function readMount(mount: Struct): Mount {
  return {
    type: mount.string("Type"),
    source: mount.string("Source"),
    target: mount.string("Target"),
  };
}
