/**
 * The npm packages that the executable holds: those that `main.ts` needs, in
 * the versions of `deno.lock`.
 *
 * @module
 */
const ROOT = new URL("..", import.meta.url).pathname;

/** What this project uses of a lock file. */
interface Lock {
  version: string;
  specifiers: Record<string, string>;
  npm: Record<string, { integrity: string }>;
  workspace: unknown;
}

/** A package in the executable. */
export interface Package {
  name: string;
  version: string;
  /** Its checksum, as the lock file has it: `sha512-…`. */
  integrity: string;
  /** The IDs of packages that it needs itself. */
  dependencies: string[];
  /** Where Deno keeps its files on this machine. */
  dir: string;
}

/** What `deno info --json` tells of a program. */
interface Info {
  modules: { kind?: string; npmPackage?: string }[];
  npmPackages: Record<string, {
    name: string;
    version: string;
    dependencies: string[];
    localPath: string;
  }>;
}

/**
 * Gives the packages by their IDs, such as `re2js@2.10.0`.
 *
 * @returns The packages that `main.ts` imports, under `direct`, and all that
 *   the executable holds, in alphabetical order.
 * @throws {Error} If the program can't be read, or a package isn't in
 *   `deno.lock`.
 */
export async function packages(): Promise<
  { direct: string[]; all: Map<string, Package> }
> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["info", "--json", "--config", `${ROOT}deno.json`, "--frozen"],
      `${ROOT}main.ts`,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(text.decode(stderr).trim());
  // It tells of every package in the lock file, and which of them are imported.
  const info: Info = JSON.parse(text.decode(stdout));
  const direct = new Set(
    info.modules.flatMap(({ npmPackage }) => npmPackage ?? []),
  );
  const ids = new Set(direct);
  for (const id of ids) {
    for (const each of info.npmPackages[id].dependencies) ids.add(each);
  }
  const { npm: locked } = await readLock();
  const all = [...ids].sort().map((id): [string, Package] => {
    const { name, version, dependencies, localPath } = info.npmPackages[id];
    const integrity = locked[id]?.integrity;
    if (!integrity) throw new Error(`${id} is not in deno.lock`);
    return [id, { name, version, integrity, dependencies, dir: localPath }];
  });
  return { direct: [...direct].sort(), all: new Map(all) };
}

/**
 * Gives a lock file that has the executable's packages and no other.
 *
 * @returns Its text.
 * @throws {Error} As {@link packages}.
 */
export async function lockOfExecutable(): Promise<string> {
  const { all } = await packages();
  const { specifiers, npm, ...rest } = await readLock();
  const kept = <T>(table: Record<string, T>, idOf: (key: string) => string) =>
    Object.fromEntries(
      Object.entries(table).filter(([key]) => all.has(idOf(key))),
    );
  return JSON.stringify({
    ...rest,
    specifiers: kept(specifiers, (key) => key.replace(/^npm:/, "")),
    npm: kept(npm, (id) => id),
  });
}

async function readLock(): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(`${ROOT}deno.lock`));
}
