/**
 * The sections of the settings file: for each, what its keys are called, how
 * they are read, and how they are shown. A new key is added here, in `read…`
 * and `show…` of its section; its type is in `lib/policy`.
 *
 * @module
 */
import { InvalidReference, parseReference } from "../call/reference.ts";
import type { BindEntry } from "../policy/rules/binds.ts";
import type { Pattern } from "../policy/rules/patterns.ts";
import {
  HOST_SHARES,
  JOINABLE,
  REQUIREMENTS,
} from "../policy/rules/privileges.ts";
import { shown } from "../text.ts";
import { type CommonKeys, DEFAULTS, FOR_ALL, type Sections } from "./config.ts";
import type { Document, Table } from "./document.ts";
import { SectionReader } from "./section_reader.ts";

type Section<Name extends keyof Sections> = NonNullable<Sections[Name]>;

function readVolumes(section: SectionReader): Section<"volumes"> {
  return {
    ...readCommon(section),
    allowClassicBuild: section.boolean(
      "allow-classic-build",
      DEFAULTS.volumes.allowClassicBuild,
    ),
    ...(section.has("allow-bind") && {
      allowBind: section.directories("allow-bind", checkDirectory),
    }),
    allowService: section.strings(
      "allow-service",
      DEFAULTS.volumes.allowService,
    ),
  };
}

/** Shows `[volumes]` as {@link readVolumes} reads it. */
function showVolumes(volumes: Section<"volumes">): Shown {
  return {
    "allow-classic-build": volumes.allowClassicBuild,
    ...(volumes.allowBind && {
      "allow-bind": volumes.allowBind.map(showBind),
    }),
    ...(volumes.allowService.length > 0 && {
      "allow-service": volumes.allowService,
    }),
    ...showCommon(volumes),
  };
}

function showBind(entry: BindEntry): ShownEntry {
  return typeof entry === "string" ? entry : {
    path: entry.path,
    "read-only": entry.readOnly ?? false,
    below: entry.below ?? true,
  };
}

function readImages(section: SectionReader): Section<"images"> {
  const defaultAllow = section.boolean("default-allow", false);
  return {
    ...readCommon(section),
    whitelist: section.patterns("whitelist"),
    blacklist: section.patterns("blacklist"),
    defaultAllow,
    allowBuild: section.boolean("allow-build", defaultAllow),
    allowLoad: section.boolean("allow-load", defaultAllow),
    allowImport: section.boolean("allow-import", defaultAllow),
  };
}

/** Shows `[images]` as {@link readImages} reads it. */
function showImages(images: Section<"images">): Shown {
  const sources = (patterns: readonly Pattern[]) =>
    patterns.map(({ source }) => source);
  return {
    whitelist: sources(images.whitelist),
    blacklist: sources(images.blacklist),
    "default-allow": images.defaultAllow,
    "allow-build": images.allowBuild,
    "allow-load": images.allowLoad,
    "allow-import": images.allowImport,
    ...showCommon(images),
  };
}

function readPush(section: SectionReader): Section<"push"> {
  const { push } = DEFAULTS;
  const blockRhel = section.boolean("block-rhel", push.blockRhel);
  const namePrefixes = section.strings(
    "name-prefixes",
    push.namePrefixes,
    (prefix) => prefix === "" ? "every name begins with it" : undefined,
  );
  if (blockRhel && namePrefixes.length === 0) {
    section.problem(
      "name-prefixes",
      "name-prefixes is []: nothing would count as RHEL; write " +
        "block-rhel = false if that is meant",
    );
  }
  return {
    ...readCommon(section),
    blockRhel,
    namePrefixes,
    registries: section.strings("registries", push.registries, checkRegistry),
  };
}

/** Shows `[push]` as {@link readPush} reads it. */
function showPush(push: Section<"push">): Shown {
  return {
    "block-rhel": push.blockRhel,
    "name-prefixes": push.namePrefixes,
    registries: push.registries,
    ...showCommon(push),
  };
}

function readPrivileges(section: SectionReader): Section<"privileges"> {
  return {
    ...readCommon(section),
    allowPrivileged: section.boolean("allow-privileged", false),
    allowCapabilities: section.strings(
      "allow-capabilities",
      [],
      (name) =>
        /^(CAP_)?[A-Z]+(_[A-Z]+)*$/i.test(name)
          ? undefined
          : 'expected the name of a capability, such as "NET_ADMIN"',
    ),
    allowDevices: section.strings("allow-devices"),
    allowHost: section.words("allow-host", HOST_SHARES),
    allowJoin: section.words("allow-join", JOINABLE),
    allowSecurityOpt: section.strings("allow-security-opt"),
    allowSysctls: section.strings("allow-sysctls"),
    allowRuntimes: section.strings("allow-runtimes"),
    allowLogDrivers: section.strings("allow-log-drivers"),
    allowVolumeDrivers: section.strings("allow-volume-drivers"),
    allowCgroupParents: section.strings("allow-cgroup-parents"),
    require: section.words("require", REQUIREMENTS),
    allowPlugins: section.boolean("allow-plugins", false),
    allowSwarm: section.boolean("allow-swarm", false),
    allowClassicBuild: section.boolean("allow-classic-build", false),
    allowBuildkit: section.boolean("allow-buildkit", false),
  };
}

/**
 * Shows `[privileges]` as {@link readPrivileges} reads it.
 *
 * @param privileges The settings.
 * @returns Its keys with their values.
 */
export function showPrivileges(privileges: Section<"privileges">): Shown {
  return {
    "allow-privileged": privileges.allowPrivileged,
    "allow-capabilities": privileges.allowCapabilities,
    "allow-devices": privileges.allowDevices,
    "allow-host": privileges.allowHost,
    "allow-join": privileges.allowJoin,
    "allow-security-opt": privileges.allowSecurityOpt,
    "allow-sysctls": privileges.allowSysctls,
    "allow-runtimes": privileges.allowRuntimes,
    "allow-log-drivers": privileges.allowLogDrivers,
    "allow-volume-drivers": privileges.allowVolumeDrivers,
    "allow-cgroup-parents": privileges.allowCgroupParents,
    "require": privileges.require,
    "allow-plugins": privileges.allowPlugins,
    "allow-swarm": privileges.allowSwarm,
    "allow-classic-build": privileges.allowClassicBuild,
    "allow-buildkit": privileges.allowBuildkit,
    ...showCommon(privileges),
  };
}

function readCommon(section: SectionReader): CommonKeys {
  return {
    enforce: section.boolean("enforce", FOR_ALL.enforce),
    allowUser: section.strings("allow-user", FOR_ALL.allowUser),
    allowGroup: section.strings("allow-group", FOR_ALL.allowGroup),
  };
}

function showCommon({ enforce, allowUser, allowGroup }: CommonKeys): Shown {
  return { enforce, "allow-user": allowUser, "allow-group": allowGroup };
}

/** The keys of a section, as the file writes them. */
export type Shown = Record<string, boolean | readonly ShownEntry[]>;

/** An entry of a list, as the file writes it. */
type ShownEntry = string | Record<string, string | boolean>;

/**
 * Shows a section.
 *
 * @param name The policy.
 * @param sections The settings.
 * @returns Its keys, as the file writes them; undefined if it is off.
 */
export function showSection(
  name: keyof Sections,
  { volumes, images, push, privileges }: Sections,
): Shown | undefined {
  switch (name) {
    case "volumes":
      return volumes && showVolumes(volumes);
    case "images":
      return images && showImages(images);
    case "push":
      return push && showPush(push);
    case "privileges":
      return privileges && showPrivileges(privileges);
  }
}

/** The old name of `[volumes]`, from docker-novolume-plugin. */
export const OLD_VOLUMES_SECTION = "docker-novolume-plugin";

/** The names that a table of the file may have. */
const SECTIONS = [
  "volumes",
  OLD_VOLUMES_SECTION,
  "images",
  "push",
  "privileges",
];

/** `[docker-novolume-plugin]` has the keys that it always had. */
function readOldVolumes(section: SectionReader): Section<"volumes"> {
  return { ...DEFAULTS.volumes, ...readCommon(section) };
}

/**
 * Reads one section.
 *
 * @param document The file; what is wrong with the section is added to its
 *   problems.
 * @param name Which of the file's sections it is like.
 * @param table What it says.
 * @param title What messages call it.
 * @returns Its settings, every key with its value or default.
 */
export function readSection(
  document: Document,
  name: string,
  table: Table,
  title = name,
): Sections {
  const { file } = document;
  const section = new SectionReader(document, title, table);
  const sections = read();
  section.done();
  return sections;

  function read(): Sections {
    switch (name) {
      case "volumes":
        return { volumes: { file, ...readVolumes(section) } };
      case OLD_VOLUMES_SECTION:
        return { volumes: { file, ...readOldVolumes(section) } };
      case "images":
        return { images: { file, ...readImages(section) } };
      case "push":
        return { push: { file, ...readPush(section) } };
      default:
        return { privileges: { file, ...readPrivileges(section) } };
    }
  }
}

/**
 * Reads the sections of a file. A policy is on if its section is there.
 *
 * @param document The file; what is wrong with its sections is added to its
 *   problems.
 * @returns The settings, every key with its value or default. They are worth
 *   something only if there are no problems.
 */
export function readSections(document: Document): Sections {
  const { file, table, problems } = document;
  let sections: Sections = {};
  for (const [name, { place, value }] of table) {
    const report = (message: string) => problems.push({ file, place, message });
    if (!SECTIONS.includes(name)) {
      report(
        `unknown section or key ${
          shown(name)
        }: expected [volumes], [images], ` +
          "[push] or [privileges]",
      );
      continue;
    }
    if (!(value.content instanceof Map)) {
      report(`expected a table [${name}]`);
      continue;
    }
    sections = { ...sections, ...readSection(document, name, value.content) };
  }
  const old = table.get(OLD_VOLUMES_SECTION);
  if (old && table.has("volumes")) {
    problems.push({
      file,
      place: old.place,
      message: `[${OLD_VOLUMES_SECTION}] is the old name of [volumes]: ` +
        "keep one of them",
    });
  }
  return sections;
}

function checkDirectory(directory: string): string | undefined {
  if (!directory.startsWith("/")) {
    return 'expected absolute directories, such as "/srv/"';
  }
  return directory.split("/").some((part) => part !== "*" && part.includes("*"))
    ? 'a "*" stands for any one directory, and must be all of its name: ' +
      '"/home/*/data"'
    : undefined;
}

/** It is compared with how the names of images begin. */
function checkRegistry(registry: string): string | undefined {
  try {
    parseReference(`${registry}/image`);
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    return 'give the host only, as in the name of an image: "registry.redhat.io"';
  }
}
