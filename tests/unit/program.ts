const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs the program as `deno task start` does. */
export function program(...words: string[]) {
  return programWith("", ...words);
}

/** Runs the program with a text on its standard input. */
export async function programWith(input: string, ...words: string[]) {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  const [, ...args] = (tasks.start as string).split(" ");
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, ...words],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(input));
  await stdin.close();
  const { code, stdout, stderr } = await child.output();
  return {
    code,
    out: new TextDecoder().decode(stdout),
    err: new TextDecoder().decode(stderr),
  };
}

/** Runs a test with a settings file of this text. */
export async function withConfig(
  text: string,
  test: (file: string) => Promise<void>,
): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(file, text);
    await test(file);
  } finally {
    await Deno.remove(file);
  }
}
