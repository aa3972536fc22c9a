/**
 * Root file systems with packages of Debian, made once and kept.
 *
 * @module
 */
import { exists, must } from "./programs.ts";

/** Where they are kept between runs: `ENGINES`, or /var/tmp/engines. */
export const STORE = Deno.env.get("ENGINES") ?? "/var/tmp/engines";

/**
 * Makes a root file system with debootstrap, unless it is there. Several tests
 * may want it at a time.
 *
 * @param tree Where it goes, in {@link STORE}.
 * @param suite Debian's, as `trixie`.
 * @param packages Beside those that every Debian has.
 */
export async function makeTree(
  tree: string,
  suite: string,
  packages: readonly string[],
): Promise<void> {
  if (await exists(tree)) return;
  console.error(
    `making ${tree} from Debian ${suite}, once; this takes a minute`,
  );
  const script = `
    set -eu
    [ ! -d "$1" ] || exit 0
    rm -rf --one-file-system "$1.part"
    debootstrap --variant=minbase --include="$2" "$3" "$1.part" "$4" >&2
    mv "$1.part" "$1"`;
  await once(tree, script, packages.join(","), suite, await mirror());
}

/**
 * Runs a shell script that makes a file, one at a time on this machine.
 *
 * @param file Its path in {@link STORE}; the script's `$1`.
 * @param script It has to look first whether the file is there by now.
 * @param args The script's `$2` and so on.
 */
export async function once(
  file: string,
  script: string,
  ...args: string[]
): Promise<void> {
  await Deno.mkdir(STORE, { recursive: true });
  await must([
    "flock",
    `${file}.lock`,
    "sh",
    "-c",
    script,
    "sh",
    file,
    ...args,
  ]);
}

/**
 * The mirror that this machine's apt has Debian's packages from, whichever way
 * its sources are written.
 */
async function mirror(): Promise<string> {
  const ask = async () =>
    (await must([
      ...["apt-get", "indextargets", "--format", "$(SITE)"],
      ...["Created-By: Packages", "Origin: Debian", "Label: Debian"],
    ])).split("\n")[0];
  const known = await ask();
  if (known) return known;
  // It tells only of what it has loaded.
  await must(["apt-get", "update", "-qq"]);
  const updated = await ask();
  if (updated) return updated;
  throw new Error(
    "no Debian mirror in apt's sources: `apt-get update` it first",
  );
}
