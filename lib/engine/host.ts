/**
 * What the engine says of itself, of how containers run, and of networks.
 *
 * @module
 */
import {
  readHostConfig,
  readServiceOptions,
  type ServiceOptions,
} from "../call/container_options.ts";
import type { JsonObject } from "../call/json.ts";
import { Struct } from "../call/struct.ts";
import type { EngineApi } from "./api.ts";
import { isRecord, record, text } from "./decode.ts";
import type { ExecFacts, HostFacts, RecordedContainer } from "./facts.ts";

/**
 * Reads `GET /info`.
 *
 * @param api The engine.
 * @returns What it says of itself.
 * @throws {EngineError} If it gives no usable answer.
 */
export async function hostFacts(api: EngineApi): Promise<HostFacts> {
  const info = record(await api.ask("/info"));
  // `fillSecurityOptions` in moby's daemon/info.go.
  const security = Array.isArray(info.SecurityOptions)
    ? info.SecurityOptions.map(text)
    : [];
  const has = (name: string) =>
    security.some((each) => each.split(",")[0] === `name=${name}`);
  return {
    apiVersion: await api.newestVersion(),
    defaultRuntime: text(info.DefaultRuntime),
    defaultLogDriver: text(info.LoggingDriver),
    remapsUsers: has("userns"),
    // On cgroup v1, clients of old APIs are given the host's
    // (postContainersCreate).
    hasOwnCgroups: has("cgroupns") && info.CgroupVersion !== "1",
    hasBuiltinSeccomp: security.some((each) =>
      /^name=seccomp,profile=(builtin|default)$/.test(each)
    ),
    noNewPrivileges: has("no-new-privileges"),
    isExperimental: info.ExperimentalBuild === true,
    rootDirectory: text(info.DockerRootDir),
  };
}

/**
 * Inspects a container. The engine waits for its lock.
 *
 * @param api The engine.
 * @param id Its ID.
 * @returns How it is to run, or undefined if it is gone.
 * @throws {EngineError} If the engine gives no usable answer.
 * @throws {Unreadable} If a field is of another type than the engine sends.
 */
export async function inspectOptions(
  api: EngineApi,
  id: string,
): Promise<RecordedContainer | undefined> {
  const container = await api.inspect(
    `/containers/${encodeURIComponent(id)}/json`,
  );
  return container && {
    options: {
      ...readHostConfig(structOf(container.HostConfig, "HostConfig")),
      user: text(record(container.Config).User),
    },
  };
}

/**
 * Inspects an exec.
 *
 * @param api The engine.
 * @param id Its ID.
 * @returns What it runs as, or undefined if there is none.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function inspectExec(
  api: EngineApi,
  id: string,
): Promise<ExecFacts | undefined> {
  const exec = await api.inspect(`/exec/${encodeURIComponent(id)}/json`);
  const process = record(exec?.ProcessConfig);
  return exec && {
    container: text(exec.ContainerID),
    privileged: process.privileged === true,
    user: text(process.user),
  };
}

/**
 * Inspects a service.
 *
 * @param api The engine.
 * @param name Its name or ID.
 * @returns What its tasks would have after a rollback; undefined if there is
 *   nothing to go back to.
 * @throws {EngineError} If the engine gives no usable answer.
 * @throws {Unreadable} If a field is of another type than the engine sends.
 */
export async function inspectPreviousService(
  api: EngineApi,
  name: string,
): Promise<ServiceOptions | undefined> {
  const service = await api.inspect(`/services/${encodeURIComponent(name)}`);
  return isRecord(service?.PreviousSpec)
    ? readServiceOptions(structOf(service.PreviousSpec, "PreviousSpec"))
    : undefined;
}

/**
 * Inspects a network.
 *
 * @param api The engine.
 * @param name Its name or ID.
 * @returns Its driver; empty if there is no such network.
 * @throws {EngineError} If the engine gives no usable answer.
 */
export async function networkDriver(
  api: EngineApi,
  name: string,
): Promise<string> {
  const network = await api.inspect(`/networks/${encodeURIComponent(name)}`);
  return text(network?.Driver);
}

function structOf(value: unknown, where: string): Struct {
  return new Struct(record(value) as JsonObject, where);
}
