/**
 * Programs of this machine that the tests run.
 *
 * @module
 */

/** What a program said and how it ended. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  cwd?: string;
  /** Variables beside the test's own, or instead of them with `clearEnv`. */
  env?: Record<string, string>;
  clearEnv?: boolean;
  /** Milliseconds after which it is stopped. Default: never. */
  timeout?: number;
}

/**
 * Runs a program to its end.
 *
 * @param command The program and its arguments.
 * @param options How.
 * @returns What it said and how it ended.
 */
export async function run(
  [program, ...args]: readonly string[],
  { timeout, ...options }: RunOptions = {},
): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    ...options,
    ...timeout !== undefined && { signal: AbortSignal.timeout(timeout) },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/**
 * Runs a program that a test only builds on.
 *
 * @param command The program and its arguments.
 * @param options How.
 * @returns What it printed.
 * @throws {Error} If it did not end with 0.
 */
export async function must(
  command: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** Where a program is: on the PATH, or where those of root are. */
export async function which(program: string): Promise<string | undefined> {
  const folders = [
    ...(Deno.env.get("PATH") ?? "").split(":"),
    "/usr/sbin",
    "/sbin",
  ];
  for (const folder of folders) {
    if (await exists(`${folder}/${program}`)) return `${folder}/${program}`;
  }
  return undefined;
}

/**
 * Looks for programs.
 *
 * @param needed Debian's package of each program, by the program's name.
 * @returns Why a test that needs them can't run, with the package to install;
 *   undefined if all are there.
 */
export async function whyNo(
  needed: Record<string, string>,
): Promise<string | undefined> {
  for (const [program, debian] of Object.entries(needed)) {
    if (!await which(program)) return `no ${program}: install ${debian}`;
  }
  return undefined;
}

/**
 * Whether there is a file, of whatever kind; a link that leads nowhere is one.
 */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Waits, in milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
