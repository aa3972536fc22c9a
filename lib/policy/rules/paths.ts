/**
 * Cleans a path as Go's `path.Clean`: the shortest path that means the same, by
 * the text alone.
 *
 * @param path Any path.
 * @returns The cleaned path; `.` for an empty one.
 */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!rooted) parts.push("..");
  }
  return (rooted ? "/" : "") + parts.join("/") || ".";
}
