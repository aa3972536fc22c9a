import type { Standing } from "../../lib/metrics.ts";

/** The state of a plugin that is well. */
export const STANDING: Standing = {
  version: "1.2.3",
  generation: 1,
  reloaded: true,
  following: true,
  left: 0,
  states: [["volumes", "enforced"], ["images", "tried out"], ["push", "off"]],
  monitors: [["127.0.0.1:5006", true]],
  auditLost: 0,
};
