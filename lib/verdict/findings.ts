import type { Section } from "../call/endpoints.ts";
import type { ContainerFacts } from "../engine/engine.ts";
import { serviceOf, type TaskService } from "../engine/services.ts";
import { ALLOW, type Denial } from "../policy/decision.ts";
import { decideTaskImage } from "../policy/images.ts";
import { decideContainerPrivileges } from "../policy/privileges.ts";
import { decideContainer } from "../policy/volumes.ts";
import type { LineOptions } from "./options.ts";

/** What a policy has against a container. */
export interface Finding {
  section: Section;
  denial: Denial;
  /** Whether the policy is more than tried out. */
  enforce: boolean;
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
 * @param options The settings, and the engine.
 * @param container The container.
 * @returns What the policies have against it, whoever made it.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function lookAt(
  { config: { volumes, images, privileges }, engine }: LineOptions,
  container: ContainerFacts,
): Promise<Look> {
  const mounts = volumes
    ? await decideContainer(
      volumes,
      container.id.slice(0, 12),
      engine,
      container,
    )
    : ALLOW;
  const options = privileges
    ? await decideContainerPrivileges(
      privileges,
      container.id.slice(0, 12),
      container,
      engine,
    )
    : ALLOW;
  const service = await serviceOfTask(engine, container);
  const findings: Finding[] = [];
  const mayHaveVolumes = service &&
    volumes?.allowService.includes(service.name);
  if (volumes && !mounts.allow && !mayHaveVolumes) {
    findings.push({
      section: "volumes",
      denial: mounts,
      enforce: volumes.enforce,
    });
  }
  if (privileges && !options.allow) {
    findings.push({
      section: "privileges",
      denial: options,
      enforce: privileges.enforce,
    });
  }
  if (images && service) {
    const image = decideTaskImage(images, await engine.taskImage(container.id));
    if (!image.allow) {
      findings.push({
        section: "images",
        denial: image,
        enforce: images.enforce,
      });
    }
  }
  return { findings, service };
}
