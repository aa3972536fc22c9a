import { escapeTest } from "./escape.ts";
import { LOGS } from "./ways/logs.ts";

escapeTest("escapes: logs", LOGS);
