import { shown } from "../../text.ts";
import type { Denial } from "../decision.ts";
import { denyOption, type PrivilegesPolicy } from "./privileges.ts";

/** Drivers that give networks of their own; no driver means `bridge`. */
const OWN_NETWORKS = ["", "default", "bridge", "overlay"];

/** Options that reach for interfaces of the host, whatever the driver. */
const HOST_INTERFACES = [
  "parent",
  "com.docker.network.bridge.name",
  "com.docker.network.bridge.trusted_host_interfaces",
];

/**
 * Checks a network that is to be created.
 *
 * @param policy The administrator's settings.
 * @param driver Its driver.
 * @param options The names of its options.
 * @returns The denial if it may reach the host's own interfaces.
 */
export function checkNetwork(
  { allowHost }: PrivilegesPolicy,
  driver: string,
  options: readonly string[],
): Denial | undefined {
  if (allowHost.includes("network")) return undefined;
  if (!OWN_NETWORKS.includes(driver)) {
    return denyOption(
      "network",
      `network create --driver ${shown(driver)}`,
      "allow-host",
    );
  }
  const option = options.find((name) => HOST_INTERFACES.includes(name));
  return option === undefined
    ? undefined
    : denyOption("network", `network create --opt ${option}`, "allow-host");
}
