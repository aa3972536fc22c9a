import { escapeTest } from "./escape.ts";
import { SWARM } from "./ways/swarm.ts";

escapeTest("escapes: swarm", SWARM, {
  prepare: async ({ h }) => {
    await h.must("swarm", "init", "--advertise-addr=127.0.0.1");
  },
});
