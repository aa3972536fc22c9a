/**
 * What the third line is called by administrators, and how long it may take; in
 * one place, as tests agree on it.
 */

/** The counter of containers that were removed or stopped. */
export const UNDONE = "docker_policy_containers_undone_total";

/**
 * The gauge of containers that ran before the plugin came, and are left alone.
 */
export const LEFT_ALONE = "docker_policy_containers_left_alone";

/** How long until a list finds what no event told, in milliseconds. */
export const BY_LIST = 100_000;

/**
 * How long until a build whose end is never reported shelters nothing, in
 * milliseconds.
 */
export const UNREPORTED_BUILD = 180_000;
