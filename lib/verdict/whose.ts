/**
 * Whose a container or service is: what calls and their answers tell of it.
 *
 * @module
 */
import type { AuthzRequest, AuthzResponse } from "../call/authz.ts";
import { usesBuildKit } from "../call/build.ts";
import { Call } from "../call/call.ts";
import type { Route, Section } from "../call/endpoints.ts";
import { EVERYBODY } from "../config/config.ts";
import type { ContainerFacts, Engine } from "../engine/engine.ts";
import { idIn } from "./answers.ts";
import { CallsUnderWay } from "./calls_under_way.ts";
import type { Kept } from "./kept.ts";

/**
 * How long a create may take, in milliseconds. If another plugin refuses it
 * after us, we are never told that it is over.
 */
const CREATE_TIME = 60_000;

/**
 * How long a classic build may take whose end is not reported, in milliseconds:
 * it must not shelter containers for ever.
 */
const BUILD_TIME = 6 * 60 * 60_000;

/**
 * How many services are kept at least before those that are gone are looked
 * for.
 */
const MANY_SERVICES = 100;

/** What is asked of the engine. */
type WhoseEngine = Pick<
  Engine,
  "findContainers" | "inspectService" | "listServices"
>;

/** Learns from calls whose the containers and services are. */
export class Whose {
  readonly #engine: WhoseEngine;
  readonly #kept: Kept;
  readonly #creates: CallsUnderWay;
  readonly #builds: CallsUnderWay;
  readonly #serviceCreates = new CallsUnderWay(CREATE_TIME);
  /** With how many services those that are gone are looked for again. */
  #manyServices = MANY_SERVICES;

  /**
   * @param engine Tells what names mean.
   * @param kept Where what exempt users may have is kept.
   */
  constructor(
    engine: WhoseEngine,
    kept: Kept,
  ) {
    this.#engine = engine;
    this.#kept = kept;
    this.#creates = new CallsUnderWay(CREATE_TIME, kept.creates);
    this.#builds = new CallsUnderWay(BUILD_TIME, kept.builds);
  }

  /**
   * Takes note of a call that the first line allows.
   *
   * @param request The call.
   * @param route Its row in the endpoint table.
   * @param exempt The policies that its user is exempt from.
   * @param settings The `[for.NAME]` that holds for its user, if one does.
   * @returns When the engine may serve it.
   * @throws {EngineError} If the engine can't tell what a name means.
   */
  async allowed(
    request: AuthzRequest,
    route: Route,
    exempt: readonly Section[],
    settings = EVERYBODY,
  ): Promise<void> {
    switch (route.endpoint.name) {
      case "container create":
        this.#creates.begin(request.user);
        // A restart of the plugin must not make an exempt user's nobody's.
        if (exempt.length > 0 || settings !== EVERYBODY) {
          await this.#kept.save();
        }
        return;
      case "container start":
      case "container restart":
      case "container update":
        return await this.#keepAlso(
          "containers",
          exempt,
          settings,
          async () => {
            const [meant] = await this.#engine.findContainers(route.subject);
            return meant?.id;
          },
        );
      case "service create":
        return this.#serviceCreates.begin(request.user);
      case "service update":
        // Its tasks can come before the answer.
        return await this.#keepAlso("services", exempt, settings, async () => {
          return (await this.#engine.inspectService(route.subject))?.id;
        });
      case "build":
        if (!usesBuildKit(new Call(request, route))) {
          this.#builds.begin(buildKey(request));
          await this.#kept.save();
        }
    }
  }

  /**
   * Takes note of what came of a call.
   *
   * @param response The engine's answer.
   * @param route The call's row in the endpoint table.
   * @param exempt The policies that its user is exempt from; undefined if that
   *   can't be told: what is known of a service stays as it was then.
   * @param settings The `[for.NAME]` that holds for its user, if one does.
   * @returns When the client may have the answer.
   * @throws {EngineError} If the engine can't tell which service was changed.
   * @throws {Error} If the answer to a create names nothing.
   */
  async served(
    { request, status, body }: AuthzResponse,
    route: Route,
    exempt: readonly Section[] | undefined,
    settings = EVERYBODY,
  ): Promise<void> {
    const isKept = status === 201 && exempt !== undefined &&
      (exempt.length > 0 || settings !== EVERYBODY);
    switch (route.endpoint.name) {
      case "container create":
        try {
          if (isKept) {
            const id = idIn(body, "Id");
            await this.#keepMade("containers", id, exempt, settings);
          }
        } finally {
          this.#creates.end(request.user);
        }
        return;
      case "service create":
        try {
          if (isKept) {
            const id = idIn(body, "ID");
            await this.#keepMade("services", id, exempt, settings);
          }
        } finally {
          this.#serviceCreates.end(request.user);
        }
        return;
      case "service update":
        if (status === 200 && exempt) {
          await this.#keepOnly(route.subject, exempt, settings);
        }
        return;
      case "build":
        if (!usesBuildKit(new Call(request, route))) {
          this.#builds.end(buildKey(request));
          await this.#kept.save();
        }
    }
  }

  /**
   * Waits until it is known whose a new container is: an exempt user's is kept
   * by then.
   *
   * The engine tells of a container before it answers the create that made it.
   *
   * @param container The container.
   */
  async known(container: ContainerFacts): Promise<void> {
    // When it was made is told in whole seconds, rounded down.
    const made = container.created + 1000;
    await this.#creates.over(made, CREATE_TIME);
    // Those of a classic build carry no mark, and are gone when it is over.
    if (mayBeStep(container)) await this.#builds.over(made, BUILD_TIME);
  }

  /**
   * Waits until it is known whose the service of a task is.
   *
   * @param container The task's container.
   */
  async serviceKnown(container: ContainerFacts): Promise<void> {
    await this.#serviceCreates.over(container.created + 1000, CREATE_TIME);
  }

  /**
   * Forgets services that are gone, if many are kept: no event is followed that
   * tells of them.
   */
  async forgetServices(): Promise<void> {
    const { services } = this.#kept;
    if (services.size < this.#manyServices) return;
    const absent = new Set(services.keys());
    // A swarm without a leader lists none, and neither does a host that is no
    // manager any more, but may still have tasks of them.
    const listed = await this.#engine.listServices().catch(() => []);
    if (listed.length === 0) return;
    for (const { id } of listed) absent.delete(id);
    for (const id of absent) services.delete(id);
    this.#manyServices = MANY_SERVICES + 2 * services.size;
  }

  /** The engine has ended, and with it all calls. */
  engineEnded(): void {
    this.#creates.clear();
    this.#serviceCreates.clear();
    this.#builds.clear();
  }

  async #keepMade(
    kind: "containers" | "services",
    id: string,
    exempt: readonly Section[],
    settings: string,
  ): Promise<void> {
    for (const section of exempt) {
      await this.#kept.keep(kind, id, "exempt", section);
    }
    await this.#kept.judgeBy(kind, id, settings);
  }

  /**
   * What the name means now is what an exempt user may start or change. Others
   * who do so must not lose it by the settings of who made it.
   */
  async #keepAlso(
    kind: "containers" | "services",
    exempt: readonly Section[],
    settings: string,
    find: () => Promise<string | undefined>,
  ): Promise<void> {
    const isNothingKept = this.#kept[kind].size === 0;
    if (exempt.length === 0 && settings === EVERYBODY && isNothingKept) return;
    const id = await find();
    if (id === undefined) return;
    await this.#kept.judgeAlsoBy(kind, id, settings);
    for (const section of exempt) {
      await this.#kept.keep(kind, id, "exempt", section);
    }
  }

  /**
   * Whoever changes a service last answers for what it has. A change that the
   * engine refuses must not cost anybody a service.
   */
  async #keepOnly(
    name: string,
    exempt: readonly Section[],
    settings: string,
  ): Promise<void> {
    const { services } = this.#kept;
    if (services.size === 0) return;
    const service = await this.#engine.inspectService(name);
    if (!service) return;
    await this.#kept.judgeBy("services", service.id, settings);
    const entry = services.get(service.id);
    if (!entry) return;
    const sections = entry.sections.filter((each) => exempt.includes(each));
    if (sections.length === entry.sections.length) return;
    if (sections.length === 0 && !entry.for) services.delete(service.id);
    else services.set(service.id, { ...entry, sections });
    await this.#kept.save();
  }
}

/** What tells builds apart; a client chooses how long its request target is. */
function buildKey({ user, uri }: AuthzRequest): string {
  return `${user} ${uri.slice(0, 200)}`;
}

/**
 * A step of a classic build has the volumes of its image, and nothing else
 * (`create` in moby's daemon/builder/dockerfile/containerbackend.go).
 */
function mayBeStep({ mounts }: ContainerFacts): boolean {
  return mounts.every(({ type, name }) =>
    type === "volume" && /^[0-9a-f]{64}$/.test(name)
  );
}
