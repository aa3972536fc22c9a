/**
 * Requests that once got past a plugin, as files that are replayed in every
 * run.
 *
 * A request is kept byte for byte; what differs from engine to engine stands in
 * it as `<<container plain>>`, `<<image volume>>`, `<<service old>>` or
 * `<<version old>>`. IDs have the same length everywhere, so that lengths stay
 * right.
 */

import { join } from "../raw_http.ts";
import type { Shot } from "./draft.ts";
import type { Target } from "./target.ts";

/** One file. */
export interface Entry {
  /** What is odd about the request. */
  title: string;
  /** Which plugins or engines it got past, and why. */
  story: string;
  /** Majors of the engines on which it does harm without the plugin. */
  harms: number[];
  /**
   * Which line stops it, the first by default. A service whose image can't be
   * looked at is allowed, and decided on when its tasks come.
   */
  line?: "third";
  /** The rules that deny it, one of them on each engine. */
  rules?: string[];
  /** What it is aimed at: `volumes` by default. */
  target?: "doors" | "privileges";
  /** The image store that it needs; the classic one by default. */
  store?: "containerd";
  /** The bytes, as Latin-1 text or as a text that is repeated. */
  request: (string | { repeat: string; times: number })[];
  /** How many requests these are; 1 by default. */
  requests?: number;
  /** Whether the engine waits for more bytes than there are. */
  starved?: boolean;
}

/** The plugin's configuration before what a file is aimed at. */
export const CONFIGS: Record<NonNullable<Entry["target"]> | "volumes", string> =
  {
    volumes: "[volumes]\n",
    privileges: '[volumes]\nallow-bind = ["/srv/"]\n\n[privileges]\n',
    // All that may come in is `good` of one registry; the other is Docker Hub.
    doors: `
[images]
whitelist = ["^localhost:5002/good:"]
blacklist = ["^docker:"]

[push]
`,
  };

/** Where the files are. */
export const CORPUS = new URL("../../corpus/", import.meta.url);

/**
 * Reads all files.
 *
 * @returns their content by name, in the names' order
 */
export async function readCorpus(): Promise<[string, Entry][]> {
  const entries: [string, Entry][] = [];
  for await (const { name, isFile } of Deno.readDir(CORPUS)) {
    if (!isFile || !name.endsWith(".json")) continue;
    const text = await Deno.readTextFile(new URL(name, CORPUS));
    entries.push([name, JSON.parse(text) as Entry]);
  }
  return entries.sort(([a], [b]) => a < b ? -1 : 1);
}

/**
 * The bytes of a file for one engine.
 *
 * @param target tells what stands for the placeholders
 * @param entry the file
 * @returns what to send
 */
export function load(
  target: { names(): ReadonlyMap<string, string> },
  entry: Entry,
): Shot {
  const known = target.names();
  const parts = entry.request.map((part) =>
    typeof part === "string"
      ? bytes(part.replace(/<<([^>]+)>>/g, (whole, name) => {
        const value = known.get(name);
        if (value === undefined) throw new Error(`what is ${whole}?`);
        return value;
      }))
      : bytes(part.repeat.repeat(part.times))
  );
  return {
    bytes: join(parts),
    answers: entry.requests ?? 1,
    starved: entry.starved ?? false,
  };
}

/**
 * The other way round: bytes as they are kept.
 *
 * @param target what they were aimed at
 * @param shot what was sent
 * @returns the fields of a file that follow from it
 */
export function keep(
  target: Target,
  shot: Shot,
): Pick<Entry, "request" | "requests" | "starved"> {
  let text = "";
  for (let at = 0; at < shot.bytes.length; at += 8192) {
    text += String.fromCharCode(...shot.bytes.subarray(at, at + 8192));
  }
  for (const [name, value] of target.names()) {
    if (name.startsWith("version ")) {
      text = text.replaceAll(`version=${value}`, `version=<<${name}>>`);
    } else text = text.replaceAll(value, `<<${name}>>`);
  }
  return {
    request: text.split(/( {1000,})/).filter((part) => part !== "").map(
      (part) =>
        /^ {1000,}$/.test(part) ? { repeat: " ", times: part.length } : part,
    ),
    ...(shot.answers !== 1 && { requests: shot.answers }),
    ...(shot.starved && { starved: true }),
  };
}

/** Latin-1, and fast with a mebibyte. */
function bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
