/**
 * Starts what the command line asks for. Nothing here decides.
 *
 * @module
 */
import project from "./deno.json" with { type: "json" };
import {
  type Args,
  HELP,
  readArgs,
  USAGE,
  UsageError,
} from "./lib/cli/args.ts";
import { checkConfig } from "./lib/cli/check_config.ts";
import { explain } from "./lib/cli/explain.ts";
import { EXPLAIN_USAGE } from "./lib/cli/question.ts";
import { ConfigError } from "./lib/config/document.ts";
import { loadConfig } from "./lib/config/load.ts";
import { Settings } from "./lib/config/settings.ts";
import { describeConfig, showConfig } from "./lib/config/show.ts";
import { startWarnings, warnOfUnseenBuilds } from "./lib/config/warnings.ts";
import { engineEndpoint } from "./lib/engine/address.ts";
import { EngineError } from "./lib/engine/error.ts";
import { type Log, openLog } from "./lib/log.ts";
import { Metrics } from "./lib/metrics.ts";
import { listen, type Listener, ListenError } from "./lib/server/listen.ts";
import { MonitorError, serveMonitor } from "./lib/server/monitor.ts";
import { pluginHandler } from "./lib/server/plugin.ts";
import { createLines } from "./lib/verdict/lines.ts";

const NAME = "docker-policy-plugin";

/** How long a stop may take, in milliseconds. */
const STOP_TIME = 4000;

async function main([command, ...words]: string[]): Promise<void> {
  if (command === "check-config") Deno.exit(checkConfig(words) ? 0 : 1);
  if (command === "explain") Deno.exit(await explain(words) ? 0 : 1);
  const args = readArgs(Deno.args);
  if (args.help) return console.log(HELP);
  if (args.version) {
    const { deno } = Deno.version;
    return console.log(`${NAME} ${project.version} (Deno ${deno})`);
  }
  await serve(args);
}

async function serve(args: Args): Promise<void> {
  const log = openLog({
    debug: args.debug,
    journal: Deno.env.get("JOURNAL_STREAM") !== undefined,
    format: args.logFormat,
  });
  try {
    const listener = await start(args, log);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => stop(listener, log));
    }
  } catch (error) {
    if (isForTheAdministrator(error)) logLines(error.message, log.error);
    else log.error(String(error instanceof Error ? error.stack : error));
    Deno.exit(1);
  }
}

async function start(args: Args, log: Log): Promise<Listener> {
  const settings = Settings.open(() => loadConfig(args.config));
  const endpoint = engineEndpoint(args);
  const metrics = new Metrics();
  const lines = createLines({
    settings,
    endpoint,
    log,
    metrics,
    stateDirectory: Deno.env.get("STATE_DIRECTORY"),
  });

  // The monitor first: an address that is taken must not cost the engine the
  // plugin's socket.
  let problem: () => string | undefined = () => "not listening yet";
  if (args.addr !== undefined) {
    serveMonitor(args.addr, {
      version: project.version,
      problem: () => problem(),
      warning: () =>
        settings.problem
          ? `the settings could not be read again: ${settings.problem}`
          : lines.unwatched() &&
            `the engine's events are not followed: ${lines.unwatched()}`,
      config: () => showConfig(settings.config),
      metrics: () =>
        metrics.format({
          version: project.version,
          generation: settings.generation,
          reloaded: settings.problem === undefined,
          following: lines.unwatched() === undefined,
          left: lines.left(),
        }),
    });
  }
  const listener = await listen(
    pluginHandler(lines, log),
    args.socket,
    { fds: Deno.env.get("LISTEN_FDS"), pid: Deno.env.get("LISTEN_PID") },
  );
  problem = listener.problem;
  log.info(
    `${NAME} ${project.version} listening on ${listener.where}, ` +
      `asking ${args.host}`,
  );

  const logSettings = () => {
    const { config } = settings;
    for (const line of describeConfig(config)) log.info(line);
    for (const warning of startWarnings(config)) log.warning(warning);
    warnOfUnseenBuilds(config, lines.engine, log);
  };
  logSettings();
  Deno.addSignalListener("SIGHUP", () => {
    settings.reload();
    if (settings.problem === undefined) {
      log.info("settings read again");
      logSettings();
      lines.settingsChanged();
    } else {
      logLines(settings.problem, log.error);
      log.error("the settings from before stay in force");
    }
  });
  return {
    ...listener,
    async close() {
      await listener.close();
      await lines.close();
    },
  };
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

/** An error that says what is wrong and what to do, without a stack. */
function isForTheAdministrator(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof ListenError ||
    error instanceof EngineError || error instanceof MonitorError;
}

function logLines(text: string, write: (line: string) => void): void {
  for (const line of text.split("\n")) write(line);
}

try {
  await main(Deno.args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  const usage = Deno.args[0] === "explain" ? EXPLAIN_USAGE : USAGE;
  console.error(`${NAME}: ${error.message}\n${usage}`);
  Deno.exit(2);
}
