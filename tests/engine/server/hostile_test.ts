/**
 * A hostile neighbour of the plugin's socket: whatever comes, the plugin stays up, its memory stays bounded, and the
 * engine's own calls are answered meanwhile.
 */

import { sleep, whyNo } from "../../helpers/programs.ts";
import { engineTest, type Harness } from "../harness.ts";
import { answers, Plugin } from "../plugin.ts";
import { join, request, writeAll } from "../raw_http.ts";
import { assert, assertEquals, saidBy } from "../verdict.ts";
import { eventually } from "../../helpers/waiting.ts";

const MiB = 1024 * 1024;

/** What the plugin's memory has to stay below in all of this, in MiB. */
const MEMORY_BOUND = 1024;

/** How long a call to the engine may take meanwhile, in milliseconds, on a slow machine. */
const PATIENCE = 15_000;

const encoder = new TextEncoder();

const sockets: {
  kind: string;
  wrap: (socket: string) => string[];
  skip?: string;
}[] = [
  { kind: "its own socket", wrap: () => [] },
  {
    kind: "systemd's socket",
    wrap: (socket) => [
      ...["systemd-socket-activate", "--listen", socket],
      // It hands on no variable that is not named.
      ...["HOME", "DENO_DIR", "NO_COLOR"].flatMap((name) => ["-E", name]),
    ],
    skip: await whyNo({ "systemd-socket-activate": "systemd" }),
  },
];

for (const { kind, wrap, skip } of sockets) {
  engineTest(`a hostile neighbour of ${kind}`, async (t, h) => {
    await h.image("plain:1");
    await using plugin = await Plugin.launch({
      socket: h.pluginSocket,
      host: `unix://${h.dockerd.socket}`,
      dir: h.dir,
      wrap: wrap(h.pluginSocket),
    });
    await answers(h.pluginSocket);
    await h.dockerd.setPlugins([h.pluginName]);
    const socket = h.pluginSocket;

    const attack: Attack = async (name, work) => {
      await forgetPeak(plugin.pid);
      let slowest = 0;
      await t.step(name, async () => {
        let over = false;
        const calling = async () => {
          while (!over) {
            slowest = Math.max(slowest, await realCalls(h));
            await sleep(100);
          }
        };
        await Promise.all([work().finally(() => over = true), calling()]);
        slowest = Math.max(slowest, await realCalls(h));
        assert(slowest < PATIENCE, `a call took ${slowest} ms`);
        const { peak } = await memory(plugin.pid);
        assert(peak < MEMORY_BOUND, `${peak} MiB of memory`);
      });
      const { peak } = await memory(plugin.pid);
      await t.step(
        `… ${peak} MiB at most, slowest call ${Math.round(slowest)} ms`,
        () => {},
      );
    };

    await attack("nothing yet", () => sleep(500));

    await attack("malformed HTTP", async () => {
      for (const bytes of malformed()) {
        const said = await send(socket, bytes, { patience: 300 });
        assert(
          !said.includes('"Allow":true'),
          `${new TextDecoder().decode(bytes.subarray(0, 80))}: ${said}`,
        );
      }
    });

    await attack("random bytes", async () => {
      for (let times = 0; times < 100; times++) {
        const bytes = crypto.getRandomValues(new Uint8Array(1 + times * 20));
        await send(socket, bytes, { patience: 50 });
      }
    });

    await attack("messages that no engine sends", async () => {
      for (const message of nonsense()) {
        const said = await send(socket, post("AuthZReq", message));
        assert(/ (400|500) /.test(said), `${message.slice(0, 80)}: ${said}`);
        assert(said.includes('"Allow":false'), said);
      }
      for (const message of nonsense("/containers/create")) {
        const said = await send(socket, post("AuthZRes", message));
        assert(
          said.startsWith("HTTP/1.1 "),
          `${message.slice(0, 80)}: ${said}`,
        );
      }
    });

    const held: Deno.Conn[] = [];
    try {
      await attack("200 idle connections", async () => {
        for (let count = 0; count < 200; count++) {
          held.push(await connect(socket));
        }
        await sleep(1000);
      });
      await attack("100 half requests, beside them", async () => {
        const whole = post("AuthZReq", MESSAGE);
        for (let count = 0; count < 100; count++) {
          const connection = await connect(socket);
          held.push(connection);
          const cut = 1 + Math.floor((whole.length - 2) * count / 100);
          await writeAll(connection, whole.subarray(0, cut));
        }
        await sleep(1000);
      });
      await attack("32 long messages that never end", async () => {
        // A character beyond Latin-1, since two bytes a character may be needed then.
        const piece = encoder.encode("\u0100".repeat(MiB / 4));
        const writing = Promise.all(
          Array.from({ length: 32 }, async (_, at) => {
            const connection = await connect(socket);
            held.push(connection);
            const path = at % 2 ? "AuthZReq" : "AuthZRes";
            const head = request("POST", `/AuthZPlugin.${path}`, {
              headers: [["Content-Length", `${8 * MiB}`]],
              bare: true,
            });
            try {
              await writeAll(connection, head);
              await writeAll(connection, encoder.encode('{"User":"'));
              for (let count = 0; count < 15; count++) {
                await writeAll(connection, piece);
              }
            } catch {
              // The plugin has heard enough.
            }
          }),
        );
        // A plugin that has heard enough may leave the rest of them waiting.
        await Promise.race([writing, sleep(5000)]);
        await sleep(500);
      });
    } finally {
      for (const connection of held) connection.close();
    }
    await attack(
      "all of them gone: long calls are answered again",
      () =>
        // That they are gone is news that reaches the plugin a moment later.
        eventually("a long call is answered", async () => {
          const { status } = await h.api("POST", "/containers/create", {
            Image: "plain:1",
            Labels: { long: "x".repeat(500_000) },
          });
          return status === 201;
        }),
    );

    await attack(
      "connections that end in the middle of a request",
      async () => {
        const whole = post("AuthZReq", MESSAGE);
        for (let count = 0; count < 200; count++) {
          using connection = await connect(socket);
          const cut = 1 + Math.floor((whole.length - 1) * count / 200);
          await writeAll(connection, whole.subarray(0, cut));
        }
      },
    );

    for (const chunk of [undefined, 65_536]) {
      const how = chunk ? "chunked" : "with a length";
      await attack(`bodies of 64 MiB, ${how}`, async () => {
        const long = "A".repeat(64 * MiB);
        const call = (uri: string) =>
          `{"RequestMethod":"POST","RequestUri":"${uri}","ResponseBody":"${long}`;
        for (
          const [path, body] of [
            ["/AuthZPlugin.AuthZReq", call("/x")],
            ["/AuthZPlugin.AuthZReq", long],
            ["/AuthZPlugin.AuthZRes", call("/containers/create")],
            ["/AuthZPlugin.AuthZRes", call("/x")],
            ["/AuthZPlugin.AuthZRes", long],
            ["/Plugin.Activate", long],
            ["/nowhere", long],
          ]
        ) {
          const bytes = request("POST", path, { body, chunk });
          const said = await send(socket, bytes, { patience: 20_000 });
          assert(!/^HTTP\/1.1 200 /.test(said), `${path}: ${said}`);
        }
      });
    }

    // The rest is the same work whichever the socket.
    if (wrap === sockets[0].wrap) await heavyMessages(h, attack);

    await t.step(
      "it is the process that it was, and logged no bug",
      async () => {
        const log = await plugin.log();
        assertEquals(log.match(/listening on/g)?.length, 1);
        const bugs = log.split("\n").filter((line) =>
          /\bbug\b|RangeError|ReferenceError/.test(line)
        );
        assertEquals(bugs, []);
      },
    );
    await h.dockerd.setPlugins([]);
  }, { skip });

  engineTest(
    `${kind}: more connections than it may have files`,
    async (t, h) => {
      await h.image("plain:1");
      await using plugin = await Plugin.launch({
        socket: h.pluginSocket,
        host: `unix://${h.dockerd.socket}`,
        dir: h.dir,
        wrap: [
          ...["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"],
          ...wrap(h.pluginSocket),
        ],
      });
      await answers(h.pluginSocket);
      await h.dockerd.setPlugins([h.pluginName]);
      const held: Deno.Conn[] = [];
      const isOwn = wrap === sockets[0].wrap;
      const name = isOwn
        ? "it answers again when they are gone"
        : "it answers again when they are gone, or ends";
      await t.step(name, async () => {
        try {
          for (let count = 0; count < 120; count++) {
            held.push(await connect(h.pluginSocket));
          }
        } catch {
          // It has ended.
        }
        await sleep(1000);
        for (const connection of held) connection.close();
        // On systemd's socket, Deno's node:http accepts nothing any more after it ran out of files. Whoever ends is
        // started again, by systemd; whoever hangs is not.
        const ended = await Promise.race([
          plugin.status.then(({ code }) => code),
          answers(h.pluginSocket, 45_000).then(() => undefined),
        ]);
        if (ended === undefined) assert(await realCalls(h) < PATIENCE);
        else assert(!isOwn && ended !== 0, `it ended with ${ended}`);
      });
      await h.dockerd.setPlugins([]);
    },
    { skip },
  );
}

/** Runs an attack, and sees to it that the engine's calls are answered all the while. */
type Attack = (name: string, work: () => Promise<unknown>) => Promise<void>;

/** Messages that take the plugin some thought. */
async function heavyMessages(h: Harness, attack: Attack): Promise<void> {
  const socket = h.pluginSocket;
  await attack("deep and heavy JSON", async () => {
    const message = (body: string) =>
      JSON.stringify({
        RequestMethod: "POST",
        RequestUri: "/containers/create",
        RequestHeaders: { "Content-Type": "application/json" },
        RequestBody: btoa(body),
      });
    for (
      const text of [
        "[".repeat(7 * MiB),
        '{"a":'.repeat(MiB),
        `[${"{},".repeat(2 * MiB)}{}]`,
        `{${'"a":1,'.repeat(MiB)}"b":1}`,
        `"${"\\u0000".repeat(MiB)}`,
        "-".repeat(7 * MiB),
        " ".repeat(7 * MiB),
        "9".repeat(7 * MiB),
      ]
    ) {
      const said = await send(socket, post("AuthZReq", text), {
        patience: 20_000,
      });
      assert(/ 400 /.test(said), `${text.slice(0, 20)}: ${said}`);
    }
    for (
      const body of [
        "[".repeat(4 * MiB),
        '{"a":'.repeat(MiB / 2),
        `{"HostConfig":${'{"HostConfig":'.repeat(MiB / 4)}`,
        `{"Volumes":{${'"/x":{},'.repeat(MiB / 4)}"/y":{}}}`,
        `{"HostConfig":{"Binds":[${'"v:/x",'.repeat(MiB / 4)}"v:/y"]}}`,
        `{"Labels":{${
          Array.from({ length: 200_000 }, (_, at) => `"k${at}":""`).join()
        }},"Volumes":{"/x":{}}}`,
        `{"a":${"1e".repeat(MiB)}}`,
        `"${"\\ud800".repeat(MiB / 2)}"`,
      ]
    ) {
      const said = await send(socket, post("AuthZReq", message(body)), {
        patience: 20_000,
      });
      assert(said.includes('"Allow":false'), `${body.slice(0, 30)}: ${said}`);
    }
  });

  await attack("a response whose beginning does not end", async () => {
    const long = "a".repeat(7 * MiB);
    for (
      const message of [
        `{"User":"${long}`,
        `{"User":"${"\\\\".repeat(3 * MiB)}`,
        `{"User":"${long}","RequestMethod":"GET","RequestUri":"/x","ResponseStatusCode":200}`,
        `{"RequestMethod":"GET","RequestUri":"/${long}`,
      ]
    ) await send(socket, post("AuthZRes", message), { patience: 20_000 });
    // In very small pieces, each of them one to look at.
    const slow = join([
      request("POST", "/AuthZPlugin.AuthZRes", {
        headers: [["Transfer-Encoding", "chunked"]],
        bare: true,
      }),
      encoder.encode(`${(MiB + 9).toString(16)}\r\n{"User":"`),
      encoder.encode("a".repeat(MiB)),
      encoder.encode("\r\n" + "1\r\na\r\n".repeat(3000) + "0\r\n\r\n"),
    ]);
    const said = await send(socket, slow, { patience: 20_000 });
    assert(/ 400 /.test(said), said);
  });

  await attack("the engine's own clients, with long addresses", async () => {
    for (
      const target of [
        `/_ping?${"<".repeat(1_000_000)}`,
        `/containers/${"a".repeat(1_000_000)}`,
      ]
    ) {
      const answer = await h.send(request("GET", target), PATIENCE);
      assert([200, 404].includes(answer.status), answer.body.slice(0, 200));
    }
  });
}

/** A message as an engine sends it. */
const MESSAGE = JSON.stringify({
  RequestMethod: "POST",
  RequestUri: "/v1.41/containers/create",
  RequestBody: btoa('{"Image":"plain:1","Volumes":{"/x":{}}}'),
  RequestHeaders: { "Content-Type": "application/json" },
});

/** The plugin's protocol around a message. */
function post(call: "AuthZReq" | "AuthZRes", message: string): Uint8Array {
  return request("POST", `/AuthZPlugin.${call}`, { body: message });
}

/** A refused, an allowed and an unguarded call to the engine; how long the slowest took, in milliseconds. */
async function realCalls(h: Harness): Promise<number> {
  const calls = [
    async () => {
      const answer = await h.api("POST", "/containers/create", {
        Image: "plain:1",
        Volumes: { "/x": {} },
      });
      assertEquals(
        saidBy(h, answer.message),
        "volumes are not allowed: anonymous volume at /x",
        answer.body,
      );
    },
    async () => {
      const answer = await h.api("POST", "/containers/create", {
        Image: "plain:1",
      });
      assertEquals(answer.status, 201, answer.body);
      const { Id } = answer.json<{ Id: string }>();
      await h.api("DELETE", `/containers/${Id}`);
    },
    async () =>
      assertEquals((await h.api("GET", "/containers/json")).status, 200),
  ];
  const times = await Promise.all(calls.map(async (call) => {
    const begin = performance.now();
    await call();
    return performance.now() - begin;
  }));
  return Math.max(...times);
}

/** What a process has of memory, and had at most, in MiB. */
async function memory(pid: number): Promise<{ now: number; peak: number }> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const of = (name: string) =>
    Math.round(
      Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))?.[1]) /
        1024,
    );
  return { now: of("VmRSS"), peak: of("VmHWM") };
}

/** Has the kernel count a process's peak anew; where it does not, peaks are of the whole time. */
async function forgetPeak(pid: number): Promise<void> {
  await Deno.writeTextFile(`/proc/${pid}/clear_refs`, "5").catch(() => {});
}

/** Connects; a plugin that is busy accepts late, and its queue may be full until then. */
async function connect(socket: string): Promise<Deno.Conn> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.connect({ transport: "unix", path: socket });
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}

/**
 * Sends bytes to the plugin.
 *
 * @returns the beginning of what it said; "" where it closed the connection, or said nothing in time
 */
async function send(
  socket: string,
  bytes: Uint8Array,
  { patience = 5000 }: { patience?: number } = {},
): Promise<string> {
  const connection = await connect(socket);
  let open = true;
  const close = () => {
    if (open) connection.close();
    open = false;
  };
  const timer = setTimeout(close, patience);
  const writing = writeAll(connection, bytes).catch(() => {});
  let said = "";
  try {
    const buffer = new Uint8Array(65_536);
    while (!/\r\n\r\n[^]*\}/.test(said)) {
      const count = await connection.read(buffer);
      if (count === null) break;
      said += new TextDecoder().decode(buffer.subarray(0, count));
    }
  } catch {
    // It closed the connection.
  } finally {
    clearTimeout(timer);
    close();
    await writing;
  }
  return said;
}

/** What is no HTTP, or none that an engine speaks. */
function* malformed(): Generator<Uint8Array> {
  const lines = (...all: string[]) => encoder.encode(all.join("\r\n"));
  const path = "/AuthZPlugin.AuthZReq";
  const length = MESSAGE.length;
  for (
    const first of [
      "",
      " ",
      "POST",
      `POST ${path}`,
      `POST ${path} HTTP/9.9`,
      `POST ${path} HTTP/0.9`,
      `POST ${path} HTTP/1.1 again`,
      `POST  ${path}  HTTP/1.1`,
      `POST ${path}\t HTTP/1.1`,
      `P\u0000ST ${path} HTTP/1.1`,
      `POST ${path}\u0000 HTTP/1.1`,
      "POST // HTTP/1.1",
      "POST ///// HTTP/1.1",
      "POST * HTTP/1.1",
      "POST ? HTTP/1.1",
      "POST http:// HTTP/1.1",
      "POST http://[::1 HTTP/1.1",
      "POST http://a:99999/ HTTP/1.1",
      "POST /%zz%00/../.. HTTP/1.1",
      "CONNECT a:1 HTTP/1.1",
      "PRI * HTTP/2.0",
      "OPTIONS * HTTP/1.1",
      `${"X".repeat(100_000)} / HTTP/1.1`,
      `POST /${"x".repeat(300_000)} HTTP/1.1`,
    ]
  ) yield lines(first, "Host: p", `Content-Length: ${length}`, "", MESSAGE);
  for (
    const headers of [
      [`Content-Length: -1`],
      [`Content-Length: ${length}`, "Content-Length: 5"],
      [`Content-Length: ${length}, ${length}`],
      ["Content-Length: 99999999999999999999999"],
      ["Content-Length: 0x10"],
      ["Content-Length: "],
      ["Content-Length : 5"],
      ["Transfer-Encoding: chunked", "Content-Length: 5"],
      ["Transfer-Encoding: chunked, identity"],
      ["Transfer-Encoding: gzip"],
      ["Transfer-Encoding: chunked"], // The message is no chunk.
      ["Upgrade: websocket", "Connection: Upgrade"],
      [
        "Upgrade: h2c",
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AA",
      ],
      ["Expect: nothing-of-the-kind", `Content-Length: ${length + 1}`],
      ["no colon"],
      [": no name"],
      [" folded: 1"],
      ["X\u0000: 1"],
      ["X: \u0000"],
      [`X: ${"x".repeat(2 * MiB)}`],
      Array.from({ length: 20_000 }, (_, at) => `X-${at}: 1`),
    ]
  ) yield lines(`POST ${path} HTTP/1.1`, "Host: p", ...headers, "", MESSAGE);
  for (
    const chunks of [
      "zz\r\n",
      "-5\r\nabcde\r\n",
      "ffffffffffffffffff\r\n",
      "5;" + "x".repeat(100_000) + "\r\nabcde\r\n0\r\n\r\n",
      "5\r\nabcdefgh\r\n0\r\n\r\n",
      "5\nabcde\n0\n\n",
      "0\r\n" + "X: 1\r\n".repeat(10_000),
    ]
  ) {
    yield lines(
      `POST ${path} HTTP/1.1`,
      "Host: p",
      "Transfer-Encoding: chunked",
      "",
      chunks,
    );
  }
  // A TLS client, and one of HTTP/2.
  yield new Uint8Array([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, ...Array(190)]);
  yield encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
  yield new Uint8Array(100_000);
  yield encoder.encode("\r\n".repeat(50_000));
}

/** Messages in good HTTP that no engine sends. */
function* nonsense(uri = "/x"): Generator<string> {
  yield* ["", " ", "null", "true", "0", '""', "[]", "{}", "{", "}", "\u0000"];
  const good: Record<string, unknown> = {
    RequestMethod: "POST",
    RequestUri: uri,
    RequestHeaders: {},
  };
  for (
    const [field, values] of Object.entries({
      User: [1, {}, [], true],
      RequestMethod: ["", null, 1, {}, ["POST"]],
      RequestUri: ["", null, 1, {}],
      RequestHeaders: [1, "x", [], { a: 1 }, { a: null }, { a: ["b"] }],
      // Blanks between the letters are none of it.
      RequestBody: [
        ...[1, {}, "!", "A", "AA", "AAA", "A===", "=", "AA=A", "AAAA===="],
        ...["_-__", "\u0100", "\u0000AAA", "e30", "e31="],
        ...["A".repeat(MiB + 1), "=".repeat(MiB)],
      ],
    })
  ) {
    for (const value of values) {
      yield JSON.stringify({ ...good, [field]: value });
    }
  }
  const whole = JSON.stringify({ ...good, RequestBody: "e30=" });
  yield whole.slice(0, -1);
  yield `${whole}${whole}`;
  yield `\ufeff \ufeff${whole}`;
}
