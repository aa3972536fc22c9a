/**
 * `check-config --host`: do the settings hold on this host?
 *
 * @module
 */
import type { Config } from "../config/config.ts";
import { findHttp2, http2Warning } from "../config/http2.ts";
import { engineWarnings } from "../config/warnings.ts";
import {
  type EngineAddress,
  type EngineEndpoint,
  engineEndpoint,
} from "../engine/address.ts";
import { serviceState } from "../engine/activation.ts";
import { EngineApi } from "../engine/api.ts";
import { engineClient } from "../engine/client.ts";
import { type JsonRecord, record, text } from "../engine/decode.ts";
import { connectEngine, EngineError } from "../engine/engine.ts";
import { USUAL_HOST } from "../engine/h2c.ts";
import { OwnCalls } from "../engine/own_calls.ts";

/** The plugin's name in daemon.json, unless it was given another socket. */
const NAME = "docker-policy-plugin";

/** What is known of a host. */
export interface HostCheck {
  /** What was looked at, a line each. */
  readonly told: string[];
  /** What is wrong, a line each. */
  readonly warnings: string[];
  /** Whether nothing is known to get around the settings. */
  readonly holds: boolean;
}

/**
 * Looks whether users get around the settings by what the engine or a proxy
 * before it leaves open.
 *
 * @param config The settings.
 * @param address Where users find the engine.
 * @returns What is known.
 * @throws {EngineError} If the engine can't be asked.
 */
export async function checkHost(
  config: Config,
  address: EngineAddress,
): Promise<HostCheck> {
  const endpoint = engineEndpoint(address);
  using client = engineClient(endpoint, { calls: new OwnCalls() });
  const engine = connectEngine(client);
  const found = await findHttp2(engine, endpoint);
  const info = record(await new EngineApi(client).ask("/info"));
  const http2 = http2Warning(config, found);
  return {
    told: [
      `${endpoint.host}: Docker Engine ${found.version}; ` +
      (found.host !== undefined
        ? "who speaks HTTP/2 gets past plugins"
        : "nobody gets past plugins by HTTP/2"),
    ],
    warnings: [
      ...(http2 === undefined ? [] : [http2]),
      ...warnOfPlugins(info),
      // The engine's own file, which is on another host otherwise.
      ...("path" in endpoint.to ? await engineWarnings(config) : []),
      ...warnOfListeners(info),
    ],
    holds: http2 === undefined,
  };
}

/**
 * Warns if this host's engine is one that users get past by HTTP/2. Says
 * nothing of one that can't be asked, and wakes none that is stopped.
 *
 * @param config The settings.
 * @returns The warnings, a line each.
 */
export async function usualHostWarnings(config: Config): Promise<string[]> {
  const endpoint: EngineEndpoint = engineEndpoint({
    host: USUAL_HOST,
    tlsVerify: false,
  });
  using client = engineClient(endpoint, { calls: new OwnCalls() });
  try {
    if (await serviceState(USUAL_HOST.slice("unix://".length)) === "down") {
      return [];
    }
    const found = await findHttp2(connectEngine(client), endpoint);
    const warning = http2Warning(config, found);
    return warning === undefined ? [] : [warning];
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [];
  }
}

/**
 * No certain fault: the engine tells what it was started with (`SystemInfo` in
 * moby's daemon/info.go), and the plugin can have been given another name.
 */
function warnOfPlugins({ Plugins }: JsonRecord): string[] {
  const asked = names(record(Plugins).Authorization);
  return asked.includes(NAME) ? [] : [
    `the engine was started to ask ${
      asked.join(" and ") || "no plugin"
    }, and ` +
    `not ${NAME}: unless it was reloaded since, name that under ` +
    '"authorization-plugins" in /etc/docker/daemon.json',
  ];
}

/**
 * `fillAPIInfo` in moby's daemon/info.go; in older engines, the same words in
 * daemon/info_unix.go and daemon/info.go.
 */
function warnOfListeners({ Warnings }: JsonRecord): string[] {
  return names(Warnings).flatMap((warning) => {
    const open = /\bAPI is accessible on (\S+) without (encryption|TLS [a-z ]+)/
      .exec(warning);
    return open === null ? [] : [
      `the engine also listens on ${open[1]} without ${open[2].trim()}: ` +
      "whoever reaches that may use Docker, and no proxy before the socket " +
      "covers it",
    ];
  });
}

function names(list: unknown): string[] {
  return Array.isArray(list) ? list.map(text) : [];
}
