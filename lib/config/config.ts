/**
 * The settings: plain data, one object for each policy that is on.
 *
 * @module
 */
import type { ImagesPolicy } from "../policy/rules/images.ts";
import type { PrivilegesPolicy } from "../policy/rules/privileges.ts";
import type { PushPolicy } from "../policy/rules/push.ts";
import type { VolumesPolicy } from "../policy/volumes.ts";

/** Where the settings are looked for. */
export const CONFIG_FILE = "/etc/docker/docker-policy-plugin.toml";

/** Old files, read together if {@link CONFIG_FILE} does not exist. */
export const OLD_FILES = {
  /** docker-novolume-plugin's. */
  volumes: "/etc/docker/plugins/auth/docker-novolume-plugin.conf",
  /** docker-image-policy's. */
  images: "/etc/docker/docker-image-policy.json",
};

/** The key of a settings file that means to have no section. */
export const ENFORCE_NOTHING = "enforce-nothing";

/** Users and groups that a policy does not apply to. */
export interface Exemptions {
  readonly allowUser: readonly string[];
  readonly allowGroup: readonly string[];
}

/** The keys that every section has. */
export interface CommonKeys extends Exemptions {
  /**
   * Whether the policy refuses; otherwise it only logs what it would refuse.
   */
  readonly enforce: boolean;
}

/** A policy's settings. */
export type PolicySection<Policy> = Policy & CommonKeys & {
  /** The file they come from; undefined for the defaults. */
  readonly file?: string;
};

/** The policies that are on, each with its settings. */
export interface Sections {
  readonly volumes?: PolicySection<VolumesPolicy>;
  readonly images?: PolicySection<ImagesPolicy>;
  readonly push?: PolicySection<PushPolicy>;
  readonly privileges?: PolicySection<PrivilegesPolicy>;
}

/** Settings for some users alone: a `[for.NAME]` of the file. */
export interface ForUsers {
  readonly name: string;
  /** The users that it names. */
  readonly user: readonly string[];
  /** The groups that it names. */
  readonly group: readonly string[];
  /** What holds for them: its own keys, and everybody's for all others. */
  readonly sections: Sections;
}

/** The settings: the sections for everybody, and other ones for some users. */
export interface Config extends Sections {
  /** In the file's order: the first that names a user decides. */
  readonly forUsers?: readonly ForUsers[];
  /** What the file says without effect, a line each. */
  readonly remarks?: readonly string[];
}

/** Stands for the sections for everybody, among the names of `[for.NAME]`. */
export const EVERYBODY = "";

/** Every policy, by the name of its section. */
export const POLICIES = ["volumes", "images", "push", "privileges"] as const;

/** What a policy does. */
export type PolicyState = "enforced" | "tried out" | "off";

/**
 * Says what a policy does.
 *
 * @param sections The settings.
 * @param name The policy.
 * @returns Whether it refuses, only logs what it would refuse, or is off.
 */
export function stateOf(
  sections: Sections,
  name: keyof Sections,
): PolicyState {
  const section = sections[name];
  return !section ? "off" : section.enforce ? "enforced" : "tried out";
}

/**
 * Lists the settings that can hold for a user.
 *
 * @param config The settings.
 * @returns Everybody's, and behind them those of each `[for.NAME]`.
 */
export function allSettings(
  { forUsers = [], remarks: _, ...everybody }: Config,
): { name: string; sections: Sections }[] {
  return [{ name: EVERYBODY, sections: everybody }, ...forUsers];
}

/** The common keys of a section that says nothing about them. */
export const FOR_ALL: CommonKeys = {
  enforce: true,
  allowUser: [],
  allowGroup: [],
};

/**
 * What is in force without any file, and the defaults of these two sections.
 */
export const DEFAULTS = {
  volumes: {
    ...FOR_ALL,
    allowClassicBuild: true,
    allowService: [] as readonly string[],
  },
  push: {
    ...FOR_ALL,
    blockRhel: true,
    namePrefixes: ["rhel"],
    registries: ["registry.redhat.io", "registry.access.redhat.com"],
  },
} satisfies Config;
