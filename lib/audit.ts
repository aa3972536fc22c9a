/**
 * The audit log: what became of each guarded call, for programs. Nothing that
 * happens to it refuses a call.
 *
 * @module
 */
import type { Fields, Log } from "./log.ts";
import { messageOf, printable } from "./text.ts";

/**
 * What became of a guarded call. `for` names the `[for.NAME]` whose settings
 * decided, if it weren't everybody's.
 */
export interface AuditEvent extends Fields {
  user: string;
  method: string;
  path: string;
  /** The row of the endpoint table. */
  call: string;
  verdict: "allow" | "deny" | "would_deny";
  /** Which rule decided; empty if none refused. */
  rule: string;
  /** Why; empty without a reason. */
  reason: string;
  /** How long the verdict took. */
  seconds: number;
}

/** Where events go. */
export interface AuditLog {
  /** @param event What is written down. */
  write(event: AuditEvent): void;
  /** Opens the file anew: it may have been moved away. */
  reopen(): void;
  /** Ends it. */
  close(): void;
  /** @returns How many events could not be written. */
  lost(): number;
}

/** Where journald listens (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). */
const JOURNAL = "/run/systemd/journal/socket";

/** As many events may wait for journald. */
const WAITING = 1000;

const encoder = new TextEncoder();

/** Notes what is lost: the first of a row of failures is in the log. */
class Losses {
  count = 0;
  #isFailing = false;
  readonly #log: Log;
  readonly #to: string;

  constructor(log: Log, to: string) {
    this.#log = log;
    this.#to = to;
  }

  add(error: unknown): void {
    this.count++;
    if (!this.#isFailing) {
      this.#log.error(
        `the audit log can't be written to ${this.#to}: ${messageOf(error)}`,
      );
    }
    this.#isFailing = true;
  }

  end(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#log.info(
      `the audit log is written to ${this.#to} again, without ${this.count} ` +
        "events since the start",
    );
  }
}

/**
 * Opens an audit log in a file: an object of JSON a line.
 *
 * @param path The file, which is made for its owner alone.
 * @param log Is told if it can't be written.
 * @returns The audit log.
 */
export function auditToFile(path: string, log: Log): AuditLog {
  const losses = new Losses(log, path);
  let file: Deno.FsFile | undefined;
  /** Whether the last line has no end. */
  let isTorn = false;

  function append(text: string): void {
    file ??= Deno.openSync(path, { append: true, create: true, mode: 0o600 });
    const bytes = encoder.encode(isTorn ? `\n${text}` : text);
    for (let at = 0; at < bytes.length;) {
      at += file.writeSync(bytes.subarray(at));
      isTorn = at < bytes.length;
    }
  }

  return {
    write(event) {
      const time = new Date().toISOString();
      try {
        append(printable(JSON.stringify({ time, ...event })) + "\n");
        losses.end();
      } catch (error) {
        losses.add(error);
      }
    },
    reopen() {
      file?.close();
      file = undefined;
      isTorn = false;
    },
    close: () => file?.close(),
    lost: () => losses.count,
  };
}

/**
 * Opens an audit log in systemd's journal, with a field for each fact.
 *
 * @param directory A directory for our end of the connection.
 * @param log Is told if it can't be written.
 * @param journal Where journald listens, for tests.
 * @returns The audit log.
 */
export function auditToJournal(
  directory: string,
  log: Log,
  journal = JOURNAL,
): AuditLog {
  const losses = new Losses(log, "the journal");
  const own = `${directory}/audit.sock`;
  const to = { transport: "unixpacket", path: journal } as const;
  let socket: Deno.DatagramConn | undefined;
  let waiting = 0;

  function open(): Deno.DatagramConn {
    try {
      Deno.removeSync(own);
    } catch {
      // Mostly it is not there; otherwise the next line says so.
    }
    return Deno.listenDatagram({ transport: "unixpacket", path: own });
  }

  async function send(event: AuditEvent): Promise<void> {
    if (waiting >= WAITING) throw new Error("it is too slow");
    waiting++;
    try {
      socket ??= open();
      await socket.send(encoder.encode(journalEntry(event)), to);
    } finally {
      waiting--;
    }
  }

  return {
    write(event) {
      send(event).then(() => losses.end(), (error) => losses.add(error));
    },
    reopen() {},
    close: () => socket?.close(),
    lost: () => losses.count,
  };
}

function journalEntry(event: AuditEvent): string {
  const { verdict, user, method, path, rule } = event;
  const fields = {
    MESSAGE: `${verdict} ${user} ${method} ${path} ${rule}`.trimEnd(),
    PRIORITY: verdict === "deny" ? 5 : 6,
    SYSLOG_IDENTIFIER: "docker-policy-plugin-audit",
    ...Object.fromEntries(
      Object.entries(event).map((
        [name, value],
      ) => [`DOCKER_POLICY_${name.toUpperCase()}`, value]),
    ),
  };
  // A value with a line feed would need another form.
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${printable(String(value))}\n`).join("");
}
