/** As many links as Linux itself follows on one path (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Longest path that Linux takes, in bytes (PATH_MAX, less the NUL at its end).
 */
const MAX_PATH = 4095;

const TOO_MUCH = "too many directories and links to follow";

/** How much may still be looked up on the file system. */
export interface StepBudget {
  /** Steps left: one a path, one a component that is looked at, one a link. */
  steps: number;
}

/** Where a path on this host leads. */
export interface FollowedPath {
  /**
   * The path without links; if it does not exist, its nearest existing parent
   * without links, and the rest. Undefined if that can't be said.
   */
  readonly real?: string;
  /** Why it can't be said, if the path alone does not show it. */
  readonly problem?: string;
}

/**
 * Follows the symbolic links of a path on this host. The engine must see the
 * same file system: the unit hides none of it.
 *
 * Other calls go on meanwhile: whoever may write to a directory can make long
 * chains of links there, or have a file system that is slow to answer.
 *
 * @param path Absolute path, cleaned.
 * @param budget The steps that may be made, over all paths of a call; those
 *   that are made are taken off.
 * @returns Where it leads. That can't be said if a link leads nowhere, since
 *   anything can come to stand there, nor if the way leads through `/proc`,
 *   whose links differ from process to process.
 */
export async function followLinks(
  path: string,
  budget: StepBudget,
): Promise<FollowedPath> {
  if (new TextEncoder().encode(path).length > MAX_PATH) {
    return { problem: `a path has at most ${MAX_PATH} bytes` };
  }
  if (--budget.steps < 0) return { problem: TOO_MUCH };
  /**
   * Components to look at, the next one last: links' first, then the path's.
   */
  const ahead = componentsOf(path).reverse();
  let aheadInLinks = 0;
  let links = 0;
  let resolved = "";
  for (let name; (name = ahead.pop()) !== undefined;) {
    const isInLink = aheadInLinks > 0;
    if (isInLink) aheadInLinks--;
    if (name === "..") {
      resolved = resolved.slice(0, Math.max(resolved.lastIndexOf("/"), 0));
      continue;
    }
    const next = `${resolved}/${name}`;
    if (next === "/proc") return {};
    if (--budget.steps < 0) return { problem: TOO_MUCH };
    const { kind, target } = await lookAt(next);
    if (kind === "unknown") return {};
    if (kind === "missing") {
      return isInLink ? {} : { real: [next, ...ahead.reverse()].join("/") };
    }
    if (target === undefined) {
      resolved = next;
      continue;
    }
    budget.steps--;
    if (++links > MAX_LINKS) return { problem: "too many links to follow" };
    if (target.startsWith("/")) resolved = "";
    const components = componentsOf(target);
    aheadInLinks += components.length;
    ahead.push(...components.reverse());
  }
  return { real: resolved || "/" };
}

function componentsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** With the text of a link, if it is one. */
async function lookAt(
  path: string,
): Promise<{ kind: "there" | "missing" | "unknown"; target?: string }> {
  try {
    const { isSymlink } = await Deno.lstat(path);
    return isSymlink
      ? { kind: "there", target: await Deno.readLink(path) }
      : { kind: "there" };
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    return { kind: isMissing ? "missing" : "unknown" };
  }
}

/**
 * Says whether root alone decides what a path on this host leads to.
 *
 * @param path Absolute path, cleaned and without links.
 * @returns Whether nobody else may put something in the place of it, or of a
 *   directory above it. Nobody may in a directory with the sticky bit (`/tmp`),
 *   if what stands there is root's.
 */
export async function isRootsAlone(path: string): Promise<boolean> {
  const above = directoriesAbove(path);
  try {
    for (const [at, directory] of above.entries()) {
      const { uid, mode } = await Deno.lstat(directory);
      if (uid !== 0 || mode === null) return false;
      if ((mode & WRITABLE_BY_OTHERS) === 0) continue;
      const next = await Deno.lstat(above[at + 1] ?? path);
      if ((mode & STICKY) === 0 || next.uid !== 0) return false;
    }
    return true;
  } catch {
    return false; // It is not there, or can't be looked at.
  }
}

/**
 * Lists the directories on the way to a path.
 *
 * @param path Absolute path, cleaned.
 * @returns Those above it, `/` first.
 */
export function directoriesAbove(path: string): string[] {
  const components = componentsOf(path).slice(0, -1);
  return [
    "/",
    ...components.map((_, at) => `/${components.slice(0, at + 1).join("/")}`),
  ];
}

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
