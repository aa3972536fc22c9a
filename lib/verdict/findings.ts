import type { Section } from "../call/endpoints.ts";
import type { CommonKeys } from "../config/config.ts";
import type { ContainerFacts } from "../engine/engine.ts";
import { serviceOf, type TaskService } from "../engine/services.ts";
import { ALLOW, type Decision, type Denial } from "../policy/decision.ts";
import { decideTaskImage } from "../policy/images.ts";
import { decideContainerPrivileges } from "../policy/privileges.ts";
import { decideContainer } from "../policy/volumes.ts";
import type { UserSettings } from "./exemptions.ts";
import type { LineOptions } from "./options.ts";

/** What a policy has against a container. */
export interface Finding {
  section: Section;
  denial: Denial;
  /** Whether the policy is more than tried out. */
  enforce: boolean;
  /** Whose settings say so: a `[for.NAME]`, or `EVERYBODY`. */
  settings: string;
}

/** What a container has, as the policies see it. */
export interface Look {
  findings: Finding[];
  /** Which service it is a task of; undefined if it is none. */
  service?: TaskService;
}

/** Whether it is a task is the engine's word: its labels can be anybody's. */
async function serviceOfTask(
  engine: LineOptions["engine"],
  container: ContainerFacts,
): Promise<TaskService | undefined> {
  const service = serviceOf(container);
  if (service.id === "") return undefined; // A task has these labels for sure.
  return await engine.isTask(container.id) ? service : undefined;
}

/**
 * Looks at what a container has.
 *
 * @param engine The engine.
 * @param container The container.
 * @param settingsOf Gives the settings that it is judged by; it is told which
 *   service the container is a task of. What one of them allows may be.
 * @returns What the policies have against it.
 * @throws {EngineError} If the engine gives no usable answer.
 * @throws {Unreadable} If what it recorded is of another type than it sends.
 */
export async function lookAt(
  engine: LineOptions["engine"],
  container: ContainerFacts,
  settingsOf: (service?: TaskService) => readonly UserSettings[],
): Promise<Look> {
  const name = container.id.slice(0, 12);
  const service = await serviceOfTask(engine, container);
  const all = settingsOf(service);
  const findings = [
    await mildest(
      "volumes",
      all.map(({ name, sections }) => [name, sections.volumes]),
      async (volumes) =>
        service && volumes.allowService.includes(service.name)
          ? ALLOW
          : await decideContainer(volumes, name, engine, container),
    ),
    await mildest(
      "privileges",
      all.map(({ name, sections }) => [name, sections.privileges]),
      (privileges) =>
        decideContainerPrivileges(privileges, name, container, engine),
    ),
    service && await mildest(
      "images",
      all.map(({ name, sections }) => [name, sections.images]),
      async (images) =>
        decideTaskImage(images, await engine.taskImage(container.id)),
    ),
  ];
  return {
    service,
    findings: findings.filter((finding) => finding !== undefined),
  };
}

/**
 * What all of the settings refuse; undefined if one of them allows it. Of
 * several, one that is only tried out counts.
 */
async function mildest<Policy extends CommonKeys>(
  section: Section,
  settings: readonly [name: string, policy: Policy | undefined][],
  decide: (policy: Policy) => Promise<Decision>,
): Promise<Finding | undefined> {
  let found: Finding | undefined;
  for (const [name, policy] of settings) {
    const decision = policy ? await decide(policy) : ALLOW;
    if (!policy || decision.allow) return undefined;
    if (!found || !policy.enforce) {
      const { enforce } = policy;
      found = { section, denial: decision, enforce, settings: name };
    }
  }
  return found;
}
