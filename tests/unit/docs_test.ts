/** The documents: what they link to is there, and what the code has they tell of. */
import { assert, assertEquals } from "@std/assert";
import { ENDPOINTS } from "../../lib/call/endpoints.ts";
import { HELP } from "../../lib/cli/args.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { showPrivileges } from "../../lib/config/sections.ts";
import { Metrics } from "../../lib/metrics.ts";
import {
  CONFIG,
  HOST_CONFIG,
  TASK,
} from "../../lib/policy/rules/host_config.ts";
import { STANDING } from "./standing.ts";
import project from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

const DOCUMENTS = [ROOT, new URL("docs/", ROOT)].flatMap((dir) =>
  [...Deno.readDirSync(dir)].filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => new URL(name, dir))
);

function read(path: string | URL): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** Headings as links name them: GitHub's rule for letters, digits and spaces. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

function exists(file: URL): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch {
    return false;
  }
}

Deno.test("every link of the documents leads somewhere", () => {
  const dead: string[] = [];
  for (const document of DOCUMENTS) {
    const text = read(document);
    for (const [, to] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(to)) continue;
      const [path, anchor] = to.split("#");
      const file = path === "" ? document : new URL(path, document);
      const there = exists(file) &&
        (anchor === undefined || anchors(read(file)).includes(anchor));
      if (!there) dead.push(`${document.pathname}: ${to}`);
    }
  }
  assertEquals(dead, []);
});

Deno.test("every path that the documents name is there", () => {
  const gone: string[] = [];
  for (const document of DOCUMENTS) {
    const paths = read(document).matchAll(
      /`((?:lib|man|packaging|systemd|tests|tools|docs|\.ci|\.github)\/[\w./-]*)`/g,
    );
    for (const [, path] of paths) {
      if (!exists(new URL(path, ROOT))) {
        gone.push(`${document.pathname}: ${path}`);
      }
    }
  }
  assertEquals(gone, []);
});

Deno.test("docs/security.md tells of every guarded call", () => {
  const rows = [
    ...read("docs/security.md").matchAll(
      /^\| `((?:GET|HEAD|POST|PUT|DELETE) [^`]+)` /gm,
    ),
  ].map(([, call]) => call);
  assertEquals(rows, ENDPOINTS.map(({ method, path }) => `${method} ${path}`));
});

Deno.test("docs/privileges.md tells of every field, and of every key", () => {
  const page = read("docs/privileges.md");
  const rows = [...page.matchAll(/^\| `([A-Z]\w+)` +\|(.*)\|$/gm)]
    .map(([, field, rest]) => [
      field,
      ...rest.split("|").map((cell) => cell.trim()),
    ]);
  const expected = [...HOST_CONFIG, ...CONFIG, ...TASK]
    .map(({ field, option, answer, keys = [], why }) => [
      field,
      option ? `\`${option}\`` : "",
      answer,
      [...keys.map((key) => `\`${key}\``), ...(why ? [why] : [])].join("; "),
    ]);
  assertEquals(rows, expected);

  const keys = parseConfig("x", "[privileges]\n").privileges!;
  const named = Object.keys(showPrivileges(keys))
    .filter((key) => !/^(enforce|allow-(user|group))$/.test(key));
  assertEquals(
    [...page.matchAll(/^\| `([a-z-]+) = /gm)].map(([, key]) => key),
    named,
  );
});

Deno.test("docs/configure.md tells of every option, key and count", () => {
  const page = read("docs/configure.md");
  const words = [
    ...HELP.matchAll(/--[a-z-]+/g),
    ...read(`packaging/${project.name}.toml`).matchAll(
      /(?<=^#)[a-z-]+(?= =)/gm,
    ),
    ...new Metrics().format(STANDING)
      .matchAll(/(?<=# HELP )\S+/g),
  ].map(([word]) => word);
  assert(words.length > 30, words.join(" "));
  assertEquals([...new Set(words)].filter((word) => !page.includes(word)), []);
});

Deno.test("CHANGELOG.md tells of this version", () => {
  assert(read("CHANGELOG.md").includes(`\n## [${project.version}] - `));
});
