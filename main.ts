/**
 * Starts the plugin: flags, settings, wiring; nothing that decides.
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
import {
  type Config,
  ConfigError,
  loadConfig,
  showConfig,
} from "./lib/config/config.ts";
import { engineEndpoint } from "./lib/engine/address.ts";
import { EngineError } from "./lib/engine/error.ts";
import { listen, type Listener, ListenError } from "./lib/server/listen.ts";
import { type Log, openLog } from "./lib/log.ts";
import { Metrics } from "./lib/metrics.ts";
import { pluginHandler } from "./lib/server/plugin.ts";
import { createLines } from "./lib/verdict/lines.ts";
import { Settings } from "./lib/config/settings.ts";

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
  const { checkConfig, explain } = await import("./lib/cli/commands.ts");
  const { EXPLAIN_USAGE } = await import("./lib/cli/question.ts");
  try {
    const { text, ok } = command === "explain"
      ? await explain(words)
      : await checkConfig(readArgs(words));
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
  const settings = await Settings.open(() => loadConfig(args.config));
  const endpoint = engineEndpoint(args);
  const metrics = new Metrics();

  // The monitor first: an address that is taken must not cost the engine the
  // plugin's socket.
  let problem: () => string | undefined = () => "not listening yet";
  if (args.addr !== undefined) {
    const { serveMonitor } = await import("./lib/server/monitor.ts");
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
  const lines = createLines({ settings, endpoint, log, metrics });
  const listener = await listen(
    pluginHandler(lines, log),
    args.socket,
    { fds: Deno.env.get("LISTEN_FDS"), pid: Deno.env.get("LISTEN_PID") },
  );
  problem = listener.problem;

  /** Warnings are about images only. */
  const warn = async () => {
    if (!settings.config.images) return;
    const { startWarnings, warnOfUnseenBuilds } = await import(
      "./lib/config/warnings.ts"
    );
    for (const warning of startWarnings(settings.config)) log.warning(warning);
    await warnOfUnseenBuilds(settings.config, lines.engine, log);
  };
  log.info(
    `${NAME} ${project.version} listening on ${listener.where}, ` +
      `asking ${args.host}`,
  );
  logConfig(settings.config, log);
  warn();
  Deno.addSignalListener("SIGHUP", async () => {
    if (await reload(settings, log)) await warn();
  });
  return listener;
}

/** Whether the settings are other ones now. */
async function reload(settings: Settings, log: Log): Promise<boolean> {
  await settings.reload();
  if (settings.problem === undefined) {
    log.info("settings read again");
    logConfig(settings.config, log);
    return true;
  }
  for (const line of settings.problem.split("\n")) log.error(line);
  log.error("the settings from before stay in force");
  return false;
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
    error instanceof EngineError ||
    // Of a module that is not loaded where nobody asks for it.
    (error instanceof Error && error.name === "MonitorError");
}

await main();
