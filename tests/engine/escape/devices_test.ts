import { escapeTest } from "./escape.ts";
import { DEVICES } from "./ways/devices.ts";

escapeTest("escapes: devices", DEVICES);
