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
import { connectEngine, EngineError, type Send } from "./lib/engine.ts";
import { engineTransport } from "./lib/engine_http.ts";
import { exemptionCheck } from "./lib/identity.ts";
import { createJudge } from "./lib/judge.ts";
import { listen, type Listener, ListenError } from "./lib/listen.ts";
import { type Log, openLog } from "./lib/log.ts";
import { Metrics } from "./lib/metrics.ts";
import { MonitorError, serveMonitor } from "./lib/monitor.ts";
import { pluginHandler } from "./lib/plugin.ts";
import { createRecheck } from "./lib/recheck.ts";
import { Settings } from "./lib/settings.ts";
import { startWarnings, warnOfUnseenBuilds } from "./lib/warnings.ts";

/** How long a stop may take, in milliseconds. */
const STOP_TIME = 4000;

const NAME = "docker-policy-plugin";

async function main(): Promise<void> {
  const [command, ...words] = Deno.args;
  if (command === "check-config" || command === "explain") {
    return await runCommand(command, words);
  }
  const args = readArgsOrExit(Deno.args);
  if (args.help) return console.log(HELP);
  if (args.version) {
    return console.log(
      `${NAME} ${project.version} (Deno ${Deno.version.deno})`,
    );
  }

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
    if (isForTheAdministrator(error)) {
      for (const line of error.message.split("\n")) log.error(line);
    } else {
      log.error(String(error instanceof Error ? error.stack : error));
    }
    Deno.exit(1);
  }
}

/** Loaded only then: serving needs none of it. */
async function runCommand(
  command: "check-config" | "explain",
  words: readonly string[],
): Promise<void> {
  const { checkConfig, explain } = await import("./lib/commands.ts");
  const { EXPLAIN_USAGE } = await import("./lib/explain.ts");
  try {
    const { text, ok } = command === "explain"
      ? await explain(words)
      : checkConfig(readArgs(words));
    console.log(text);
    Deno.exit(ok ? 0 : 1);
  } catch (error) {
    return exitWithUsage(error, command === "explain" ? EXPLAIN_USAGE : USAGE);
  }
}

function readArgsOrExit(words: readonly string[]): Args {
  try {
    return readArgs(words);
  } catch (error) {
    return exitWithUsage(error, USAGE);
  }
}

function exitWithUsage(error: unknown, usage: string): never {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${NAME}: ${error.message}\n${usage}`);
  Deno.exit(2);
}

async function start(args: Args, log: Log): Promise<Listener> {
  const settings = new Settings(() => loadConfig(args.config));
  const metrics = new Metrics();
  const engine = connectEngine(timed(engineTransport(args), metrics));
  const options = {
    get config() {
      return settings.config;
    },
    engine,
    isExempt: exemptionCheck(),
    log,
    observe: metrics.decided.bind(metrics),
  };
  const recheck = createRecheck(options);
  const handler = pluginHandler(
    createJudge(options, recheck.admit),
    recheck,
    log,
  );

  // The monitor first: an address that is taken must not cost the engine the
  // plugin's socket.
  let problem: () => string | undefined = () => "not listening yet";
  if (args.addr !== undefined) {
    serveMonitor(args.addr, {
      version: project.version,
      problem: () => problem(),
      warning: () =>
        settings.problem &&
        `the settings could not be read again: ${settings.problem}`,
      config: () => showConfig(settings.config),
      metrics: () =>
        metrics.format({
          version: project.version,
          generation: settings.generation,
          reloaded: settings.problem === undefined,
        }),
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
  logConfig(settings.config, log);
  warnOfUnseenBuilds(settings.config, engine, log);
  Deno.addSignalListener("SIGHUP", () => reload(settings, log));
  return listener;
}

function reload(settings: Settings, log: Log): void {
  settings.reload();
  if (settings.problem === undefined) {
    log.info("settings read again");
    logConfig(settings.config, log);
    return;
  }
  for (const line of settings.problem.split("\n")) log.error(line);
  log.error("the settings from before stay in force");
}

/** Counts what the engine is asked. */
function timed(send: Send, metrics: Metrics): Send {
  return async (path, method) => {
    const started = performance.now();
    const count = (result: "ok" | "not_found" | "failed") =>
      metrics.asked(result, (performance.now() - started) / 1000);
    try {
      const answer = await send(path, method);
      count(
        answer.status < 300
          ? "ok"
          : answer.status === 404
          ? "not_found"
          : "failed",
      );
      return answer;
    } catch (error) {
      count("failed");
      throw error;
    }
  };
}

function logConfig(config: Config, log: Log): void {
  const shown = showConfig(config);
  for (const section of ["volumes", "images", "push"] as const) {
    log.info(
      shown[section]
        ? `${config[section]?.enforce ? "enforcing" : "trying out"} ` +
          `[${section}] ${JSON.stringify(shown[section])}`
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
