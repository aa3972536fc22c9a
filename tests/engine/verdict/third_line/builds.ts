/** Classic builds, as docker-py sends them. */

import type { ApiAnswer } from "../../harness.ts";
import type { Host, User } from "./host.ts";

/**
 * Has an image built by the classic builder.
 *
 * @param host Whose folder the context is put in.
 * @param user Who asks.
 * @param dockerfile Its lines.
 * @param query More of the query, as `rm=0`.
 * @returns The answer, when the build is over.
 */
export async function build(
  host: Host,
  user: User,
  dockerfile: string[],
  query = "",
): Promise<ApiAnswer> {
  const dir = await Deno.makeTempDir({ dir: host.h.dir, prefix: "context-" });
  await Deno.writeTextFile(`${dir}/Dockerfile`, dockerfile.join("\n") + "\n");
  const { stdout } = await new Deno.Command("tar", {
    args: ["-C", dir, "-c", "."],
  }).output();
  // Each step for itself, whatever was built before.
  return await user.api("POST", `/build?nocache=1&${query}`, stdout);
}

/** Whether a build made an image. */
export function succeeded({ status, body }: ApiAnswer): boolean {
  return status === 200 && body.includes("Successfully built");
}
