/**
 * What the third line does to a container that a policy refuses, and how it is
 * told.
 *
 * @module
 */
import { delay } from "@std/async";
import type { ContainerFacts, Engine } from "../engine/engine.ts";
import type { MountPoint } from "../engine/facts.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { shown } from "../text.ts";
import { inSettings } from "./describe.ts";
import type { Look } from "./findings.ts";

/** What deeds need. */
export interface DeedOptions {
  readonly engine: Engine;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "acted" | "taskRemoved">;
}

/**
 * How often a volume is tried that other tasks still use, and how long it is
 * waited in between, in milliseconds: swarm gives a task ten seconds to end.
 */
const SHARED_TRIES = 20;
const SHARED_WAIT = 1000;

/** Of more services than this at once, the memory starts anew. */
const ALERTED = 1000;

/** Acts on containers, and tells what was done. */
export class Deeds {
  readonly #options: DeedOptions;
  /** Services of which it was told that a task was removed. */
  readonly #alerted = new Set<string>();
  /** Containers of which it was told what would be done. */
  readonly #tried = new Set<string>();
  /**
   * Volumes that were made for a container that is removed, and that another
   * one used then: by name, when each was made. It can be older than that one.
   */
  readonly #stillUsed = new Map<string, number>();

  /** @param options What it needs. */
  constructor(options: DeedOptions) {
    this.#options = options;
  }

  /**
   * Removes a container that was made against a policy, with the volumes that
   * were made for it.
   *
   * @param container The container.
   * @param look What the policies have against it.
   */
  async removeMade(container: ContainerFacts, look: Look): Promise<void> {
    if (isTrial(look)) return this.#tellOnce(container, look, "removed");
    await this.#remove(container);
    this.#alert(
      container,
      look,
      "was made against the policy, and is removed",
      {
        call: "no answer to a create named it",
      },
    );
    this.#options.metrics.acted("removed");
  }

  /**
   * Removes a task, and has its service have none any more: swarm makes another
   * one in its place, without end. One alert a service.
   *
   * @param container The task's container.
   * @param look What the policies have against it.
   */
  async removeTask(container: ContainerFacts, look: Look): Promise<void> {
    const { engine, log, metrics } = this.#options;
    const { id, name } = look.service!;
    if (!isTrial(look)) await this.#remove(container);
    const isFirst = !this.#alerted.has(id);
    // Told twice is better than kept for ever.
    if (this.#alerted.size >= ALERTED) this.#alerted.clear();
    this.#alerted.add(id);
    if (isTrial(look)) {
      if (isFirst) this.#tellOnce(container, look, "removed");
      return;
    }
    metrics.acted("task_removed");
    metrics.taskRemoved(id);
    if (isFirst) {
      this.#alert(
        container,
        look,
        "is a task against the policy, and is removed; so are others of its " +
          "service",
        { service: shown(name), service_id: id },
      );
    }
    if (await engine.scaleToZero(id)) {
      log.warning(`service ${shown(name)} has no tasks any more`, {
        service_id: id,
      });
    }
    // Swarm ends the others by itself, and leaves a volume that they shared.
    for (let tries = 0; tries < SHARED_TRIES; tries++) {
      if (!volumesOf(container).some((name) => this.#stillUsed.has(name))) {
        return;
      }
      await delay(SHARED_WAIT, { persistent: false });
      await this.#removeVolumes(container);
    }
  }

  /**
   * Stops a container that was there before and was started against a policy.
   *
   * @param container The container.
   * @param look What the policies have against it.
   */
  async stopStarted(container: ContainerFacts, look: Look): Promise<void> {
    if (isTrial(look)) return this.#tellOnce(container, look, "stopped");
    this.#requireQuestions();
    await this.#options.engine.stopForGood(container.id);
    this.#alert(
      container,
      look,
      "was started against the policy, and is stopped",
    );
    this.#options.metrics.acted("stopped");
  }

  /**
   * Removes a container whose description is too long to be read.
   *
   * @param id Its ID.
   */
  async removeUnreadable(id: string): Promise<void> {
    this.#requireQuestions();
    await this.#options.engine.removeContainer(id);
    this.#options.log.error(
      `alert: container ${id.slice(0, 12)} can't be checked, and is removed: ` +
        "its labels are too long to be read",
      { id },
    );
    this.#options.metrics.acted("removed");
  }

  /** @param id ID of a container that is gone. */
  forget(id: string): void {
    this.#tried.delete(id);
  }

  /** A container is looked at again and again. */
  #tellOnce(
    container: ContainerFacts,
    look: Look,
    deed: "removed" | "stopped",
  ): void {
    if (this.#tried.has(container.id)) return;
    this.#tried.add(container.id);
    this.#alert(container, look, `would be ${deed}`);
    this.#options.metrics.acted(`would_be_${deed}`);
  }

  async #remove(container: ContainerFacts): Promise<void> {
    const { engine } = this.#options;
    this.#requireQuestions();
    await engine.removeContainer(container.id);
    await this.#removeVolumes(container);
  }

  async #removeVolumes(container: ContainerFacts): Promise<void> {
    const { engine } = this.#options;
    for (const name of volumesOf(container)) {
      const known = this.#stillUsed.get(name);
      const made = await engine.removeVolume(name, container.created, known);
      if (made !== undefined) this.#stillUsed.set(name, made);
      // Otherwise another task's look may have found it used meanwhile.
      else if (known !== undefined) this.#stillUsed.delete(name);
    }
  }

  /** On an engine that does not ask us, it is not ours to act. */
  #requireQuestions(): void {
    if (this.#options.engine.asksUs()) return;
    throw new Error("the engine does not ask this plugin");
  }

  #alert(
    container: ContainerFacts,
    { findings: [{ denial, settings }] }: Look,
    what: string,
    more: Record<string, string> = {},
  ): void {
    this.#options.log.error(
      `alert: container ${container.id.slice(0, 12)} ${what}`,
      {
        id: container.id,
        name: shown(container.names.join(",")),
        image: shown(container.image),
        mounts: shown(container.mounts.map(mountText).join(","), 1000),
        rule: denial.rule,
        reason: denial.message,
        ...inSettings(settings),
        ...more,
      },
    );
  }
}

/** Whether all policies that have something against it are only tried out. */
function isTrial({ findings }: Look): boolean {
  return !findings.some(({ enforce }) => enforce);
}

function volumesOf({ mounts }: ContainerFacts): string[] {
  return mounts.filter(({ type, name }) => type === "volume" && name !== "")
    .map(({ name }) => name);
}

function mountText(
  { type, name, source, destination }: MountPoint,
): string {
  return `${type}:${name || source}:${destination}`;
}
