/**
 * The command line. A new option is added here in five places: {@link Args}, the
 * names of those with or without a value, {@link USAGE}, {@link HELP} and
 * {@link readArgs}.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { HOST_FORM, isHost } from "../engine/address.ts";
import { USUAL_HOST } from "../engine/h2c.ts";
import type { LogFormat } from "../log.ts";
import { type MonitorAddress, readMonitorAddress } from "../monitor_address.ts";

/** What the command line says. */
export interface Args {
  host: string;
  certPath?: string;
  tlsVerify: boolean;
  config?: string;
  socket: string;
  /** Where the monitor API is served; empty if it is off. */
  addr: readonly MonitorAddress[];
  logFormat: LogFormat;
  /** The file of the audit log, or `journal`; undefined if there is none. */
  auditLog?: string;
  debug: boolean;
  version: boolean;
  help: boolean;
}

/** A command line that can't be followed. */
export class UsageError extends Error {
  /** @param problem What is wrong with it. */
  constructor(problem: string) {
    super(problem);
    this.name = "UsageError";
  }
}

/** Options with a value. */
const TEXTS = [
  ...["host", "cert-path", "config", "socket", "addr", "log-format"],
  "audit-log",
];
/** Options that are on or off. */
const SWITCHES = ["tls-verify", "debug", "version", "help"];

/** Go's `strconv.ParseBool`: old unit files may say `-tls-verify=1`. */
const BOOLEANS: Record<string, boolean> = {
  ...{ "1": true, t: true, T: true, true: true, TRUE: true, True: true },
  ...{
    "0": false,
    f: false,
    F: false,
    false: false,
    FALSE: false,
    False: false,
  },
};

/** One line for who mistyped. */
export const USAGE = "usage: docker-policy-plugin " +
  "[audit ... | check-config ... | explain ... | health ...] [--host URL] " +
  "[--cert-path DIR] [--tls-verify] [--config FILE] [--socket PATH] " +
  "[--addr ADDRESS] [--log-format text|json] [--audit-log FILE|journal] " +
  "[--debug] [--version] [--help]";

/** What `--help` prints. */
export const HELP = `usage: docker-policy-plugin [OPTIONS]
       docker-policy-plugin audit [OPTIONS] [FILE]
       docker-policy-plugin check-config [FILE | -] [--host [URL]]
       docker-policy-plugin explain [OPTIONS] -- docker run ...
       docker-policy-plugin health [--addr ADDRESS]

An authorization plugin for the Docker Engine. Each command has a --help.

  --host URL       engine to ask: unix:///path or tcp://host:port
                   (default ${USUAL_HOST})
  --cert-path DIR  cert.pem and key.pem to show an engine behind TLS
  --tls-verify     verify the engine's certificate by ca.pem in that directory
  --config FILE    settings (default /etc/docker/docker-policy-plugin.toml);
                   a .json is docker-image-policy's
  --socket PATH    where to listen for the engine
                   (default /run/docker/plugins/docker-policy-plugin.sock)
  --addr ADDRESS   where to serve the monitor API: HOST:PORT, unix:/path or off;
                   may be given several times (default 127.0.0.1:5006, in the
                   packaged unit unix:/run/docker-policy-plugin/monitor.sock)
  --log-format json
                   log one JSON object an event
  --audit-log FILE write all guarded calls to FILE, one JSON object each, or
                   with "journal" to the journal, in fields
  --debug          log every call that may change something, not only denials
  --version        print the version
  --help           print this; so does -h

Options take one dash or two, and "=" or a space before their value.`;

/**
 * Reads the command line, with Go's spelling of flags: `-host x`,
 * `--host=x`.
 *
 * @param args The arguments.
 * @param runtimeDirectory The directory in /run that systemd made for the
 *   service; undefined without one.
 * @returns What they say.
 * @throws {UsageError} If one is unknown, lacks its value, or is there twice.
 */
export function readArgs(
  args: readonly string[],
  runtimeDirectory?: string,
): Args {
  const parsed: Record<string, unknown> = parseArgs(
    inLongForm(args, TEXTS),
    {
      string: TEXTS,
      boolean: SWITCHES,
      collect: TEXTS,
      alias: { help: "h" },
      unknown: (arg: string) => {
        throw new UsageError(
          arg.startsWith("-") ? `unknown option ${arg}` : `what is ${arg}?`,
        );
      },
    },
  );
  const [stray] = parsed._ as string[];
  if (stray !== undefined) throw new UsageError(`what is ${stray}?`);
  const all = (name: string) => allOf(name, parsed[name] as string[]);
  const one = (name: string) => oneOf(name, parsed[name] as string[]);
  const host = one("host") ?? USUAL_HOST;
  if (!isHost(host)) throw new UsageError(`--host ${host}: give ${HOST_FORM}`);
  return {
    host,
    certPath: one("cert-path"),
    tlsVerify: parsed["tls-verify"] === true,
    config: one("config"),
    socket: one("socket") ??
      "/run/docker/plugins/docker-policy-plugin.sock",
    addr: readAddresses(all("addr"), runtimeDirectory),
    logFormat: readLogFormat(one("log-format") ?? "text"),
    auditLog: one("audit-log"),
    debug: parsed.debug === true,
    version: parsed.version === true,
    help: parsed.help === true,
  };
}

/**
 * Brings arguments into a form that parseArgs reads as Go reads them.
 *
 * @param args The arguments.
 * @param texts The options with a value.
 * @returns The same, each option with two dashes.
 * @throws {UsageError} If a switch is neither on nor off.
 */
export function inLongForm(
  args: readonly string[],
  texts: readonly string[],
): string[] {
  const words: string[] = [];
  for (const arg of args) {
    const last = words.at(-1) ?? "";
    // parseArgs takes neither for a value, unless it stands behind "=".
    const isValue = texts.some((name) => last === `--${name}`);
    if (isValue && (arg === "" || arg === "-")) {
      words[words.length - 1] = `${last}=${arg}`;
    } else {
      // It takes "-host" for a cluster of one-letter flags.
      words.push(plainSwitch(arg.replace(/^-(?=[a-z]{2})/, "--")));
    }
  }
  return words;
}

/**
 * Reads an option that may be there once.
 *
 * @param name The option.
 * @param values Its values, as many as there are.
 * @returns Its value; undefined if it is not there.
 * @throws {UsageError} If it is there twice, or has an empty value: a shell
 *   variable may be unset.
 */
export function oneOf(
  name: string,
  values: readonly string[],
): string | undefined {
  const [value, ...more] = allOf(name, values);
  if (more.length === 0) return value;
  throw new UsageError(`--${name} is there twice: keep one of them`);
}

function allOf(name: string, values: readonly string[]): readonly string[] {
  if (values.includes("")) throw new UsageError(`--${name} needs a value`);
  return values;
}

function readAddresses(
  texts: readonly string[],
  runtimeDirectory: string | undefined,
): MonitorAddress[] {
  if (texts.length === 1 && texts[0] === "off") return [];
  const standard = runtimeDirectory === undefined
    ? "127.0.0.1:5006"
    : `unix:${runtimeDirectory.split(":")[0]}/monitor.sock`;
  return (texts.length > 0 ? texts : [standard]).map(readAddress);
}

/**
 * Reads where the monitor API is.
 *
 * @param text An `--addr`.
 * @returns The address.
 * @throws {UsageError} If it is none.
 */
export function readAddress(text: string): MonitorAddress {
  const address = readMonitorAddress(text);
  if (address) return address;
  throw new UsageError(
    `--addr ${text}: give HOST:PORT, such as 127.0.0.1:5006, or unix:/path, ` +
      "or off",
  );
}

function readLogFormat(text: string): LogFormat {
  if (text === "text" || text === "json") return text;
  throw new UsageError(`--log-format=${text}: give text or json`);
}

/** parseArgs takes any value of a switch but "false" for true. */
function plainSwitch(arg: string): string {
  const [, name, value] = /^--([a-z-]+)=(.*)$/s.exec(arg) ?? [];
  if (!SWITCHES.includes(name)) return arg;
  if (!Object.hasOwn(BOOLEANS, value)) {
    throw new UsageError(`--${name}=${value}: give true or false`);
  }
  return `--${name}=${BOOLEANS[value]}`;
}
