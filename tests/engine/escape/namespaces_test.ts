import { escapeTest } from "./escape.ts";
import { NAMESPACES } from "./ways/namespaces.ts";

escapeTest("escapes: namespaces", NAMESPACES);
