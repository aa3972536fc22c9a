/**
 * `deno task compile [--target TRIPLE] [-o FILE]`: makes the executable.
 *
 * It has the permissions of `deno task start`, and never asks for more. Deno's
 * base for the executable, "denort", comes from Deno's download host, unless
 * `DENORT_BIN` names a file that has it.
 *
 * @module
 */
import project from "../deno.json" with { type: "json" };
import { elfProblem } from "./elf.ts";
import { lockOfExecutable } from "./packages.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const THIS_MACHINE = Deno.build.target;

const USAGE = "usage: deno task compile [--target TRIPLE] [-o FILE]";

/** What is to be made. */
interface Wish {
  target: string;
  output: string;
}

function fail(problem: string, status = 1): never {
  console.error(`compile: ${problem}`);
  Deno.exit(status);
}

function readArgs(args: string[]): Wish {
  let target = THIS_MACHINE;
  let output: string | undefined;
  const rest = args.flatMap((arg) =>
    /^--\w+=/.test(arg)
      ? [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)]
      : [arg]
  );
  while (rest.length > 0) {
    const name = rest.shift();
    const value = rest.shift();
    if (!value) fail(USAGE, 2);
    if (name === "--target") target = value;
    else if (name === "-o" || name === "--output") output = value;
    else fail(USAGE, 2);
  }
  const suffix = target === THIS_MACHINE ? "" : `-${target}`;
  output ??= `${ROOT}dist/${project.name}${suffix}`;
  return { target, output };
}

/** The permissions of `deno task start`, as flags. */
function permissions(): string[] {
  const flags = project.tasks.start.split(" ")
    .filter((word) => word.startsWith("--allow-"));
  return ["--no-prompt", ...flags];
}

/**
 * Checks a base: Deno would take one for another processor, and make a file
 * that starts nowhere.
 */
function checkBase(base: string, target: string): void {
  const problem = elfProblem(base, target);
  if (!problem) return;
  fail(
    `DENORT_BIN=${base} ${problem}: unset it, or name the denort for ${target}`,
  );
}

/** Runs this Deno; gives what it complains about, or "" if it succeeds. */
async function deno(...args: string[]): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return "";
  // Deno adds a trace of itself, which is of no use to the user.
  return new TextDecoder().decode(stderr).split("\nStack backtrace:")[0].trim();
}

async function compile({ target, output }: Wish): Promise<void> {
  const base = Deno.env.get("DENORT_BIN");
  if (base) checkBase(base, target);
  const main = `${ROOT}main.ts`;
  const config = `${ROOT}deno.json`;
  // All packages are there, and are those of the lock file.
  const missing = await deno(
    ...["cache", "--quiet", "--config", config, "--frozen", main],
  );
  if (missing) fail(missing);
  // `deno compile` puts every package of a lock file into the executable, so
  // it is given one without those of the tests and tools.
  const lock = await Deno.makeTempFile({ prefix: "dpp-", suffix: ".lock" });
  await Deno.writeTextFile(lock, await lockOfExecutable());
  const problem = await deno(
    ...["compile", "--quiet", "--config", config, "--lock", lock, "--frozen"],
    ...permissions(),
    ...["--target", target, "--output", output, main],
  );
  await Deno.remove(lock);
  if (!problem) return;
  const release = Deno.version.deno;
  fail(
    (/error sending request|denort-/.test(problem)
      ? "the base of the executable can't be downloaded: unpack " +
        `https://dl.deno.land/release/v${release}/denort-${target}.zip ` +
        "elsewhere, and set DENORT_BIN to the denort in it\n"
      : "") + problem,
  );
}

/**
 * Starts the executable: a base of another Deno release can't read what this
 * one appended to it.
 */
async function check({ target, output }: Wish): Promise<string> {
  if (target !== THIS_MACHINE) return "not tried here";
  const { success, stdout } = await new Deno.Command(output, {
    args: ["--version"],
  }).output();
  if (success) return new TextDecoder().decode(stdout).trim();
  Deno.removeSync(output);
  fail(
    `Deno ${Deno.version.deno} can't use the base ${
      Deno.env.get("DENORT_BIN")
    }: the executable does not start. ` +
      "Take a base of the same release, or a Deno that is nearer to it (a base of 2.6 works with Deno 2.8)",
  );
}

/** The oldest GNU C library that the file runs with, by its string table. */
function glibcOf(file: string): string {
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(file));
  const versions = new Set(
    [...text.matchAll(/\bGLIBC_2\.(\d+)/g)].map((match) => Number(match[1])),
  );
  return `2.${Math.max(...versions)}`;
}

const wish = readArgs(Deno.args);
await compile(wish);
const version = await check(wish);
const size = Math.round(Deno.statSync(wish.output).size / 1e6);
console.log(
  `${wish.output.replace(ROOT, "")} (${version}): ${size} MB for ` +
    `${wish.target}, needs glibc ${glibcOf(wish.output)} or later and libgcc_s`,
);
