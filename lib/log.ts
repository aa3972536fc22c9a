/**
 * The log: one line an event, on standard error.
 *
 * @module
 */
import { printable } from "./text.ts";

/** How severe an event is, as syslog numbers it (sd-daemon(3)). */
const PRIORITIES = { error: 3, warning: 4, info: 6, debug: 7 } as const;

/** What an event is about, under names that can be searched for. */
export type Fields = Readonly<Record<string, string | number>>;

/** Logs an event. */
export type LogEvent = (message: string, fields?: Fields) => void;

/** A function for each severity. */
export type Log =
  & Record<Exclude<keyof typeof PRIORITIES, "debug">, LogEvent>
  & {
    /** Missing unless debug events are written. */
    debug?: LogEvent;
  };

/** A log that nobody reads. */
export const SILENT: Log = { error() {}, warning() {}, info() {} };

/** How an event is written. */
export type LogFormat = "text" | "json";

/** How the log is written. */
export interface LogOptions {
  /** Whether debug events are written. */
  debug: boolean;
  /** Whether the journal reads it, which wants the priority in front. */
  journal: boolean;
  format: LogFormat;
}

/**
 * Opens the log.
 *
 * @param options How it is written.
 * @param write Writes a line.
 * @returns The log.
 */
export function openLog(
  { debug, journal, format }: LogOptions,
  write: (line: string) => void = console.error,
): Log {
  const at =
    (level: keyof typeof PRIORITIES): LogEvent => (message, fields) => {
      const line = format === "json"
        ? printable(JSON.stringify({
          time: new Date().toISOString(),
          level,
          message,
          ...fields,
        }))
        : textLine(message, fields);
      const prefix = journal
        ? `<${PRIORITIES[level]}>`
        : format === "text"
        ? `${level}: `
        : "";
      try {
        write(prefix + line);
      } catch {
        // A full disk behind the log must not refuse anybody's call.
      }
    };
  return {
    error: at("error"),
    warning: at("warning"),
    info: at("info"),
    ...(debug && { debug: at("debug") }),
  };
}

function textLine(message: string, fields: Fields = {}): string {
  const words = Object.entries(fields).map(([name, value]) =>
    `${name}=${
      /^[\w.,:;%&?=/@+-]+$/.test(`${value}`) ? value : JSON.stringify(value)
    }`
  );
  return printable([message, ...words].join(" "));
}
