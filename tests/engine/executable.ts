/**
 * The executable, made for a test.
 *
 * Where `DENORT_BIN` names a base for it, or a script beside the checkout prints one, it is made on that by Deno 2.8.3
 * from the npm registry (2.9 can't use such a base); otherwise by the Deno that runs the test, which downloads a base.
 */

const ROOT = new URL("../../", import.meta.url).pathname;
const BUILDER = "deno@2.8.3";

/**
 * Makes the executable.
 *
 * @param file where it goes
 * @throws Error that says why it can't be made here
 */
export async function makeExecutable(file: string): Promise<void> {
  const base = await denort();
  const deno = base ? await builder() : Deno.execPath();
  await output(
    [deno, "run", "-A", `${ROOT}tools/compile.ts`, "-o", file],
    base ? { DENORT_BIN: base } : {},
  );
}

/** The base that was put here for machines that can't download one. */
async function denort(): Promise<string | undefined> {
  const named = Deno.env.get("DENORT_BIN");
  if (named) return named;
  const script = `${ROOT}../shared/tools/denort.sh`;
  const there = await Deno.stat(script).catch(() => undefined);
  return there ? (await output(["bash", script])).trim() : undefined;
}

/** A Deno that can use that base: this one, or one from the npm registry, kept for the next time. */
async function builder(): Promise<string> {
  if (Deno.version.deno.startsWith("2.8.")) return Deno.execPath();
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME")}/.cache`;
  const dir = `${cache}/docker-policy-plugin/deno-2.8.3`;
  const deno = `${dir}/node_modules/.bin/deno`;
  const works = () => output([deno, "--version"]).then(() => true, () => false);
  if (!(await works())) {
    await output(["npm", "install", "--silent", "--prefix", dir, BUILDER]);
  }
  return deno;
}

/** What a command prints; an error with its last words where it fails. */
async function output(
  [program, ...args]: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    signal: AbortSignal.timeout(180_000),
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  // The last lines say what to do.
  throw new Error(text.decode(stderr).trim().split("\n").slice(-2).join("\n"));
}
