import { escapeTest } from "./escape.ts";
import { CALLS } from "./ways/calls.ts";

escapeTest("escapes: calls", CALLS);
