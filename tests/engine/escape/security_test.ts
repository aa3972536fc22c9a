import { escapeTest } from "./escape.ts";
import { SECURITY } from "./ways/security.ts";

escapeTest("escapes: security", SECURITY, {
  config: {
    "no-new-privileges": true,
    // Stands for any other runtime that the administrator has.
    runtimes: { loose: { path: "runc" } },
  },
});
