/**
 * Who listens on an address that is taken.
 *
 * @module
 */

/**
 * Names who listens on a socket file.
 *
 * @param path The socket file.
 * @returns Its process, as far as it can be told.
 */
export async function holderOfFile(path: string): Promise<string> {
  return nameHolder(await ask("ss", "-xlpH", "src", path)) ?? "another process";
}

/**
 * Names who listens on a TCP port.
 *
 * @param port The port.
 * @returns Its process, or its user if that is all that can be told: in the
 *   unit's sandbox the processes of others are not to be seen.
 */
export async function holderOfPort(port: number): Promise<string> {
  const said = await ask("ss", "-tlpenH", `sport = :${port}`);
  const [, uid = "0"] = /\buid:(\d+)/.exec(said) ?? [];
  if (said === "") return "another process";
  const user = (await ask("id", "-un", uid)).trim() || `number ${uid}`;
  return `${nameHolder(said) ?? "a process"} of user ${user}`;
}

function nameHolder(said: string): string | undefined {
  const [, name, pid] = /users:\(\("([^"]*)",pid=(\d+)/.exec(said) ?? [];
  return pid === undefined ? undefined : `${name} (process ${pid})`;
}

/** Without the program the name is missing, and no more than that. */
async function ask(program: "ss" | "id", ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(program, {
      args,
      stdin: "null",
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  } catch {
    return "";
  }
}
