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
  switch (Deno.args[0]) {
    case "check-config":
      return checkConfig(readArgsOrExit(Deno.args.slice(1)));
    case "explain":
      return await explain(Deno.args.slice(1));
  }
  const args = readArgsOrExit(Deno.args);
  if (args.help) return console.log(HELP);
  if (args.version) return console.log(`${NAME} ${project.version}`);

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

/** Says whether the settings can be followed, and what they would enforce. */
function checkConfig(args: Args): void {
  try {
    const config = loadConfig(args.config);
    console.log("ok");
    console.log(JSON.stringify(showConfig(config), null, 2));
    for (const warning of startWarnings(config)) {
      console.log(`warning: ${warning}`);
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}

/** Says whether a call would be allowed, and by which rule. */
async function explain(words: readonly string[]): Promise<void> {
  const { EXPLAIN_USAGE, readQuestion } = await import("./lib/explain.ts");
  const { InvalidReference } = await import("./lib/reference.ts");
  try {
    const { request, options } = await readQuestion(
      words,
      () => new Response(Deno.stdin.readable).bytes(),
    );
    const args = readArgs(options);
    const asked: string[] = [];
    const engine = connectEngine(engineTransport(args));
    const judge = createJudge({
      config: loadConfig(args.config),
      engine: new Proxy(engine, {
        get(target, question: keyof typeof target) {
          return (...args: string[]) => {
            asked.push([question, ...args].join(" "));
            return Reflect.apply(target[question], target, args);
          };
        },
      }),
      isExempt: exemptionCheck(),
      log: SILENT,
    });
    const decision = await judge(request);
    if (decision.allow) {
      return console.log(
        "allowed" + (decision.because ? `: ${decision.because}` : ""),
      );
    }
    console.log(
      decision.rule === "engine"
        ? `can't tell without asking ${args.host} (${asked.join(", ")}): ` +
          decision.message
        : `refused by ${decision.rule}: ${decision.message}`,
    );
  } catch (error) {
    if (error instanceof UsageError) exitWithUsage(error, EXPLAIN_USAGE);
    if (
      !isForTheAdministrator(error) && !(error instanceof InvalidReference)
    ) throw error;
    console.error(error.message);
  }
  Deno.exit(1);
}

const SILENT: Log = {
  error() {},
  warning() {},
  info() {},
  debug() {},
};

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
  const handler = pluginHandler(createJudge(options), createRecheck(options));

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
