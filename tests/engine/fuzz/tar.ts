import { join } from "../raw_http.ts";

/**
 * A POSIX ustar archive of plain files.
 *
 * @param files path (up to 100 bytes) and content of each
 * @returns the archive
 */
export function tar(files: [path: string, content: Uint8Array][]): Uint8Array {
  return join([
    ...files.flatMap(([path, content]) => [
      header(path, content.length),
      content,
      new Uint8Array((512 - content.length % 512) % 512),
    ]),
    new Uint8Array(1024),
  ]);
}

function header(path: string, size: number): Uint8Array {
  const block = new Uint8Array(512);
  const put = (at: number, text: string) =>
    block.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number) =>
    value.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8)); // the checksum counts itself as blanks
  put(156, "0");
  put(257, "ustar\x0000");
  put(148, octal(block.reduce((sum, byte) => sum + byte, 0), 6) + "\0 ");
  return block;
}
