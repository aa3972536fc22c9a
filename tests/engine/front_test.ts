/**
 * Engines from 29.2 on hand HTTP/2 to BuildKit before any plugin is asked: HAProxy in front as packaging/haproxy has
 * it, and the engine's own switch, keep that from users, and from nobody what he does in HTTP/1.1.
 */

import { must, run, sleep, which, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { engineEndpoint } from "../../lib/engine/address.ts";
import { opensHttp2 } from "../../lib/engine/h2c.ts";
import {
  day,
  type Desk,
  dockerDay,
  dockerodeDay,
  noDockerode,
  noPython,
  pythonDay,
} from "./clients/days.ts";
import { engineMajor } from "./dockerd.ts";
import { buildOf, call } from "./front/buildkit.ts";
import { addCliPlugins, whyNoCliPlugins } from "./front/cli_plugins.ts";
import { CONFIG, Front, shippedConfig } from "./front/front.ts";
import {
  engineTest,
  type Harness,
  type Result,
  type TestOptions,
} from "./harness.ts";
import { startTask } from "./plugin.ts";
import { exchange, request } from "./raw_http.ts";
import { Authority, writeCertPath } from "./tls_certificates.ts";
import { assert, assertEquals } from "./verdict.ts";

const noHaproxy = await whyNo({ haproxy: "haproxy" });
const noPrograms = await whyNo({
  openssl: "openssl",
  curl: "curl",
  python3: "python3",
});
const noHttp2 = await engineMajor() >= 29
  ? undefined
  : "HTTP/2 is spoken by engines from 29.2 on: ENGINE=29";

const SYSTEMD = new URL("../../packaging/haproxy/systemd", import.meta.url)
  .pathname;

/** The policies that BuildKit gets around, if it is reached unseen. */
const NO_BUILDS =
  "[volumes]\n\n[images]\ndefault-allow = true\nallow-build = false\n\n[push]\n";

const latin1 = (text: string) =>
  Uint8Array.from(text, (each) => each.charCodeAt(0));

/** What HTTP/2 begins with (RFC 9113, 3.4), and settings that change nothing. */
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS = "\0\0\0\x04\0\0\0\0\0";
const HTTP2 = PREFACE + SETTINGS;

/** A call of BuildKit's that HTTP/1.1 spells. */
const LIST_WORKERS = "/moby.buildkit.v1.Control/ListWorkers";

/** Some bytes to send, or milliseconds to wait. */
type Step = string | number;

/**
 * Sends bytes and reads what comes.
 *
 * @param timeout milliseconds until the test hangs up itself
 * @returns what came, and whether the other side hung up
 */
async function talk(
  socket: string,
  steps: Step[],
  timeout = 1000,
): Promise<{ said: string; hungUp: boolean }> {
  const connection = await Deno.connect({ transport: "unix", path: socket });
  let said = "";
  let hungUp = false;
  const reading = (async () => {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null) break;
        said += String.fromCharCode(...buffer.subarray(0, count));
      }
      hungUp = true;
    } catch (error) {
      hungUp = !(error instanceof Deno.errors.Interrupted ||
        error instanceof Deno.errors.BadResource);
    }
  })();
  for (const step of steps) {
    if (typeof step === "number") await sleep(step);
    else await connection.write(latin1(step)).catch(() => {});
  }
  await Promise.race([reading, sleep(timeout)]);
  const result = { said, hungUp };
  try {
    connection.close();
  } catch {
    // It is closed.
  }
  await reading;
  return result;
}

/** The status of each answer in what came. */
const statuses = (said: string) =>
  [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

/** Whether there is a frame of settings in what came. */
const hasSettings = (said: string) => said.includes("\x04\0\0\0\0\0");

/** Whether the other side of a unix socket speaks HTTP/2. */
const opens = (path: string) =>
  opensHttp2(engineEndpoint({ host: `unix://${path}`, tlsVerify: false }));

/** How a call of gRPC ends. */
async function refusal(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "it works",
    (error: Error) => error.message,
  );
}

Deno.test(unless(noHaproxy, {
  name: "front: HAProxy takes its configuration without a warning",
  fn: async () => {
    const file = await Deno.makeTempFile({ suffix: ".cfg" });
    await Deno.writeTextFile(
      file,
      await shippedConfig({ "group docker": "group root" }),
    );
    // -dW: a warning is an error.
    const program = await which("haproxy") ?? "";
    const { code, stderr } = await run([program, "-dW", "-c", "-f", file]);
    await Deno.remove(file);
    assertEquals(code, 0, stderr);
  },
}));

Deno.test("front: no time limit cuts a quiet connection", async () => {
  const config = await Deno.readTextFile(CONFIG);
  const limits = Object.fromEntries(
    [...config.matchAll(/^ *timeout (\S+) (\S+)$/gm)]
      .map(([, name, time]) => [name, time]),
  );
  // 24 days is as long as HAProxy can wait.
  assertEquals(limits, { connect: "5s", client: "24d", server: "24d" });
});

Deno.test(unless(await whyNo({ "systemd-analyze": "systemd" }) ?? noHaproxy, {
  name: "front: systemd-analyze verify is content with the units",
  fn: async () => {
    const dir = await Deno.makeTempDir();
    await must(["cp", "-r", `${SYSTEMD}/.`, dir]);
    // As Docker's packages have them.
    await Deno.writeTextFile(
      `${dir}/docker.socket`,
      "[Socket]\nListenStream=/run/docker.sock\nSocketMode=0660\n" +
        "SocketUser=root\nSocketGroup=docker\n",
    );
    await Deno.writeTextFile(
      `${dir}/docker.service`,
      "[Unit]\nRequires=docker.socket\n\n[Service]\nExecStart=/bin/true\n",
    );
    const { code, stdout, stderr } = await run([
      ...["systemd-analyze", "verify", "--man=no"],
      ...["docker-front.service", "docker-front.socket", "docker.socket"],
    ], { env: { SYSTEMD_UNIT_PATH: `${dir}:` } });
    await Deno.remove(dir, { recursive: true });
    assertEquals(`${code} ${stdout}${stderr}`, "0 ");
  },
}));

/** Registers a test of an engine with HAProxy in front. */
function frontTest(
  name: string,
  body: (t: Deno.TestContext, h: Harness, front: Front) => Promise<void>,
  skip?: string,
): void {
  engineTest(`front: ${name}`, async (t, h) => {
    await using front = await Front.start(h.dir, h.dockerd.socket);
    await body(t, h, front);
  }, { skip: noHaproxy ?? skip });
}

// -- who may pass

frontTest("docker-py: a day's work", async (_t, h, { socket }) => {
  await day(h, (desk) => pythonDay(socket, desk));
}, noPython);

frontTest("dockerode: a day's work", async (_t, h, { socket }) => {
  await day(h, (desk) => dockerodeDay(socket, desk));
}, noDockerode);

frontTest("docker: a day's work", async (_t, h, { socket }) => {
  await day(h, async (desk) => {
    await dockerDay(h, socket, desk);
    await streams(h, socket, desk);
  });
});

/** What the docker client does over connections that live long, or are closed on one side alone. */
async function streams(
  h: Harness,
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  const client = await h.dockerd.client();
  const env = { DOCKER_HOST: `unix://${socket}` };
  const docker = async (...args: string[]) => {
    const { code, stdout, stderr } = await h.dockerBy(client, args, env);
    assertEquals(code, 0, `docker ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  /** Runs the client with the output of a shell script as its input. */
  const piped = async (script: string, ...args: string[]) => {
    const command = ["sh", "-c", `(${script}) | "$@"`, "sh", ...client];
    const { code, stdout, stderr } = await h.dockerBy(command, args, env);
    assertEquals(code, 0, `${script} | docker ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };

  await docker("import", root, "plain:1");
  const image = ["plain:1", "sh", "-c"];

  // The end of stdin reaches the container, and what it says after that comes back.
  const afterwards = "cat; sleep 2; echo after";
  assertEquals(
    await piped("echo in", "run", "-i", "--rm", ...image, afterwards),
    "in\nafter",
  );
  await docker("run", "-d", "--name=work", ...image, "sleep 600");
  const exec = ["exec", "-i", "work", "sh", "-c"];
  assertEquals(await piped("echo in", ...exec, afterwards), "in\nafter");
  // It waits for what comes late, and passes on as much as comes.
  assertEquals(await piped("sleep 2; echo late", ...exec, "cat"), "late");
  const megabytes = 100;
  // Random, because the engine compresses.
  const much = `head -c ${megabytes * 1024 * 1024} /dev/urandom`;
  await piped(much, ...exec, "cat >/tmp/much");
  const back = `${bind}/much`;
  await docker("cp", "work:/tmp/much", back);
  assertEquals((await Deno.stat(back)).size, megabytes * 1024 * 1024);
  await docker("cp", back, "work:/tmp/again");
  await docker("exec", "work", "test", "-f", "/tmp/again");

  const answer = 'read -r line; echo "$line"; echo over';
  await docker("run", "-di", "--name=talk", ...image, answer);
  // A client that ends its stdin is told nothing more.
  const attached = await piped("echo in; sleep 2", "attach", "talk");
  assertEquals(attached, "in\nover");

  // Both are quiet until something happens.
  const now = Math.floor(Date.now() / 1000);
  const until = ["--since", `${now}`, "--until", `${now + 12}`];
  const events = docker("events", "--filter=container=late", ...until);
  await docker("run", "-d", "--name=late", ...image, "sleep 5; echo said");
  assertEquals(await docker("logs", "-f", "late"), "said");
  assert(/ container die /.test(await events), await events);

  // An image of a few hundred megabytes, there and back.
  await docker("exec", "work", "sh", "-c", "cat /tmp/much >>/tmp/again");
  await docker("commit", "work", "big:1");
  await docker("save", "-o", `${bind}/big.tar`, "big:1");
  assert((await Deno.stat(`${bind}/big.tar`)).size > 300e6);
  const id = await docker("image", "inspect", "-f", "{{.Id}}", "big:1");
  await docker("rm", "-f", "work", "talk", "late");
  await docker("rmi", "big:1");
  await docker("load", "-i", `${bind}/big.tar`);
  assertEquals(await docker("image", "inspect", "-f", "{{.Id}}", "big:1"), id);
}

frontTest("buildx and compose", async (_t, h, { socket }) => {
  await addCliPlugins(`${h.dir}/client`);
  await day(h, async ({ root, bind }) => {
    const client = await h.dockerd.client();
    const docker = async (...args: string[]) => {
      const env = { DOCKER_HOST: `unix://${socket}` };
      const { code, stdout, stderr } = await h.dockerBy(client, args, env);
      assertEquals(code, 0, `docker ${args.join(" ")}: ${stderr}`);
      return stdout.trim();
    };
    await docker("import", root, "plain:1");
    await Deno.writeTextFile(
      `${bind}/Dockerfile`,
      "FROM plain:1\nCOPY note /note\n",
    );
    await docker("buildx", "build", "--load", "-t", "built:1", bind);
    assertEquals(
      await docker("run", "--rm", "built:1", "cat", "/note"),
      "from the host",
    );
    const file = `${bind}/compose.yaml`;
    await Deno.writeTextFile(
      file,
      "services:\n" +
        "  web:\n" +
        "    image: web:1\n" +
        `    build: ${bind}\n` +
        "    network_mode: none\n" +
        "    command: [sleep, '600']\n",
    );
    const compose = ["compose", "-p", "front", "-f", file];
    await docker(...compose, "up", "-d", "--build");
    assertEquals(
      await docker(...compose, "exec", "-T", "web", "cat", "/note"),
      "from the host",
    );
    assert(/web/.test(await docker(...compose, "ps")));
    await docker(...compose, "logs");
    await docker(...compose, "down", "-t", "0");
  });
}, await whyNoCliPlugins());

frontTest("an engine restarts behind it", async (_t, h, { socket }) => {
  const ping = () => exchange(socket, request("GET", "/_ping"));
  assertEquals((await ping())[0].status, 200);
  const following = talk(
    socket,
    ["GET /events HTTP/1.1\r\nHost: docker\r\n\r\n"],
    60_000,
  );
  await h.dockerd.restart();
  assertEquals((await following).hungUp, true);
  assertEquals((await ping())[0].status, 200);
});

frontTest("thousands at once", async (_t, _h, { socket }) => {
  const bytes = request("GET", "/_ping");
  const connections: Deno.Conn[] = [];
  for (let count = 0; count < 2000; count++) {
    connections.push(await Deno.connect({ transport: "unix", path: socket }));
  }
  const buffer = new Uint8Array(4096);
  try {
    for (const connection of connections) {
      await connection.write(bytes);
      const count = await connection.read(buffer) ?? 0;
      const said = new TextDecoder().decode(buffer.subarray(0, count));
      assertEquals(statuses(said), [200], said);
    }
  } finally {
    for (const connection of connections) connection.close();
  }
});

// -- who may not

frontTest("HTTP/2 is refused, however it comes", async (t, h, { socket }) => {
  const refuses = async (what: string, steps: Step[], on = socket) => {
    await t.step(what, async () => {
      assertEquals(await talk(on, steps), { said: "", hungUp: true });
    });
  };
  await t.step("the engine answers HTTP/1.1 there", async () => {
    const [ping] = await exchange(socket, request("GET", "/_ping"));
    assertEquals(ping.status, 200);
    assertEquals(await opens(h.dockerd.socket), h.version.major >= 29);
    assertEquals(await opens(socket), false);
  });
  await refuses("whole", [HTTP2]);
  await refuses("byte by byte", [...HTTP2]);
  await refuses(
    "slowly",
    [...HTTP2.slice(0, 5)].flatMap((each) => [each, 300]),
  );
  await refuses("its first bytes alone", ["PRI"]);
  for (const first of ["P", "PR"]) {
    await refuses(`"${first}", and the rest two seconds later`, [
      first,
      2000,
      HTTP2.slice(first.length),
    ]);
  }
  // The same for any pause, only that nobody waits five minutes for it here.
  const impatient = { "inspect-delay 5m": "inspect-delay 1s" };
  await using hasty = await Front.start(h.dir, h.dockerd.socket, impatient);
  for (const first of ["", "P", "PR"]) {
    await refuses(
      `"${first}", and the rest after the longest pause`,
      [first, 1500, HTTP2.slice(first.length)].filter((each) => each !== ""),
      hasty.socket,
    );
  }
  await refuses("nothing at all", [1500], hasty.socket);

  // What does not begin as HTTP/2 passes: it is for the engine not to take it for that later.
  const host = "Host: docker\r\n";
  const ping = `GET /_ping HTTP/1.1\r\n${host}\r\n`;
  const grpc = "Content-Type: application/grpc\r\n";
  const upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
    "HTTP2-Settings: AAMAAABkAAQAAQAAAAIAAAAA\r\n";
  const hijacked = "POST /grpc HTTP/1.1\r\n";
  for (
    const [what, steps] of Object.entries<Step[]>({
      "in lower case": [HTTP2.toLowerCase()],
      "after a line's end": ["\r\n" + HTTP2],
      "after a space": [" " + HTTP2],
      "after a NUL": ["\0" + HTTP2],
      "after a byte order mark": ["\xef\xbb\xbf" + HTTP2],
      "without its preface": [SETTINGS],
      "in the second place of a connection": [ping + HTTP2],
      "there, after the first answer": [ping, 300, HTTP2],
      "there, with the type of gRPC": [
        `${ping}PRI * HTTP/2.0\r\n${host}${grpc}\r\n`,
      ],
      "as a version of a POST": [
        `${ping}POST ${LIST_WORKERS} HTTP/2.0\r\n${host}${grpc}\r\n`,
      ],
      "as Upgrade: h2c of a GET": [
        `GET /_ping HTTP/1.1\r\n${host}${upgrade}\r\n`,
        300,
        HTTP2,
      ],
      "as Upgrade: h2c of a call of gRPC": [
        `POST ${LIST_WORKERS} HTTP/1.1\r\n${host}${upgrade}${grpc}` +
        "Content-Length: 0\r\n\r\n",
        300,
        HTTP2,
      ],
    })
  ) {
    await t.step(`the engine does not take it ${what}`, async () => {
      const { said } = await talk(socket, steps);
      assertEquals(hasSettings(said), false, said);
      assertEquals(/Switching Protocols|grpc-status/i.test(said), false, said);
      const [first, ...others] = statuses(said);
      // What stands after the first request is refused, or not answered.
      const bad = said.includes("OK") ? others : [first].filter((each) => each);
      assert(bad.every((status) => status >= 300), said);
    });
  }
  await t.step("but /grpc stays, which plugins see", async () => {
    const { said } = await talk(socket, [
      `${hijacked}${host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
      300,
      HTTP2,
    ]);
    assertEquals(statuses(said), [101], said);
    assertEquals(hasSettings(said), true, said);
  });
});

frontTest("a build that no plugin sees", async (t, h, { socket }) => {
  await h.guard({ config: NO_BUILDS });
  const images = () => h.must("images", "-q", "unseen:1");

  await t.step("succeeds without it", async () => {
    await call(h.dockerd.socket, "ListWorkers", new Uint8Array());
    await call(h.dockerd.socket, "Solve", await buildOf("unseen:1"));
    assert(await images() !== "");
    await h.must("rmi", "unseen:1");
  });

  await t.step("is refused with it", async () => {
    const list = call(socket, "ListWorkers", new Uint8Array());
    assert(await refusal(list) !== "it works");
    const build = call(socket, "Solve", await buildOf("unseen:1"));
    assert(await refusal(build) !== "it works");
    assertEquals(await images(), "");
    const log = await h.plugin?.log() ?? "";
    assert(!log.includes("unseen"), log);
  });

  await t.step("and by /grpc refused by the plugin", async () => {
    const post = request("POST", "/grpc", {
      headers: [["Connection", "Upgrade"], ["Upgrade", "h2c"]],
    });
    const [answer] = await exchange(socket, post);
    assertEquals(answer.status, 403, answer.body);
  });
}, noHttp2);

// -- who is told of it

/** What `check-config --host` says of the engine at an address. */
async function checked(h: Harness, ...host: string[]): Promise<Result> {
  const config = `${h.dir}/check.toml`;
  await Deno.writeTextFile(config, NO_BUILDS);
  return await run([
    ...await startTask(),
    ...["check-config", config, "--host", ...host],
  ], { env: { NO_COLOR: "1" } });
}

/** Makes sure of what is said of a socket. */
async function saysOf(
  h: Harness,
  socket: string,
  isOpen: boolean,
): Promise<void> {
  const { code, stdout, stderr } = await checked(h, `unix://${socket}`);
  const engine = `# unix://${socket}: Docker Engine ${h.version.full}; `;
  const said = isOpen
    ? "who speaks HTTP/2 gets past plugins"
    : "nobody gets past plugins by HTTP/2";
  assertEquals(stdout.trimEnd().split("\n").at(-1), `${engine}${said}`);
  const warning =
    `warning: [images] and [push] can be got around on unix://${socket}: ` +
    `over HTTP/2, Docker Engine ${h.version.full} takes builds without `;
  assertEquals(stderr.includes(warning), isOpen, stderr);
  assertEquals(code, isOpen ? 1 : 0, stderr);
  // The engine doesn't tell of those that it was given by a reload.
  const notUs = "the engine was started to ask no plugin, and not docker-";
  assert(stderr.includes(notUs), stderr);
}

/** What the plugin's log and `/health` say of HTTP/2 when it has been looked for. */
async function health(h: Harness): Promise<string> {
  const monitor = `${h.dir}/monitor.sock`;
  await h.guard({ config: NO_BUILDS, args: ["--addr", `unix:${monitor}`] });
  // The first call from outside makes it look.
  assertEquals((await h.api("GET", "/_ping")).status, 200);
  await sleep(2000);
  const [{ status, body }] = await exchange(
    monitor,
    request("GET", "/health"),
  );
  assertEquals(status, 200, body);
  const around = " can be got around on ";
  const log = await h.plugin?.log() ?? "";
  assertEquals(log.includes(around), body.includes(around), log);
  return body;
}

frontTest("who is told that HTTP/2 is open", async (t, h, { socket }) => {
  const isOpen = h.version.major >= 29;
  const own = h.dockerd.socket;
  await t.step("/health, if users reach the engine's socket", async () => {
    await Deno.chmod(h.dir, 0o755);
    await Deno.chmod(own, 0o666);
    const said = await health(h);
    const warning =
      `, but [images] and [push] can be got around on unix://${own}` +
      `: over HTTP/2, Docker Engine ${h.version.full} takes builds without`;
    assertEquals(said.startsWith("HEALTHY" + warning), isOpen, said);
    assertEquals(said.includes("got around"), isOpen, said);
  });
  await t.step("/health, if they don't", async () => {
    await Deno.chmod(own, 0o600);
    const said = await health(h);
    assert(said.startsWith("HEALTHY (enforcing "), said);
  });
  await t.step("check-config, of the engine's socket", async () => {
    await saysOf(h, own, isOpen);
  });
  await t.step("check-config, of HAProxy's", async () => {
    await saysOf(h, socket, false);
  });
});

// -- the engine's own switch

/** Go's, for its servers of HTTP. */
const SWITCH = ["env", "GODEBUG=http2server=0"];

engineTest("front: the engine's own switch", async (t, h) => {
  await t.step("HTTP/2 is off", async () => {
    assertEquals(await opens(h.dockerd.socket), false);
    const [ping] = await exchange(h.dockerd.socket, request("GET", "/_ping"));
    assertEquals(ping.status, 200);
  });
  await t.step("/health and check-config are content", async () => {
    await Deno.chmod(h.dir, 0o755);
    await Deno.chmod(h.dockerd.socket, 0o666);
    const said = await health(h);
    assert(said.startsWith("HEALTHY (enforcing "), said);
    await saysOf(h, h.dockerd.socket, false);
    await h.dockerd.setPlugins([]);
  });
  await t.step("a build over it fails", async () => {
    const build = call(h.dockerd.socket, "Solve", await buildOf("unseen:1"));
    assert(await refusal(build) !== "it works");
    assertEquals(await h.must("images", "-q", "unseen:1"), "");
  });
  await t.step("/grpc stays, which plugins see", async () => {
    const { said } = await talk(h.dockerd.socket, [
      "POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n" +
      "Upgrade: h2c\r\n\r\n",
      300,
      HTTP2,
    ]);
    assertEquals(hasSettings(said), true, said);
  });
}, { wrap: SWITCH, skip: noHttp2 });

engineTest("front: buildx with the engine's own switch", async (_t, h) => {
  await addCliPlugins(`${h.dir}/client`);
  await day(h, async ({ root, bind }) => {
    await h.must("import", root, "plain:1");
    await Deno.writeTextFile(
      `${bind}/Dockerfile`,
      "FROM plain:1\nCOPY note /note\n",
    );
    await h.must("buildx", "build", "--load", "-t", "built:1", bind);
  });
}, { wrap: SWITCH, skip: noHttp2 ?? await whyNoCliPlugins() });

// -- TLS

/** Passes a TCP socket as systemd does; dockerd is process 1 of its namespace. */
const ACTIVATE = `
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execvpe(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": "1"})`;

/** How a client meets an engine behind TLS. */
interface Behind {
  h: Harness;
  /** A build of BuildKit's, asked for over HTTP/2. */
  build: () => Promise<string>;
  /** Whether it speaks HTTP/2. */
  opens: () => Promise<boolean>;
  /** What `check-config --host` says of it. */
  check: () => Promise<Result>;
  /** Asks it for a ping. */
  curl: (version: string) => Promise<Result>;
}

/**
 * Registers a test of an engine behind TLS, with a plugin that allows no builds.
 *
 * @param by who listens: dockerd itself, or systemd
 * @param wrap a command that starts it
 */
function tlsTest(
  name: string,
  by: "dockerd" | "systemd",
  wrap: string[],
  body: (behind: Behind) => Promise<void>,
): void {
  const skip = noHttp2 ?? noPrograms;
  const options: TestOptions = { network: "host", skip };
  engineTest(`front: ${name}`, async (_t, h) => {
    const ca = await Authority.create(`${h.dir}/ca`);
    const server = await ca.server("IP:127.0.0.1");
    const dir = await writeCertPath(`${h.dir}/server`, server, ca.cert);
    const client = await ca.client("/CN=ann");
    const certPath = await writeCertPath(`${h.dir}/ann`, client, ca.cert);
    const port = freePort();
    const address = `127.0.0.1:${port}`;
    options.args = [
      ...["-H", by === "systemd" ? "fd://" : `tcp://${address}`],
      ...["--tlsverify", "--tlscacert", `${dir}/ca.pem`],
      ...["--tlscert", `${dir}/cert.pem`, "--tlskey", `${dir}/key.pem`],
    ];
    options.wrap = by === "systemd"
      ? [...wrap, "python3", "-c", ACTIVATE, `${port}`]
      : wrap;
    await h.dockerd.restart();
    // Before it serves, it takes no new settings.
    await exchange(h.dockerd.socket, request("GET", "/_ping"));
    await h.guard({ config: NO_BUILDS });

    const url = `https://${address}`;
    const host = `tcp://${address}`;
    await body({
      h,
      build: async () => {
        const to = { url, tls: { ...client, ca: ca.cert } };
        return await refusal(call(to, "Solve", await buildOf("unseen:1")));
      },
      opens: () =>
        opensHttp2(engineEndpoint({ host, certPath, tlsVerify: true })),
      check: () => checked(h, host, "--cert-path", certPath, "--tls-verify"),
      curl: (version) =>
        run([
          ...["curl", "-sS", version, "--cacert", `${certPath}/ca.pem`],
          ...["--cert", `${certPath}/cert.pem`],
          ...["--key", `${certPath}/key.pem`, `${url}/_ping`],
        ]),
    });
  }, options);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

// moby's daemon/command/daemon.go offers "h2" by ALPN, but go-connections' sockets/tcp_socket.go takes that back.
tlsTest("a TLS listener of dockerd's", "dockerd", [], async (tls) => {
  assertEquals(await tls.opens(), false);
  assertEquals((await tls.check()).code, 0);
  assert(await tls.build() !== "it works");
  assertEquals(await tls.h.must("images", "-q", "unseen:1"), "");
  // Who offers both gets on with HTTP/1.1.
  assertEquals((await tls.curl("--http2")).stdout, "OK");
});

// Not so for a listener that systemd passes: daemon/listeners/listeners_linux.go.
tlsTest("a TLS listener of systemd's", "systemd", [], async (tls) => {
  assertEquals(await tls.opens(), true);
  const { code, stderr } = await tls.check();
  assert(code === 1 && stderr.includes("got around on tcp://"), stderr);
  assertEquals(await tls.build(), "it works");
  assert(await tls.h.must("images", "-q", "unseen:1") !== "");
});

tlsTest(
  "a TLS listener of systemd's, and the engine's own switch",
  "systemd",
  SWITCH,
  async (tls) => {
    assertEquals(await tls.opens(), false);
    assert(await tls.build() !== "it works");
    assertEquals(await tls.h.must("images", "-q", "unseen:1"), "");
    assertEquals((await tls.curl("--http1.1")).stdout, "OK");
    // The engine still promises HTTP/2 to who asks for it, and then hangs up.
    assertEquals((await tls.curl("--http2")).stdout, "");
  },
);
