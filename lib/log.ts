/**
 * The log: one line an event, on standard error.
 *
 * @module
 */

/** How grave an event is, as syslog numbers it (sd-daemon(3)). */
const PRIORITIES = { error: 3, warning: 4, info: 6, debug: 7 } as const;

/** Logs an event. */
export type LogEvent = (message: string) => void;

/** A function for each gravity. */
export type Log = Record<keyof typeof PRIORITIES, LogEvent>;

/**
 * Opens the log.
 *
 * @param debug Whether debug events are written.
 * @param journal Whether a journal reads along, and wants the priority in front.
 * @param write Writes a line.
 * @returns The log.
 */
export function openLog(
  debug: boolean,
  journal: boolean,
  write: (line: string) => void = console.error,
): Log {
  const at = (level: keyof typeof PRIORITIES): LogEvent => (message) => {
    const line = message.replaceAll("\n", "\\n");
    write(
      journal ? `<${PRIORITIES[level]}>${line}` : `${level}: ${line}`,
    );
  };
  return {
    error: at("error"),
    warning: at("warning"),
    info: at("info"),
    debug: debug ? at("debug") : () => {},
  };
}
