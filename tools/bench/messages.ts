/**
 * What the engine posts to an authorization plugin, byte by byte as Docker 28 does.
 *
 * @module
 */
import type { Call } from "./load.ts";

/** An API call, and its answer where there is one already. */
interface ApiCall {
  method: string;
  uri: string;
  body?: string;
  response?: { status: number; body: string };
}

const CLIENT = { "User-Agent": "Docker-Client/28.5.2 (linux)" };

/** A message for the plugin, which must allow what it tells of. */
function authz({ method, uri, body, response }: ApiCall): Call {
  // In the order of moby's pkg/authorization/api.go; Go's encoder ends with a line feed.
  const message = JSON.stringify({
    RequestMethod: method,
    RequestUri: uri,
    ...(body !== undefined && { RequestBody: btoa(body) }),
    RequestHeaders: {
      ...(body !== undefined && {
        "Content-Length": String(body.length),
        "Content-Type": "application/json",
      }),
      ...(body === undefined && method === "POST" && { "Content-Length": "0" }),
      ...CLIENT,
    },
    ...(response && {
      ResponseBody: btoa(response.body),
      ResponseHeaders: {
        "Api-Version": "1.51",
        "Content-Type": "application/json",
        "Docker-Experimental": "false",
        Ostype: "linux",
        Server: "Docker/28.5.2 (linux)",
      },
      ResponseStatusCode: response.status,
    }),
  }) + "\n";
  const path = response ? "/AuthZPlugin.AuthZRes" : "/AuthZPlugin.AuthZReq";
  return pluginCall(path, message, '"Allow":true');
}

function pluginCall(path: string, message: string, expect: string): Call {
  const head = `POST ${path} HTTP/1.1\r\n` +
    "Host: %2Frun%2Fdocker%2Fplugins%2Fplugin.sock\r\n" +
    "User-Agent: Go-http-client/1.1\r\n" +
    `Content-Length: ${message.length}\r\n` +
    "Accept: application/vnd.docker.plugins.v1.2+json\r\n" +
    "Accept-Encoding: gzip\r\n\r\n";
  return { bytes: new TextEncoder().encode(head + message), expect };
}

/** What an engine says first. */
export const ACTIVATE = pluginCall("/Plugin.Activate", "", "");

/** An image by its ID, which pins what it is; the stub engine has it. */
export const PINNED_IMAGE = "sha256:" + "5d0da3dc9764".repeat(6).slice(0, 64);

/** An image by a tag; the stub engine has it. */
export const TAGGED_IMAGE = "registry.example.com/team/web:1.27";

/** An image that the stub engine has not. */
export const UNKNOWN_IMAGE = "registry.example.com/team/none:1";

/**
 * @param image The image's name or ID.
 * @returns The body of `docker create` with one bind mount, as the command line of Docker 28 spells it out, 1.5 KB.
 */
export function createBody(image: string): string {
  return JSON.stringify({
    Hostname: "",
    Domainname: "",
    User: "",
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"],
    Cmd: ["nginx", "-g", "daemon off;"],
    Image: image,
    Volumes: {},
    WorkingDir: "",
    Entrypoint: null,
    Labels: {
      "com.example.team": "web",
      "com.example.release": "2026-08-01",
    },
    HostConfig: {
      Binds: ["/srv/web/data:/usr/share/nginx/html:ro"],
      ContainerIDFile: "",
      LogConfig: { Type: "", Config: {} },
      NetworkMode: "default",
      PortBindings: {},
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      AutoRemove: false,
      VolumeDriver: "",
      VolumesFrom: null,
      ConsoleSize: [24, 80],
      CapAdd: null,
      CapDrop: null,
      CgroupnsMode: "",
      Dns: [],
      DnsOptions: [],
      DnsSearch: [],
      ExtraHosts: null,
      GroupAdd: null,
      IpcMode: "",
      Cgroup: "",
      Links: null,
      OomScoreAdj: 0,
      PidMode: "",
      Privileged: false,
      PublishAllPorts: false,
      ReadonlyRootfs: false,
      SecurityOpt: null,
      UTSMode: "",
      UsernsMode: "",
      ShmSize: 0,
      Isolation: "",
      CpuShares: 0,
      Memory: 0,
      NanoCpus: 0,
      CgroupParent: "",
      BlkioWeight: 0,
      BlkioWeightDevice: [],
      Devices: [],
      DeviceRequests: null,
      MemoryReservation: 0,
      MemorySwap: 0,
      MemorySwappiness: -1,
      OomKillDisable: false,
      PidsLimit: 0,
      Ulimits: [],
      MaskedPaths: null,
      ReadonlyPaths: null,
    },
    NetworkingConfig: { EndpointsConfig: { default: {} } },
  });
}

/** @returns `docker create` of a container of this image. */
export function create(image: string): Call {
  return authz({
    method: "POST",
    uri: "/v1.51/containers/create?name=web-1",
    body: createBody(image),
  });
}

/** Any client's first call. */
export const PING = authz({ method: "HEAD", uri: "/_ping" });

/** `docker start`. */
export const START = authz({
  method: "POST",
  uri: "/v1.51/containers/5c19a3c1f2b7/start",
});

/** `docker pull`, of an image that no pattern of {@link patterns} matches. */
export const PULL = authz({
  method: "POST",
  uri:
    "/v1.51/images/create?fromImage=registry.example.com%2Fteam%2Fweb&tag=1.27",
});

/**
 * A blacklist as an administrator may write it.
 *
 * @param count How many patterns.
 * @returns The settings, which let everything else in.
 */
export function patterns(count: number): string {
  const entries = Array.from(
    { length: count },
    (_, at) =>
      `'^registry\\.example\\.com/(team|group)-${at}/[a-z0-9-]+:v?1\\.'`,
  );
  return `[volumes]\n[images]\ndefault-allow = true\nblacklist = [\n${
    entries.join(",\n")
  }\n]\n`;
}

/**
 * The response phase of `docker ps`.
 *
 * @param size How long the engine's answer is, in bytes.
 * @returns The message of it.
 */
export function response(size: number): Call {
  const one = JSON.stringify({
    Id: "5c19a3c1f2b7".repeat(6).slice(0, 64),
    Names: ["/web-1"],
    Image: TAGGED_IMAGE,
    State: "running",
    Mounts: [{ Type: "bind", Source: "/srv", Destination: "/srv" }],
  });
  const body = `[${`${one},`.repeat(Math.ceil(size / one.length))}`;
  return authz({
    method: "GET",
    uri: "/v1.51/containers/json?all=1",
    response: { status: 200, body: body.slice(0, size - 1) + "]" },
  });
}

/** The response phase of a create, after which the plugin looks at what came of it. */
export const CREATED = authz({
  method: "POST",
  uri: "/v1.51/containers/create?name=web-1",
  body: createBody(TAGGED_IMAGE),
  response: {
    status: 201,
    body: JSON.stringify({
      Id: "5c19a3c1f2b7".repeat(6).slice(0, 64),
      Warnings: [],
    }),
  },
});
