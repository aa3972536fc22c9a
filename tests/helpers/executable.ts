/**
 * The executable, made for a test.
 *
 * Where `DENORT_BIN` names a base for it, or a script beside the checkout prints one, it is made on that by Deno 2.8.3
 * from the npm registry (2.9 can't use such a base); otherwise by the Deno that runs the test, which downloads a base.
 */

import { exists, must } from "./programs.ts";

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

/**
 * Makes the executable, if that can be done here.
 *
 * @param file Where it goes.
 * @returns Why it can't be made; undefined if it was.
 */
export async function whyNoExecutable(
  file: string,
): Promise<string | undefined> {
  try {
    await makeExecutable(file);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // The last line says what to do.
    const why = said.slice(said.lastIndexOf("\n") + 1);
    return `the executable can't be made here: ${why}`;
  }
}

/** The base that was put here for machines that can't download one. */
async function denort(): Promise<string | undefined> {
  const named = Deno.env.get("DENORT_BIN");
  if (named) return named;
  const script = `${ROOT}../shared/tools/denort.sh`;
  return await exists(script)
    ? (await output(["bash", script])).trim()
    : undefined;
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

function output(
  command: string[],
  env: Record<string, string> = {},
): Promise<string> {
  return must(command, { env: { NO_COLOR: "1", ...env }, timeout: 180_000 });
}
