/**
 * Where bind mounts come from.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import {
  directoriesAbove,
  followLinks,
  isRootsAlone,
} from "../engine/host_paths.ts";
import { ALLOW, type Decision } from "./decision.ts";
import {
  type Bind,
  type BindEntry,
  checkBind,
  DANGEROUS_PLACES,
  type FollowedDirectory,
  readBindDirectory,
} from "./rules/binds.ts";
import { cleanPath } from "./rules/paths.ts";

/**
 * How many steps on the file system the bind mounts of a call may take
 * together. A hundred of them, each 40 directories deep, stay below it; a call
 * that takes all of it waits for some tenths of a second.
 */
const BIND_STEPS = 4000;

/**
 * The same for each directory of `allow-bind`: a user who may write to one
 * could make every call wait.
 */
const DIRECTORY_STEPS = 400;

/**
 * Decides on bind mounts. Links are followed anew for each call: they can be
 * changed at any time.
 *
 * @param allowBind Where bind mounts may come from; undefined for anywhere.
 * @param binds The mounts.
 * @param engine The engine, which tells where it keeps its own files.
 * @returns The decision.
 * @throws {EngineError} If the engine cannot be asked.
 */
export async function decideBinds(
  allowBind: readonly BindEntry[] | undefined,
  binds: readonly Bind[],
  engine: Pick<Engine, "hostFacts">,
): Promise<Decision> {
  if (!allowBind || binds.length === 0) return ALLOW;
  const directories = await followDirectories(allowBind);
  const budget = { steps: BIND_STEPS };
  let places: readonly string[] | undefined;
  for (const bind of binds) {
    const path = await followLinks(cleanPath(bind.source), budget);
    const denied = checkBind(bind, path, directories) ??
      checkBind(bind, path, directories, places ??= await listPlaces(engine));
    if (denied) return denied;
  }
  return ALLOW;
}

/**
 * Finds a bind mount in whose way somebody can put a link between our look and
 * the engine's: a user of this host, or a container that may mount a directory
 * above its source and write there.
 *
 * @param allowBind Where bind mounts may come from.
 * @param binds The mounts.
 * @returns The first such mount.
 */
export async function findSwappable(
  allowBind: readonly BindEntry[],
  binds: readonly Bind[],
): Promise<Bind | undefined> {
  const directories = await followDirectories(allowBind);
  const budget = { steps: BIND_STEPS };
  for (const bind of binds) {
    const source = cleanPath(bind.source);
    const { real } = await followLinks(source, budget);
    const isFixed = real === source && await isRootsAlone(source) &&
      !directoriesAbove(source).some((above) =>
        !checkBind(
          { source: above, readOnly: false },
          { real: above },
          directories,
        )
      );
    if (!isFixed) return bind;
  }
  return undefined;
}

async function followDirectories(
  allowBind: readonly BindEntry[],
): Promise<FollowedDirectory[]> {
  return await Promise.all(
    allowBind.map(readBindDirectory).map(async (directory) => ({
      ...directory,
      ...await followLinks(directory.fixed, { steps: DIRECTORY_STEPS }),
    })),
  );
}

/** As they are called, and where that leads. */
async function listPlaces(
  engine: Pick<Engine, "hostFacts">,
): Promise<string[]> {
  const { rootDirectory } = await engine.hostFacts();
  const places = [...DANGEROUS_PLACES, rootDirectory]
    .filter((place) => place !== "");
  const followed = await Promise.all(
    places.map((place) => followLinks(place, { steps: DIRECTORY_STEPS })),
  );
  return [...places, ...followed.flatMap(({ real }) => real ?? [])];
}
