import { escapeTest } from "./escape.ts";
import { CONTAINERS } from "./ways/containers.ts";

// Checkpoints are an experiment of the engine's.
escapeTest("escapes: containers", CONTAINERS, {
  config: { experimental: true },
});
