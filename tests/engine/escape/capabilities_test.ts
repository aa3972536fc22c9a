import { escapeTest } from "./escape.ts";
import { CAPABILITIES } from "./ways/capabilities.ts";

escapeTest("escapes: capabilities", CAPABILITIES);
