/**
 * Starts what the command line asks for. Nothing here decides.
 *
 * @module
 */
import project from "./deno.json" with { type: "json" };
import { type AuditLog, auditToFile, auditToJournal } from "./lib/audit.ts";
import {
  type Args,
  HELP,
  readArgs,
  USAGE,
  UsageError,
} from "./lib/cli/args.ts";
import { AUDIT_USAGE, auditHost } from "./lib/cli/audit_command.ts";
import { CHECK_CONFIG_USAGE, checkConfig } from "./lib/cli/check_config.ts";
import { explain, EXPLAIN_USAGE } from "./lib/cli/explain.ts";
import { health, HEALTH_USAGE } from "./lib/cli/health.ts";
import { POLICIES, stateOf } from "./lib/config/config.ts";
import { ConfigError } from "./lib/config/document.ts";
import { loadConfig } from "./lib/config/load.ts";
import { Settings } from "./lib/config/settings.ts";
import {
  describeConfig,
  showConfig,
  summarizeConfig,
} from "./lib/config/show.ts";
import {
  engineWarnings,
  reloadWarnings,
  startWarnings,
} from "./lib/config/warnings.ts";
import { engineEndpoint } from "./lib/engine/address.ts";
import { EngineError } from "./lib/engine/error.ts";
import { type Log, openLog, STANDARD_ERROR } from "./lib/log.ts";
import { Metrics, type Standing } from "./lib/metrics.ts";
import { listen, ListenError } from "./lib/server/listen.ts";
import { type Monitor, serveMonitor } from "./lib/server/monitor.ts";
import { pluginHandler } from "./lib/server/plugin.ts";
import { printable } from "./lib/text.ts";
import { createLines } from "./lib/verdict/lines.ts";

const NAME = "docker-policy-plugin";

/** For who mistyped a command's words. */
const USAGES = new Map([
  ["audit", AUDIT_USAGE],
  ["check-config", CHECK_CONFIG_USAGE],
  ["explain", EXPLAIN_USAGE],
  ["health", HEALTH_USAGE],
]);

/** How long a stop may take, in milliseconds. */
const STOP_TIME = 4000;

async function main([command, ...words]: string[]): Promise<void> {
  if (command === "check-config") {
    const readInput = () => new Response(Deno.stdin.readable).bytes();
    Deno.exit(await checkConfig(words, readInput));
  }
  if (command === "audit") Deno.exit(await auditHost(words));
  if (command === "explain") Deno.exit(await explain(words));
  if (command === "health") Deno.exit(await health(words));
  // Only explain runs the command that it is given.
  Deno.permissions.revokeSync({ name: "run", command: "env" });
  const args = readArgs(Deno.args, Deno.env.get("RUNTIME_DIRECTORY"));
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
    const close = await start(args, log);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => stop(close, log));
    }
  } catch (error) {
    if (isForTheAdministrator(error)) logLines(error.message, log.error);
    else log.error(String(error instanceof Error ? error.stack : error));
    await STANDARD_ERROR.written();
    Deno.exit(1);
  }
  keepRunning(log);
}

/**
 * What nobody caught concerns one connection, and must not end the process: the
 * engine would refuse every call until it is back.
 */
function keepRunning(log: Log): void {
  const note = (event: Event, error: unknown) => {
    event.preventDefault();
    log.error(
      `bug: ${error instanceof Error ? error.stack ?? error : String(error)}`,
    );
  };
  addEventListener("error", (event) => note(event, event.error));
  addEventListener("unhandledrejection", (event) => note(event, event.reason));
}

/** Starts the plugin. Returns what stops it. */
async function start(args: Args, log: Log): Promise<() => Promise<void>> {
  const settings = Settings.open(() => loadConfig(args.config));
  const endpoint = engineEndpoint(args);
  const metrics = new Metrics();
  const audit = openAudit(args, log);
  const lines = createLines({
    settings,
    endpoint,
    log,
    metrics,
    audit: audit?.write,
    stateDirectory: Deno.env.get("STATE_DIRECTORY"),
  });

  const listener = await listen(
    pluginHandler(lines, log),
    args.socket,
    { fds: Deno.env.get("LISTEN_FDS"), pid: Deno.env.get("LISTEN_PID") },
    log,
  );
  log.info(
    `${NAME} ${project.version} listening on ${listener.where}, ` +
      `asking ${args.host}`,
  );

  const logSettings = () => {
    const { config } = settings;
    for (const line of describeConfig(config)) log.info(line);
    for (const warning of startWarnings(config)) log.warning(warning);
    void engineWarnings(config).then((warnings) => {
      for (const warning of warnings) log.warning(warning);
    });
    lines.http2.logWarning();
  };
  logSettings();
  Deno.addSignalListener("SIGHUP", () => {
    audit?.reopen();
    const before = settings.config;
    settings.reload();
    if (settings.problem === undefined) {
      log.info("settings read again");
      logSettings();
      for (const warning of reloadWarnings(before, settings.config)) {
        log.warning(warning);
      }
      lines.settingsChanged();
    } else {
      logLines(settings.problem, log.error);
      log.error("the settings from before stay in force");
    }
  });

  const monitors: Monitor[] = [];
  const warnings = () => [
    ...[lines.http2.warning() ?? []].flat(),
    ...(settings.problem === undefined
      ? []
      : [`the settings could not be read again: ${settings.problem}`]),
    ...(lines.unwatched() === undefined
      ? []
      : [`the engine's events are not followed: ${lines.unwatched()}`]),
    ...(lines.forgetful() === undefined
      ? []
      : [`a restart will forget whose containers are: ${lines.forgetful()}`]),
    ...monitors.flatMap((monitor) => {
      const problem = monitor.problem();
      return problem === undefined
        ? []
        : [`the monitor API is not served on ${monitor.address}: ${problem}`];
    }),
  ];
  const standing = (): Standing => ({
    version: project.version,
    generation: settings.generation,
    reloaded: settings.problem === undefined,
    following: lines.unwatched() === undefined,
    left: lines.left(),
    states: POLICIES.map((name) => [name, stateOf(settings.config, name)]),
    monitors: monitors.map((monitor) => [
      monitor.address,
      monitor.problem() === undefined,
    ]),
    auditLost: audit?.lost() ?? 0,
  });
  for (const address of args.addr) {
    monitors.push(serveMonitor(address, {
      version: project.version,
      problem: listener.problem,
      warnings,
      enforced: () => summarizeConfig(settings.config),
      config: () => showConfig(settings.config),
      metrics: () => metrics.format(standing()),
    }, log));
  }
  return async () => {
    // First: the engine asks about the end of its event stream too, and would
    // have systemd start the service again.
    await lines.close();
    await listener.close();
    for (const each of monitors) each.close();
    audit?.close();
  };
}

function openAudit({ auditLog }: Args, log: Log): AuditLog | undefined {
  if (auditLog === undefined) return undefined;
  if (auditLog !== "journal") return auditToFile(auditLog, log);
  const directory = Deno.env.get("RUNTIME_DIRECTORY")?.split(":")[0];
  return auditToJournal(directory ?? Deno.makeTempDirSync(), log);
}

let stopping = false;

async function stop(close: () => Promise<void>, log: Log): Promise<void> {
  if (stopping) return;
  stopping = true;
  // A connection that never ends must not keep systemd waiting.
  setTimeout(() => Deno.exit(0), STOP_TIME);
  await close();
  log.info("stopped");
  await STANDARD_ERROR.written();
  Deno.exit(0);
}

/** An error that says what is wrong and what to do, without a stack. */
function isForTheAdministrator(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof ListenError ||
    error instanceof EngineError;
}

function logLines(text: string, write: (line: string) => void): void {
  for (const line of text.split("\n")) write(line);
}

try {
  await main(Deno.args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  const usage = USAGES.get(Deno.args[0]) ?? USAGE;
  console.error(`${NAME}: ${printable(error.message)}\n${usage}`);
  Deno.exit(2);
}
