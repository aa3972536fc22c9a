/**
 * The engines and plugins that are measured.
 *
 * @module
 */
import { sleep } from "../../tests/engine/dockerd.ts";
import type { Harness } from "../../tests/engine/harness.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** An image that each engine has. */
export const IMAGE = "bench:1";

/** A repository in a registry on an engine's own loop-back. */
export const REPOSITORY = "localhost:5001/bench";

/** The plugin's settings. */
const CONFIG = `[volumes]\n[images]\nwhitelist = ['^${REPOSITORY}:']\n`;

/** Gives the command that starts a plugin, which is to ask an engine. */
export type PluginCommand = (socket: string, engine: Harness) => string[];

/**
 * Finds out how to start a plugin: as its task `start` does.
 *
 * @param root The checkout; by default this one, or what `DPP_PLUGIN` names.
 * @throws {Deno.errors.NotFound} If there is no checkout.
 */
export function pluginCommand(root?: string): PluginCommand {
  const named = root === undefined ? Deno.env.get("DPP_PLUGIN") : undefined;
  const start = named?.split(" ") ?? startTask(Deno.realPathSync(root ?? ROOT));
  return (socket, { dir, dockerd }) => [
    ...start,
    ...["--socket", socket, "--host", `unix://${dockerd.socket}`],
    ...["--config", `${dir}/config.toml`, "--addr", "off"],
  ];
}

function startTask(root: string): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));
  const start: string = tasks.start.command ?? tasks.start;
  const words = start.split(" ");
  return [Deno.execPath(), ...words.slice(1, -1), `${root}/${words.at(-1)}`];
}

/** Gives the command that starts a server which does nothing but allow. */
export const bareCommand: PluginCommand = (socket) => [
  ...[Deno.execPath(), "run", "--allow-net", "--allow-read", "--allow-write"],
  ...[new URL("bare_server.ts", import.meta.url).pathname, socket],
];

/** Makes a client for `fetch` that keeps its connections to a unix socket. */
export function unixClient(path: string): Deno.HttpClient {
  return Deno.createHttpClient({ proxy: { transport: "unix", path } });
}

/**
 * Starts a plugin, and waits for its first answer.
 *
 * @param program Gives the command.
 * @param socket Where the plugin is to listen.
 * @param engine The engine that it asks.
 * @returns Its process, which ends when disposed of.
 * @throws {Error} If it does not listen within 20 seconds.
 */
export async function startPlugin(
  program: PluginCommand,
  socket: string,
  engine: Harness,
): Promise<Deno.ChildProcess> {
  await Deno.remove(socket).catch(() => {}); // A bare server leaves it behind.
  const [first, ...args] = program(socket, engine);
  const plugin = new Deno.Command(first, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const end = performance.now() + 20_000;
  // A fetch that fails can delay the next one by seconds; this one can't.
  while (!await connects(socket)) {
    if (performance.now() > end) {
      await plugin[Symbol.asyncDispose]();
      throw new Error(`this does not listen: ${[first, ...args].join(" ")}`);
    }
    await sleep(1);
  }
  using client = unixClient(socket);
  const url = "http://plugin/Plugin.Activate";
  await (await fetch(url, { client, method: "POST" })).text();
  return plugin;
}

function connects(path: string): Promise<boolean> {
  return Deno.connect({ transport: "unix", path }).then(
    (connection) => (connection.close(), true),
    () => false,
  );
}

/** An engine of the bench's own. */
export class Engine {
  readonly #client: Deno.HttpClient;
  #plugin?: Deno.ChildProcess;

  /** @param harness The engine as the tests have it. */
  constructor(readonly harness: Harness) {
    this.#client = unixClient(harness.dockerd.socket);
  }

  /**
   * Makes {@link IMAGE}, and starts a plugin if there is to be one.
   *
   * @param program Gives the plugin's command.
   */
  async prepare(program?: PluginCommand): Promise<void> {
    const { dir, dockerd, pluginName, pluginSocket } = this.harness;
    await this.harness.image(IMAGE);
    Deno.writeTextFileSync(`${dir}/config.toml`, CONFIG);
    if (!program) return;
    this.#plugin = await startPlugin(program, pluginSocket, this.harness);
    await dockerd.setPlugins([pluginName]);
  }

  /**
   * Makes an API call.
   *
   * @param method The method.
   * @param path The path, with the query.
   * @param body What is sent, as JSON.
   * @throws {Error} If the call fails: its time would be of no use.
   */
  async call(method: string, path: string, body?: unknown): Promise<void> {
    const response = await fetch(`http://docker${path}`, {
      client: this.#client,
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    const text = await response.text();
    // A pull that fails says so in the body.
    if (!response.ok || text.includes('"errorDetail"')) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`);
    }
  }

  /** Creates a container with a bind mount. */
  create(name: string): Promise<void> {
    return this.call("POST", `/containers/create?name=${name}`, {
      Image: IMAGE,
      HostConfig: { Binds: ["/srv:/srv:ro"] },
    });
  }

  /** Removes a container, even a running one. */
  remove(name: string): Promise<void> {
    return this.call("DELETE", `/containers/${name}?force=1`);
  }

  /** Stops it and its plugin, and removes what they had. */
  async stop(): Promise<void> {
    this.#client.close();
    // The engine first: it must not wait for a plugin that is gone.
    await this.harness.stop();
    await this.#plugin?.[Symbol.asyncDispose]();
  }
}
