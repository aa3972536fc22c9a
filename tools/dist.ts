/**
 * `deno task dist [--target TRIPLE] [--executable FILE] [--sign KEY] [-o DIR]`:
 * makes the tarballs; beside them, lists of what the executables consist of, and
 * SHA256SUMS.
 *
 * Without `--target` there is one for each kind of host. If an executable can't
 * be made here, its host is named and left out. The same content makes the same
 * tarball: files have the time of the last commit, or `SOURCE_DATE_EPOCH`.
 *
 * @module
 */
import { dirname } from "node:path";
import { parseArgs } from "@std/cli";
import project from "../deno.json" with { type: "json" };
import { elfProblem } from "./elf.ts";
import { makeSbom } from "./sbom.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The kinds of hosts that there is a tarball for. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
];

/** The man pages, as man/ has them. */
const MAN_PAGES = ["docker-policy-plugin.8", "docker-policy-plugin.toml.5"];

/**
 * What is packed beside the executable, its list and the man pages: its place
 * here, and its place in the tarball.
 */
const FILES: Record<string, string> = {
  "LICENSE": "LICENSE",
  "README.md": "README.md",
  "CHANGELOG.md": "CHANGELOG.md",
  "SECURITY.md": "SECURITY.md",
  ...Object.fromEntries(
    ["docs", "examples"].flatMap(filesBelow).map((path) => [path, path]),
  ),
  "systemd/docker-policy-plugin.service":
    "systemd/docker-policy-plugin.service",
  "systemd/docker-policy-plugin.socket": "systemd/docker-policy-plugin.socket",
  "packaging/docker-policy-plugin.toml": "docker-policy-plugin.toml",
  "packaging/docker-policy-plugin.sysconfig": "docker-policy-plugin.sysconfig",
  ...Object.fromEntries(
    ["packaging/ansible", "packaging/haproxy"].flatMap(filesBelow)
      .map((path) => [path, path.replace("packaging/", "")]),
  ),
  "packaging/prometheus/alerts.yml": "prometheus/alerts.yml",
};

/** The files of a directory of this checkout, and of those in it. */
function filesBelow(directory: string): string[] {
  return [...Deno.readDirSync(ROOT + directory)].flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return entry.isDirectory ? filesBelow(path) : [path];
  });
}

/** What the command line of this tool and of `rpm.ts` says. */
export interface Wish {
  /** The kind of host, as Deno names it; undefined if none is named. */
  target?: string;
  /** An executable to pack; by default one is compiled. */
  executable?: string;
  /** The key to sign with, as gpg names it; by default nothing is signed. */
  sign?: string;
  /** Where the result goes. */
  output: string;
}

/** Something can't be made; the message says what to do. */
export class Unmakeable extends Error {}

/**
 * Reads the command line.
 *
 * Ends the program with the usage if it can't be read.
 *
 * @param args The arguments.
 * @param task The task's name, for the usage.
 * @returns What they say.
 */
export function readWish(args: string[], task: string): Wish {
  const usage =
    `usage: deno task ${task} [--target TRIPLE] [--executable FILE] ` +
    "[--sign KEY] [-o DIR]";
  const parsed: Record<string, string | undefined> = parseArgs(args, {
    string: ["target", "executable", "sign", "output"],
    alias: { o: "output" },
    default: { output: `${ROOT}dist` },
    unknown: (arg: string) => {
      console.error(`${task}: what is ${arg}?\n${usage}`);
      Deno.exit(2);
    },
  });
  const { target, executable, sign, output } = parsed;
  if (sign === "") {
    console.error(`${task}: --sign: name a key that gpg has\n${usage}`);
    Deno.exit(2);
  }
  if (target !== undefined && !TARGETS.includes(target)) {
    console.error(`${task}: --target is one of ${TARGETS.join(", ")}`);
    Deno.exit(2);
  }
  return {
    target: target ?? (executable ? Deno.build.target : undefined),
    executable,
    sign,
    output: output as string,
  };
}

/**
 * Gives the processor of a target, as packages name it.
 *
 * @param target The target, such as `x86_64-unknown-linux-gnu`.
 * @returns The processor, such as `x86_64`.
 */
export function archOf(target: string): string {
  return target.slice(0, target.indexOf("-"));
}

/**
 * Runs a program.
 *
 * @param command The program and its arguments.
 * @param options Options of `Deno.Command`.
 * @returns What it printed.
 * @throws {Unmakeable} If it fails, with what it said; if it isn't there.
 */
export async function run(
  command: string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const [program, ...args] = command;
  const text = new TextDecoder();
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args,
      stdin: "null",
      ...options,
    }).output();
    if (success) return text.decode(stdout);
    throw new Unmakeable(
      `${program}: ${(text.decode(stderr) + text.decode(stdout)).trim()}`,
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Unmakeable(`no ${program} here: install it`);
  }
}

/**
 * Makes the tarball for one kind of host, and beside it `NAME.cdx.json`, the
 * list of what its executable consists of, which is in the tarball, too.
 *
 * @param target The kind of host, as Deno names it.
 * @param output The directory that it goes to.
 * @param executable The executable to pack; by default one is compiled.
 * @returns The tarball's path.
 * @throws {Unmakeable} If it can't be made.
 */
export async function makeTarball(
  target: string,
  output: string,
  executable?: string,
): Promise<string> {
  const name = `${project.name}-${project.version}-${archOf(target)}`;
  const time = await sourceTime();
  const temporary = await Deno.makeTempDir({ prefix: "dpp-dist-" });
  try {
    const dir = `${temporary}/${name}`;
    for (const [from, to] of Object.entries(FILES)) {
      await Deno.mkdir(dirname(`${dir}/${to}`), { recursive: true });
      await Deno.copyFile(ROOT + from, `${dir}/${to}`);
      await Deno.chmod(`${dir}/${to}`, 0o644);
    }
    for (const page of MAN_PAGES) {
      await run([
        ...["go-md2man", "-in", `${ROOT}man/${page}.md`],
        ...["-out", `${dir}/${page}`],
      ]);
    }
    const program = `${dir}/${project.name}`;
    if (executable) await Deno.copyFile(executable, program);
    else await compile(target, program);
    await Deno.chmod(program, 0o755);
    const sbom = await makeSbom(program, Number(time)).catch((error: Error) => {
      throw new Unmakeable(error.message);
    });

    await Deno.mkdir(output, { recursive: true });
    await Deno.writeTextFile(`${dir}/${project.name}.cdx.json`, sbom);
    await Deno.writeTextFile(`${output}/${name}.cdx.json`, sbom);
    const tarball = `${output}/${name}.tar.gz`;
    await run([
      ...["tar", "--create", "--use-compress-program=gzip -n"],
      ...["--sort=name", `--mtime=@${time}`, "--format=ustar"],
      ...["--owner=0", "--group=0", "--numeric-owner", "--mode=go=rX,u+rw"],
      ...["--file", tarball, "--directory", temporary, name],
    ]);
    return tarball;
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/**
 * Checks an executable that is to be packed.
 *
 * One for another kind of host can't be started here: only its processor is
 * looked at.
 *
 * @param executable The executable.
 * @param target The kind of host that it is for.
 * @throws {Unmakeable} If it isn't there, or isn't the plugin.
 */
export async function checkExecutable(
  executable: string,
  target: string,
): Promise<void> {
  const problem = elfProblem(executable, target);
  if (problem) throw new Unmakeable(`--executable: ${executable} ${problem}`);
  if (target !== Deno.build.target) return;
  // Without a slash it would be looked for on the PATH.
  const program = await Deno.realPath(executable);
  const said = await run([program, "--version"])
    .catch((error: Error) => error.message);
  if (!said.startsWith(`${project.name} `)) {
    throw new Unmakeable(
      `--executable: ${executable} is no ${project.name}, its --version says ` +
        `"${said.split("\n")[0]}": name what \`deno task compile\` made`,
    );
  }
}

async function compile(target: string, output: string): Promise<void> {
  await run([
    ...[Deno.execPath(), "run", "-A", `${ROOT}tools/compile.ts`],
    ...["--target", target, "-o", output],
  ], { env: { NO_COLOR: "1" } });
}

/**
 * Gives the time of the last commit, or `SOURCE_DATE_EPOCH`.
 *
 * @returns Seconds since 1970.
 */
export async function sourceTime(): Promise<string> {
  const wanted = Deno.env.get("SOURCE_DATE_EPOCH");
  if (wanted) return wanted;
  const commit = await run(["git", "log", "-1", "--format=%ct"], { cwd: ROOT })
    .catch(() => "0");
  return commit.trim();
}

/**
 * Writes the checksums of all packages in a directory.
 *
 * @param dir The directory; SHA256SUMS in it, and its signature SHA256SUMS.asc,
 *   are replaced.
 * @param key The key that gpg signs them with; by default they aren't signed.
 * @throws {Unmakeable} If they can't be signed.
 */
export async function writeChecksums(dir: string, key?: string): Promise<void> {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name)
    .filter((name) => /\.(tar\.gz|rpm|cdx\.json)$/.test(name)).sort();
  const sums = await run(["sha256sum", "--", ...names], { cwd: dir });
  const file = `${dir}/SHA256SUMS`;
  await Deno.writeTextFile(file, sums);
  // One of other checksums is worth nothing.
  await Deno.remove(`${file}.asc`).catch(() => {});
  if (key === undefined) return;
  await run([
    ...["gpg", "--batch", "--local-user", key, "--digest-algo", "SHA256"],
    ...["--armor", "--detach-sign", file],
  ]);
}

/**
 * Prints the path and the size of a package.
 *
 * @param file Its path.
 */
export function tell(file: string): void {
  const size = Math.round(Deno.statSync(file).size / 1e6);
  console.log(`${file.replace(ROOT, "")}: ${size} MB`);
}

/**
 * Waits for something; ends the program with the reason if it can't be made.
 *
 * @param task The task's name, for the message.
 * @param work What to wait for.
 * @returns What comes of it.
 */
export async function orExit<T>(task: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Unmakeable)) throw error;
    console.error(`${task}: ${error.message}`);
    Deno.exit(1);
  }
}

async function main(): Promise<void> {
  const wish = readWish(Deno.args, "dist");
  let made = 0;
  for (const target of wish.target ? [wish.target] : TARGETS) {
    // DENORT_BIN is for this machine, unless --target names another.
    if (target !== (wish.target ?? Deno.build.target)) {
      Deno.env.delete("DENORT_BIN");
    }
    try {
      if (wish.executable) await checkExecutable(wish.executable, target);
      tell(await makeTarball(target, wish.output, wish.executable));
      made++;
    } catch (error) {
      if (!(error instanceof Unmakeable)) throw error;
      const what = wish.target ? "dist" : "SKIPPED";
      console.error(`${what}: ${archOf(target)}: ${error.message}`);
    }
  }
  if (made === 0) Deno.exit(1);
  await orExit("dist", writeChecksums(wish.output, wish.sign));
}

if (import.meta.main) await main();
