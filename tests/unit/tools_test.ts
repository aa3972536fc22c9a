/** What the tools that make the packages say if they can't. */

import project from "../../deno.json" with { type: "json" };
import { homepage } from "../../tools/rpm.ts";
import { changelog } from "../../tools/rpm_changelog.ts";
import { assert, assertEquals } from "../engine/verdict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const TARGET = Deno.build.target;

const { DENORT_BIN: _, ...ENV } = Deno.env.toObject();

async function tool(
  name: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}tools/${name}.ts`, ...args],
    clearEnv: true,
    env: { ...ENV, NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** Runs a test in a directory of its own. */
function toolTest(name: string, body: (dir: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir({ prefix: "dpp-tools-" });
    try {
      await body(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

for (const name of ["rpm", "dist"]) {
  toolTest(`${name} packs no executable but the plugin's`, async (dir) => {
    const script = `${dir}/script`;
    const empty = `${dir}/empty`;
    await Deno.writeTextFile(
      script,
      "#!/bin/sh\necho docker-policy-plugin 1\n",
    );
    await Deno.chmod(script, 0o755);
    await Deno.writeTextFile(empty, "");
    const otherMachine = `${dir}/other`;
    const head = new Uint8Array(64);
    head.set([0x7f, 0x45, 0x4c, 0x46]);
    await Deno.writeFile(otherMachine, head);

    const cases = {
      "/nonexistent": "does not exist",
      [dir]: "can't be read",
      [empty]: "is no ELF executable",
      [script]: "is no ELF executable",
      [otherMachine]: `is for another processor than ${TARGET}`,
      // It is an executable for this machine, but not ours.
      [Deno.execPath()]:
        `is no ${project.name}, its --version says "deno ${Deno.version.deno}`,
    };
    for (const [file, problem] of Object.entries(cases)) {
      const { code, stderr } = await tool(name, [
        ...["--executable", file, "-o", `${dir}/out`],
      ]);
      assertEquals(code, 1);
      assert(stderr.startsWith(`${name}: `), stderr);
      assert(stderr.includes(`--executable: ${file} ${problem}`), stderr);
      assertEquals(stderr.trim().split("\n").length, 1, stderr);
    }
  });
}

toolTest("compile says first what to do without a base", async (dir) => {
  // A target that has no base here yet, and a proxy that isn't there.
  const target = "aarch64-apple-darwin";
  const nowhere = "http://127.0.0.1:1";
  const { code, stderr } = await tool(
    "compile",
    ["--target", target, "-o", `${dir}/program`],
    { HTTPS_PROXY: nowhere, https_proxy: nowhere },
  );
  assertEquals(code, 1);
  const [first, ...more] = stderr.split("\n");
  assertEquals(
    first,
    "compile: the base of the executable can't be downloaded: unpack " +
      `https://dl.deno.land/release/v${Deno.version.deno}/denort-${target}.zip ` +
      "elsewhere, and set DENORT_BIN to the denort in it",
  );
  // What happened stays visible.
  assert(more.some((line) => line.includes("dl.deno.land")), stderr);
});

toolTest("compile says what is wrong with DENORT_BIN", async (dir) => {
  const base = `${dir}/denort`;
  const args = ["--target", TARGET, "-o", `${dir}/program`];
  const advice = `unset it, or name the denort for ${TARGET}`;
  assertEquals(
    (await tool("compile", args, { DENORT_BIN: base })).stderr,
    `compile: DENORT_BIN=${base} does not exist: ${advice}\n`,
  );
  await Deno.writeTextFile(base, "a text, and no program at all");
  assertEquals(
    (await tool("compile", args, { DENORT_BIN: base })).stderr,
    `compile: DENORT_BIN=${base} is no ELF executable: ${advice}\n`,
  );
});

Deno.test("the RPM's URL is where the checkout was cloned from", () => {
  const page = "https://git.example.com/group/plugin";
  const cases: [string, string | undefined][] = [
    [`${page}\n`, page],
    [`${page}.git`, page],
    ["https://me:secret@git.example.com/group/plugin.git", page],
    ["https://token@git.example.com/group/plugin", page],
    ["git@git.example.com:group/plugin.git", page],
    ["ssh://git@git.example.com/group/plugin.git", page],
    ["/srv/git/plugin.git", undefined],
    ["", undefined],
  ];
  for (const [origin, url] of cases) assertEquals(homepage(origin), url);
});

Deno.test("the RPM's changelog is CHANGELOG.md's, as rpm writes it", () => {
  const markdown = `# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.1.0] - 2026-12-01

### Fixed

- **\`100%\`** of [something](docs/x.md), told in so many words that a line of it
  is too long.
- More.

## [1.0.0] - 2026-11-25

- The first.
`;
  assertEquals(
    changelog(markdown),
    `* Tue Dec 01 2026 the authors of ${project.name} - 1.1.0-1
- 100%% of something, told in so many words that a line of it is too long.
- More.

* Wed Nov 25 2026 the authors of ${project.name} - 1.0.0-1
- The first.
`,
  );
});
