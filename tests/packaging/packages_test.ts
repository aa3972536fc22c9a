/**
 * The packages: what is in them, what they need, and what installing them does.
 */

import project from "../../deno.json" with { type: "json" };
import { makeTarball, run, writeChecksums } from "../../tools/dist.ts";
import { makeRpm } from "../../tools/rpm.ts";
import { which, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { whyNoExecutable } from "../helpers/executable.ts";
import { assert, assertEquals } from "../engine/verdict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const NAME = project.name;
const TARGET = Deno.build.target;
const ARCH = TARGET.slice(0, TARGET.indexOf("-"));
const CONFIG = `${ROOT}packaging/${NAME}.toml`;
const DOCS = [...Deno.readDirSync(`${ROOT}docs`)].map(({ name }) => name)
  .sort();
const EXAMPLES = [...Deno.readDirSync(`${ROOT}examples`)]
  .map(({ name }) => name).sort();

/** RHEL 8 has this GNU C library, 2.28, and later releases have later ones. */
const GLIBC = 28;

/** What rpmlint says of every such package, and why it may. */
const RPMLINT = `
ValidLicenses = ["MIT"]
Filters = [
  "no-signature",             # whoever publishes it signs it
  "no-packager-tag",          # likewise
  "no-group-tag",             # of no use since RHEL 6
  "no-changelogname-tag",     # the history is in git
  "no-%build-section",        # it packs what is built already
  "no-buildroot-tag",         # rpmbuild knows by itself
  "invalid-url Source0",      # the tarball is made from this checkout
  "only-non-binary-in-usr-lib",     # units
  "no-manual-page-for-binary",      # it is in section 8, as a daemon's
  "manpage-not-compressed bz2",     # gzip, as RHEL does
]
`;

/** Runs a test in a directory of its own. */
function packageTest(
  name: string,
  missing: string | undefined,
  body: (dir: string, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test(unless(missing, {
    name,
    fn: async (t) => {
      const dir = await Deno.makeTempDir({ prefix: "dpp-packaging-" });
      try {
        await body(dir, t);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  }));
}

const noTools = await whyNo({
  "go-md2man": "go-md2man",
  tar: "tar",
  gzip: "gzip",
  sha256sum: "coreutils",
});

packageTest(
  "the tarball",
  noTools,
  async (dir, t) => {
    // What is in the executable makes no difference here.
    await Deno.writeTextFile(`${dir}/program`, "#!/bin/sh\n");
    const tarball = await makeTarball(TARGET, dir, `${dir}/program`);
    const top = `${NAME}-${project.version}-${ARCH}`;

    await t.step("it is all there, for everybody to read", async () => {
      const listed = await run(["tar", "--list", "--verbose", "-f", tarball]);
      const entries = listed.trim().split("\n").map((line) => line.split(/\s+/))
        .map(([mode, owner, , , , path]) => `${mode} ${owner} ${path}`);
      assertEquals(entries, [
        `drwxr-xr-x 0/0 ${top}/`,
        `-rw-r--r-- 0/0 ${top}/CHANGELOG.md`,
        `-rw-r--r-- 0/0 ${top}/LICENSE`,
        `-rw-r--r-- 0/0 ${top}/README.md`,
        `-rw-r--r-- 0/0 ${top}/SECURITY.md`,
        `-rwxr-xr-x 0/0 ${top}/${NAME}`,
        `-rw-r--r-- 0/0 ${top}/${NAME}.8`,
        `-rw-r--r-- 0/0 ${top}/${NAME}.sysconfig`,
        `-rw-r--r-- 0/0 ${top}/${NAME}.toml`,
        `drwxr-xr-x 0/0 ${top}/docs/`,
        ...DOCS.map((name) => `-rw-r--r-- 0/0 ${top}/docs/${name}`),
        `drwxr-xr-x 0/0 ${top}/examples/`,
        ...EXAMPLES.map((name) => `-rw-r--r-- 0/0 ${top}/examples/${name}`),
        `drwxr-xr-x 0/0 ${top}/prometheus/`,
        `-rw-r--r-- 0/0 ${top}/prometheus/alerts.yml`,
        `drwxr-xr-x 0/0 ${top}/systemd/`,
        `-rw-r--r-- 0/0 ${top}/systemd/${NAME}.service`,
        `-rw-r--r-- 0/0 ${top}/systemd/${NAME}.socket`,
      ]);
    });

    await t.step("the same content makes the same tarball", async () => {
      const again = await makeTarball(
        TARGET,
        `${dir}/again`,
        `${dir}/program`,
      );
      assertEquals(await Deno.readFile(again), await Deno.readFile(tarball));
    });

    await t.step("its checksum stands beside it", async () => {
      await writeChecksums(dir);
      const sums = await Deno.readTextFile(`${dir}/SHA256SUMS`);
      assertEquals(sums.trimEnd().split("\n").length, 1);
      const checked = await run(["sha256sum", "-c", "SHA256SUMS"], {
        cwd: dir,
      });
      assertEquals(checked, `${top}.tar.gz: OK\n`);
    });
  },
);

const noRpm = noTools ?? await whyNo({ rpm: "rpm", rpmbuild: "rpm" });
let rpm = "";
let noPackage = noRpm;
if (!noPackage) {
  const dir = await Deno.makeTempDir({ prefix: "dpp-rpm-" });
  globalThis.addEventListener(
    "unload",
    () => Deno.removeSync(dir, { recursive: true }),
  );
  noPackage = await whyNoExecutable(`${dir}/${NAME}`);
  if (!noPackage) rpm = await makeRpm(TARGET, dir, `${dir}/${NAME}`);
}

const lines = (text: string) => text.trim().split("\n");

packageTest("the RPM has what it should have", noPackage, async () => {
  const listed = lines(await run(["rpm", "-qpl", rpm]))
    // RHEL and Debian name the directories of documents differently.
    .map((path) => path.replace(`${NAME}-${project.version}`, NAME));
  assertEquals(listed, [
    "/etc/docker",
    `/etc/docker/${NAME}.toml.example`,
    `/etc/sysconfig/${NAME}`,
    `/usr/bin/${NAME}`,
    `/usr/lib/systemd/system/${NAME}.service`,
    `/usr/lib/systemd/system/${NAME}.socket`,
    "/usr/libexec/docker",
    `/usr/libexec/docker/${NAME}`,
    `/usr/share/doc/${NAME}`,
    `/usr/share/doc/${NAME}/CHANGELOG.md`,
    `/usr/share/doc/${NAME}/README.md`,
    `/usr/share/doc/${NAME}/SECURITY.md`,
    `/usr/share/doc/${NAME}/docs`,
    ...DOCS.map((name) => `/usr/share/doc/${NAME}/docs/${name}`),
    `/usr/share/doc/${NAME}/examples`,
    ...EXAMPLES.map((name) => `/usr/share/doc/${NAME}/examples/${name}`),
    `/usr/share/doc/${NAME}/prometheus`,
    `/usr/share/doc/${NAME}/prometheus/alerts.yml`,
    `/usr/share/licenses/${NAME}`,
    `/usr/share/licenses/${NAME}/LICENSE`,
    `/usr/share/man/man8/${NAME}.8.gz`,
  ]);
  const config = lines(await run(["rpm", "-qpc", rpm]));
  assertEquals(config, [
    `/etc/docker/${NAME}.toml.example`,
    `/etc/sysconfig/${NAME}`,
  ]);
  const format = "%{VERSION} %{LICENSE} %{ARCH} %{OS}\n";
  const header = await run(["rpm", "-qp", "--queryformat", format, rpm]);
  assertEquals(header, `${project.version} MIT ${ARCH} linux\n`);
});

packageTest("the RPM can be installed on RHEL 8", noPackage, async () => {
  const needs = lines(await run(["rpm", "-qpR", rpm]));
  const versions = needs.map((each) => /\(GLIBC_2\.(\d+)/.exec(each)?.[1])
    .filter((each) => each !== undefined).map(Number);
  assert(versions.length > 0, needs.join("\n"));
  assert(Math.max(...versions) <= GLIBC, needs.join("\n"));
  const features = needs.filter((each) => each.startsWith("rpmlib("));
  // What rpm 4.14 can't read would be named here: another compression, for one.
  assertEquals(features.map((each) => each.split(" ")[0]).sort(), [
    "rpmlib(CompressedFileNames)",
    "rpmlib(FileDigests)",
    "rpmlib(PayloadFilesHavePrefix)",
  ]);
});

const noRpmlint = await whyNo({ rpmlint: "rpmlint" });
packageTest(
  "rpmlint finds nothing",
  noPackage ?? noRpmlint,
  async (dir) => {
    await Deno.writeTextFile(`${dir}/rpmlint.toml`, RPMLINT);
    const spec = `${ROOT}packaging/${NAME}.spec`;
    const said = await run(["rpmlint", "-c", `${dir}/rpmlint.toml`, rpm, spec]);
    assert(/ 0 errors, 0 warnings,/.test(said), said);
  },
);

/** A static busybox, for a root in which there is nothing else. */
async function shell(): Promise<string | undefined> {
  const busybox = await which("busybox");
  const head = busybox && new TextDecoder("latin1").decode(
    (await Deno.readFile(busybox)).subarray(0, 4096),
  );
  return head && !head.includes("/ld-") ? busybox : undefined;
}

const busybox = await shell();
const noRoot = Deno.uid() !== 0
  ? "it needs root, to change into another one"
  : busybox === undefined
  ? "no static busybox: install busybox-static"
  : undefined;
packageTest(
  "the RPM is installed, upgraded and removed",
  noPackage ?? noRoot,
  async (dir, t) => {
    const root = `${dir}/root`;
    const log = `${root}/systemctl.log`;
    const example = `${root}/etc/docker/${NAME}.toml.example`;
    // Other packages than this are not there, so what it needs is not looked
    // for.
    const install = async (...args: string[]) => {
      await Deno.writeTextFile(log, "");
      const said = await run(["rpm", "--root", root, "--nodeps", ...args]);
      return { said, calls: lines(await Deno.readTextFile(log)) };
    };
    await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
    await Deno.symlink("usr/bin", `${root}/bin`);
    await Deno.copyFile(busybox!, `${root}/bin/busybox`);
    await Deno.symlink("busybox", `${root}/bin/sh`);
    await Deno.symlink("busybox", `${root}/bin/grep`);
    await Deno.writeTextFile(
      `${root}/bin/systemctl`,
      '#!/bin/sh\necho "$*" >>/systemctl.log\n',
      { mode: 0o755 },
    );
    const units = `${NAME}.socket ${NAME}.service`;

    await t.step("installed, it runs", async () => {
      const { calls } = await install("-i", rpm);
      assertEquals(calls, [`--no-reload preset ${units}`]);
      // The link that the documents' commands need.
      const program = `${root}/usr/bin/${NAME}`;
      assertEquals(
        await Deno.realPath(program),
        `${await Deno.realPath(root)}/usr/libexec/docker/${NAME}`,
      );
      const version = await run([program, "--version"]);
      assert(version.startsWith(`${NAME} ${project.version} (`), version);
      const verify = ["rpm", "--root", root, "--verify", "--nodeps", NAME];
      assertEquals(await run(verify), "");
    });

    await t.step("no policy changes by it", async () => {
      assertEquals(
        await Deno.stat(`${root}/etc/docker/${NAME}.toml`)
          .then(() => "a file", () => "no file"),
        "no file",
      );
      assertEquals(
        await Deno.readTextFile(example),
        await Deno.readTextFile(CONFIG),
      );
    });

    await t.step("its man page can be read", async () => {
      const page = `${root}/usr/share/man/man8/${NAME}.8.gz`;
      const text = await run(["gzip", "-dc", page]);
      assert(text.includes(`.TH "${NAME.toUpperCase()}" "8"`), text);
    });

    await t.step("upgraded, it is restarted and keeps the file", async () => {
      const options = `${root}/etc/sysconfig/${NAME}`;
      await Deno.writeTextFile(example, "# mine\n");
      await Deno.writeTextFile(options, "OPTIONS=--debug\n");
      const { calls } = await install("-U", "--replacepkgs", rpm);
      assertEquals(calls, ["daemon-reload", `try-restart ${NAME}.service`]);
      assertEquals(await Deno.readTextFile(example), "# mine\n");
      assertEquals(await Deno.readTextFile(options), "OPTIONS=--debug\n");
    });

    await t.step("removed, it warns of an engine that names it", async () => {
      await Deno.writeTextFile(
        `${root}/etc/docker/daemon.json`,
        JSON.stringify({ "authorization-plugins": [NAME] }),
      );
      await Deno.writeTextFile(log, "");
      const { stderr } = await new Deno.Command("rpm", {
        args: ["--root", root, "-e", NAME],
      }).output();
      const said = new TextDecoder().decode(stderr);
      assert(said.includes("the engine refuses every call"), said);
      assertEquals(
        await Deno.readTextFile(log),
        `--no-reload disable --now ${units}\n`,
      );
      assertEquals(
        await Deno.lstat(`${root}/usr/libexec/docker/${NAME}`)
          .then(() => "there", () => "gone"),
        "gone",
      );
    });
  },
);
