import type { Driver } from "../../call/container_options.ts";
import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";

/** Mount options that make a mount show what is there already (mount(8)). */
export const BINDING = ["bind", "rbind", "move", "remount"];

/**
 * Checks what a volume is made of. The local driver mounts what its options
 * say, as root (daemon/volume/local/local_unix.go in moby): `o=bind,device=/`
 * is a bind mount by another name.
 *
 * @param allowed Drivers beyond the local one (`rexray`), and types of mounts
 *   that the local one may make: `local:nfs`, `local:bind`.
 * @param driver The driver with its options; an empty name means the local one.
 * @returns The denial.
 */
export function checkVolumeDriver(
  allowed: readonly string[],
  { name, options }: Driver,
): Denial | undefined {
  if (name !== "" && name !== "local") {
    return allowed.includes(name)
      ? undefined
      : refuse(`--volume-driver ${shown(name)}`);
  }
  const type = options.get("type") ?? "";
  const words = (options.get("o") ?? "").split(",");
  const kind = words.some((word) => BINDING.includes(word)) ? "bind" : type;
  // A quota alone, or a file system in memory, shows nothing of the host.
  if ((kind === "" && !options.has("device")) || kind === "tmpfs") {
    return undefined;
  }
  return allowed.includes(`local:${kind}`) ? undefined : refuse(
    kind === "bind"
      ? `a volume that is a bind mount of ${
        shown(options.get("device") ?? "")
      } (local:bind)`
      : `a volume of type ${shown(kind) || '""'} (local:${shown(kind)})`,
  );
}

function refuse(what: string): Denial {
  return deny(
    "privileges/volume-driver",
    `privileges: ${what} is not allowed (allow-volume-drivers in [privileges])`,
  );
}
