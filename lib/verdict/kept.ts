import type { Section } from "../call/endpoints.ts";
import { EVERYBODY } from "../config/config.ts";
import { messageOf } from "../text.ts";

/**
 * Why a container or service may have what a policy forbids, or by whose
 * settings it is judged.
 */
export interface KeptEntry {
  /**
   * `exempt`: a user who is exempt, or has a `[for.NAME]`, made or started it.
   * `before`: it ran already when the plugin came.
   */
  readonly because: "exempt" | "before";
  /** The policies that leave it alone. */
  readonly sections: readonly Section[];
  /**
   * Whose settings it is judged by, if not everybody's: each a `[for.NAME]`, or
   * {@link EVERYBODY}. What one of them allows may stay.
   */
  readonly for?: readonly string[];
}

/** Of what nothing is kept. */
const NOTHING: KeptEntry = { because: "exempt", sections: [] };

type Entries = Record<string, KeptEntry>;

/** What the file holds. */
interface Content {
  /** Until when the host was watched, in milliseconds since 1970. */
  watchedUntil: number;
  containers: Entries;
  services: Entries;
  undecided: string[];
  stood: string[];
  creates: Record<string, number[]>;
  builds: Record<string, number[]>;
}

/**
 * The containers and services that the third line leaves alone. They are kept
 * in a file, so that a restart of the plugin or of the host does not cost
 * anybody a container.
 */
export class Kept {
  readonly #file: string | undefined;
  readonly containers: Map<string, KeptEntry>;
  readonly services: Map<string, KeptEntry>;
  /** Containers that are refused, unless it turns out whose they are. */
  readonly undecided: Set<string>;
  /** Containers that are refused, and were stopped at the last look. */
  readonly stood: Set<string>;
  /**
   * Creates under way, by user: when they began, in milliseconds since 1970,
   * the oldest first.
   */
  readonly creates: Map<string, number[]>;
  /** Classic builds under way, by what can be told of them: when they began. */
  readonly builds: Map<string, number[]>;
  /**
   * Until when the host was watched, in milliseconds since 1970; 0 if it never
   * was.
   */
  watchedUntil: number;
  /** Why the last write failed; undefined if it did not. */
  problem: string | undefined;
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(file: string | undefined, content: Content) {
    this.#file = file;
    this.watchedUntil = content.watchedUntil;
    this.containers = new Map(Object.entries(content.containers));
    this.services = new Map(Object.entries(content.services));
    this.undecided = new Set(content.undecided);
    this.stood = new Set(content.stood);
    this.creates = new Map(Object.entries(content.creates));
    this.builds = new Map(Object.entries(content.builds));
  }

  /**
   * Reads the file of an earlier run.
   *
   * @param directory Where it lies (systemd's `StateDirectory=`). Without one,
   *   nothing outlives the process.
   * @returns What was kept. An unreadable file counts as none, with
   *   {@link Kept.problem} set.
   */
  static open(directory: string | undefined): Kept {
    const none = {
      watchedUntil: 0,
      containers: {},
      services: {},
      undecided: [],
      stood: [],
      creates: {},
      builds: {},
    };
    if (directory === undefined) return new Kept(undefined, none);
    const file = `${directory}/kept.json`;
    try {
      return new Kept(file, readContent(Deno.readTextFileSync(file)));
    } catch (error) {
      const kept = new Kept(file, none);
      if (!(error instanceof Deno.errors.NotFound)) {
        kept.problem = `${file} can't be read: ${messageOf(error)}`;
      }
      return kept;
    }
  }

  /**
   * Keeps a container or service.
   *
   * @param kind Which of the two.
   * @param id Its ID.
   * @param because Why.
   * @param section The policy that leaves it alone.
   * @returns When that is on the disk, or has failed to get there.
   */
  async keep(
    kind: "containers" | "services",
    id: string,
    because: KeptEntry["because"],
    section: Section,
  ): Promise<void> {
    const entry = this[kind].get(id);
    const sections = entry?.sections ?? [];
    if (sections.includes(section)) return;
    this[kind].set(id, { ...entry, because, sections: [...sections, section] });
    await this.save();
  }

  /**
   * Notes who made a container or service: it is judged by those settings.
   *
   * @param kind Which of the two.
   * @param id Its ID.
   * @param settings A `[for.NAME]`, or {@link EVERYBODY}.
   * @returns When that is on the disk, or has failed to get there.
   */
  async judgeBy(
    kind: "containers" | "services",
    id: string,
    settings: string,
  ): Promise<void> {
    const { for: known, ...entry } = this[kind].get(id) ?? NOTHING;
    if (settings !== EVERYBODY) {
      this[kind].set(id, { ...entry, for: [settings] });
    } else if (known === undefined) return;
    else if (entry.sections.length > 0) this[kind].set(id, entry);
    else this[kind].delete(id);
    await this.save();
  }

  /**
   * Notes who may have started a container, or may have changed a service: what
   * those settings allow may stay as well.
   *
   * @param kind Which of the two.
   * @param id Its ID.
   * @param settings A `[for.NAME]`, or {@link EVERYBODY}.
   * @returns When that is on the disk, or has failed to get there.
   */
  async judgeAlsoBy(
    kind: "containers" | "services",
    id: string,
    settings: string,
  ): Promise<void> {
    const entry = this[kind].get(id) ?? NOTHING;
    const known = entry.for ?? [EVERYBODY];
    if (known.includes(settings)) return;
    this[kind].set(id, { ...entry, for: [...known, settings] });
    await this.save();
  }

  /**
   * Writes the file. Whoever calls while a write is under way shares the next
   * one.
   *
   * @returns When it is written, or has failed; see {@link Kept.problem}.
   */
  save(): Promise<void> {
    if (this.#file === undefined) return Promise.resolve();
    const file = this.#file;
    this.#next ??= this.#current.then(() => {
      this.#current = this.#next!;
      this.#next = undefined;
      return this.#write(file);
    });
    return this.#next;
  }

  async #write(file: string): Promise<void> {
    const content: Content = {
      watchedUntil: this.watchedUntil,
      containers: Object.fromEntries(this.containers),
      services: Object.fromEntries(this.services),
      undecided: [...this.undecided],
      stood: [...this.stood],
      creates: Object.fromEntries(this.creates),
      builds: Object.fromEntries(this.builds),
    };
    try {
      using open = await Deno.open(`${file}.new`, {
        write: true,
        create: true,
        truncate: true,
        mode: 0o600,
      });
      const bytes = new TextEncoder().encode(JSON.stringify(content));
      for (let at = 0; at < bytes.length;) {
        at += await open.write(bytes.subarray(at));
      }
      await open.sync();
      await Deno.rename(`${file}.new`, file);
      this.problem = undefined;
    } catch (error) {
      this.problem = `${file} can't be written: ${messageOf(error)}`;
    }
  }
}

function readContent(text: string): Content {
  const content = JSON.parse(text);
  const { watchedUntil, undecided, stood } = content;
  if (
    typeof watchedUntil !== "number" || !Array.isArray(undecided) ||
    !Array.isArray(stood)
  ) throw new Error("watchedUntil, undecided or stood is missing");
  return {
    watchedUntil,
    containers: readEntries(content.containers),
    services: readEntries(content.services),
    undecided,
    stood,
    creates: readTimes(content.creates),
    builds: readTimes(content.builds),
  };
}

function readTimes(calls: unknown): Record<string, number[]> {
  if (typeof calls !== "object" || calls === null) {
    throw new Error("creates or builds are missing");
  }
  for (const times of Object.values(calls)) {
    if (!Array.isArray(times)) throw new Error("a call of another form");
  }
  return calls as Record<string, number[]>;
}

function readEntries(entries: unknown): Entries {
  if (typeof entries !== "object" || entries === null) {
    throw new Error("no containers or services");
  }
  for (const entry of Object.values(entries)) {
    const known = entry?.because === "exempt" || entry?.because === "before";
    const isJudged = entry?.for === undefined || Array.isArray(entry.for);
    if (!known || !Array.isArray(entry.sections) || !isJudged) {
      throw new Error("an entry of another form");
    }
  }
  return entries as Entries;
}
