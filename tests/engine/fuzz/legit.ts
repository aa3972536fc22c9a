/**
 * What well-behaved clients send: recordings of them under
 * `tests/corpus/legit/`, and how to say the same in other words.
 *
 * What differs from engine to engine stands in a recording as `<<dir>>` (a
 * folder of the test's own), `<<base>>` (the ID of the image base:1), and
 * `<<3.hex.1>>`, `<<3.hex.1.12>>`, `<<3.swarm.0>>`: of the answer to call 3 the
 * second ID of 64 digits (counting from 0), or its first 12 digits, or the
 * first of swarm's 25 characters.
 */

import fc from "fast-check";
import { type Draft, draft, render } from "./draft.ts";
import { fromValue, members, type Node, nodes } from "./json.ts";

/** One client's calls. */
export interface Recording {
  /** Client and version. */
  client: string;
  /** What it was told to do. */
  about: string;
  calls: RecordedCall[];
}

/** One call. */
export interface RecordedCall {
  method: string;
  /** Without the version, which is `version` if there was one. */
  target: string;
  version?: string;
  /** All but those of the framing. */
  headers: [name: string, value: string][];
  framing: "length" | "chunked" | "none";
  /** JSON text, or what sort of archive it was. */
  body?: string | { archive: "image" | "file" | "context" };
  /** What the engine of the recording answered; 0 for nothing. */
  status: number;
}

/**
 * The plugin's configuration before them: all policies, all images, and of the
 * privileges what an administrator has to allow for what these clients do.
 *
 * @param dir the folder that bind mounts come from
 */
export function configFor(dir: string): string {
  return `
[volumes]
allow-bind = ["${dir}"]

[images]
default-allow = true

[push]

[privileges]
allow-swarm = true
# docker-py, docker-java, dockerode and the old docker build without BuildKit.
allow-classic-build = true
allow-buildkit = true
`;
}

/** Where the recordings are. */
export const RECORDINGS = new URL("../../corpus/legit/", import.meta.url);

/**
 * Reads all recordings.
 *
 * @returns them by file name, in the names' order
 */
export async function readRecordings(): Promise<[string, Recording][]> {
  const all: [string, Recording][] = [];
  for await (const { name } of Deno.readDir(RECORDINGS)) {
    const text = await Deno.readTextFile(new URL(name, RECORDINGS));
    all.push([name, JSON.parse(text) as Recording]);
  }
  return all.sort(([a], [b]) => a < b ? -1 : 1);
}

const ID = {
  hex: /(?<![0-9a-z])[0-9a-f]{64}(?![0-9a-z])/g,
  swarm: /(?<![0-9a-z])[0-9a-z]{25}(?![0-9a-z])/g,
};

/** A kind of ID. */
export type IdKind = keyof typeof ID;

/** Both kinds. */
export const ID_KINDS = Object.keys(ID) as IdKind[];

/** The IDs of a kind in a text, each once. */
export function longIds(text: string, kind: IdKind): string[] {
  return [...new Set(text.match(ID[kind]) ?? [])];
}

/**
 * Puts in what differs from engine to engine.
 *
 * @param text with placeholders
 * @param fixed values by name
 * @param answers to the calls so far
 * @returns the text
 */
export function fillIn(
  text: string,
  fixed: Record<string, string>,
  answers: readonly string[],
): string {
  return text.replace(
    /<<(\d+)\.(hex|swarm)\.(\d+)(?:\.(\d+))?>>/g,
    (_, call, kind, nth, digits) => {
      const id = longIds(answers[Number(call)] ?? "", kind)[Number(nth)] ??
        "0".repeat(64);
      return digits === undefined ? id : id.slice(0, Number(digits));
    },
  ).replace(/<<(\w+)>>/g, (whole, name) => fixed[name] ?? whole);
}

/** What changes depend on. */
export interface Generation {
  major: number;
  /** The newest API that it speaks, as "1.51". */
  api: string;
  /** The oldest. */
  oldestApi: string;
}

/** A change that means nothing. */
export interface Nuance {
  says: string;
  on(draft: Draft, engine: Generation): void;
}

const mask = fc.nat(0xffff);

function nuance<A>(
  says: string,
  parameter: fc.Arbitrary<A>,
  apply: (
    draft: Draft,
    value: A,
    engine: Generation,
  ) => void,
): fc.Arbitrary<Nuance> {
  return parameter.map((value) => ({
    says: `${says}(${JSON.stringify(value)})`,
    on: (draft, engine) => apply(draft, value, engine),
  }));
}

function jsonOf(draft: Draft): Node | undefined {
  return draft.body instanceof Uint8Array ? undefined : draft.body;
}

/** All the changes that mean nothing. */
export const nuances: fc.Arbitrary<Nuance> = fc.oneof(
  nuance("order of keys", fc.nat(5), (draft, turn) => {
    const body = jsonOf(draft);
    if (!body) return;
    for (const node of nodes(body)) {
      if (node.kind !== "object") continue;
      const { members } = node;
      members.push(...members.splice(0, turn % (members.length + 1)));
      if (turn % 2) members.reverse();
    }
  }),
  nuance("white space", fc.integer({ min: 1, max: 1e6 }), (draft, spacing) => {
    draft.spacing = spacing;
    if (jsonOf(draft)) {
      draft.lead = "\n";
      draft.trail = " \r\n";
    }
  }),
  nuance("escapes", mask, (draft, bits) => {
    const body = jsonOf(draft);
    if (!body) return;
    for (const { member } of members(body)) member.key.escapes = bits;
    for (const node of nodes(body)) {
      if (node.kind === "string") node.escapes = bits;
    }
  }),
  nuance(
    "case of the headers",
    fc.constantFrom("lower", "upper"),
    (draft, to) => {
      draft.headers = draft.headers.map(([name, value]) => [
        to === "lower" ? name.toLowerCase() : name.toUpperCase(),
        value,
      ]);
    },
  ),
  nuance("order of the headers", fc.constant(0), (draft) => {
    draft.headers.reverse();
  }),
  nuance(
    "one more header",
    fc.constantFrom("X-Request-Id: 1", "Accept-Encoding: gzip", "Via: 1.1 x"),
    (draft, header) => {
      const [name, value] = header.split(": ");
      draft.headers.push([name, value]);
    },
  ),
  nuance(
    "version",
    fc.constantFrom("", "newest", "/v1.24", "/v1.30", "/v1.40", "/v1.41"),
    (draft, version, { api, oldestApi }) => {
      const minor = (text: string) => Number(text.replace(/.*\./, ""));
      // What the engine does not speak is refused before a plugin is asked.
      draft.version = version === "newest"
        ? `/v${api}`
        : version !== "" && minor(version) < minor(oldestApi)
        ? `/v${oldestApi}`
        : version;
    },
  ),
  nuance("escapes in the path", mask, (draft, bits) => {
    draft.percent = bits;
  }),
  nuance("order of the query", fc.constant(0), (draft) => {
    // The first of two equal keys counts.
    const names = draft.query.map((pair) => pair.split("=")[0]);
    if (new Set(names).size === names.length) draft.query.reverse();
  }),
  nuance("absolute form", fc.constant("http://docker"), (draft, authority) => {
    draft.authority = authority;
  }),
  nuance(
    "charset",
    fc.constantFrom("; charset=utf-8", ";charset=UTF-8"),
    (draft, charset) => {
      draft.headers = draft.headers.map(([name, value]) =>
        /^content-type$/i.test(name) && value === "application/json"
          ? [name, value + charset]
          : [name, value]
      );
    },
  ),
  nuance("chunks", fc.constantFrom(1, 20, 4096), (draft, size, { major }) => {
    // Older engines keep such a body to themselves.
    if (major < 25 || !jsonOf(draft)) return;
    draft.framing = { kind: "chunked", size, says: "chunked" };
  }),
);

/**
 * A recorded call as a draft.
 *
 * @param call the call
 * @param fill puts in what differs from engine to engine
 * @param archives the bodies that were not kept
 * @returns the draft
 */
export function draftOf(
  call: RecordedCall,
  fill: (text: string) => string,
  archives: Record<"image" | "file" | "context", Uint8Array>,
): Draft {
  const [path, query] = split(fill(call.target));
  return draft({
    method: call.method,
    version: call.version === undefined ? "" : `/v${call.version}`,
    path: decodeURIComponent(path),
    query: query === undefined ? [] : query.split("&"),
    headers: call.headers.map(([name, value]) => [name, fill(value)]),
    body: call.body === undefined
      ? undefined
      : typeof call.body === "string"
      ? fromValue(JSON.parse(fill(call.body)))
      : archives[call.body.archive],
    framing: call.framing === "chunked"
      ? { kind: "chunked", size: 4096, says: "chunked" }
      : { kind: call.framing },
  });
}

function split(target: string): [path: string, query: string | undefined] {
  const mark = target.indexOf("?");
  return mark < 0
    ? [target, undefined]
    : [target.slice(0, mark), target.slice(mark + 1)];
}

/** A draft as bytes. */
export function bytesOf(draft: Draft): Uint8Array {
  return render(draft).bytes;
}
