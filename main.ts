/**
 * Starts the plugin: flags, settings, wiring; nothing that decides.
 *
 * @module
 */
import project from "./deno.json" with { type: "json" };
import { type Args, HELP, readArgs, USAGE, UsageError } from "./lib/args.ts";
import { type Config, ConfigError, loadConfig } from "./lib/config.ts";
import { connectEngine, EngineError } from "./lib/engine.ts";
import { engineTransport } from "./lib/engine_http.ts";
import { exemptionCheck } from "./lib/identity.ts";
import { createJudge } from "./lib/judge.ts";
import { listen, type Listener, ListenError } from "./lib/listen.ts";
import { type Log, openLog } from "./lib/log.ts";
import { pluginHandler } from "./lib/plugin.ts";

/** How long a stop may take, in milliseconds. */
const STOP_TIME = 4000;

const NAME = "docker-policy-plugin";

async function main(): Promise<void> {
  const args = readArgsOrExit();
  if (args.help) return console.log(HELP);
  if (args.version) return console.log(`${NAME} ${project.version}`);

  const log = openLog(args.debug, Deno.env.get("JOURNAL_STREAM") !== undefined);
  try {
    const listener = await start(args, log);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => stop(listener, log));
    }
  } catch (error) {
    if (isForTheAdministrator(error)) {
      for (const line of error.message.split("\n")) log.error(line);
    } else {
      log.error(String(error instanceof Error ? error.stack : error));
    }
    Deno.exit(1);
  }
}

function readArgsOrExit(): Args {
  try {
    return readArgs(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${NAME}: ${error.message}\n${USAGE}`);
    Deno.exit(2);
  }
}

async function start(args: Args, log: Log): Promise<Listener> {
  const config = loadConfig(args.config);
  const judge = createJudge({
    config,
    engine: connectEngine(engineTransport(args)),
    isExempt: exemptionCheck(),
    log,
  });
  const listener = await listen(pluginHandler(judge), args.socket, {
    fds: Deno.env.get("LISTEN_FDS"),
    pid: Deno.env.get("LISTEN_PID"),
  });
  log.info(
    `${NAME} ${project.version} listening on ${listener.where}, ` +
      `asking ${args.host}`,
  );
  for (const line of describeConfig(config)) log.info(line);
  return listener;
}

function describeConfig({ volumes, files }: Config): string[] {
  const from = files.length > 0 ? files.join(", ") : "no file: the defaults";
  const list = (names: readonly string[]) => names.join(", ") || "nobody";
  return [
    `settings from ${from}`,
    volumes
      ? `enforcing: no volumes (exempt users: ${list(volumes.allowUser)}; ` +
        `exempt groups: ${list(volumes.allowGroup)}; ` +
        `classic builds: ${volumes.allowClassicBuild ? "open" : "closed"})`
      : "volumes: not enforced",
  ];
}

let stopping = false;

async function stop(listener: Listener, log: Log): Promise<void> {
  if (stopping) return;
  stopping = true;
  // A connection that never ends must not keep systemd waiting.
  setTimeout(() => Deno.exit(0), STOP_TIME);
  await listener.close();
  log.info("stopped");
  Deno.exit(0);
}

function isForTheAdministrator(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof ListenError ||
    error instanceof EngineError;
}

await main();
