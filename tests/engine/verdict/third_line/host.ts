/**
 * A host with users that have names, the plugin in front of its engine, and
 * what the host ends up with.
 *
 * ```ts
 * hostTest("what is tested", async (t, host) => {
 *   await host.image("plain:1");
 *   await host.guard(`[volumes]\nallow-user = ["dwalsh"]`);
 *   const answer = await host.as("dwalsh").api("POST", "/containers/create", …);
 *   await host.behindItsBack((h) => h.must("create", "-v", "/x", "plain:1"));
 *   await host.eventually("it is gone", async () => (await host.things()).containers.length === 0);
 * }, { users: ["dwalsh", "eve"] });
 * ```
 */

import type { DockerdOptions } from "../../dockerd.ts";
import { sleep } from "../../../helpers/programs.ts";
import { engineTest, type Harness } from "../../harness.ts";
import type { ApiAnswer, Result } from "../../harness.ts";
import { exchange, request, type RequestParts } from "../../raw_http.ts";
import { eventually } from "../../../helpers/waiting.ts";
import { Authority, writeCertPath } from "../../tls_certificates.ts";
import { blinkers } from "./blinkers.ts";

/** Where an engine with named users listens, on its own loop-back. */
const TLS_PORT = 2376;

/** How long a relay may take to be there, in milliseconds. */
const RELAY_TIME = 20_000;

/** A mount as the list of containers shows it. */
export interface ListedMount {
  Type: string;
  Name?: string;
  Source: string;
  Destination: string;
}

/** A container as the list shows it, which waits for no container's lock. */
export interface Listed {
  Id: string;
  Names: string[];
  Image: string;
  State: string;
  Labels: Record<string, string>;
  Mounts: ListedMount[];
}

/** What a host has that a policy could forbid. */
export interface Things {
  containers: Listed[];
  /** The names of all volumes, sorted. */
  volumes: string[];
}

/** Somebody who calls the API. */
export interface User {
  /** His socket. */
  readonly socket: string;
  /** One request to the engine's API, with a body as JSON if there is one. */
  api(
    method: string,
    path: string,
    body?: RequestParts["body"],
  ): Promise<ApiAnswer>;
  /** Runs the docker client. */
  docker(...args: string[]): Promise<Result>;
  /** Runs the docker client, and throws unless it ends with 0. */
  must(...args: string[]): Promise<string>;
}

/** How a host is made. */
export interface HostOptions extends DockerdOptions {
  /** The names of users that call the engine over TLS. */
  users?: string[];
}

/**
 * Registers a test on a host of its own.
 *
 * @param name Of the test.
 * @param body The steps; no plugin is in front of the engine yet.
 * @param options Who uses the host, and options for dockerd.
 */
export function hostTest(
  name: string,
  body: (t: Deno.TestContext, host: Host) => Promise<void>,
  { users = [], ...options }: HostOptions = {},
): void {
  const dockerd: DockerdOptions = { ...options };
  engineTest(name, async (t, h) => {
    const host = new Host(h, users, dockerd);
    await host.open();
    await body(t, host);
  }, dockerd);
}

/** A host: an engine, its users and its plugin. */
export class Host {
  #users: readonly string[];
  #options: DockerdOptions;
  /** How the plugin was started last. */
  #guard: { config: string; host?: string } = { config: "[volumes]\n" };
  #monitor = 0;
  #hasBlinkers = false;

  /**
   * @param h The engine.
   * @param users The names of users that call it over TLS.
   * @param options The engine's, which this changes before it is started again.
   */
  constructor(
    readonly h: Harness,
    users: readonly string[] = [],
    options: DockerdOptions = {},
  ) {
    this.#users = users;
    this.#options = options;
  }

  /** Somebody without a name, who calls the engine by its own socket. */
  get stranger(): User {
    return this.#user(this.h.dockerd.socket);
  }

  /** A user by name. */
  as(name: string): User {
    if (!this.#users.includes(name)) throw new Error(`nobody is ${name} here`);
    return this.#user(this.#socketOf(name));
  }

  /** Has the engine listen for its users. */
  async open(): Promise<void> {
    if (this.#users.length === 0) return;
    const { dir } = this.h;
    const ca = await Authority.create(`${dir}/ca`);
    const server = await ca.server("IP:127.0.0.1");
    await writeCertPath(`${dir}/server`, server, ca.cert);
    for (const name of this.#users) {
      const certificate = await ca.client(`/CN=${name}`);
      await writeCertPath(`${dir}/user-${name}`, certificate, ca.cert);
    }
    this.#options.args = [
      ...this.#options.args ?? [],
      ...["-H", `tcp://127.0.0.1:${TLS_PORT}`, "--tlsverify"],
      ...["--tlscacert", `${dir}/server/ca.pem`],
      ...["--tlscert", `${dir}/server/cert.pem`],
      ...["--tlskey", `${dir}/server/key.pem`],
    ];
    await this.reboot();
  }

  /** Makes an image, as the harness does. */
  image(...args: Parameters<Harness["image"]>): Promise<string> {
    return this.h.image(...args);
  }

  /**
   * Puts the plugin in front of the engine, with a folder for its state and a
   * monitor API.
   *
   * @param config Its settings; the volume policy for everybody by default.
   * @param options `host`: the engine that it asks, if that is not the engine
   *   itself.
   */
  async guard(
    config = "[volumes]\n",
    options: { host?: string } = {},
  ): Promise<void> {
    this.#guard = { config, ...options };
    const times = await this.#timesFollowed();
    await this.h.guard(await this.#pluginOptions());
    await this.#follows(times);
  }

  /** Stops the plugin and starts it again, as an update of its package does. */
  async restartPlugin(config = this.#guard.config): Promise<void> {
    await this.h.plugin?.stop();
    this.#guard.config = config;
    const times = await this.#timesFollowed();
    await this.h.startPlugin(await this.#pluginOptions());
    await this.#follows(times);
  }

  /** Gives the plugin that runs other settings. */
  async reload(config: string): Promise<void> {
    this.#guard.config = config;
    await this.h.plugin!.reload(config);
  }

  /** Kills the plugin and starts it again. */
  async crashPlugin(): Promise<void> {
    await this.h.plugin?.kill();
    await Deno.remove(this.h.pluginSocket).catch(() => {});
    const times = await this.#timesFollowed();
    await this.h.startPlugin(await this.#pluginOptions());
    await this.#follows(times);
  }

  /**
   * Waits until the plugin follows the events once more: what comes before it has
   * looked around was there before. Without systemd, a call is what shows it that
   * the engine is up.
   */
  async #follows(times: number): Promise<void> {
    const ping = await this.stranger.api("GET", "/_ping").catch(() => null);
    const isStopped = ping === null;
    const isWanted = /\[(volumes|images|privileges)\]/.test(this.#guard.config);
    if (isStopped || !isWanted || this.#guard.host !== undefined) return;
    await eventually("the plugin follows the engine's events", async () => {
      return await this.#timesFollowed() > times;
    });
  }

  async #timesFollowed(): Promise<number> {
    return (await this.log()).split("following the engine's events").length - 1;
  }

  /**
   * Stops the engine and starts it again, with the plugin in front if it was.
   */
  async reboot(): Promise<void> {
    await this.h.dockerd.restart();
    // Its socket is there long before it serves, or takes a new configuration.
    await this.stranger.api("GET", "/_ping");
    // The engine's network is another one now.
    if (this.#users.length > 0) await this.#startRelay();
  }

  /**
   * Stops the engine as an administrator does, until `reboot`.
   *
   * @returns How many milliseconds it took.
   */
  async stopEngine(): Promise<number> {
    const begin = performance.now();
    const pid = await this.h.dockerd.pid();
    Deno.kill(pid, "SIGTERM");
    await eventually("the engine has ended", async () => {
      // A zombie has ended.
      const status = await Deno.readTextFile(`/proc/${pid}/status`)
        .catch(() => "");
      return !/^State:\s+[^ZX]/m.test(status);
    }, 60_000);
    return performance.now() - begin;
  }

  /**
   * Does something that the plugin is not asked about; it goes on and follows
   * the events.
   *
   * @returns What `work` returns.
   */
  async behindItsBack<T>(work: (h: Harness) => Promise<T>): Promise<T> {
    const { h } = this;
    if (!h.plugin) return await work(h);
    const name = `${h.pluginName}-blinkers`;
    // They stay: the engine may still be serving calls that it asked them about,
    // and waits half a minute for a plugin that is gone.
    if (!this.#hasBlinkers) {
      blinkers(`${h.dir}/run/${name}.sock`, h.pluginSocket);
      this.#hasBlinkers = true;
    }
    await h.dockerd.setPlugins([name]);
    try {
      return await work(h);
    } finally {
      await h.dockerd.setPlugins([h.pluginName]);
    }
  }

  /** All containers and volumes, without waiting for any container's lock. */
  async things(): Promise<Things> {
    const list = await this.h.api("GET", "/containers/json?all=1");
    const volumes = await this.h.api("GET", "/volumes");
    return {
      containers: list.json<Listed[]>(),
      volumes: (volumes.json<{ Volumes: { Name: string }[] | null }>()
        .Volumes ?? []).map(({ Name }) => Name).sort(),
    };
  }

  /** The container of that name or ID as the list shows it, if there is one. */
  async listed(name: string): Promise<Listed | undefined> {
    const { containers } = await this.things();
    return containers.find(({ Id, Names }) =>
      Id.startsWith(name) || Names.includes(`/${name}`)
    );
  }

  /** The names of all containers that mount a volume, sorted. */
  async withVolumes(): Promise<string[]> {
    const { containers } = await this.things();
    return containers.filter(hasVolume).map(({ Names, Id }) =>
      Names[0]?.slice(1) ?? Id
    ).sort();
  }

  /** What the plugin logged, over all its starts. */
  async log(): Promise<string> {
    let text = "";
    for await (const { name } of Deno.readDir(this.h.dir)) {
      if (/^plugin-.*\.log$/.test(name)) {
        text += await Deno.readTextFile(`${this.h.dir}/${name}`);
      }
    }
    return text;
  }

  /** The lines of the log that are an alert, and hold all of some words. */
  async alerts(...words: string[]): Promise<string[]> {
    return (await this.log()).split("\n").filter((line) =>
      /\balert\b/.test(line) && words.every((word) => line.includes(word))
    );
  }

  /**
   * Waits for an alert: the plugin logs what it has done, which is seen before.
   *
   * @param words What it must hold.
   * @returns The first one.
   * @throws {Error} If none comes in time.
   */
  async alert(...words: string[]): Promise<string> {
    await eventually(`an alert: ${words.join(", ")}`, async () => {
      return (await this.alerts(...words)).length > 0;
    });
    return (await this.alerts(...words))[0]!;
  }

  /** A page of the plugin's monitor API. */
  async monitor(path: string): Promise<{ status: number; body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.#monitor}${path}`);
    return { status: answer.status, body: await answer.text() };
  }

  /**
   * A metric's value, all its labels together; undefined if there is none of
   * that name.
   */
  async metric(name: string): Promise<number | undefined> {
    const { body } = await this.monitor("/metrics");
    const values = body.split("\n").filter((line) =>
      (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) &&
      // What could not be done at once is tried again.
      !line.includes('deed="failed"')
    ).map((line) => Number(line.slice(line.lastIndexOf(" "))));
    if (values.length === 0) return undefined;
    return values.reduce((sum, value) => sum + value, 0);
  }

  #socketOf(name: string): string {
    return `${this.h.dir}/as-${name}.sock`;
  }

  async #pluginOptions() {
    await Deno.mkdir(`${this.h.dir}/state`, { recursive: true });
    this.#monitor = freePort();
    return {
      ...this.#guard,
      args: ["--addr", `127.0.0.1:${this.#monitor}`],
      // systemd's, of StateDirectory=.
      env: { STATE_DIRECTORY: `${this.h.dir}/state` },
    };
  }

  #user(socket: string): User {
    const docker = async (...args: string[]) => {
      const { h } = this;
      const client = await h.dockerd.client();
      const { code, stdout, stderr } = await new Deno.Command(client[0], {
        args: [...client.slice(1), ...args],
        clearEnv: true,
        env: {
          PATH: Deno.env.get("PATH") ?? "",
          HOME: `${h.dir}/client`,
          DOCKER_HOST: `unix://${socket}`,
          DOCKER_CONFIG: `${h.dir}/client`,
        },
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
    };
    return {
      socket,
      docker,
      must: async (...args) => {
        const { code, stdout, stderr } = await docker(...args);
        if (code !== 0) throw new Error(`docker ${args.join(" ")}: ${stderr}`);
        return stdout.trim();
      },
      api: async (method, path, body) => {
        const [answer] = await exchange(
          socket,
          request(method, path, { body }),
          { timeout: 120_000 },
        );
        return {
          ...answer,
          message: answer.status >= 400 ? answer.body : "",
          json: <T>() => JSON.parse(answer.body) as T,
        };
      },
    };
  }

  async #startRelay(): Promise<void> {
    const { h } = this;
    const sockets = this.#users.map((name) => this.#socketOf(name));
    for (const socket of sockets) await Deno.remove(socket).catch(() => {});
    const { pid } = new Deno.Command("nsenter", {
      args: [
        ...[`--target=${await h.dockerd.pid()}`, "--net"],
        ...[Deno.execPath(), "run", "--no-config", "-A"],
        new URL("relay.ts", import.meta.url).pathname,
        ...[`${TLS_PORT}`, `${h.dir}/server/ca.pem`],
        ...this.#users.flatMap((name) => [
          `${h.dir}/user-${name}`,
          this.#socketOf(name),
        ]),
      ],
      stdin: "null",
      stdout: "null",
    }).spawn();
    // dockerd.sh ends it.
    await Deno.writeTextFile(`${h.dir}/plugins/${pid}`, "");
    const end = Date.now() + RELAY_TIME;
    for (const path of sockets) {
      for (;;) {
        const connection = await Deno.connect({ transport: "unix", path })
          .catch(() => undefined);
        connection?.close();
        if (connection) break;
        if (Date.now() > end) throw new Error(`no relay listens on ${path}`);
        await sleep(30);
      }
    }
  }
}

/** Whether a container mounts a volume. */
export function hasVolume({ Mounts }: Pick<Listed, "Mounts">): boolean {
  return Mounts.some(({ Type }) => Type !== "bind" && Type !== "tmpfs");
}

/** A TCP port that nothing listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
