import { join } from "./raw_http.ts";

/** One file of an archive. */
export interface Entry {
  path: string;
  mode?: number;
  /** The content; absent for a folder. */
  content?: Uint8Array;
  /** Where a symbolic link points. */
  link?: string;
}

/**
 * A POSIX ustar archive.
 *
 * @param entries with paths of up to 100 bytes
 */
export function tar(entries: Entry[]): Uint8Array {
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
