/**
 * Images made on the spot, from a static busybox and nothing from a network.
 */

import { tar } from "./tar.ts";

/** The programs of busybox that the tests' containers use, as links to it. */
const PROGRAMS = [
  "sh",
  "true",
  "false",
  "cat",
  "ls",
  "echo",
  "sleep",
  "touch",
  "test",
  "mkdir",
  "id",
];

/**
 * The root file system that every test image has: busybox, an empty `/tmp`, and
 * a file in `/data`, so that a volume made there is seen to be filled.
 *
 * @param busybox path of a static busybox
 * @param extra more files, by path: two images with different content get
 *   different IDs
 * @returns a tar archive for `docker import`
 */
export async function rootFileSystem(
  busybox: string,
  extra: Record<string, string> = {},
): Promise<Uint8Array> {
  const text = (value: string) => new TextEncoder().encode(value);
  return tar([
    { path: "bin/" },
    { path: "bin/busybox", content: await Deno.readFile(busybox), mode: 0o755 },
    ...PROGRAMS.map((name) => ({ path: `bin/${name}`, link: "busybox" })),
    { path: "etc/" },
    { path: "etc/passwd", content: text("root:x:0:0:root:/:/bin/sh\n") },
    { path: "tmp/", mode: 0o1777 },
    { path: "data/" },
    { path: "data/from-image", content: text("made with the image\n") },
    ...Object.entries(extra).map(([path, value]) => ({
      path,
      content: text(value),
    })),
  ]);
}
