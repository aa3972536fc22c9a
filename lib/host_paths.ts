import { cleanPath } from "./policy/paths.ts";

/**
 * Follows the symbolic links of a path on this host. The engine must see the same
 * file system: the unit hides none of it.
 *
 * @param path Absolute path, cleaned.
 * @returns The path without links; where it does not exist, its nearest existing
 *   parent without links, and the rest. Undefined where a link leads nowhere, for
 *   then anything can come to stand there, and where it can't be looked at
 *   (`/proc`, whose links differ from process to process).
 */
export function followLinks(path: string): string | undefined {
  let existing = path;
  let rest = "";
  for (;;) {
    try {
      Deno.lstatSync(existing);
      return cleanPath(`${Deno.realPathSync(existing)}/${rest}`);
    } catch (error) {
      const missing = error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.NotADirectory;
      if (!missing || existing === "/" || isLink(existing)) return undefined;
    }
    const slash = existing.lastIndexOf("/");
    rest = `${existing.slice(slash + 1)}/${rest}`;
    existing = existing.slice(0, slash) || "/";
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}
