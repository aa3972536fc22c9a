/**
 * What a user of a machine can do against the plugin there, and what came of
 * it. Runs on that machine, as that user; it needs nothing but Deno.
 *
 * ```
 * attacks.ts '{"attacks":["signals"],"seconds":5,…}'
 * ```
 *
 * prints, for each attack, how often it did what, as JSON. A count that begins
 * with `!` must be 0: an attack that worked.
 *
 * @module
 */

/** What is asked for, as the argument of the program. */
export interface Order {
  /** Names of {@link ATTACKS}, which go on beside each other. */
  attacks: string[];
  /** How long. */
  seconds: number;
  /** How long to wait after each step of a loop, in milliseconds. */
  pause: number;
  /** The plugin's process, and the engine's. */
  pids: string[];
}

/** How often an attack did what. */
export type Counts = Record<string, number>;

/** Goes on until it is time, and counts. */
type Attack = (
  order: Order & { until: number },
  count: (what: string, times?: number) => void,
) => Promise<unknown>;

const PORT = 5006;
const ENGINE = "/run/docker.sock";
const PLUGIN = "docker-policy-plugin";

const encoder = new TextEncoder();
const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

const connectMonitor = () =>
  Deno.connect({ hostname: "127.0.0.1", port: PORT });
const connectEngine = () =>
  Deno.connect({ transport: "unix", path: ENGINE }) as Promise<Deno.Conn>;

/** Does a step over and over, several times at once; what fails is counted. */
function loops(
  number: number,
  { until, pause }: { until: number; pause: number },
  count: (what: string) => void,
  step: (at: number) => Promise<void>,
): Promise<unknown> {
  return Promise.all(Array.from({ length: number }, async (_, loop) => {
    for (let at = loop; Date.now() < until; at += number) {
      await step(at).catch(() => count("failed"));
      await sleep(pause);
    }
  }));
}

/** Sends a request on a connection of its own. Returns the answer, or as much as came in time. */
async function ask(
  connect: () => Promise<Deno.Conn>,
  bytes: Uint8Array,
  timeout = 30_000,
): Promise<string> {
  const connection = await connect();
  const deadline = setTimeout(() => close(connection), timeout);
  let text = "";
  try {
    const writing = write(connection, bytes);
    writing.catch(() => {});
    const buffer = new Uint8Array(65_536);
    for (let length; (length = await connection.read(buffer)) !== null;) {
      text += new TextDecoder().decode(buffer.subarray(0, length));
    }
  } catch (error) {
    if (text === "") throw error;
  } finally {
    clearTimeout(deadline);
    close(connection);
  }
  return text;
}

async function readToEnd(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (await connection.read(buffer) !== null);
}

async function write(
  connection: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is closed already.
  }
}

/** A request to the engine; its body is JSON. */
function engineRequest(method: string, path: string, body?: unknown) {
  const text = body === undefined ? "" : JSON.stringify(body);
  return encoder.encode(
    `${method} ${path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\n` +
      `Content-Length: ${encoder.encode(text).length}\r\n\r\n${text}`,
  );
}

/**
 * Holds as many connections as can be had, each with the beginning of a
 * request, of which another byte comes now and then.
 */
async function hold(
  connect: () => Promise<Deno.Conn>,
  most: number,
  beginnings: readonly string[],
  { until }: { until: number },
  count: (what: string, times?: number) => void,
  isAnswered = true,
): Promise<void> {
  const held = new Set<Deno.Conn>();
  const letGo = (connection: Deno.Conn) => {
    if (!held.delete(connection)) return;
    close(connection);
    count("cut off");
  };
  for (let at = 0; Date.now() < until; at++) {
    if (held.size >= most || at % 50 === 49) await sleep(100);
    for (const connection of at % 100 === 99 ? held : []) {
      connection.write(encoder.encode("x")).catch(() => letGo(connection));
    }
    if (held.size >= most) continue;
    try {
      const connection = await connect();
      count("connected");
      held.add(connection);
      connection.write(encoder.encode(beginnings[at % beginnings.length]))
        .then(() => isAnswered ? readToEnd(connection) : new Promise(() => {}))
        .catch(() => {})
        .then(() => letGo(connection));
    } catch {
      count("refused");
      await sleep(20);
    }
  }
  const left = [...held];
  held.clear();
  count("held at the end", left.length);
  left.forEach(close);
}

/** Runs a program. Returns whether it ended with 0. */
async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** A create that is refused. */
const REFUSED = { Image: "busybox:1", Volumes: { "/test": {} } };

function countAnswer(
  answer: string,
  wanted: RegExp,
  count: (what: string) => void,
): void {
  const [first] = answer.split("\r\n", 1);
  if (answer.includes(`plugin ${PLUGIN} failed`)) count("!broke");
  else if (wanted.test(first)) count("answered");
  else if (/ 20[01] /.test(first)) count("!let by");
  else count(first === "" ? "cut off" : `answered ${first.slice(9)}`);
}

/** All that there is. */
export const ATTACKS = {
  /** All connections of the monitor's port, and slow requests on them. */
  "monitor-hold": (order, count) =>
    hold(
      connectMonitor,
      900,
      ["", "GET /hea", "GET /metrics HTTP/1.1\r\nX: "],
      order,
      count,
    ),

  "monitor-flood": (order, count) =>
    loops(8, order, count, async (at) => {
      const path = ["/metrics", "/health", "/config"][at % 3];
      const text = await ask(
        connectMonitor,
        encoder.encode(`GET ${path} HTTP/1.0\r\n\r\n`),
      );
      count(text.includes(" 200 OK") ? "answered" : "cut off");
    }),

  /** Heads that are too long or none, and answers that nobody reads. */
  "monitor-garbage": (order, count) =>
    loops(4, order, count, async (at) => {
      const connection = await connectMonitor();
      count("connected");
      const deadline = setTimeout(() => close(connection), 1000);
      try {
        switch (at % 4) {
          case 0:
            await write(
              connection,
              encoder.encode(`GET /health HTTP/1.1\r\nX: ${"x".repeat(2e6)}`),
            );
            break;
          case 1:
            await write(connection, new Uint8Array(100_000));
            break;
          case 2:
            await write(
              connection,
              encoder.encode("GET /metrics HTTP/1.1\r\n\r\n".repeat(1000)),
            );
            await sleep(500);
            break;
          case 3:
            await write(connection, encoder.encode("\r\n".repeat(50_000)));
        }
      } catch {
        count("cut off");
      } finally {
        clearTimeout(deadline);
        close(connection);
      }
    }),

  /** The port, for when the plugin lets go of it. */
  squat: (order, count) =>
    loops(1, { ...order, pause: 100 }, count, async (at) => {
      const hostname = ["127.0.0.1", "0.0.0.0"][at % 2];
      try {
        const listener = Deno.listen({ hostname, port: PORT });
        count("!taken");
        await sleep(order.until - Date.now());
        listener.close();
      } catch {
        count("in use");
      }
    }),

  /** What must be for the owner of a process, or for root. */
  signals: (order, count) => {
    const onPid: ((pid: string) => string[])[] = [
      ...["STOP", "TERM", "KILL", "HUP", "USR1", "SEGV"].map(
        (name) => (pid: string) => ["kill", "-s", name, pid],
      ),
      (pid) => ["renice", "-n", "19", "-p", pid],
      (pid) => ["prlimit", "--pid", pid, "--nofile=10:10"],
      (pid) => ["taskset", "-p", "1", pid],
      (pid) => ["sh", "-c", `echo 1000 >/proc/${pid}/oom_score_adj`],
      (pid) => ["sh", "-c", `cat /proc/${pid}/environ`],
      (pid) => ["sh", "-c", `ls /proc/${pid}/fd/`],
      (pid) => ["sh", "-c", `head -c 1 /proc/${pid}/mem`],
    ];
    const ofSystemd = ["stop", "restart", "kill", "reload", "disable"].flatMap(
      (verb) =>
        [`${PLUGIN}.service`, `${PLUGIN}.socket`, "docker.service"].map((
          unit,
        ) => ["systemctl", "--no-ask-password", verb, unit]),
    );
    const all = [
      ...order.pids.flatMap((pid) => onPid.map((make) => make(pid))),
      ...ofSystemd,
    ];
    return loops(1, { ...order, pause: 20 }, count, async (at) => {
      const [program, ...args] = all[at % all.length];
      const worked = await succeeds(program, ...args);
      count(worked ? `!${program} ${args.join(" ")}` : "refused");
    });
  },

  /** Sockets and directories that are not his. */
  doors: (order, count) => {
    const places = [
      `/run/docker/plugins`,
      `/run/${PLUGIN}`,
      `/var/lib/${PLUGIN}`,
      `/var/log/${PLUGIN}`,
      `/etc/docker`,
    ];
    const sockets = [
      `/run/docker/plugins/${PLUGIN}.sock`,
      `/run/${PLUGIN}/monitor.sock`,
    ];
    const files = [
      `/var/lib/${PLUGIN}/kept.json`,
      `/var/log/${PLUGIN}/audit.log`,
    ];
    const tries: [string, () => unknown][] = [
      ...places.map((path) =>
        [
          `make a file in ${path}`,
          () => Deno.writeTextFileSync(`${path}/x`, "x"),
        ] as [string, () => unknown]
      ),
      ...sockets.flatMap((path) =>
        [
          [`connect to ${path}`, async () =>
            close(await Deno.connect({ transport: "unix", path }))],
          [`remove ${path}`, () =>
            Deno.removeSync(path)],
          [`chmod ${path}`, () => Deno.chmodSync(path, 0o777)],
        ] as [string, () => unknown][]
      ),
      ...files.map((path) =>
        [`read ${path}`, () => Deno.readTextFileSync(path)] as [
          string,
          () => unknown,
        ]
      ),
    ];
    return loops(1, { ...order, pause: 20 }, count, async (at) => {
      const [name, door] = tries[at % tries.length];
      try {
        await door();
        count(`!${name}`);
      } catch {
        count("refused");
      }
    });
  },

  /** Lines for the journal, faster than it is meant to take them. */
  journal: (order, count) =>
    loops(2, { ...order, pause: order.pause * 10 }, count, async () => {
      const connection = await Deno.connect({
        transport: "unix",
        path: "/run/systemd/journal/stdout",
      });
      try {
        const line = `${"x".repeat(500)}\n`;
        await write(
          connection,
          encoder.encode(`stranger\n\n6\n0\n0\n0\n0\n${line.repeat(200)}`),
        );
        count("lines", 200);
      } finally {
        close(connection);
      }
    }),

  /** As many of the journal's streams as may be had. */
  "journal-streams": (order, count) =>
    hold(
      () =>
        Deno.connect({
          transport: "unix",
          path: "/run/systemd/journal/stdout",
        }) as Promise<Deno.Conn>,
      900,
      ["stranger\n\n6\n0\n0\n0\n0\n"],
      order,
      count,
      // The journal closes its half at once, and listens on.
      false,
    ),

  /** Watches of files, terminals and processes, as many as a user may have. */
  resources: async (order, count) => {
    const watchers: Deno.FsWatcher[] = [];
    const terminals: Deno.FsFile[] = [];
    try {
      for (let at = 0; at < 150; at++) {
        watchers.push(Deno.watchFs("/tmp", { recursive: false }));
      }
    } catch {
      count("no more watches");
    }
    try {
      for (let at = 0; at < 300; at++) {
        terminals.push(
          Deno.openSync("/dev/ptmx", { read: true, write: true }),
        );
      }
    } catch {
      count("no more terminals");
    }
    // A line for each, until it can't make another. Our own threads count too.
    const { stdout } = await new Deno.Command("prlimit", {
      args: [
        ...["--nproc=250", "sh", "-c"],
        "while :; do sleep 600 >/dev/null & echo; done",
      ],
      stdin: "null",
      stderr: "null",
    }).output();
    count("watches", watchers.length);
    count("terminals", terminals.length);
    count("processes", stdout.length);
    await sleep(order.until - Date.now());
    watchers.forEach(close);
    terminals.forEach(close);
  },

  "engine-calls": (order, count) =>
    loops(8, order, count, async (at) => {
      const path = ["/containers/json", "/version", "/images/json"][at % 3];
      const answer = await ask(connectEngine, engineRequest("GET", path));
      countAnswer(answer, / 200 /, count);
    }),

  "engine-creates": (order, count) =>
    loops(8, order, count, async () => {
      const call = engineRequest("POST", "/containers/create", REFUSED);
      countAnswer(await ask(connectEngine, call), / 403 /, count);
    }),

  /** Almost as long as the engine shows to a plugin. */
  "engine-long": (order, count) =>
    loops(4, { ...order, pause: order.pause * 10 }, count, async () => {
      const call = engineRequest("POST", "/containers/create", {
        ...REFUSED,
        Labels: { long: "x".repeat(900_000) },
      });
      countAnswer(await ask(connectEngine, call), / 403 /, count);
    }),

  /** Connections on which nothing is asked, or only half of it. */
  "engine-hold": (order, count) =>
    hold(
      connectEngine,
      2000,
      [
        "",
        "POST /containers/cre",
        "POST /containers/create HTTP/1.1\r\nHost: docker\r\n" +
        "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{",
        "GET /events HTTP/1.1\r\nHost: docker\r\n\r\n",
      ],
      order,
      count,
    ),
} satisfies Record<string, Attack>;

if (import.meta.main) {
  const order: Order = JSON.parse(Deno.args[0]);
  const until = Date.now() + order.seconds * 1000;
  const result: Record<string, Counts> = {};
  await Promise.all(order.attacks.map(async (name) => {
    const counts: Counts = result[name] = {};
    const attack: Attack = ATTACKS[name as keyof typeof ATTACKS];
    await attack({ ...order, until }, (what, times = 1) => {
      counts[what] = (counts[what] ?? 0) + times;
    });
  }));
  console.log(JSON.stringify(result));
  // Nothing that is still open keeps it.
  Deno.exit(0);
}
