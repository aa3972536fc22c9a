/**
 * What a host has that the settings would refuse. The lines that decide on
 * calls and containers judge it, so that nothing is told here that they would
 * not say.
 *
 * @module
 */
import type { AuthzRequest } from "../call/authz.ts";
import type { Section } from "../call/endpoints.ts";
import { Unreadable } from "../call/unreadable.ts";
import { type Config, EVERYBODY, POLICIES } from "../config/config.ts";
import {
  type ContainerFacts,
  type Engine,
  EngineError,
  type ListedImage,
  type ListedService,
} from "../engine/engine.ts";
import type { Log } from "../log.ts";
import { messageOf } from "../text.ts";
import { type Finding, lookAt } from "../verdict/findings.ts";
import { createFirstLine, type FirstLine } from "../verdict/first_line.ts";

/** The kinds of things that are looked at, in the order of a report. */
export const KINDS = ["container", "service", "image"] as const;

/** Something that is on the host. */
export interface Thing {
  readonly kind: typeof KINDS[number];
  /** Its name; an image's tag or digest. */
  readonly name: string;
  readonly id: string;
  /** Of a container that is a task: the name of its service. */
  readonly service?: string;
}

/** What a policy says against something. */
type Objection = Pick<Finding, "section" | "denial" | "enforce">;

/** What a policy has against a thing. */
export interface Found extends Thing, Objection {}

/** A thing that could not be judged. */
export interface Unchecked extends Thing {
  /** Why. */
  readonly reason: string;
}

/** What was found. */
export interface Survey {
  /** Sorted by kind, name and policy. */
  readonly found: Found[];
  readonly unchecked: Unchecked[];
  /** How many things were looked at. */
  readonly checked: Record<Thing["kind"], number>;
}

/** What a look at the host needs. */
export interface SurveyOptions {
  readonly config: Config;
  readonly engine: Engine;
  /** Where mistakes of this program are told. */
  readonly log: Log;
  /** Told how many things of how many were judged. */
  readonly progress?: (done: number, total: number) => void;
}

/** How many things are judged at a time. */
const AT_A_TIME = 8;

/** A thing, and what judges it. */
interface Item {
  readonly kind: Thing["kind"];
  readonly name: string;
  readonly id: string;
  /** @returns What the policies have against it; undefined if it is gone. */
  judge(): Promise<{ findings: Objection[]; service?: string } | undefined>;
}

/**
 * Looks at all containers, services and images, as nobody's who is exempt or
 * has other settings than everybody.
 *
 * @param options The settings, and the engine.
 * @returns What the policies have against them. What vanishes meanwhile is left
 *   out.
 * @throws {EngineError} If the engine gives no usable answer to a question that
 *   is not about one thing alone.
 */
export async function survey(options: SurveyOptions): Promise<Survey> {
  const { engine, progress } = options;
  const items = [
    ...await containerItems(options),
    ...await callItems(options),
  ];
  const found: Found[] = [];
  const unchecked: Unchecked[] = [];
  let done = 0;

  async function judge({ kind, name, id, judge }: Item): Promise<void> {
    const thing = { kind, name, id };
    try {
      const { findings, service } = await judge() ?? { findings: [] };
      for (const { section, denial, enforce } of findings) {
        const task = service && { service };
        found.push({ ...thing, ...task, section, denial, enforce });
      }
    } catch (error) {
      const isOfThis = error instanceof EngineError ||
        error instanceof Unreadable;
      if (!isOfThis) throw error;
      const isGone = kind === "container" && !await engine.findContainer(id);
      if (!isGone) unchecked.push({ ...thing, reason: messageOf(error) });
    }
    progress?.(++done, items.length);
  }

  const waiting = items.values();
  async function work(): Promise<void> {
    for (const item of waiting) await judge(item);
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work));

  // An image can have several names.
  const count = (wanted: Thing["kind"]) =>
    new Set(items.filter(({ kind }) => kind === wanted).map(({ id }) => id))
      .size;
  return {
    found: found.toSorted((a, b) =>
      byKindAndName(a, b) ||
      POLICIES.indexOf(a.section) - POLICIES.indexOf(b.section)
    ),
    unchecked: unchecked.toSorted(byKindAndName),
    checked: {
      container: count("container"),
      service: count("service"),
      image: count("image"),
    },
  };
}

function byKindAndName(a: Thing, b: Thing): number {
  return KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
    compare(a.name, b.name) || compare(a.id, b.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Containers are judged as the third line does that finds them. */
async function containerItems(
  { config, engine }: SurveyOptions,
): Promise<Item[]> {
  const everybody = () => [{ name: EVERYBODY, sections: config }];
  const containers = await Array.fromAsync(engine.listContainers());
  return containers.map((container) => ({
    kind: "container",
    name: ownName(container),
    id: container.id,
    async judge() {
      const { findings, service } = await lookAt(engine, container, everybody);
      const isThere = findings.length === 0 ||
        await engine.findContainer(container.id);
      return isThere ? { findings, service: service?.name } : undefined;
    },
  }));
}

/** Links give a container names with a slash in them. */
function ownName({ names, id }: ContainerFacts): string {
  return names.find((name) => name !== "" && !name.includes("/")) ??
    id.slice(0, 12);
}

/**
 * Services and images are judged as the first line does if somebody asked for
 * them.
 */
async function callItems(options: SurveyOptions): Promise<Item[]> {
  const { config, engine } = options;
  const firstLines = POLICIES.flatMap((section) =>
    config[section] ? [[section, onlyLine(section, options)] as const] : []
  );

  async function judge(request: AuthzRequest, spared: readonly Section[] = []) {
    const findings: Objection[] = [];
    for (const [section, firstLine] of firstLines) {
      const decision = await firstLine(request);
      if (decision.allow || spared.includes(section)) continue;
      if (UNTOLD.includes(decision.rule)) {
        throw new EngineError(decision.message);
      }
      const { enforce } = config[section]!;
      findings.push({ section, denial: decision, enforce });
    }
    return { findings };
  }

  const services = (await engine.listServices()).map((service): Item => ({
    kind: "service",
    name: service.name,
    id: service.id,
    judge: () =>
      judge(
        createOf(service),
        // Its tasks may have volumes: the first line only reserves the name.
        config.volumes?.allowService.includes(service.name) ? ["volumes"] : [],
      ),
  }));
  const images = (await engine.listImages({})).flatMap((image) =>
    namesOf(image).map((name): Item => ({
      kind: "image",
      name,
      id: image.id,
      judge: () => judge(pullOf(name)),
    }))
  );
  return [...services, ...images];
}

/** The rules of denials that say nothing of the call. */
const UNTOLD = ["engine", "bug"];

/** A first line of one policy, which refuses also if it is only tried out. */
function onlyLine(
  section: Section,
  { config, engine, log }: SurveyOptions,
): FirstLine {
  return createFirstLine({
    config: { [section]: { ...config[section]!, enforce: true } },
    engine,
    log: { ...log, warning() {} }, // Where it tells of denials.
    isExempt: nobody,
  });
}

function nobody(): Promise<boolean> {
  return Promise.resolve(false);
}

function createOf({ spec }: ListedService): AuthzRequest {
  const body = new TextEncoder().encode(JSON.stringify(spec));
  return {
    ...{ user: "", method: "POST", uri: "/services/create" },
    headers: { "Content-Type": "application/json" },
    body: body.toBase64(),
  };
}

function pullOf(name: string): AuthzRequest {
  return {
    ...{ user: "", method: "POST", headers: {} },
    uri: `/images/create?fromImage=${encodeURIComponent(name)}`,
  };
}

/**
 * An image's tags, and its digests in repositories of which it has no tag: it
 * was pulled by the digest alone then.
 */
function namesOf({ repoTags, repoDigests }: ListedImage): string[] {
  // Engines before 25 say so if there is none.
  const tags = repoTags.filter((tag) => tag !== "<none>:<none>");
  const repositories = tags.map((tag) => tag.slice(0, tag.lastIndexOf(":")));
  const digests = repoDigests.filter((digest) => {
    const [repository] = digest.split("@");
    return repository !== "<none>" && !repositories.includes(repository);
  });
  return [...tags, ...digests];
}
