import { escapeTest } from "./escape.ts";
import { BUILDS, BUILDS_WITHOUT_GRANTS } from "./ways/builds.ts";

escapeTest("escapes: builds", BUILDS);

escapeTest("escapes: builds without entitlements", BUILDS_WITHOUT_GRANTS, {
  config: {
    builder: {
      entitlements: {
        "network-host": false,
        "security-insecure": false,
        device: false,
      },
    },
  },
});
