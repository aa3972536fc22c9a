/**
 * The third line: what the host has. It looks at each container that was made
 * or started, whoever caused it, and takes away what the policies refuse.
 *
 * A call is decided on before the engine serves it, and what its names mean can
 * change in between. A task of a swarm comes without any call. So the first two
 * lines can't have the last word.
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import type { Route, Section } from "../call/endpoints.ts";
import { EVERYBODY } from "../config/config.ts";
import { type ContainerFacts, EngineTooMuch } from "../engine/engine.ts";
import type { TaskService } from "../engine/services.ts";
import { messageOf, shown } from "../text.ts";
import { type DeedOptions, Deeds } from "./deeds.ts";
import { describe } from "./describe.ts";
import type { UserSettings } from "./exemptions.ts";
import { type Look, lookAt } from "./findings.ts";
import type { Kept } from "./kept.ts";
import type { LineOptions } from "./options.ts";
import { Whose } from "./whose.ts";

/** Looks at what the host has. */
export interface ThirdLine {
  /**
   * Takes note of a call that the first line allows.
   *
   * @param request The call.
   * @param route Its row in the endpoint table.
   * @param exempt The policies that its user is exempt from.
   * @param settings The `[for.NAME]` that holds for its user, if one does.
   * @returns When the call may go on. It never throws.
   */
  allowed(
    request: AuthzRequest,
    route: Route,
    exempt: readonly Section[],
    settings?: string,
  ): Promise<void>;
  /**
   * Takes note of what came of a call.
   *
   * @param response The engine's answer.
   * @param route The call's row in the endpoint table.
   * @param exempt The policies that its user is exempt from; undefined if that
   *   can't be told.
   * @param settings The `[for.NAME]` that holds for its user, if one does.
   * @returns When the client may have the answer. It never throws.
   */
  served(
    response: AuthzResponse,
    route: Route,
    exempt: readonly Section[] | undefined,
    settings?: string,
  ): Promise<void>;
  /** @param id ID of a container that was made. */
  made(id: string): Promise<void>;
  /** @param id ID of a container that was started. */
  started(id: string): Promise<void>;
  /** @param id ID of a container that is gone. */
  gone(id: string): void;
  /**
   * Looks at all containers: events can be lost without a sign.
   *
   * @param since If nobody watched until now: since when the engine can have
   *   asked the plugin, in milliseconds since 1970. What was there before and
   *   runs is left alone then.
   * @returns When all were looked at.
   * @throws {EngineError} If the engine gives no usable answer.
   */
  lookAround(since?: number): Promise<void>;
  /** The engine has ended: no call is under way any more. */
  engineEnded(): void;
  /** The settings are other ones: what runs by now is left alone. */
  settingsChanged(): void;
  /** @returns How many containers are left alone that a policy refuses. */
  left(): number;
}

/**
 * How long nobody may have watched, in milliseconds, for what was made
 * meanwhile to count as made in our sight. A restart takes seconds; who takes
 * the plugin out of the engine's settings, uses the engine, and puts it back
 * takes longer.
 */
const RESTART_TIME = 180_000;

/** What the third line works with. */
export interface ThirdLineOptions extends LineOptions, DeedOptions {
  /** What it leaves alone. */
  readonly kept: Kept;
}

/**
 * Makes the third line.
 *
 * @param options What it works with.
 * @returns The third line.
 */
export function createThirdLine(options: ThirdLineOptions): ThirdLine {
  const { engine, kept, log } = options;
  const whose = new Whose(engine, kept);
  const deeds = new Deeds(options);
  /** Containers that were decided on. */
  const seen = new Set<string>();
  /** New containers that are being decided on. */
  const fresh = new Set<string>();
  /** Counts the settings. */
  let epoch = 0;
  /** In which all containers were looked at last. */
  let looked: number | undefined;
  /** Containers that run, and are being decided on. */
  const stopping = new Set<string>();
  /** Containers that were started before the first look. */
  const early = new Set<string>();
  /** Containers that ran before the first look, and that it could not read. */
  const unread = new Set<string>();
  /** Counts the engines. */
  let engines = 0;
  /** Which of them all containers were looked at last. */
  let lookedEngine = 0;

  /** Why kept.json could not be written, as the log has it. */
  let toldProblem = kept.problem;

  /** What the policies have against a container that nobody may have. */
  async function look(container: ContainerFacts): Promise<Look> {
    // Answers to calls may come meanwhile.
    const own = () => kept.containers.get(container.id);
    const ofService = (service?: TaskService) =>
      service && kept.services.get(service.id);
    const { findings, service } = await lookAt(engine, container, (service) => {
      const names = service
        ? [...ofService(service)?.for ?? [EVERYBODY], ...own()?.for ?? []]
        : own()?.for ?? [EVERYBODY];
      return names.map(settingsOf);
    });
    const entries = [own(), ofService(service)];
    return {
      service,
      findings: findings.filter(({ section }) =>
        !entries.some((entry) => entry?.sections.includes(section))
      ),
    };
  }

  /** Everybody's hold for what a `[for.NAME]` that is gone held for. */
  function settingsOf(name: string): UserSettings {
    const { config } = options;
    return config.forUsers?.find((each) => each.name === name) ??
      { name: EVERYBODY, sections: config };
  }

  async function decideOnMade(id: string): Promise<void> {
    const container = await engine.findContainer(id);
    if (!container) return;
    const first = await look(container);
    if (first.findings.length === 0) return;
    if (first.service) {
      await whose.serviceKnown(container);
      const known = await look(container);
      return known.findings.length > 0
        ? await deeds.removeTask(container, known)
        : undefined;
    }
    // A restart of the plugin must not make it one that was there before.
    kept.undecided.add(id);
    await kept.save();
    await whose.known(container);

    const now = await engine.findContainer(id);
    if (!now) return;
    const last = await look(now);
    if (last.findings.length > 0) await deeds.removeMade(now, last);
  }

  async function decideOnStarted(container: ContainerFacts): Promise<void> {
    if (unread.has(container.id)) return await leaveAlone(container);
    const now = await look(container);
    if (now.findings.length === 0) return;
    // Before the first look it can be what ran before, if it did not stand
    // still.
    if (looked !== epoch && !kept.stood.has(container.id)) return;
    if (now.service) return await deeds.removeTask(container, now);
    await deeds.stopStarted(container, now);
  }

  async function made(id: string): Promise<void> {
    if (fresh.has(id) || seen.has(id)) return;
    fresh.add(id);
    try {
      await decideOnMade(id);
      seen.add(id);
      if (kept.undecided.delete(id)) await kept.save();
    } catch (error) {
      await fail(id, error, error instanceof EngineTooMuch);
    } finally {
      fresh.delete(id);
    }
  }

  async function started(id: string): Promise<void> {
    if (fresh.has(id)) return; // It is being decided on.
    if (looked !== epoch) {
      // It may be one that ran before, and starts again and again: the first
      // look tells.
      early.add(id);
      return;
    }
    if (!seen.has(id)) return await made(id);
    try {
      const container = await engine.findContainer(id);
      if (container) await runs(container);
    } catch (error) {
      await fail(id, error);
    }
  }

  /** One that can't be decided on must not keep us from others. */
  async function runs(container: ContainerFacts): Promise<void> {
    const { id } = container;
    early.delete(id);
    if (stopping.has(id)) return;
    stopping.add(id);
    try {
      await decideOnStarted(container);
    } catch (error) {
      await fail(id, error);
    } finally {
      stopping.delete(id);
    }
  }

  /** The next look at all containers tries again. */
  async function fail(
    id: string,
    error: unknown,
    isUnreadable = false,
  ): Promise<void> {
    try {
      const { sections: exempt = [], for: names = [EVERYBODY] } =
        kept.containers.get(id) ?? {};
      const isEnforced = names.map(settingsOf).every(({ sections }) =>
        [sections.volumes, sections.images, sections.privileges]
          .some((policy) => policy?.enforce)
      );
      const mayBe = !isEnforced || exempt.length > 0;
      if (isUnreadable && !mayBe) {
        return await deeds.removeUnreadable(id);
      }
    } catch (another) {
      error = another;
    }
    const why = messageOf(error);
    log.error(`container ${id.slice(0, 12)} can't be checked: ${why}`, { id });
    options.metrics.acted("failed");
  }

  function gone(id: string): void {
    seen.delete(id);
    deeds.forget(id);
    kept.containers.delete(id);
    kept.undecided.delete(id);
    kept.stood.delete(id);
    early.delete(id);
    unread.delete(id);
  }

  /** Remembers what may not run, and does not. */
  async function standsStill(container: ContainerFacts): Promise<void> {
    try {
      const { findings } = await look(container);
      if (findings.length > 0) kept.stood.add(container.id);
      else kept.stood.delete(container.id);
    } catch (error) {
      await fail(container.id, error);
    }
  }

  /** Nobody watched when it was made or started. */
  async function leaveAlone(container: ContainerFacts): Promise<void> {
    const { id, running } = container;
    seen.add(id);
    if (!running) return await standsStill(container);
    unread.add(id);
    try {
      await keepBefore(container);
      unread.delete(id);
    } catch (error) {
      await fail(id, error);
    }
  }

  async function keepBefore(container: ContainerFacts): Promise<void> {
    const { id, names } = container;
    const { findings } = await look(container);
    if (findings.length === 0) return;
    for (const { section } of findings) {
      await kept.keep("containers", id, "before", section);
    }
    const [{ denial }] = findings;
    log.warning(
      `container ${
        id.slice(0, 12)
      } ran before the plugin came, and is left alone`,
      {
        id,
        name: shown(names.join(",")),
        rule: denial.rule,
        reason: denial.message,
      },
    );
  }

  /** The list tells whole seconds, which may not be enough. */
  async function isYounger(
    { id, created }: ContainerFacts,
    time: number,
  ): Promise<boolean> {
    if (created >= time) return true;
    return created + 1000 > time && await engine.madeAt(id) > time;
  }

  /**
   * By a clock that is behind, as one without a battery is after a boot, all
   * containers are younger than anything.
   */
  function isPossible({ created }: ContainerFacts, now: number): boolean {
    return created < now + RESTART_TIME;
  }

  async function lookAround(since?: number): Promise<void> {
    const begun = epoch;
    const engineNow = engines;
    const isNewEngine = engineNow !== lookedEngine;
    const now = Date.now();
    const away = kept.watchedUntil;
    const isBrief = Math.abs(now - away) < RESTART_TIME;
    const from = isBrief ? away : since ?? 0;
    const running: Promise<void>[] = [];
    // What comes while the engine is asked is not gone because the list lacks
    // it.
    const absent = new Set([
      ...seen,
      ...kept.containers.keys(),
      ...kept.undecided,
      ...kept.stood,
    ]);
    for await (const container of engine.listContainers()) {
      const { id } = container;
      absent.delete(id);
      if (fresh.has(id)) continue;
      const isNew = !seen.has(id) &&
        (since === undefined ||
          isPossible(container, now) && await isYounger(container, from));
      if (isNew || kept.undecided.has(id)) {
        made(id);
        // An engine that is started starts containers by itself; one that goes
        // on does not start what stood still.
      } else if (
        container.running && kept.stood.has(id) && isBrief && !isNewEngine
      ) {
        seen.add(id);
        running.push(runs(container));
      } else if (since !== undefined) running.push(leaveAlone(container));
      else if (container.running) running.push(runs(container));
      else running.push(standsStill(container));
    }
    await Promise.all(running);
    if (engines !== engineNow) return; // What it has starts anew.
    for (const id of absent) gone(id);
    looked = begun;
    lookedEngine = engineNow;
    const late = [...early];
    early.clear();
    for (const id of late) void started(id);
    await whose.forgetServices();
    kept.watchedUntil = now;
    await kept.save();
    if (kept.problem !== undefined && kept.problem !== toldProblem) {
      log.error(kept.problem);
    }
    toldProblem = kept.problem;
  }

  /** What is not noted is nobody's: nothing that is refused can stay by it. */
  async function note(
    request: AuthzRequest,
    noting: Promise<void>,
  ): Promise<void> {
    try {
      await noting;
    } catch (error) {
      const why = messageOf(error);
      log.error(
        `can't note whose container or service it is: ${why}`,
        describe(request),
      );
    }
  }

  return {
    allowed: (request, route, exempt, settings) =>
      note(request, whose.allowed(request, route, exempt, settings)),
    served: (response, route, exempt, settings) =>
      note(response.request, whose.served(response, route, exempt, settings)),
    made,
    started,
    gone,
    lookAround,
    engineEnded() {
      looked = undefined;
      engines++;
      whose.engineEnded();
    },
    settingsChanged: () => void epoch++,
    left: () =>
      kept.containers.values().filter(({ because }) => because === "before")
        .toArray().length,
  };
}
