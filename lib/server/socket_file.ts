/**
 * Socket files: making room for one, and who has it otherwise.
 *
 * @module
 */
import { messageOf } from "../text.ts";
import { holderOfFile } from "./holder.ts";
import { ListenError } from "./listener.ts";

/**
 * Makes a socket file's directory, and removes the socket file of somebody who
 * is gone.
 *
 * @param path The socket file.
 * @throws {ListenError} If it is in use, or no socket.
 */
export async function makeWay(path: string): Promise<void> {
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) Deno.mkdirSync(path.slice(0, slash), { recursive: true });
    const there = Deno.lstatSync(path);
    if (!there.isSocket) {
      throw new ListenError(`${path} is not a socket: remove it`);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof ListenError) throw error;
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) {
      removeIfThere(path);
      return;
    }
    throw new ListenError(`can't listen on ${path}: ${messageOf(error)}`);
  }
  throw new ListenError(
    `${path} is in use by ${await holderOfFile(path)}: stop that first`,
  );
}

/**
 * Removes a file.
 *
 * @param path The file; it may be gone already.
 */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
