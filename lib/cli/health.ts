/**
 * `health`: asks the plugin that runs here how it is.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { request } from "node:http";
import type { MonitorAddress } from "../monitor_address.ts";
import { messageOf, printable } from "../text.ts";
import { readAddress, UsageError } from "./args.ts";

/** What `health` takes, for who mistyped. */
export const HEALTH_USAGE =
  "usage: docker-policy-plugin health [--addr HOST:PORT | --addr unix:/path]";

/**
 * Where the packaged unit serves the monitor API. Nobody but root can put
 * another server there, as anybody could on a port.
 */
const PACKAGED = "unix:/run/docker-policy-plugin/monitor.sock";

const HELP = `${HEALTH_USAGE}

Asks the plugin that runs here how it is, over its monitor API (default
${PACKAGED}), and prints its answer.

Exit status: 0 healthy, 1 unhealthy, 2 it can't be asked.`;

/** How long the answer may take, in milliseconds. */
const PATIENCE = 5000;

/** The longest answer that is read, in characters. */
const ANSWER_LIMIT = 64 * 1024;

/**
 * Prints how the plugin is on standard output, or on standard error why it
 * can't be asked.
 *
 * @param words The words behind `health`.
 * @returns The exit status: 0 healthy, 1 unhealthy, 2 it can't be asked.
 * @throws {UsageError} If the words can't be followed.
 */
export async function health(words: readonly string[]): Promise<number> {
  const parsed = parseArgs(
    words.map((word) => word.replace(/^-(?=addr\b)/, "--")),
    {
      string: ["addr"],
      boolean: ["help"],
      collect: ["addr"],
      alias: { help: "h" },
      unknown: (word: string) => {
        throw new UsageError(
          word.startsWith("-") ? `unknown option ${word}` : `what is ${word}?`,
        );
      },
    },
  );
  if (parsed.help) {
    console.log(HELP);
    return 0;
  }
  const addresses = parsed.addr as string[];
  if (addresses.length > 1) throw new UsageError("give one --addr");
  const address = readAddress(addresses.at(0) ?? PACKAGED);
  try {
    const { status, body } = await get(address, "/health");
    const isHealthy = status === 200 && /^HEALTHY\b/.test(body);
    console.log(body.trimEnd().split("\n").map(printable).join("\n"));
    return isHealthy ? 0 : 1;
  } catch (error) {
    console.error(`can't ask at ${address.text}: ${messageOf(error)}`);
    return 2;
  }
}

async function get(
  { to }: MonitorAddress,
  path: string,
): Promise<{ status: number; body: string }> {
  const where = to.transport === "unix"
    ? { socketPath: to.path }
    : { host: to.hostname, port: to.port };
  const { promise, resolve, reject } = Promise.withResolvers<
    { status: number; body: string }
  >();
  const sent = request({ ...where, path, agent: false }, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (piece: string) => {
      body += piece;
      if (body.length > ANSWER_LIMIT) sent.destroy();
    });
    response.on(
      "end",
      () => resolve({ status: response.statusCode ?? 0, body }),
    );
    response.on("error", reject);
  });
  sent.on("error", reject);
  sent.end();
  const late = setTimeout(() => {
    reject(new Error(`no answer within ${PATIENCE / 1000} s`));
    sent.destroy();
  }, PATIENCE);
  return await promise.finally(() => clearTimeout(late));
}
