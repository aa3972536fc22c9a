/**
 * `deno task rpm [--target TRIPLE] [--executable FILE] [-o DIR]`: makes the RPM,
 * out of the tarball of `deno task dist`.
 *
 * @module
 */
import project from "../deno.json" with { type: "json" };
import {
  archOf,
  checkExecutable,
  makeTarball,
  readWish,
  run,
  sourceTime,
  tell,
  Unmakeable,
  writeChecksums,
} from "./dist.ts";

const SPEC = new URL(
  "../packaging/docker-policy-plugin.spec",
  import.meta.url,
).pathname;

/**
 * Makes the RPM for one kind of host, which may be another than this.
 *
 * @param target The kind of host, as Deno names it.
 * @param output The directory that it goes to.
 * @param executable The executable to pack; by default one is compiled.
 * @returns The RPM's path.
 * @throws {Unmakeable} If it can't be made.
 */
export async function makeRpm(
  target: string,
  output: string,
  executable?: string,
): Promise<string> {
  if (executable) await checkExecutable(executable, target);
  const dir = await Deno.makeTempDir({ prefix: "dpp-rpm-" });
  try {
    await makeTarball(target, dir, executable);
    await run([
      ...["rpmbuild", "-bb", "--quiet", "--target", archOf(target)],
      ...["--define", `project_version ${project.version}`],
      ...["--define", `_topdir ${dir}`, "--define", `_sourcedir ${dir}`],
      SPEC,
    ], { env: { SOURCE_DATE_EPOCH: await sourceTime() } });
    const arch = archOf(target);
    const [made] = [...Deno.readDirSync(`${dir}/RPMS/${arch}`)];
    await Deno.mkdir(output, { recursive: true });
    await Deno.copyFile(
      `${dir}/RPMS/${arch}/${made.name}`,
      `${output}/${made.name}`,
    );
    return `${output}/${made.name}`;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function main(): Promise<void> {
  const wish = readWish(Deno.args, "rpm");
  const target = wish.target ?? Deno.build.target;
  try {
    tell(await makeRpm(target, wish.output, wish.executable));
  } catch (error) {
    if (!(error instanceof Unmakeable)) throw error;
    console.error(`rpm: ${error.message}`);
    Deno.exit(1);
  }
  await writeChecksums(wish.output);
}

if (import.meta.main) await main();
