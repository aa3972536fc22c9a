/** As many links as Linux itself follows on one path (path_resolution(7)). */
const MAX_LINKS = 40;

interface Part {
  name: string;
  /** Whether it stands in a link's text, not in the path that was asked for. */
  fromLink: boolean;
}

/**
 * Follows the symbolic links of a path on this host. The engine must see the same
 * file system: the unit hides none of it.
 *
 * @param path Absolute path, cleaned.
 * @returns The path without links; where it does not exist, its nearest existing
 *   parent without links, and the rest. Undefined where a link leads nowhere, for
 *   then anything can come to stand there, and where the way leads through
 *   `/proc`, whose links differ from process to process.
 */
export function followLinks(path: string): string | undefined {
  const ahead = partsOf(path, false);
  let resolved = "";
  let links = 0;
  for (let part; (part = ahead.shift());) {
    if (part.name === "..") {
      resolved = resolved.slice(0, Math.max(resolved.lastIndexOf("/"), 0));
      continue;
    }
    const next = `${resolved}/${part.name}`;
    if (next === "/proc") return undefined;
    const kind = kindOf(next);
    if (kind === "missing") {
      return part.fromLink || ahead.some(({ fromLink }) => fromLink)
        ? undefined
        : [next, ...ahead.map(({ name }) => name)].join("/");
    }
    if (kind === "other") {
      resolved = next;
      continue;
    }
    if (kind === "unknown" || ++links > MAX_LINKS) return undefined;
    const target = Deno.readLinkSync(next);
    if (target.startsWith("/")) resolved = "";
    ahead.unshift(...partsOf(target, true));
  }
  return resolved || "/";
}

function partsOf(path: string, fromLink: boolean): Part[] {
  return path.split("/")
    .filter((name) => name !== "" && name !== ".")
    .map((name) => ({ name, fromLink }));
}

function kindOf(path: string): "link" | "other" | "missing" | "unknown" {
  try {
    return Deno.lstatSync(path).isSymlink ? "link" : "other";
  } catch (error) {
    return error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.NotADirectory
      ? "missing"
      : "unknown";
  }
}
