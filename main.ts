/**
 * Starts the plugin: flags, settings, wiring; nothing that decides.
 *
 * @module
 */
import project from "./deno.json" with { type: "json" };
import { type Args, HELP, readArgs, USAGE, UsageError } from "./lib/args.ts";
import {
  type Config,
  ConfigError,
  loadConfig,
  showConfig,
} from "./lib/config.ts";
import { connectEngine, EngineError } from "./lib/engine.ts";
import { engineTransport } from "./lib/engine_http.ts";
import { exemptionCheck } from "./lib/identity.ts";
import { createJudge } from "./lib/judge.ts";
import { listen, type Listener, ListenError } from "./lib/listen.ts";
import { type Log, openLog } from "./lib/log.ts";
import { MonitorError, serveMonitor } from "./lib/monitor.ts";
import { pluginHandler } from "./lib/plugin.ts";
import { createRecheck } from "./lib/recheck.ts";
import { startWarnings, warnOfUnseenBuilds } from "./lib/warnings.ts";

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
  const engine = connectEngine(engineTransport(args));
  const options = { config, engine, isExempt: exemptionCheck(), log };
  const handler = pluginHandler(createJudge(options), createRecheck(options));

  // The monitor first: an address that is taken must not cost the engine the
  // plugin's socket.
  let problem: () => string | undefined = () => "not listening yet";
  if (args.addr !== undefined) {
    serveMonitor(args.addr, {
      version: project.version,
      problem: () => problem(),
      config: () => showConfig(config),
    });
  }
  const listener = await listen(handler, args.socket, {
    fds: Deno.env.get("LISTEN_FDS"),
    pid: Deno.env.get("LISTEN_PID"),
  });

  problem = listener.problem;

  log.info(
    `${NAME} ${project.version} listening on ${listener.where}, ` +
      `asking ${args.host}`,
  );
  logConfig(config, log);
  warnOfUnseenBuilds(config, engine, log);
  return listener;
}

function logConfig(config: Config, log: Log): void {
  const shown = showConfig(config);
  for (const section of ["volumes", "images", "push"]) {
    log.info(
      shown[section]
        ? `enforcing [${section}] ${JSON.stringify(shown[section])}`
        : `not enforcing [${section}]`,
    );
  }
  for (const warning of startWarnings(config)) log.warning(warning);
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
    error instanceof MonitorError || error instanceof EngineError;
}

await main();
