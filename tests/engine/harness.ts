/**
 * A real engine with the plugin in front, for the tests in this folder.
 *
 * ```ts
 * engineTest("what is tested", async (t, h) => {
 *   await h.image("plain:1");          // made before the plugin is there
 *   await h.guard();                   // from here on every call passes it
 *   await t.step("…", async () => {
 *     const run = await h.docker("run", "-v", "/x", "plain:1", "true");
 *     …
 *   });
 * });
 * ```
 *
 * Each such test has an engine of its own, with its own state, namespaces and network, so several files can
 * run at a time. Environment: `ENGINE` (dockerd.ts), `DPP_PLUGIN` (plugin.ts).
 */

import { run } from "../helpers/programs.ts";
import type { Result } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { Dockerd, type DockerdOptions, whyNoEngine } from "./dockerd.ts";
import { rootFileSystem } from "./images.ts";
import { Plugin, type PluginOptions } from "./plugin.ts";
import { record, type Shown } from "./recorder.ts";
import {
  type Answer,
  exchange,
  request,
  type RequestParts,
} from "./raw_http.ts";

export type { Result };

/** An answer of the engine's API. */
export interface ApiAnswer extends Answer {
  /** The `message` of an error, else "". */
  message: string;
  /** The body as JSON; the caller names what it expects. */
  json<T>(): T;
}

/** A container as far as the tests' verdicts need it. */
export interface ContainerState {
  id: string;
  name: string;
  running: boolean;
  /** The restart policy's name. */
  restart: string;
  /** One line a mount, sorted: `bind /src /dst`, `volume NAME /dst`. */
  mounts: string[];
}

/** All that a refused call must leave as it was. */
export interface State {
  containers: ContainerState[];
  volumes: string[];
  /** One line a service: name, image, mounts and replicas. Empty where the engine is in no swarm. */
  services: string[];
}

/** How a test is run. */
export interface TestOptions extends DockerdOptions {
  /** Why it can't run here, and what helps; undefined if it can. */
  skip?: string;
}

/** How the plugin is put in front of an engine. */
export type GuardOptions = Partial<
  Pick<PluginOptions, "config" | "args" | "env" | "host">
>;

/** The engine's version, once it was asked. */
export interface EngineVersion {
  /** As "28.5.2+dfsg4". */
  full: string;
  /** As 28; Docker 20.10 is 20. */
  major: number;
  /** The newest API it speaks, as "1.51". */
  api: string;
  /** The oldest. */
  oldestApi: string;
}

const missing = await whyNoEngine();

/**
 * Registers a test that gets an engine of its own, which is stopped and removed afterwards.
 *
 * @param name of the test
 * @param body the steps; `h` has an engine that no plugin guards yet
 * @param options for dockerd, and `skip`: why it can't run here
 */
export function engineTest(
  name: string,
  body: (t: Deno.TestContext, h: Harness) => Promise<void>,
  options: TestOptions = {},
): void {
  Deno.test(unless(missing ?? options.skip, {
    name,
    // Processes live on from step to step.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async (t) => {
      const h = await Harness.start(options);
      try {
        await t.step(
          `engine: Docker ${h.version.full}, API ${h.version.oldestApi} to ${h.version.api}`,
          () => {},
        );
        await body(t, h);
      } finally {
        await h.stop();
      }
    },
  }));
}

/** An engine, and the plugin once `guard` put it in front. */
export class Harness {
  readonly dockerd: Dockerd;
  readonly version: EngineVersion;
  /** The plugin that is in front now, if one is. */
  plugin: Plugin | undefined;

  private constructor(dockerd: Dockerd, version: EngineVersion) {
    this.dockerd = dockerd;
    this.version = version;
  }

  /** Starts an engine with no plugin. */
  static async start(options: DockerdOptions = {}): Promise<Harness> {
    const dockerd = await Dockerd.start(options);
    try {
      const [answer] = await exchange(
        dockerd.socket,
        request("GET", "/version"),
      );
      const version = JSON.parse(answer.body) as Record<
        "Version" | "ApiVersion" | "MinAPIVersion",
        string
      >;
      return new Harness(dockerd, {
        full: version.Version,
        major: parseInt(version.Version),
        api: version.ApiVersion,
        oldestApi: version.MinAPIVersion,
      });
    } catch (error) {
      await dockerd.stop();
      throw error;
    }
  }

  /** A folder of the engine's own, which containers see at the same path; for bind mounts and files. */
  get dir(): string {
    return this.dockerd.dir;
  }

  /** The plugin's name for the engine, as it stands in denials. */
  get pluginName(): string {
    return this.dockerd.name;
  }

  /** Where the plugin listens, in the folder that is the engine's `/run/docker/plugins`. */
  get pluginSocket(): string {
    return `${this.dir}/run/${this.pluginName}.sock`;
  }

  /**
   * Starts the plugin and puts it in front of the engine. A plugin that was there is stopped first.
   *
   * @param options its configuration; the volume policy for everybody by default
   */
  async guard(
    options: GuardOptions = {},
  ): Promise<void> {
    const before = this.plugin;
    if (before) {
      await this.dockerd.setPlugins([]);
      this.plugin = undefined;
      await before.stop();
    }
    await this.startPlugin(options);
    await this.dockerd.setPlugins([this.pluginName]);
  }

  /** Starts the plugin, and leaves the engine's configuration as it is: the start after a crash. */
  async startPlugin(
    options: GuardOptions = {},
  ): Promise<void> {
    this.plugin = await Plugin.start({
      socket: this.pluginSocket,
      host: `unix://${this.dockerd.socket}`,
      dir: this.dir,
      ...options,
    });
  }

  /**
   * Does something as if there were no plugin: what stood there before it was installed.
   *
   * @returns what `work` returns
   */
  async withoutPlugin<T>(work: () => Promise<T>): Promise<T> {
    if (!this.plugin) return await work();
    await this.dockerd.setPlugins([]);
    try {
      return await work();
    } finally {
      await this.dockerd.setPlugins([this.pluginName]);
    }
  }

  /**
   * What this engine shows a plugin of some calls: engines of one version differ, as distributors patch them.
   *
   * @param calls done with a plugin in front that allows everything, in place of the one that is there
   */
  async shows(calls: () => Promise<unknown>): Promise<Shown[]> {
    const name = `${this.pluginName}-recorder`;
    const socket = `${this.dir}/run/${name}.sock`;
    const recorder = record(socket);
    await this.dockerd.setPlugins([name]);
    try {
      await calls();
    } finally {
      await this.dockerd.setPlugins(this.plugin ? [this.pluginName] : []);
      await recorder[Symbol.asyncDispose]();
      await Deno.remove(socket).catch(() => {});
    }
    return recorder.shown;
  }

  /** Runs the docker client that belongs to this engine. */
  async docker(...args: string[]): Promise<Result> {
    return await this.dockerBy(await this.dockerd.client(), args);
  }

  /**
   * Runs a client of another engine than this one, or with another environment.
   *
   * @param client as `findClients` has it
   * @param args for it
   * @param env beside what says which engine to talk to
   */
  async dockerBy(
    client: readonly string[],
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<Result> {
    return await run([...client, ...args], {
      clearEnv: true,
      env: {
        PATH: Deno.env.get("PATH") ?? "",
        HOME: `${this.dir}/client`,
        DOCKER_HOST: `unix://${this.dockerd.socket}`,
        DOCKER_CONFIG: `${this.dir}/client`,
        ...env,
      },
    });
  }

  /**
   * Runs the docker client for what a test only builds on.
   *
   * @returns what it printed
   * @throws Error when it did not end with 0
   */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.docker(...args);
    if (code !== 0) throw new Error(`docker ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  }

  /** One request to the engine's API, with a body as JSON if there is one. */
  async api(
    method: string,
    path: string,
    body?: RequestParts["body"],
  ): Promise<ApiAnswer> {
    return await this.send(request(method, path, { body }));
  }

  /** Bytes to the engine's API, and its one answer. */
  async send(bytes: Uint8Array, timeout?: number): Promise<ApiAnswer> {
    const [answer] = await exchange(this.dockerd.socket, bytes, { timeout });
    return {
      ...answer,
      message: answer.status >= 400 ? errorMessage(answer.body) : "",
      json: <T>() => JSON.parse(answer.body) as T,
    };
  }

  /**
   * Makes an image out of the tests' busybox, whose containers sleep for ten minutes unless they are told otherwise.
   *
   * @param reference its name and tag
   * @param options `changes`: Dockerfile instructions, as `VOLUME /data`; `files`: more content, by path
   * @returns its ID, as `sha256:…`
   */
  async image(
    reference: string,
    options: { changes?: string[]; files?: Record<string, string> } = {},
  ): Promise<string> {
    const at = reference.lastIndexOf(":");
    const query = new URLSearchParams({
      fromSrc: "-",
      repo: reference.slice(0, at),
      tag: reference.slice(at + 1),
    });
    const changes = ['CMD ["sleep", "600"]', ...options.changes ?? []];
    for (const change of changes) query.append("changes", change);
    const answer = await this.api(
      "POST",
      `/images/create?${query}`,
      await rootFileSystem(this.dockerd.busybox, options.files),
    );
    const id = answer.body.match(/sha256:[0-9a-f]{64}/)?.[0];
    if (answer.status !== 200 || !id) {
      throw new Error(`can't import ${reference}: ${answer.body}`);
    }
    return id;
  }

  /** A container's state, by name or ID; undefined where the engine has no such container. */
  async container(name: string): Promise<ContainerState | undefined> {
    const answer = await this.api("GET", `/containers/${name}/json`);
    if (answer.status === 404) return undefined;
    const inspect = answer.json<{
      Id: string;
      Name: string;
      State: { Running: boolean };
      HostConfig: { RestartPolicy: { Name: string } };
      Mounts: {
        Type: string;
        Name?: string;
        Source: string;
        Destination: string;
      }[];
    }>();
    return {
      id: inspect.Id,
      name: inspect.Name.replace(/^\//, ""),
      running: inspect.State.Running,
      restart: inspect.HostConfig.RestartPolicy.Name,
      mounts: inspect.Mounts.map((each) =>
        `${each.Type} ${each.Name ?? each.Source} ${each.Destination}`
      ).sort(),
    };
  }

  /** All that a refused call must leave as it was. */
  async state(): Promise<State> {
    const list = (await this.api("GET", "/containers/json?all=1")).json<
      { Id: string }[]
    >();
    const containers = await Promise.all(
      list.map(({ Id }) => this.container(Id)),
    );
    const volumes = (await this.api("GET", "/volumes")).json<
      { Volumes: { Name: string }[] | null }
    >();
    const services = await this.api("GET", "/services");
    return {
      containers: containers.filter((each) => each !== undefined).sort((a, b) =>
        a.name < b.name ? -1 : 1
      ),
      volumes: (volumes.Volumes ?? []).map((each) => each.Name).sort(),
      services: services.status === 200
        ? services.json<ServiceInspect[]>().map(serviceLine).sort()
        : [],
    };
  }

  /** Removes all containers with their anonymous volumes, and all volumes. */
  async clear(): Promise<void> {
    for (const { id } of (await this.state()).containers) {
      await this.api("DELETE", `/containers/${id}?force=1&v=1`);
    }
    for (const name of (await this.state()).volumes) {
      await this.api("DELETE", `/volumes/${name}?force=1`);
    }
  }

  /** Stops plugin and engine and removes what they had. */
  async stop(): Promise<void> {
    const { plugin } = this;
    this.plugin = undefined;
    try {
      // The engine first: it must not wait for a plugin that is gone.
      await this.dockerd.stop();
    } finally {
      await plugin?.kill();
    }
  }
}

/** A service as the engine inspects it, as far as the tests look. */
export interface ServiceInspect {
  ID: string;
  Version: { Index: number };
  Spec: ServiceSpec;
  PreviousSpec?: ServiceSpec;
}

/** What a service is made of, as far as the tests send it. */
export interface ServiceSpec {
  Name: string;
  TaskTemplate: {
    ContainerSpec?: {
      Image: string;
      Command?: string[];
      Mounts?: { Type?: string; Source?: string; Target: string }[];
    };
    ForceUpdate?: number;
    [more: string]: unknown;
  };
  Mode?: { Replicated: { Replicas: number } };
  [more: string]: unknown;
}

function serviceLine({ Spec }: ServiceInspect): string {
  const { Image, Mounts } = Spec.TaskTemplate.ContainerSpec ?? { Image: "-" };
  const mounts = (Mounts ?? []).map((each) =>
    `${each.Type ?? "?"} ${each.Source ?? ""} ${each.Target}`
  );
  return [
    Spec.Name,
    Image,
    ...mounts,
    `x${Spec.Mode?.Replicated?.Replicas ?? "-"}`,
  ].join(" | ");
}

function errorMessage(body: string): string {
  try {
    return String((JSON.parse(body) as { message?: unknown }).message ?? body);
  } catch {
    return body.trim();
  }
}
