/**
 * Calls that the privilege policy refuses, in their plainest spelling: what the
 * attacks respell.
 */

import type { Draft } from "./draft.ts";
import { fromValue } from "./json.ts";
import {
  ALLOWED,
  archive,
  COMMAND,
  serviceSpec,
  type World,
} from "./privileges.ts";
import { tar } from "../tar.ts";

type Seed = Partial<Draft> | undefined;

function post(path: string, body?: unknown, query: string[] = []): Seed {
  return {
    path,
    query,
    ...(body !== undefined && {
      body: fromValue(body),
      headers: [["Host", "docker"], ["Content-Type", "application/json"]],
    }),
  };
}

/** What can be started on any machine. */
const STARTED = ["PidMode", "IpcMode", "UTSMode", "Binds"];

/** What a HostConfig may not say. */
const hostConfigs = (): Record<string, unknown>[] => [
  { Privileged: true },
  { CapAdd: ["SYS_ADMIN"] },
  { CapAdd: ["CHOWN", "cap_sys_module"] },
  { CapAdd: ["ALL"], CapDrop: ["MKNOD"] },
  {
    Devices: [{
      PathOnHost: "/dev/null",
      PathInContainer: "/dev/x",
      CgroupPermissions: "rwm",
    }],
  },
  { DeviceCgroupRules: ["a *:* rwm"] },
  { PidMode: "host" },
  { PidMode: "container:plain" },
  { NetworkMode: "host" },
  { NetworkMode: "container:plain" },
  { IpcMode: "host" },
  { UTSMode: "host" },
  { SecurityOpt: ["no-new-privileges", "seccomp=unconfined"] },
  { SecurityOpt: ["label:disable"] },
  { MaskedPaths: [] },
  { ReadonlyPaths: [] },
  { Sysctls: { "net.ipv4.ip_forward": "0" } },
  { CgroupParent: "elsewhere" },
  { OomScoreAdj: -500 },
  { OomKillDisable: true, Memory: 64 << 20 },
  {
    LogConfig: { Type: "syslog", Config: { "syslog-address": "udp://[::1]" } },
  },
  { Ulimits: [{ Name: "rtprio", Soft: 99, Hard: 99 }] },
  { Binds: ["/tmp:/x"] },
  { Binds: [`${ALLOWED}:/x:ro`, "/:/y:ro"] },
  { Mounts: [{ Type: "bind", Source: "/tmp", Target: "/x" }] },
  { Tmpfs: { "/x": "size=1m,rbind" } },
];

const DRIVER = {
  Type: "volume",
  Source: "evil",
  Target: "/x",
  VolumeOptions: {
    DriverConfig: {
      Name: "local",
      Options: { type: "none", o: "bind", device: "/tmp" },
    },
  },
};

/** What a service may not say: of its container, and of its task. */
const services = (
  world: World,
): [container: Record<string, unknown>, task?: Record<string, unknown>][] => [
  [{ CapabilityAdd: ["CAP_SYS_ADMIN"] }],
  [{ Sysctls: { "net.ipv4.ip_forward": "0" } }],
  [{ Privileges: { SELinuxContext: { Disable: true } } }],
  ...(world.h.version.major < 26 ? [] : [
    [{ Privileges: { Seccomp: { Mode: "unconfined" } } }],
    [{ Privileges: { AppArmor: { Mode: "disabled" } } }],
  ] as [Record<string, unknown>][]),
  ...(world.h.version.major < 28 ? [] : [
    [{ OomScoreAdj: -500 }],
  ] as [Record<string, unknown>][]),
  [{ Mounts: [{ Type: "bind", Source: "/tmp", Target: "/x" }] }],
  [{ Mounts: [DRIVER] }],
  [{}, { LogDriver: { Name: "syslog" } }],
  [{}, { Networks: [{ Target: "host" }] }],
];

/**
 * The calls that make sense on an engine.
 *
 * @param world the engine
 * @returns the calls by name
 */
export function seedsFor(world: World): Record<string, Partial<Draft>> {
  const { h, service, containers } = world;
  const seeds: Record<string, Seed> = {};
  const image = { Image: "plain:1", Cmd: COMMAND };
  for (const each of hostConfigs()) {
    const HostConfig = { NetworkMode: "none", ...each };
    const name = JSON.stringify(each);
    seeds[`create: ${name}`] = post("/containers/create", {
      ...image,
      HostConfig,
    });
    // Up to 26.1 the fields of HostConfig are also read at the top.
    if (h.version.major <= 26) {
      seeds[`create, at the top: ${name}`] = post("/containers/create", {
        ...image,
        ...HostConfig,
      });
    }
    // `start` takes a HostConfig before API 1.24, which only 20.10 still speaks.
    const [field] = Object.keys(each);
    if (h.version.major <= 20 && STARTED.includes(field)) {
      seeds[`start: ${name}`] = {
        ...post("/containers/idle/start", HostConfig),
        version: "/v1.23",
      };
    }
  }
  for (const [container, task] of service ? services(world) : []) {
    const name = JSON.stringify(task ?? container);
    seeds[`service create: ${name}`] = post("/services/create", {
      ...serviceSpec("svc-evil", container, task),
    });
    seeds[`service update: ${name}`] = post(
      `/services/${service!.id}/update`,
      { ...serviceSpec("svc-plain", container, task) },
      [`version=${service!.version}`],
    );
  }
  return Object.fromEntries(
    Object.entries({
      ...seeds,
      "start": post("/containers/old-capable/start"),
      "start by ID": post(
        `/containers/${containers["old-bind"].slice(0, 12)}/start`,
      ),
      "restart": post("/containers/old-bind/restart", undefined, ["t=0"]),
      "rename": post("/containers/old-capable/rename", undefined, [
        "name=harmless",
      ]),
      "update": post("/containers/old-capable/update", {
        RestartPolicy: { Name: "always" },
      }),
      "exec": post("/containers/old-pid/exec", { Cmd: ["true"] }),
      "exec, privileged": post("/containers/plain/exec", {
        Cmd: ["true"],
        Privileged: true,
      }),
      "commit": post("/commit", {}, ["container=old-capable", "repo=new"]),
      "archive": {
        method: "PUT",
        path: "/containers/old-bind/archive",
        query: ["path=/host"],
        headers: [["Host", "docker"], ["Content-Type", "application/x-tar"]],
        body: archive(),
      } satisfies Partial<Draft>,
      "volume create": post("/volumes/create", {
        Name: "evil",
        DriverOpts: { type: "none", o: "bind", device: "/tmp" },
      }),
      "build": {
        path: "/build",
        query: ["t=new:1", "networkmode=host", "remote="],
        headers: [["Host", "docker"], ["Content-Type", "application/x-tar"]],
        body: tar([{
          path: "Dockerfile",
          content: new TextEncoder().encode("FROM plain:1\nLABEL a=b\n"),
        }]),
      } satisfies Partial<Draft>,
    }).filter((pair): pair is [string, Partial<Draft>] => Boolean(pair[1])),
  );
}
