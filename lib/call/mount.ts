import type { Struct } from "./struct.ts";

/** What policies look at in a mount of a container or service (`--mount`). */
export interface Mount {
  type: string;
  source: string;
  target: string;
  /** Also of what is mounted below its source, if the engine can do that. */
  readOnly?: boolean;
}

/**
 * Reads an element of a `Mounts` list.
 *
 * @param mount The element.
 * @returns The mount; a field that is absent is empty.
 * @throws {Unreadable} If a field is of another type.
 */
export function readMount(mount: Struct): Mount {
  const options = mount.struct("BindOptions");
  // `docker run --mount …,readonly,bind-recursive=writable`.
  const isReadOnly = mount.boolean("ReadOnly") &&
    !options?.boolean("ReadOnlyNonRecursive");
  return {
    type: mount.string("Type"),
    source: mount.string("Source"),
    target: mount.string("Target"),
    ...(isReadOnly && { readOnly: true }),
  };
}
