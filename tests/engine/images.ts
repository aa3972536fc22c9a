/** Images made on the spot, from a static busybox and nothing from a network. */

import { join } from "./raw_http.ts";

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

/** One file of an image. */
interface Entry {
  path: string;
  mode?: number;
  /** The content; absent for a folder. */
  content?: Uint8Array;
  /** Where a symbolic link points. */
  link?: string;
}

/**
 * The root file system that every test image has: busybox, an empty `/tmp`, and a file in `/data`, so that a
 * volume made there is seen to be filled.
 *
 * @param busybox path of a static busybox
 * @param extra more files, by path: two images with different content get different IDs
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

/** A POSIX ustar archive; paths up to 100 bytes, which is all that these images have. */
function tar(entries: Entry[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const { path, content, link, mode } of entries) {
    const size = content?.length ?? 0;
    const kind = link !== undefined ? "2" : content !== undefined ? "0" : "5";
    blocks.push(
      header(
        path,
        kind,
        mode ?? (kind === "0" ? 0o644 : 0o755),
        size,
        link ?? "",
      ),
    );
    if (content) blocks.push(content, new Uint8Array((512 - size % 512) % 512));
  }
  blocks.push(new Uint8Array(1024));
  return join(blocks);
}

function header(
  path: string,
  kind: string,
  mode: number,
  size: number,
  link: string,
): Uint8Array {
  const block = new Uint8Array(512);
  const put = (at: number, value: string) =>
    block.set(new TextEncoder().encode(value), at);
  const octal = (value: number, digits: number) =>
    value.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8)); // the checksum counts itself as blanks
  put(156, kind);
  put(157, link);
  put(257, "ustar\x0000");
  put(148, octal(block.reduce((sum, byte) => sum + byte, 0), 6) + "\0 ");
  return block;
}
