import { escapeTest } from "./escape.ts";
import { PLUGINS } from "./ways/plugins.ts";

escapeTest("escapes: plugins", PLUGINS);
