import type { Host } from "../host.ts";
import { says, type Way, writes } from "../escape.ts";
import { request } from "../../raw_http.ts";
import { type Entry, tar } from "../../tar.ts";
import { SOURCES } from "./sources.ts";

const DOCS = "https://docs.docker.com/engine/extend/config/";

/** What an engine plugin is sent as: its settings and root file system. */
async function archive(host: Host): Promise<Uint8Array> {
  const text = (value: string) => new TextEncoder().encode(value);
  const config = {
    description: "escape",
    documentation: "none",
    entrypoint: ["/busybox", "sh", "-c", `echo mine >/host/prey; sleep 600`],
    interface: { types: ["docker.dummy/1.0"], socket: "escape.sock" },
    network: { type: "host" },
    pidHost: true,
    mounts: [{
      name: "host",
      source: host.dir,
      destination: "/host",
      type: "none",
      options: ["rbind", "rw"],
      settable: ["source"],
    }],
    linux: { capabilities: ["CAP_SYS_ADMIN"], allowAllDevices: true },
  };
  const files: Entry[] = [
    { path: "config.json", content: text(JSON.stringify(config)) },
    { path: "rootfs/" },
    { path: "rootfs/host/" },
    {
      path: "rootfs/busybox",
      content: await Deno.readFile(host.h.dockerd.busybox),
      mode: 0o755,
    },
  ];
  return tar(files);
}

/** Makes an engine plugin of the name. */
async function create(
  host: Host,
  name: string,
  send: (bytes: Uint8Array) => Promise<unknown>,
): Promise<void> {
  await send(
    request("POST", `/plugins/create?name=${name}`, {
      headers: [["Content-Type", "application/x-tar"]],
      body: await archive(host),
    }),
  );
}

/** One that stands there already, and is off. */
const standing = (name: string) => (host: Host) =>
  create(host, name, (bytes) => host.h.send(bytes));

/** Ways through the engine's own plugins, which run as root. */
export const PLUGINS: readonly Way[] = [
  {
    name: "docker plugin create and enable",
    sources: [
      DOCS,
      "https://docs.docker.com/reference/cli/docker/plugin/create/",
    ],
    attempt: async (host) => {
      await create(host, "made", (bytes) => host.send(bytes));
      // It never answers on its socket, but it has run by then.
      await host.api("POST", "/plugins/made/enable?timeout=1");
    },
    proof: writes,
  },
  {
    name: "docker plugin enable of one that is there",
    sources: [DOCS],
    before: standing("there"),
    attempt: (host) => host.api("POST", "/plugins/there/enable?timeout=1"),
    proof: writes,
  },
  {
    name: "docker plugin set: a mount of something else",
    sources: ["https://docs.docker.com/reference/cli/docker/plugin/set/"],
    before: standing("settable"),
    attempt: async (host) => {
      const answer = await host.api(
        "POST",
        "/plugins/settable/set",
        [`host.source=${host.allowed}`],
      );
      if (answer.status === 204) host.note("set");
    },
    proof: says("set"),
  },
  {
    name: "docker plugin install",
    sources: ["https://docs.docker.com/reference/cli/docker/plugin/install/"],
    cannot: "no registry to install from, as tests use no network",
    attempt: (host) =>
      host.api("POST", "/plugins/pull?remote=127.0.0.1:1/p:1&name=p", []),
    proof: says("never"),
  },
  {
    name: "docker plugin upgrade",
    sources: ["https://docs.docker.com/reference/cli/docker/plugin/upgrade/"],
    cannot: "no registry to upgrade from, as tests use no network",
    before: standing("old"),
    attempt: (host) =>
      host.api("POST", "/plugins/old/upgrade?remote=127.0.0.1:1/old:2", []),
    proof: says("never"),
  },
  {
    name: "docker plugin disable of the plugin that guards",
    sources: [
      SOURCES.authz,
      "https://github.com/open-policy-agent/opa-docker-authz/issues/35",
    ],
    closed:
      "this plugin is none of the engine's own: it is not there to be off",
    attempt: async (host) => {
      const name = host.h.pluginName;
      const answer = await host.api("POST", `/plugins/${name}/disable?force=1`);
      if (answer.status === 200) host.note("disabled");
    },
    proof: says("disabled"),
  },
];
