import { assertEquals } from "@std/assert";
import {
  type FollowedPath,
  followLinks,
  isRootsAlone,
} from "../../../lib/engine/host_paths.ts";

/** Where a path leads; with steps for everything that belongs on a host. */
async function follow(path: string): Promise<string | undefined> {
  return (await followLinks(path, { steps: 1000 })).real;
}

/** Runs a test in a folder of its own; the folder's own path has no links. */
async function inFolder(body: (dir: string) => Promise<void> | void) {
  const made = await Deno.makeTempDir({ prefix: "dpp-paths-" });
  const dir = await Deno.realPath(made);
  try {
    await body(dir);
  } finally {
    await Deno.remove(made, { recursive: true });
  }
}

Deno.test("host paths: what is no link stays as it is", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${dir}/file`, "");
    for (const path of ["/", dir, `${dir}/a`, `${dir}/a/b`, `${dir}/file`]) {
      assertEquals(await follow(path), path);
    }
  }));

Deno.test("host paths: links are followed, at the end and on the way", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/real/sub`, { recursive: true });
    await Deno.writeTextFile(`${dir}/real/sub/file`, "");
    await Deno.symlink(`${dir}/real`, `${dir}/absolute`);
    await Deno.symlink("real/sub", `${dir}/relative`);
    await Deno.symlink("absolute", `${dir}/link-to-link`);
    await Deno.symlink("../..", `${dir}/real/sub/up`);
    await Deno.symlink("/", `${dir}/root`);
    for (
      const [path, real] of [
        ["absolute", `${dir}/real`],
        ["relative", `${dir}/real/sub`],
        ["relative/file", `${dir}/real/sub/file`],
        ["absolute/sub/file", `${dir}/real/sub/file`],
        ["link-to-link/sub", `${dir}/real/sub`],
        ["real/sub/up", dir],
        ["real/sub/up/real/sub/up/absolute", `${dir}/real`],
        ["root", "/"],
        ["root/dev", "/dev"],
      ]
    ) {
      assertEquals(await follow(`${dir}/${path}`), real, path);
    }
  }));

Deno.test("host paths: of what does not exist, the nearest existing parent counts", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/real`);
    await Deno.writeTextFile(`${dir}/file`, "");
    await Deno.symlink(`${dir}/real`, `${dir}/link`);
    await Deno.symlink("/", `${dir}/root`);
    for (
      const [path, real] of [
        [`${dir}/new`, `${dir}/new`],
        [`${dir}/new/er/est`, `${dir}/new/er/est`],
        [`${dir}/link/new/er`, `${dir}/real/new/er`],
        [`${dir}/root/no-such-thing`, "/no-such-thing"],
        ["/no-such-thing/at/all", "/no-such-thing/at/all"],
        // A file is no folder; the engine will refuse this one itself.
        [`${dir}/file/below`, `${dir}/file/below`],
      ]
    ) {
      assertEquals(await follow(path), real, path);
    }
  }));

Deno.test("host paths: a link that leads nowhere can't be followed", () =>
  inFolder(async (dir) => {
    await Deno.symlink(`${dir}/later`, `${dir}/nowhere`);
    await Deno.symlink("nowhere", `${dir}/twice`);
    await Deno.symlink("loop", `${dir}/loop`);
    await Deno.symlink("pong", `${dir}/ping`);
    await Deno.symlink("ping", `${dir}/pong`);
    for (
      const path of [
        "nowhere",
        "nowhere/below",
        "nowhere/below/that",
        "twice",
        "loop",
        "loop/below",
        "ping",
      ]
    ) {
      assertEquals(await follow(`${dir}/${path}`), undefined, path);
    }
  }));

Deno.test("host paths: links are followed anew each time", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/one`);
    await Deno.mkdir(`${dir}/two`);
    await Deno.symlink("one", `${dir}/link`);
    assertEquals(await follow(`${dir}/link`), `${dir}/one`);
    await Deno.remove(`${dir}/link`);
    await Deno.symlink("two", `${dir}/link`);
    assertEquals(await follow(`${dir}/link`), `${dir}/two`);
  }));

Deno.test({
  name: "host paths: a link into a process's own view can't be followed",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (dir) => {
      // What is behind /proc/PID/root and its like is the kernel's to say: the
      // text of the link is not where it leads, and the engine's /proc/self is
      // not ours.
      await Deno.mkdir(`${dir}/real`);
      await Deno.symlink(`/proc/self/root${dir}/real`, `${dir}/link`);
      await Deno.symlink("/proc/self", `${dir}/self`);
      for (
        const path of [
          "/proc/self/root/etc",
          "/proc/self/cwd",
          "/proc/self/cwd/new",
          "/proc/thread-self/root",
          `${dir}/link`,
          `${dir}/link/new`,
          `${dir}/self/root${dir}/real`,
          `${dir}/self/cwd`,
        ]
      ) {
        assertEquals(await follow(path), undefined, path);
      }
    }),
});

Deno.test("host paths: names may hold anything but a slash", () =>
  inFolder(async (dir) => {
    const odd = `${dir}/ -*?\n"é😀 \\`;
    await Deno.mkdir(odd);
    await Deno.symlink(odd, `${dir}/link`);
    assertEquals(await follow(`${dir}/link/x y`), `${odd}/x y`);
    assertEquals(await follow(`${odd}/..x/.y`), `${odd}/..x/.y`);
  }));

Deno.test("host paths: a chain of links as long as Linux follows it", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/0`);
    for (let at = 1; at <= 41; at++) {
      await Deno.symlink(`${at - 1}`, `${dir}/${at}`);
    }
    assertEquals(await follow(`${dir}/40`), `${dir}/0`);
    assertEquals(await Deno.realPath(`${dir}/40`), `${dir}/0`);
    const steps = { steps: 1000 };
    assertEquals(await followLinks(`${dir}/41`, steps), {
      problem: "too many links to follow",
    });
  }));

Deno.test("host paths: a path as long as Linux takes it", async () => {
  for (const [name, bytes] of [["a", 1], ["é", 2]] as const) {
    const begin = "/no-such-thing/";
    const longest = begin + name.repeat((4095 - begin.length) / bytes);
    assertEquals(await follow(longest), longest);
    const budget = { steps: 1000 };
    assertEquals(await followLinks(longest + name, budget), {
      problem: "a path has at most 4095 bytes",
    });
    assertEquals(budget.steps, 1000);
  }
});

Deno.test("host paths: each look at the file system is a step of the budget", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    await Deno.symlink("a/b/../b/../..", `${dir}/link`);
    const above = dir.split("/").length - 1;
    const problem = "too many directories and links to follow";
    for (
      const [path, takes, followed] of [
        ["/", 1, { real: "/" }],
        [`${dir}/a/b`, 1 + above + 2, { real: `${dir}/a/b` }],
        // One look is enough to know that it is missing.
        [`${dir}/new/er/est`, 1 + above + 1, { real: `${dir}/new/er/est` }],
        // The link, its text, and the three directories that it names.
        [`${dir}/link`, 1 + above + 2 + 3, { real: dir }],
      ] as [string, number, FollowedPath][]
    ) {
      const budget = { steps: takes };
      assertEquals(await followLinks(path, budget), followed, path);
      assertEquals(budget.steps, 0, path);
      const short = { steps: takes - 1 };
      assertEquals(await followLinks(path, short), { problem }, path);
    }
  }));

Deno.test({
  name: "host paths: root alone decides what a path leads to",
  ignore: Deno.uid() !== 0, // Only root gives files away.
  fn: () =>
    inFolder(async (dir) => {
      await Deno.mkdir(`${dir}/a/b`, { recursive: true });
      const path = `${dir}/a/b`;
      const cases: [mode: number, uid: number, leafUid: number, is: boolean][] =
        [
          [0o755, 0, 0, true],
          [0o755, 0, 1000, true], // Whose it is does not matter.
          [0o775, 0, 0, false],
          [0o757, 0, 0, false],
          [0o755, 1000, 0, false],
          [0o1777, 0, 0, true],
          [0o1777, 0, 1000, false],
        ];
      for (const [mode, uid, leafUid, is] of cases) {
        await Deno.chmod(`${dir}/a`, mode);
        await Deno.chown(`${dir}/a`, uid, uid);
        await Deno.chown(path, leafUid, leafUid);
        assertEquals(
          await isRootsAlone(path),
          is,
          `${mode.toString(8)} ${uid}`,
        );
      }
      await Deno.chown(`${dir}/a`, 0, 0);
      await Deno.chmod(`${dir}/a`, 0o755);
      assertEquals(await isRootsAlone(`${dir}/a/new`), true);
      assertEquals(await isRootsAlone(`${dir}/none/new`), false);
      assertEquals(await isRootsAlone("/"), true);
    }),
});
