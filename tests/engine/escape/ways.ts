/**
 * All ways from the engine's API to the host that are tried, by family.
 *
 * @module
 */
import type { Way } from "./escape.ts";
import { BUILDS } from "./ways/builds.ts";
import { CALLS } from "./ways/calls.ts";
import { CAPABILITIES } from "./ways/capabilities.ts";
import { CONTAINERS } from "./ways/containers.ts";
import { DEVICES } from "./ways/devices.ts";
import { ENGINE_BUGS } from "./ways/engine_bugs.ts";
import { LOGS } from "./ways/logs.ts";
import { MOUNTS } from "./ways/mounts.ts";
import { NAMESPACES } from "./ways/namespaces.ts";
import { PLUGINS } from "./ways/plugins.ts";
import { SECURITY } from "./ways/security.ts";
import { SWARM } from "./ways/swarm.ts";

/** The families, by the name of the test that tries them. */
export const WAYS: Readonly<Record<string, readonly Way[]>> = {
  builds: BUILDS,
  calls: CALLS,
  capabilities: CAPABILITIES,
  containers: CONTAINERS,
  devices: DEVICES,
  "engine bugs": ENGINE_BUGS,
  logs: LOGS,
  mounts: MOUNTS,
  namespaces: NAMESPACES,
  plugins: PLUGINS,
  security: SECURITY,
  swarm: SWARM,
};
