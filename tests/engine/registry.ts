/**
 * Registries of the tests' own, and a web server: what was asked of each is the
 * verdict on a pull.
 *
 * They live on the engine's own loop-back, where every port is free, and out of
 * reach of all others on this machine. A pull needs no network that way, not
 * even one from Docker Hub, given that one of them is its mirror:
 *
 * ```ts
 * engineTest("pulls", async (t, h) => {
 *   const hub = await Registry.start(h, HUB_PORT);
 *   …
 * }, WITH_HUB);
 * ```
 */

import { STORE } from "../helpers/debian.ts";
import { run, sleep, whyNo } from "../helpers/programs.ts";
import { eventually } from "../helpers/waiting.ts";
import type { DockerdOptions } from "./dockerd.ts";
import { engineTest, type Harness, type TestOptions } from "./harness.ts";
import { selfSigned } from "./tls_certificates.ts";

/**
 * The port of the registry that {@link WITH_HUB} lets stand in for Docker Hub.
 */
export const HUB_PORT = 5001;

/**
 * Has an engine pull Docker Hub's images from the registry on {@link HUB_PORT}.
 * It still pushes to the real one.
 */
export const WITH_HUB: DockerdOptions = {
  config: { "registry-mirrors": [`http://127.0.0.1:${HUB_PORT}`] },
};

const missing = await whyNo({
  "docker-registry": "docker-registry",
  openssl: "openssl",
});

/**
 * Registers a test as `engineTest` does, unless no registry can be started
 * here.
 *
 * @param name of the test
 * @param body the steps
 * @param options as `engineTest` takes them
 */
export function registryTest(
  name: string,
  body: (t: Deno.TestContext, h: Harness) => Promise<void>,
  options: TestOptions = {},
): void {
  engineTest(name, body, { ...options, skip: missing ?? options.skip });
}

/** A registry on the loop-back of an engine. */
export class Registry {
  /** As image names have it: `localhost:5001`. */
  readonly host: string;
  #log: Log;

  private constructor(host: string, log: Log) {
    this.host = host;
    this.#log = log;
  }

  /**
   * Starts an empty one; it ends with the engine.
   *
   * @param h the engine
   * @param port any; 443 makes it speak TLS, with a certificate that nobody
   *   signed
   * @param name the host of that certificate
   */
  static async start(
    h: Harness,
    port: number,
    name = "localhost",
  ): Promise<Registry> {
    const dir = `${h.dir}/registry-${port}`;
    await Deno.mkdir(`${dir}/data`, { recursive: true });
    if (port === 443) await selfSigned(dir, name);
    await Deno.writeTextFile(
      `${dir}/config.json`, // JSON is YAML
      JSON.stringify({
        version: "0.1",
        log: { level: "info" },
        storage: { filesystem: { rootdirectory: `${dir}/data` } },
        http: {
          addr: `127.0.0.1:${port}`,
          secret: "none",
          ...port === 443 &&
            { tls: { certificate: `${dir}/cert.pem`, key: `${dir}/key.pem` } },
        },
      }),
    );
    const log = await serve(h, `${dir}/log`, [
      "docker-registry",
      "serve",
      `${dir}/config.json`,
    ]);
    await log.until(/listening on /);
    return new Registry(`localhost:${port}`, log);
  }

  /**
   * What the engine asked for since the last time, without the blobs, whose
   * lines may come late: `app:1`, `app@sha256:…`, `app, all tags`, each once.
   */
  async asked(): Promise<string[]> {
    return [...new Set((await this.#log.news()).flatMap(manifestIn))];
  }

  /**
   * What was pushed to it since the last time, as `app:1`, each once; also what
   * it had already.
   */
  async taken(): Promise<string[]> {
    const pushed =
      /"(?:PUT|HEAD) \/v2\/(\S+?)\/manifests\/(\S+) HTTP\/1.1" 20[01] /;
    const names = (await this.#log.news()).flatMap((line) =>
      pushed.exec(line)?.slice(1).join(":") ?? []
    );
    return [...new Set(names.filter((name) => !name.includes("sha256:")))];
  }

  /**
   * The repositories of which it gave anything away: a manifest, a blob or the
   * tags.
   */
  async gaveAway(): Promise<string[]> {
    const lines = await this.#log.lines();
    return [
      ...new Set(
        lines.flatMap((line) =>
          line.match(
            /"GET \/v2\/(\S+?)\/(?:manifests|blobs|tags)\/\S+ HTTP\/1.1" 200 /,
          )?.[1] ?? []
        ),
      ),
    ].sort();
  }
}

/** Files for `remote=` and `fromSrc=`, by HTTP. */
export class WebServer {
  /** As `http://127.0.0.1:8000/`. */
  readonly url: string;
  #log: Log;

  private constructor(url: string, log: Log) {
    this.url = url;
    this.#log = log;
  }

  /**
   * Starts one; it ends with the engine.
   *
   * @param h the engine
   * @param files what it has to give, by name
   */
  static async start(
    h: Harness,
    files: Record<string, string | Uint8Array>,
  ): Promise<WebServer> {
    const port = 8000;
    const listens = `0100007F:${
      port.toString(16).toUpperCase()
    } 00000000:0000 0A`;
    const dir = `${h.dir}/web`;
    await Deno.mkdir(dir);
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeFile(
        `${dir}/${name}`,
        typeof content === "string"
          ? new TextEncoder().encode(content)
          : content,
      );
    }
    const log = await serve(h, `${h.dir}/web.log`, [
      h.dockerd.busybox,
      ...["httpd", "-f", "-vv", "-p", `127.0.0.1:${port}`, "-h", dir],
    ]);
    // It does not log that it is ready. The kernel tells what listens in the
    // engine's network.
    const sockets = `/proc/${await h.dockerd.pid()}/net/tcp`;
    await eventually(
      "httpd listens",
      async () => (await Deno.readTextFile(sockets)).includes(listens),
    );
    return new WebServer(`http://127.0.0.1:${port}/`, log);
  }

  /** The names of what was asked for since the last time, each once. */
  async asked(): Promise<string[]> {
    return [
      ...new Set(
        (await this.#log.news()).flatMap((line) =>
          line.match(/url:\/(\S*)/)?.[1] ?? []
        ),
      ),
    ];
  }
}

/** What each of some servers was asked since the last time, in one list. */
export async function allAsked(
  ...servers: { asked(): Promise<string[]> }[]
): Promise<string[]> {
  return (await Promise.all(servers.map((each) => each.asked()))).flat();
}

/**
 * The docker clients on this machine, one for each generation: that on the
 * PATH, and those in the root file systems that tests of other engines left.
 *
 * @returns the commands that run them, by generation, as 20
 */
export async function findClients(): Promise<Map<string, string[]>> {
  const commands = [["docker"], ["/usr/bin/docker"]];
  for (const name of ["root26", "root28"]) {
    const tree = `${STORE}/${name}`;
    // Its libraries are not the host's.
    commands.push([
      `${tree}/lib64/ld-linux-x86-64.so.2`,
      "--library-path",
      `${tree}/usr/lib/x86_64-linux-gnu`,
      `${tree}/usr/bin/docker`,
    ]);
  }
  const clients = new Map<string, string[]>();
  for (const command of commands) {
    const version = await generationOf(command);
    if (version && !clients.has(version)) clients.set(version, command);
  }
  return clients;
}

async function generationOf(command: string[]): Promise<string | undefined> {
  // There may be no such program.
  const said = await run([...command, "--version"]).catch(() => undefined);
  return said?.stdout.match(/version ([0-9]+)/)?.[1];
}

/** A log that a server writes. */
class Log {
  #seen = 0;

  constructor(private readonly file: string) {}

  async lines(): Promise<string[]> {
    return (await Deno.readTextFile(this.file)).split("\n").slice(0, -1);
  }

  async news(): Promise<string[]> {
    const lines = await this.lines();
    const news = lines.slice(this.#seen);
    this.#seen = lines.length;
    return news;
  }

  async until(pattern: RegExp): Promise<void> {
    const end = Date.now() + 20_000;
    while (!(await this.lines()).some((line) => pattern.test(line))) {
      if (Date.now() > end) {
        throw new Error(
          `not ready; its log:\n${(await this.lines()).join("\n")}`,
        );
      }
      await sleep(30);
    }
  }
}

/**
 * Starts a server in the engine's network. dockerd.sh ends it, by the note in
 * `plugins`.
 */
async function serve(
  h: Harness,
  logFile: string,
  command: string[],
): Promise<Log> {
  const { pid } = new Deno.Command("sh", {
    args: [
      "-c",
      'exec "$@" >"$0" 2>&1',
      logFile,
      ...["nsenter", `--target=${await h.dockerd.pid()}`, "--net"],
      ...command,
    ],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  await Deno.writeTextFile(logFile, "", { append: true });
  await Deno.writeTextFile(`${h.dir}/plugins/${pid}`, "");
  return new Log(logFile);
}

/**
 * What a line of the access log says of a manifest or of a list of tags, in the
 * words of `asked`.
 */
function manifestIn(line: string): string[] {
  const [, repository, what, reference] =
    /"(?:GET|HEAD) \/v2\/(\S+?)\/(manifests|tags)\/([^\s?]+)/.exec(line) ?? [];
  if (repository === undefined) return [];
  if (what === "tags") return [`${repository}, all tags`];
  return [
    `${repository}${reference.includes(":") ? "@" : ":"}${reference}`,
  ];
}
