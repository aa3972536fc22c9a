/**
 * Which settings hold for a user, and which of their policies don't.
 *
 * @module
 */

import type { Route, Section } from "../call/endpoints.ts";
import {
  type Config,
  EVERYBODY,
  type Exemptions,
  type Sections,
} from "../config/config.ts";
import { messageOf } from "../text.ts";

/**
 * Says whether a user is exempt from a policy. The user is the AuthZ request's:
 * the common name of a verified client certificate; empty without one.
 */
export type IsExempt = (
  user: string,
  exemptions: Exemptions,
) => Promise<boolean>;

/** The settings that hold for a user. */
export interface UserSettings {
  /** The `[for.NAME]` that they come from, or {@link EVERYBODY}. */
  readonly name: string;
  readonly sections: Sections;
}

/**
 * Finds the settings that hold for a user: those of the first `[for.NAME]` that
 * names the user or a group of the user, or else everybody's.
 *
 * @param options The settings, and the check, for which who is named there is
 *   what who is exempt is elsewhere.
 * @param user The AuthZ request's user.
 * @returns The settings.
 * @throws {IdentityError} If the user's groups can't be told.
 */
export async function settingsFor(
  { config, isExempt }: { config: Config; isExempt: IsExempt },
  user: string,
): Promise<UserSettings> {
  for (const { name, sections, ...named } of config.forUsers ?? []) {
    const { user: allowUser, group: allowGroup } = named;
    if (await isExempt(user, { allowUser, allowGroup })) {
      return { name, sections };
    }
  }
  return { name: EVERYBODY, sections: config };
}

/**
 * Lists the policies that a user is exempt from.
 *
 * @param sections The settings that hold for the user.
 * @param isExempt The check.
 * @param user The AuthZ request's user.
 * @param route The row of the endpoint table that the call matched.
 * @returns Those of the row's policies that are on and don't apply to the user.
 * @throws {IdentityError} If the user's groups can't be told, and a policy that
 *   is enforced depends on them.
 */
export async function exemptSections(
  sections: Sections,
  isExempt: IsExempt,
  user: string,
  { endpoint }: Route,
): Promise<Section[]> {
  const exempt: Section[] = [];
  for (const section of endpoint.policies) {
    const policy = sections[section];
    if (!policy) continue;
    const told = isExempt(user, policy);
    // One that is only tried out refuses nothing, for whatever reason.
    if (await (policy.enforce ? told : told.catch(() => false))) {
      exempt.push(section);
    }
  }
  return exempt;
}

/** Looks up the groups of a user of this host, through NSS. */
export type LookUpGroups = (user: string) => Promise<readonly string[]>;

/** How long NSS may take to tell them, in milliseconds. */
const LOOK_UP_TIME = 5000;

/** The groups of a user can't be told. */
export class IdentityError extends Error {
  /** @param problem Whose, and why. */
  constructor(problem: string) {
    super(problem);
    this.name = "IdentityError";
  }
}

/** How long the groups of a user are remembered, in milliseconds. */
const CACHE_TIME = 60_000;

/** More users than this at once, and the memory starts anew. */
const CACHE_SIZE = 1000;

/**
 * Makes the check whether a user is exempt.
 *
 * @param lookUp Looks up a user's groups.
 * @param now The time in milliseconds, for tests; of a clock that nobody sets:
 *   one that goes back would keep a group that somebody has left.
 * @returns The check. It throws {@link IdentityError} if the groups of the user
 *   are not told in time.
 */
export function exemptionCheck(
  lookUp: LookUpGroups = hostGroups,
  now: () => number = () => performance.now(),
): IsExempt {
  const cache = new Map<
    string,
    { until: number; groups: Promise<readonly string[]> }
  >();

  function groupsOf(user: string): Promise<readonly string[]> {
    const known = cache.get(user);
    if (known && known.until > now()) return known.groups;
    if (cache.size >= CACHE_SIZE) cache.clear();
    const groups = lookUp(user);
    cache.set(user, { until: now() + CACHE_TIME, groups });
    groups.catch(() => cache.delete(user));
    return groups;
  }

  return async (user, { allowUser, allowGroup }) => {
    if (user === "") return false;
    if (allowUser.includes(user)) return true;
    if (allowGroup.length === 0 || !isUserName(user)) return false;
    const groups = await groupsOf(user);
    return allowGroup.some((group) => groups.includes(group));
  };
}

/**
 * A certificate can name anything: `id` would take a number, or one behind a
 * sign or a space, for a user ID, and a dash for an option.
 */
function isUserName(user: string): boolean {
  // deno-lint-ignore no-control-regex -- a name with a NUL can't be passed on
  return !/^[-+\s]|^[0-9]+$|[\u0000-\u001f]/.test(user);
}

/** Through `id`, so that every NSS source counts: files, SSSD, IdM. */
async function hostGroups(user: string): Promise<readonly string[]> {
  const { stdout, signal } = await new Deno.Command("id", {
    // -z since a group's name can hold spaces ("domain users").
    args: ["-Gnz", "--", user],
    stdin: "null",
    stderr: "null",
    signal: AbortSignal.timeout(LOOK_UP_TIME),
  }).output().catch((error) => {
    throw new IdentityError(
      `the groups of ${user} can't be asked for: ${messageOf(error)}`,
    );
  });
  if (signal !== null) {
    throw new IdentityError(
      `the groups of ${user} were not told within ${LOOK_UP_TIME / 1000} s`,
    );
  }
  // An unknown user prints nothing. `id` also fails if a group has no name, and
  // prints the others.
  return new TextDecoder().decode(stdout).split("\0").filter((name) => name);
}
