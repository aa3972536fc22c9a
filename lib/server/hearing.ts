/**
 * Finds out if a server accepts connections no more.
 *
 * Deno's `node:http` stops accepting for good if a connection can't be accepted
 * once (out of files, for one), and emits nothing.
 *
 * @module
 */

/** How often it is tried whether the server hears, in milliseconds. */
const INTERVAL = 10_000;

/** How long it may take to show that it does, in milliseconds. */
const PATIENCE = 5_000;

/** It may be out of breath once. */
const TRIES = 2;

const PROBE = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");

/**
 * Connects to a server from time to time.
 *
 * @param path The socket file that it listens on.
 * @param onDeaf Called when it does not accept connections any more.
 * @param interval Milliseconds between two connections, for tests.
 * @returns Stops that.
 */
export function watchHearing(
  path: string,
  onDeaf: () => void,
  interval = INTERVAL,
): () => void {
  let failures = 0;
  let timer = later();
  let isOver = false;

  function later() {
    const timer = setTimeout(probe, interval);
    Deno.unrefTimer(timer);
    return timer;
  }

  async function probe(): Promise<void> {
    const isHeard = await hears(path, Math.min(PATIENCE, interval / 2));
    if (isOver) return;
    if (isHeard !== undefined) failures = isHeard ? 0 : failures + 1;
    if (failures === TRIES) return onDeaf();
    timer = later();
  }

  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Whether it is heard in time; undefined if that can't be told. */
async function hears(
  path: string,
  patience: number,
): Promise<boolean | undefined> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (error) {
    // Too many wait already.
    return error instanceof Deno.errors.WouldBlock ? false : undefined;
  }
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    connection.close();
  }, patience);
  try {
    await connection.write(PROBE);
    // An answer will do, and so will a connection that is closed.
    await connection.read(new Uint8Array(1));
  } catch {
    // It was closed: by the server, or when it was late.
  } finally {
    clearTimeout(deadline);
    if (!isLate) connection.close();
  }
  return !isLate;
}
