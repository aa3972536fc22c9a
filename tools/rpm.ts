/**
 * `deno task rpm [--target TRIPLE] [--executable FILE] [--sign KEY] [-o DIR]`:
 * makes the RPM, out of the tarball of `deno task dist`.
 *
 * @module
 */
import project from "../deno.json" with { type: "json" };
import {
  archOf,
  checkExecutable,
  makeTarball,
  orExit,
  readWish,
  run,
  sourceTime,
  tell,
  writeChecksums,
} from "./dist.ts";
import { changelog } from "./rpm_changelog.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const NAME = project.name;

/**
 * Makes the RPM for one kind of host, which may be another than this.
 *
 * @param target The kind of host, as Deno names it.
 * @param output The directory that it goes to.
 * @param executable The executable to pack; by default one is compiled.
 * @param key The key that gpg signs it with; by default it isn't signed.
 * @returns The RPM's path. The list of what its executable consists of is in it,
 *   and beside it.
 * @throws {Unmakeable} If it can't be made.
 */
export async function makeRpm(
  target: string,
  output: string,
  executable?: string,
  key?: string,
): Promise<string> {
  if (executable) await checkExecutable(executable, target);
  const dir = await Deno.makeTempDir({ prefix: "dpp-rpm-" });
  try {
    await makeTarball(target, dir, executable);
    const arch = archOf(target);
    const spec = `${dir}/${NAME}.spec`;
    await Deno.writeTextFile(
      spec,
      await Deno.readTextFile(`${ROOT}packaging/${NAME}.spec`) +
        "\n%changelog\n" +
        changelog(await Deno.readTextFile(`${ROOT}CHANGELOG.md`)),
    );
    const url = homepage(
      await run(["git", "remote", "get-url", "origin"], { cwd: ROOT })
        .catch(() => ""),
    );
    await run([
      ...["rpmbuild", "-bb", "--quiet", "--target", arch],
      ...["--define", `project_version ${project.version}`],
      ...url ? ["--define", `project_url ${url}`] : [],
      ...["--define", `_topdir ${dir}`, "--define", `_sourcedir ${dir}`],
      spec,
    ], { env: { SOURCE_DATE_EPOCH: await sourceTime() } });
    const [{ name }] = [...Deno.readDirSync(`${dir}/RPMS/${arch}`)];
    const made = `${dir}/RPMS/${arch}/${name}`;
    if (key !== undefined) await signRpm(made, key);
    const sbom = `${NAME}-${project.version}-${arch}.cdx.json`;
    await Deno.mkdir(output, { recursive: true });
    await Deno.copyFile(made, `${output}/${name}`);
    await Deno.copyFile(`${dir}/${sbom}`, `${output}/${sbom}`);
    return `${output}/${name}`;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/**
 * Signs an RPM.
 *
 * @param file The RPM.
 * @param key The key, as gpg names it.
 * @throws {Unmakeable} If it can't be signed.
 */
export async function signRpm(file: string, key: string): Promise<void> {
  // Some distributions' rpm looks for it where only others have it.
  const gpg = (await run(["sh", "-c", "command -v gpg || :"])).trim();
  await run([
    ...["rpmsign", "--define", `_gpg_name ${key}`],
    ...gpg ? ["--define", `__gpg ${gpg}`] : [],
    ...["--addsign", file],
  ]);
}

/**
 * Gives the page of a project that was cloned from somewhere.
 *
 * @param origin Where from, as git has it.
 * @returns An address without a user's name or password; undefined if that is no
 *   place of the web.
 */
export function homepage(origin: string): string | undefined {
  const [, host, path] =
    /^(?:https:\/\/(?:[^/]*@)?|(?:ssh:\/\/)?git@)([\w.-]+)[:/](\S+?)(?:\.git)?$/
      .exec(origin.trim()) ?? [];
  return host && `https://${host}/${path}`;
}

async function main(): Promise<void> {
  const { target = Deno.build.target, output, executable, sign } = readWish(
    Deno.args,
    "rpm",
  );
  tell(await orExit("rpm", makeRpm(target, output, executable, sign)));
  await orExit("rpm", writeChecksums(output, sign));
}

if (import.meta.main) await main();
