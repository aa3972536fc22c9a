/** buildx and compose, of Debian sid as the engines that they are for. */

import { once, STORE } from "../../helpers/debian.ts";
import { exists } from "../../helpers/programs.ts";

const FOLDER = `${STORE}/cli-plugins`;

/**
 * Why there are none, or undefined if there are: {@link addCliPlugins} can add them.
 *
 * They are for the docker client in sid's root file systems, which has the C library that they want. A tree with
 * them installed would have every test's `docker build` be another.
 */
export async function whyNoCliPlugins(): Promise<string | undefined> {
  const engine = Deno.env.get("ENGINE");
  if (engine !== "28" && engine !== "29") {
    return "buildx and compose are tried with ENGINE=28 and ENGINE=29";
  }
  try {
    await once(FOLDER, DOWNLOAD, `${STORE}/root${engine}`);
  } catch (error) {
    return `can't get Debian's docker-buildx and docker-compose: ${error}`;
  }
}

const DOWNLOAD = `
  set -eu
  [ ! -d "$1" ] || exit 0
  get() {
    chroot "$2" sh -c '
      set -eu
      rm -rf /var/tmp/cli-plugins
      mkdir /var/tmp/cli-plugins
      cd /var/tmp/cli-plugins
      set -- -qq -o APT::Sandbox::User=root download docker-buildx docker-compose
      apt-get "$@" || { apt-get update -qq -o Acquire::Check-Valid-Until=false; apt-get "$@"; }
      for each in *.deb; do dpkg-deb -x "$each" .; done'
  }
  get "$@" >&2
  rm -rf "$1.part"
  mv "$2/var/tmp/cli-plugins/usr/libexec/docker/cli-plugins" "$1.part"
  rm -rf "$2/var/tmp/cli-plugins"
  mv "$1.part" "$1"`;

/**
 * Gives a docker client buildx and compose.
 *
 * @param config its folder of settings
 */
export async function addCliPlugins(config: string): Promise<void> {
  const folder = `${config}/cli-plugins`;
  if (await exists(folder)) return;
  await Deno.mkdir(folder);
  for (const name of ["docker-buildx", "docker-compose"]) {
    await Deno.copyFile(`${FOLDER}/${name}`, `${folder}/${name}`);
  }
}
