/**
 * The command line. A new option is added here four times: in {@link Args}, in
 * the names of those with or without a value, in the help, in {@link readArgs}.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import type { LogFormat } from "../log.ts";

/** What the command line says. */
export interface Args {
  host: string;
  certPath?: string;
  tlsVerify: boolean;
  config?: string;
  socket: string;
  /** Where the monitor API is served; undefined if it is off. */
  addr?: string;
  logFormat: LogFormat;
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
const TEXTS = ["host", "cert-path", "config", "socket", "addr", "log-format"];
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
export const USAGE = "usage: docker-policy-plugin [--host URL] " +
  "[--cert-path DIR] [--tls-verify] [--config FILE] [--socket PATH] " +
  "[--addr HOST:PORT] [--log-format text|json] [--debug] [--version] [--help]";

/** What `--help` prints. */
export const HELP = `${USAGE}
       docker-policy-plugin check-config [--config FILE]
       docker-policy-plugin explain pull IMAGE | push IMAGE | run -- ... | create

An authorization plugin for the Docker Engine.

  --host URL       engine to ask: unix:///path or tcp://host:port
                   (default unix:///var/run/docker.sock)
  --cert-path DIR  cert.pem and key.pem to show an engine behind TLS
  --tls-verify     verify the engine's certificate by ca.pem in that directory
  --config FILE    settings (default /etc/docker/docker-policy-plugin.toml);
                   a .json is docker-image-policy's
  --socket PATH    where to listen for the engine
                   (default /run/docker/plugins/docker-policy-plugin.sock)
  --addr HOST:PORT where to serve the monitor API, or off
                   (default 127.0.0.1:5006)
  --log-format json
                   log one JSON object an event
  --debug          log every guarded call, not only denials
  --version        print the version
  --help           print this

Options take one dash or two, and "=" or a space before their value.`;

/**
 * Reads the command line, with Go's spelling of flags: `-host x`,
 * `--host=x`.
 *
 * @param args The arguments.
 * @returns What they say.
 * @throws {UsageError} If one is unknown, or lacks its value.
 */
export function readArgs(args: readonly string[]): Args {
  const parsed: Record<string, string | boolean | undefined> = parseArgs(
    // parseArgs takes "-host" for a cluster of one-letter flags.
    args.map((arg) => arg.replace(/^-(?=[a-z]{2})/, "--")).map(plainSwitch),
    {
      string: TEXTS,
      boolean: SWITCHES,
      default: {
        host: "unix:///var/run/docker.sock",
        socket: "/run/docker/plugins/docker-policy-plugin.sock",
        addr: "127.0.0.1:5006",
        "log-format": "text",
      },
      unknown: (arg: string) => {
        throw new UsageError(
          arg.startsWith("-") ? `unknown option ${arg}` : `what is ${arg}?`,
        );
      },
    },
  );
  const [stray] = parsed._ as unknown as string[];
  if (stray !== undefined) throw new UsageError(`what is ${stray}?`);
  for (const name of TEXTS) {
    if (parsed[name] === "") throw new UsageError(`--${name} needs a value`);
  }
  return {
    host: parsed.host as string,
    certPath: parsed["cert-path"] as string | undefined,
    tlsVerify: parsed["tls-verify"] === true,
    config: parsed.config as string | undefined,
    socket: parsed.socket as string,
    addr: parsed.addr === "off" ? undefined : parsed.addr as string,
    logFormat: readLogFormat(parsed["log-format"] as string),
    debug: parsed.debug === true,
    version: parsed.version === true,
    help: parsed.help === true,
  };
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
