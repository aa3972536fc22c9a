import { escapeTest } from "./escape.ts";
import { MOUNTS } from "./ways/mounts.ts";

escapeTest("escapes: mounts", MOUNTS);
