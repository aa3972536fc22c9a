import { assertEquals } from "@std/assert";
import { followLinks } from "../../../lib/engine/host_paths.ts";

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
      assertEquals(followLinks(path), path);
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
      assertEquals(followLinks(`${dir}/${path}`), real, path);
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
      assertEquals(followLinks(path), real, path);
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
      assertEquals(followLinks(`${dir}/${path}`), undefined, path);
    }
  }));

Deno.test("host paths: links are followed anew each time", () =>
  inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/one`);
    await Deno.mkdir(`${dir}/two`);
    await Deno.symlink("one", `${dir}/link`);
    assertEquals(followLinks(`${dir}/link`), `${dir}/one`);
    await Deno.remove(`${dir}/link`);
    await Deno.symlink("two", `${dir}/link`);
    assertEquals(followLinks(`${dir}/link`), `${dir}/two`);
  }));

Deno.test({
  name: "host paths: a link into a process's own view can't be followed",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (dir) => {
      // What is behind /proc/PID/root and its like is the kernel's to say: the text of the link is not where it leads,
      // and the engine's /proc/self is not ours.
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
        assertEquals(followLinks(path), undefined, path);
      }
    }),
});

Deno.test("host paths: names may hold anything but a slash", () =>
  inFolder(async (dir) => {
    const odd = `${dir}/ -*?\n"é😀 \\`;
    await Deno.mkdir(odd);
    await Deno.symlink(odd, `${dir}/link`);
    assertEquals(followLinks(`${dir}/link/x y`), `${odd}/x y`);
    assertEquals(followLinks(`${odd}/..x/.y`), `${odd}/..x/.y`);
  }));
