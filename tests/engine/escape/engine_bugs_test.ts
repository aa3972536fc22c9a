import { escapeTest } from "./escape.ts";
import { ENGINE_BUGS } from "./ways/engine_bugs.ts";

escapeTest("escapes: engine bugs", ENGINE_BUGS);
