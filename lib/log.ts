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

/** As many bytes of lines may wait for whoever reads the log. */
const WAITING = 1024 * 1024;

/** How long an end waits for the log to be written, in milliseconds. */
const LAST_WORDS = 1000;

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
 * Writes lines without waiting for whoever reads them. A journal that is slow,
 * with a full disk and somebody who floods it, would stop the process, and with
 * it the engine.
 */
export class LineWriter {
  readonly #to: { write(bytes: Uint8Array): Promise<number> };
  #waiting: Uint8Array[] = [];
  #size = 0;
  #writing: Promise<void> | undefined;

  /** @param to What is written to. */
  constructor(to: { write(bytes: Uint8Array): Promise<number> }) {
    this.#to = to;
  }

  /**
   * Has a line written.
   *
   * @param line The line, without its end.
   * @returns False if it is lost, because too many wait.
   */
  readonly write = (line: string): boolean => {
    const bytes = new TextEncoder().encode(line + "\n");
    if (this.#size + bytes.length > WAITING) return false;
    this.#waiting.push(bytes);
    this.#size += bytes.length;
    this.#writing ??= this.#writeAll();
    return true;
  };

  /** @returns When all lines are written, or can't be for now. */
  async written(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  async #writeAll(): Promise<void> {
    for (let bytes; (bytes = this.#waiting.shift());) {
      try {
        for (let at = 0; at < bytes.length;) {
          at += await this.#to.write(bytes.subarray(at));
        }
      } catch {
        // A full disk, or nobody reads it any more.
      }
      this.#size -= bytes.length;
    }
    this.#writing = undefined;
  }
}

/** Where the log goes, unless a test has other plans. */
export const STANDARD_ERROR = new LineWriter(Deno.stderr);

/**
 * Opens the log.
 *
 * @param options How it is written.
 * @param write Writes a line; false if it is lost.
 * @returns The log.
 */
export function openLog(
  { debug, journal, format }: LogOptions,
  write: (line: string) => unknown = STANDARD_ERROR.write,
): Log {
  /** How many lines were lost since one was written. */
  let lost = 0;
  const at =
    (level: keyof typeof PRIORITIES): LogEvent => (message, fields) => {
      if (lost > 0 && put("warning", `${lost} lines of the log were lost`)) {
        lost = 0;
      }
      if (!put(level, message, fields)) lost++;
    };

  /** Returns whether it is not lost. */
  function put(
    level: keyof typeof PRIORITIES,
    message: string,
    fields?: Fields,
  ): boolean {
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
      return write(prefix + line) !== false;
    } catch {
      // A full disk behind the log must not refuse anybody's call.
      return true;
    }
  }
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
