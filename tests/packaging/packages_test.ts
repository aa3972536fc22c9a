/**
 * The packages: what is in them, what they need, and what installing them does.
 */

import { Ajv } from "ajv";
import project from "../../deno.json" with { type: "json" };
import { makeTarball, run, writeChecksums } from "../../tools/dist.ts";
import { makeRpm, signRpm } from "../../tools/rpm.ts";
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

/** What is below a directory of packaging/, directories with a slash. */
function below(directory: string): string[] {
  return [...Deno.readDirSync(`${ROOT}packaging/${directory}`)]
    .flatMap(({ name, isDirectory }) => {
      const path = `${directory}/${name}`;
      return isDirectory ? [`${path}/`, ...below(path)] : [path];
    }).sort();
}
const EXTRAS = [
  "ansible/",
  ...below("ansible"),
  "haproxy/",
  ...below("haproxy"),
];

/** RHEL 8 has this GNU C library, 2.28, and later releases have later ones. */
const GLIBC = 28;

/** What rpmlint says of such a package, and why it may. */
const RPMLINT = `
# It knows the licences only if it is told.
ValidLicenses = ["MIT"]
Filters = [
  "unknown-key",              # that of the test, which no rpm database has
  "no-url-tag",               # a checkout that was cloned from nowhere
  "no-packager-tag",          # whoever signs it is the packager
  "no-group-tag",             # of no use since RHEL 6
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
    // As every executable, it tells which Deno it has.
    await Deno.writeTextFile(`${dir}/program`, "#!/bin/sh\n# Deno/2.9.6\n");
    const tarball = await makeTarball(TARGET, dir, `${dir}/program`);
    const top = `${NAME}-${project.version}-${ARCH}`;

    await t.step("it is all there, for everybody to read", async () => {
      const listed = await run(["tar", "--list", "--verbose", "-f", tarball]);
      const entries = listed.trim().split("\n").map((line) => line.split(/\s+/))
        .map(([mode, owner, , , , path]) => `${mode} ${owner} ${path}`);
      const byPath = (a: string, b: string) =>
        a.slice(a.indexOf(top)) < b.slice(b.indexOf(top)) ? -1 : 1;
      assertEquals(
        entries.sort(byPath),
        [
          `drwxr-xr-x 0/0 ${top}/`,
          `-rw-r--r-- 0/0 ${top}/CHANGELOG.md`,
          `-rw-r--r-- 0/0 ${top}/LICENSE`,
          `-rw-r--r-- 0/0 ${top}/README.md`,
          `-rw-r--r-- 0/0 ${top}/SECURITY.md`,
          `-rwxr-xr-x 0/0 ${top}/${NAME}`,
          `-rw-r--r-- 0/0 ${top}/${NAME}.8`,
          `-rw-r--r-- 0/0 ${top}/${NAME}.cdx.json`,
          `-rw-r--r-- 0/0 ${top}/${NAME}.sysconfig`,
          `-rw-r--r-- 0/0 ${top}/${NAME}.toml`,
          `-rw-r--r-- 0/0 ${top}/${NAME}.toml.5`,
          `drwxr-xr-x 0/0 ${top}/docs/`,
          ...DOCS.map((name) => `-rw-r--r-- 0/0 ${top}/docs/${name}`),
          `drwxr-xr-x 0/0 ${top}/examples/`,
          ...EXAMPLES.map((name) => `-rw-r--r-- 0/0 ${top}/examples/${name}`),
          `drwxr-xr-x 0/0 ${top}/prometheus/`,
          `-rw-r--r-- 0/0 ${top}/prometheus/alerts.yml`,
          `drwxr-xr-x 0/0 ${top}/systemd/`,
          `-rw-r--r-- 0/0 ${top}/systemd/${NAME}.service`,
          `-rw-r--r-- 0/0 ${top}/systemd/${NAME}.socket`,
          ...EXTRAS.map((path) =>
            (path.endsWith("/") ? "drwxr-xr-x" : "-rw-r--r--") +
            ` 0/0 ${top}/${path}`
          ),
        ].sort(byPath),
      );
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
      assertEquals(sums.trimEnd().split("\n").length, 2);
      const checked = await run(["sha256sum", "-c", "SHA256SUMS"], {
        cwd: dir,
      });
      assertEquals(checked, `${top}.cdx.json: OK\n${top}.tar.gz: OK\n`);
    });
  },
);

/** A key that gpg makes in a directory of its own, for a test. */
async function throwAwayKey(
  dir: string,
): Promise<{ key: string; home: string; file: string }> {
  const home = `${dir}/gnupg`;
  const key = "Nobody <nobody@example.com>";
  const file = `${dir}/key.asc`;
  await Deno.mkdir(home, { mode: 0o700 });
  Deno.env.set("GNUPGHOME", home);
  await run([
    ...["gpg", "--batch", "--passphrase", "", "--quick-generate-key"],
    ...[key, "rsa3072", "sign", "never"],
  ]);
  const text = await run(["gpg", "--batch", "--armor", "--export", key]);
  await Deno.writeTextFile(file, text);
  return { key, home, file };
}

/** Ends what gpg has started for such a key. */
async function forgetKey(): Promise<void> {
  await run(["gpgconf", "--kill", "all"]);
  Deno.env.delete("GNUPGHOME");
}

packageTest(
  "the checksums are signed by a key that is given",
  await whyNo({ gpg: "gnupg", gpgv: "gpgv", sha256sum: "coreutils" }),
  async (dir) => {
    const { key, file } = await throwAwayKey(dir);
    try {
      await Deno.writeTextFile(`${dir}/x.tar.gz`, "x");
      await writeChecksums(dir, key);
      const ring = `${dir}/ring.gpg`;
      await run(["gpg", "--batch", "--dearmor", "--output", ring, file]);
      const verify = [
        ...["gpgv", "--keyring", ring],
        ...[`${dir}/SHA256SUMS.asc`, `${dir}/SHA256SUMS`],
      ];
      await run(verify);

      await Deno.writeTextFile(`${dir}/x.tar.gz`, "y");
      const old = await Deno.readTextFile(`${dir}/SHA256SUMS.asc`);
      await writeChecksums(dir);
      // Without a key there is no signature, rather than an old one.
      assertEquals(
        await Deno.stat(`${dir}/SHA256SUMS.asc`)
          .then(() => "there", () => "gone"),
        "gone",
      );
      await Deno.writeTextFile(`${dir}/SHA256SUMS.asc`, old);
      const bad = await run(verify).catch((error: Error) => error.message);
      assert(bad.includes("BAD signature"), bad);

      const nobody = await writeChecksums(dir, "no-such-key")
        .then(() => "", (error: Error) => error.message);
      assert(nobody.startsWith("gpg: "), nobody);
      assert(nobody.includes("no-such-key"), nobody);
    } finally {
      await forgetKey();
    }
  },
);

const noRpm = noTools ?? await whyNo({ rpm: "rpm", rpmbuild: "rpm" });
let rpm = "";
let executable = "";
let noPackage = noRpm;
if (!noPackage) {
  const dir = await Deno.makeTempDir({ prefix: "dpp-rpm-" });
  globalThis.addEventListener(
    "unload",
    () => Deno.removeSync(dir, { recursive: true }),
  );
  executable = `${dir}/${NAME}`;
  noPackage = await whyNoExecutable(executable);
  if (!noPackage) rpm = await makeRpm(TARGET, dir, executable);
}

const lines = (text: string) => text.trim().split("\n");

packageTest("the RPM has what it should have", noPackage, async () => {
  const listed = lines(await run(["rpm", "-qpl", rpm]));
  assertEquals(
    listed.sort(),
    [
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
      `/usr/share/man/man5/${NAME}.toml.5.gz`,
      `/usr/share/man/man8/${NAME}.8.gz`,
      `/usr/share/doc/${NAME}/${NAME}.cdx.json`,
      ...EXTRAS.map((path) =>
        `/usr/share/doc/${NAME}/${path}`.replace(/\/$/, "")
      ),
    ].sort(),
  );
  const config = lines(await run(["rpm", "-qpc", rpm]));
  assertEquals(config, [
    `/etc/docker/${NAME}.toml.example`,
    `/etc/sysconfig/${NAME}`,
  ]);
  const format = "%{VERSION} %{LICENSE} %{ARCH} %{OS}\n";
  const header = await run(["rpm", "-qp", "--queryformat", format, rpm]);
  assertEquals(header, `${project.version} MIT ${ARCH} linux\n`);
  const licenses = lines(await run(["rpm", "-qp", "--licensefiles", rpm]));
  assertEquals(licenses, [`/usr/share/licenses/${NAME}/LICENSE`]);

  // What the units name as their documentation is there.
  for (const unit of ["service", "socket"]) {
    const text = await Deno.readTextFile(`${ROOT}systemd/${NAME}.${unit}`);
    const pages = [...text.matchAll(/^Documentation=(.*)$/gm)]
      .flatMap(([, pages]) => pages.split(" "));
    assert(pages.length > 1, text);
    for (const page of pages) {
      const [, name, section] = /^man:(.*)\((\d)\)$/.exec(page) ?? [];
      const path = section
        ? `/usr/share/man/man${section}/${name}.${section}.gz`
        : page.replace(/^file:/, "");
      assert(listed.includes(path), page);
    }
  }
});

packageTest("the RPM tells what changed", noPackage, async () => {
  const said = await run(["rpm", "-qp", "--changelog", rpm]);
  const [head] = said.split("\n");
  assert(/^\* \w{3} \w{3} \d\d \d{4} /.test(head), head);
  assert(head.endsWith(` - ${project.version}-1`), head);
  assert(said.includes("\n- Settings in one TOML file, with mistakes"), said);
  // Not released yet, so not in a release.
  assert(!said.includes("Unreleased"), said);
});

packageTest(
  "the RPM is signed by a key that is given, and else the same",
  noPackage ?? await whyNo({ gpg: "gnupg", rpmsign: "rpm" }) ??
    await whyNo({ rpmkeys: "rpm" }),
  async (dir, t) => {
    const { key, file } = await throwAwayKey(dir);
    try {
      const signed = await makeRpm(TARGET, dir, executable, key);
      const db = ["--dbpath", `${dir}/db`];
      const check = (file: string) =>
        run(["rpm", ...db, "-Kv", file]).catch((error: Error) => error.message);
      await run(["rpm", ...db, "--initdb"]);

      const unknown = await check(signed);
      assert(/Signature.*NOKEY/.test(unknown), unknown);
      await run(["rpmkeys", ...db, "--import", file]);
      const known = await check(signed);
      assert(/Header V4 RSA\/SHA(256|512) Signature.*: OK/.test(known), known);
      assert(!/NOKEY|NOTTRUSTED|BAD/.test(known), known);

      const broken = `${dir}/broken.rpm`;
      const bytes = await Deno.readFile(signed);
      bytes[bytes.length - 100] ^= 1;
      await Deno.writeFile(broken, bytes);
      assert(/BAD|NOT OK/.test(await check(broken)));

      await t.step("the same content makes the same RPM", async () => {
        // All but the signature: the header, which has the files' checksums.
        const parts = ["SHA256HEADER", "PAYLOADDIGEST", "PAYLOADDIGESTALT"];
        const format = parts.map((part) => `%{${part}}\n`).join("");
        const of = (file: string) =>
          run(["rpm", "-qp", "--nosignature", "--queryformat", format, file]);
        const [header, payload] = lines(await of(rpm));
        assert(/^[0-9a-f]{64}$/.test(header) && payload.length === 64);
        assertEquals(await of(signed), await of(rpm));
      });
    } finally {
      await forgetKey();
    }
  },
);

/** The packages of the lock file, by their IDs. */
async function locked(): Promise<Record<string, { localPath: string }>> {
  const { npmPackages } = JSON.parse(
    await run([Deno.execPath(), "info", "--json", `${ROOT}main.ts`]),
  );
  return npmPackages;
}

packageTest("the list of contents is what is in it", noPackage, async (dir) => {
  const name = `${NAME}-${project.version}-${ARCH}.cdx.json`;
  const text = await Deno.readTextFile(
    rpm.replace(/[^/]*$/, name),
  );
  const list = JSON.parse(text);
  await run(["sh", "-c", 'rpm2cpio "$1" | cpio -id --quiet', "sh", rpm], {
    cwd: dir,
  });
  assertEquals(
    await Deno.readTextFile(
      `${dir}/usr/share/doc/${NAME}/${NAME}.cdx.json`,
    ),
    text,
  );
  assertEquals(list.metadata.component.version, project.version);

  const lock = JSON.parse(await Deno.readTextFile(`${ROOT}deno.lock`));
  const bytes = new TextDecoder("latin1").decode(
    await Deno.readFile(executable),
  );
  /** The packages of the lock file that the executable has. */
  const held: string[] = [];
  for (const [id, { localPath }] of Object.entries(await locked())) {
    const own = await Deno.readFile(`${localPath}/package.json`)
      .catch(() => undefined);
    // What has not been downloaded here is in no executable made here.
    if (own && bytes.includes(new TextDecoder("latin1").decode(own))) {
      held.push(id);
    }
  }
  const deno = /^.* \(Deno (\S+)\)/.exec(await run([executable, "--version"]))!;
  assertEquals(
    list.components.map((each: Record<string, string>) => each["bom-ref"])
      .sort(),
    [...held, `deno@${deno[1]}`].sort(),
  );
  for (const each of list.components) {
    assert(each.licenses[0].license.id, each.name);
    assert(each.version && each.purl.endsWith(each.version), each.purl);
    if (each.name === "deno") continue;
    const { alg, content } = each.hashes[0];
    const hash = Uint8Array.fromHex(content).toBase64();
    assertEquals(alg, "SHA-512");
    assertEquals(`sha512-${hash}`, lock.npm[each["bom-ref"]].integrity);
  }
});

packageTest("it is CycloneDX", noPackage, async () => {
  const all = Object.entries(await locked());
  const [, library] = all.find(([id]) => id.startsWith("@cyclonedx/"))!;
  const schemas = `${library.localPath}/res/schema`;
  const read = async (name: string) =>
    JSON.parse(await Deno.readTextFile(`${schemas}/${name}`));
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const part of ["spdx", "jsf-0.82"]) {
    const file = `${part}.SNAPSHOT.schema.json`;
    const { $id: _, ...schema } = await read(file);
    // The name by which the other refers to it.
    ajv.addSchema(schema, `http://cyclonedx.org/schema/${file}`);
  }
  const valid = ajv.compile(await read("bom-1.6.SNAPSHOT.schema.json"));
  const list = JSON.parse(
    await Deno.readTextFile(
      rpm.replace(/[^/]*$/, `${NAME}-${project.version}-${ARCH}.cdx.json`),
    ),
  );
  const wrong = structuredClone(list);
  wrong.components[0].type = "no such type";
  assert(valid(list), JSON.stringify(valid.errors));
  assert(!valid(wrong));
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

packageTest(
  "rpmlint finds nothing",
  noPackage ?? await whyNo({ rpmlint: "rpmlint", gpg: "gnupg" }),
  async (dir) => {
    const { key } = await throwAwayKey(dir);
    const signed = `${dir}/${rpm.replace(/^.*\//, "")}`;
    await Deno.copyFile(rpm, signed);
    await signRpm(signed, key);
    await forgetKey();
    await Deno.writeTextFile(`${dir}/rpmlint.toml`, RPMLINT);
    const spec = `${ROOT}packaging/${NAME}.spec`;
    const said = await run([
      ...["rpmlint", "-c", `${dir}/rpmlint.toml`, signed, spec],
    ]);
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
