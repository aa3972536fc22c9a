/**
 * Creates whose answer is too long for the engine to show it to the plugin: it
 * passes on what is longer than 64 KiB before it asks. Warnings make it that long.
 */

import type { Harness } from "../../harness.ts";
import { rootFileSystem } from "../../images.ts";
import { tar } from "../../tar.ts";

/** Longer than what the engine shows a plugin of an answer, in characters. */
export const LONG = 65_536;

/**
 * Makes an image of a platform that each create warns of, at such length. The
 * first line refuses it: its name has to mean another image by then.
 *
 * @param h The engine.
 * @param reference Name and tag.
 * @param volumes The paths that it declares as VOLUME.
 */
export async function longImage(
  h: Harness,
  reference: string,
  volumes: string[] = [],
): Promise<void> {
  const layer = await rootFileSystem(h.dockerd.busybox, { long: reference });
  const hash = await crypto.subtle.digest("SHA-256", layer.slice());
  const config = {
    os: "linux",
    architecture: "a".repeat(70_000),
    config: {
      Cmd: ["sleep", "600"],
      Volumes: Object.fromEntries(volumes.map((path) => [path, {}])),
    },
    rootfs: {
      type: "layers",
      diff_ids: [`sha256:${new Uint8Array(hash).toHex()}`],
    },
  };
  const manifest = [
    { Config: "config.json", RepoTags: [reference], Layers: ["layer.tar"] },
  ];
  // An import would do, but for Docker 20.10, which takes no architecture there.
  const { status, body } = await h.api(
    "POST",
    "/images/load?quiet=1",
    tar([
      { path: "manifest.json", content: json(manifest) },
      { path: "config.json", content: json(config) },
      { path: "layer.tar", content: layer },
    ]),
  );
  if (status !== 200 || body.includes("errorDetail")) {
    throw new Error(`can't load ${reference}: ${body}`);
  }
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
