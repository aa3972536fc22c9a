/**
 * Stands in for an engine: answers what the plugin asks as Docker 28.5 does, at no cost of its own.
 *
 *   stub_engine.ts SOCKET
 *
 * @module
 */
import { PINNED_IMAGE, TAGGED_IMAGE } from "./messages.ts";

const HEADERS = {
  "Api-Version": "1.51",
  "Content-Type": "application/json",
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: "Docker/28.5.2 (linux)",
};

const ID = "5c19a3c1f2b7".repeat(6).slice(0, 64);
const digest = (seed: number) =>
  `sha256:${seed.toString(16).padStart(4, "0").repeat(16)}`;

const IMAGE = JSON.stringify({
  Id: PINNED_IMAGE,
  RepoTags: [TAGGED_IMAGE],
  RepoDigests: [`registry.example.com/team/web@${digest(1)}`],
  Parent: "",
  Comment: "buildkit.dockerfile.v0",
  Created: "2026-07-01T10:00:00Z",
  DockerVersion: "",
  Author: "",
  Architecture: "amd64",
  Os: "linux",
  Size: 192_000_000,
  GraphDriver: {
    Data: {
      LowerDir: [1, 2, 3, 4, 5, 6].map((layer) =>
        `/var/lib/docker/overlay2/${digest(layer).slice(7)}/diff`
      ).join(":"),
      MergedDir: `/var/lib/docker/overlay2/${digest(7).slice(7)}/merged`,
      UpperDir: `/var/lib/docker/overlay2/${digest(7).slice(7)}/diff`,
      WorkDir: `/var/lib/docker/overlay2/${digest(7).slice(7)}/work`,
    },
    Name: "overlay2",
  },
  RootFS: { Type: "layers", Layers: [1, 2, 3, 4, 5, 6, 7].map(digest) },
  Metadata: { LastTagTime: "2026-07-01T10:00:00Z" },
  Config: {
    Cmd: ["nginx", "-g", "daemon off;"],
    Entrypoint: ["/docker-entrypoint.sh"],
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    ExposedPorts: { "80/tcp": {} },
    Labels: { maintainer: "team web" },
    StopSignal: "SIGQUIT",
    User: "",
    WorkingDir: "/",
  },
});

const CONTAINER = JSON.stringify({
  Id: ID,
  Created: "2026-07-01T10:00:00.000000000Z",
  Path: "/docker-entrypoint.sh",
  Args: ["nginx", "-g", "daemon off;"],
  State: {
    Status: "created",
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: "",
    StartedAt: "0001-01-01T00:00:00Z",
    FinishedAt: "0001-01-01T00:00:00Z",
  },
  Image: PINNED_IMAGE,
  LogPath: "",
  Name: "/web-1",
  RestartCount: 0,
  Driver: "overlay2",
  Platform: "linux",
  HostConfig: {
    Binds: ["/srv/web/data:/usr/share/nginx/html:ro"],
    NetworkMode: "bridge",
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    LogConfig: { Type: "json-file", Config: {} },
    CgroupnsMode: "private",
    IpcMode: "private",
    ShmSize: 67_108_864,
    Runtime: "runc",
    MaskedPaths: Array.from({ length: 12 }, (_, at) => `/proc/masked/${at}`),
    ReadonlyPaths: Array.from({ length: 6 }, (_, at) => `/proc/fixed/${at}`),
  },
  Mounts: [{
    Type: "bind",
    Source: "/srv/web/data",
    Destination: "/usr/share/nginx/html",
    Mode: "ro",
    RW: false,
    Propagation: "rprivate",
  }],
  Config: {
    Hostname: ID.slice(0, 12),
    Cmd: ["nginx", "-g", "daemon off;"],
    Image: TAGGED_IMAGE,
    Labels: { maintainer: "team web" },
  },
  NetworkSettings: { Networks: { bridge: { NetworkID: "", IPAddress: "" } } },
});

const INFO = JSON.stringify({
  Driver: "overlay2",
  DriverStatus: [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
  ServerVersion: "28.5.2",
});

const MISSING = JSON.stringify({ message: "no such object" });

Deno.serve({ path: Deno.args[0], onListen() {} }, ({ url }) => {
  const path = decodeURIComponent(new URL(url).pathname)
    .replace(/^\/v[\d.]+/, "");
  if (path === "/info") return answer(INFO);
  if (path === "/_ping") return new Response("OK", { headers: HEADERS });
  if (/^\/containers\/[^/]+\/json$/.test(path)) return answer(CONTAINER);
  if (
    path === `/images/${TAGGED_IMAGE}/json` ||
    path === `/images/${PINNED_IMAGE}/json`
  ) {
    return answer(IMAGE);
  }
  return answer(MISSING, 404);
});

function answer(body: string, status = 200): Response {
  return new Response(body, { status, headers: HEADERS });
}
