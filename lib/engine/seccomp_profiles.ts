/**
 * Seccomp profiles: the docker CLI sends what a profile's file says, so that it
 * is compared with the files that an administrator allows.
 *
 * @module
 */
import { isObject, type Json, parseJsonText } from "../call/json.ts";

/** The options of `--security-opt` that carry a profile begin so. */
const OPTION = "seccomp=";

/**
 * Finds the profiles that are allowed.
 *
 * @param options Options of `--security-opt`, with a profile's text.
 * @param allowed `seccomp=/file`, or `seccomp=/directory/` for the files in it.
 * @returns Those of the options whose profile says the same as one of the
 *   files.
 */
export async function findProfiles(
  options: readonly string[],
  allowed: readonly string[],
): Promise<ReadonlySet<string>> {
  const profiles = options.filter((option) => /^seccomp=\s*\{/.test(option));
  if (profiles.length === 0) return new Set();
  const known = new Set<string>();
  for (const entry of allowed) {
    if (!entry.startsWith(`${OPTION}/`)) continue;
    for (const text of await readFiles(entry.slice(OPTION.length))) {
      const value = canonical(text);
      if (value !== undefined) known.add(value);
    }
  }
  return new Set(profiles.filter((option) => {
    const value = canonical(option.slice(OPTION.length));
    return value !== undefined && known.has(value);
  }));
}

/** What can't be read allows nothing. */
async function readFiles(path: string): Promise<string[]> {
  const files = [path];
  if (path.endsWith("/")) {
    files.pop();
    try {
      for await (const { name } of Deno.readDir(path)) files.push(path + name);
    } catch {
      return [];
    }
  }
  const texts = await Promise.all(
    files.map((file) => Deno.readTextFile(file).catch(() => "")),
  );
  return texts.filter((text) => text !== "");
}

/** The same text for all ways to write a value; undefined if it is no JSON. */
function canonical(text: string): string | undefined {
  try {
    return JSON.stringify(parseJsonText(text.trim()), sortKeys);
  } catch {
    return undefined;
  }
}

function sortKeys(_key: string, value: Json): Json {
  return isObject(value)
    ? Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1),
    )
    : value;
}
