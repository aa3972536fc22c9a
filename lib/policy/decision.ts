/** A policy has nothing against the call. */
export interface Allowed {
  allow: true;
  /** Why, if several things could have allowed it. */
  because?: string;
}

/** A policy refuses the call. */
export interface Denial {
  allow: false;
  /** Stable short name of the rule that refused, such as `volumes/named`. */
  rule: string;
  /**
   * What the docker user reads after `authorization denied by plugin NAME: `.
   */
  message: string;
}

/** What a policy makes of one call. */
export type Decision = Allowed | Denial;

/** Nothing speaks against it. */
export const ALLOW: Allowed = { allow: true };

/**
 * Allows a call for a reason.
 *
 * @param because What allowed it, such as an entry of a whitelist.
 * @returns The permission.
 */
export function allow(because: string): Allowed {
  return { allow: true, because };
}

/**
 * Refuses a call.
 *
 * @param rule Stable short name of the rule, such as `volumes/named`.
 * @param message Short, lower-case, naming the thing refused.
 * @returns The denial.
 */
export function deny(rule: string, message: string): Denial {
  return { allow: false, rule, message };
}
