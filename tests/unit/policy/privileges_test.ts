import { assert, assertEquals } from "@std/assert";
import {
  NO_OPTIONS,
  readHostConfig,
} from "../../../lib/call/container_options.ts";
import type { JsonObject } from "../../../lib/call/json.ts";
import { Struct } from "../../../lib/call/struct.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import type {
  ContainerFacts,
  Engine,
  HostFacts,
} from "../../../lib/engine/engine.ts";
import {
  decideContainerPrivileges,
  decidePrivileges,
  type PrivilegesSettings,
} from "../../../lib/policy/privileges.ts";
import { callOf, engineWith, HOST, request, said } from "../requests.ts";

const STRICT: PrivilegesSettings = {
  allowPrivileged: false,
  allowCapabilities: [],
  allowDevices: [],
  allowHost: [],
  allowJoin: [],
  allowSecurityOpt: [],
  allowSysctls: [],
  allowRuntimes: [],
  allowLogDrivers: [],
  allowVolumeDrivers: [],
  allowCgroupParents: [],
  require: [],
  allowPlugins: false,
  allowSwarm: false,
  allowClassicBuild: false,
  allowBuildkit: true,
};

/** An engine with containers of these names, made with these HostConfigs. */
function engineOf(
  containers: Record<string, JsonObject> = {},
  answers: Partial<Engine> = {},
  host: Partial<HostFacts> = {},
): Engine {
  return engineWith({
    hostFacts: () => Promise.resolve({ ...HOST, ...host }),
    findContainers: (name) =>
      Promise.resolve(
        Object.hasOwn(containers, name) ? [container(name)] : [],
      ),
    inspectOptions: (id) =>
      Promise.resolve(
        Object.hasOwn(containers, id)
          ? {
            options: {
              ...readHostConfig(new Struct(containers[id], "HostConfig")),
              user: String(containers[id].user ?? ""),
            },
          }
          : undefined,
      ),
    inspectEveryPlatform: () => Promise.resolve([]),
    networkDriver: (name) =>
      Promise.resolve(name === "hostid" ? "host" : "bridge"),
    ...answers,
  });
}

function container(id: string): ContainerFacts {
  return {
    id,
    names: [id],
    created: 0,
    running: true,
    image: "busybox",
    labels: {},
    mounts: id === "rooted"
      ? [{ type: "bind", name: "", source: "/", destination: "/host" }]
      : [],
  };
}

/** A container that has a bind mount. */
function bound(source: string, readOnly: boolean): ContainerFacts {
  const mount = { type: "bind", name: "", source, destination: "/x", readOnly };
  return { ...container("web"), mounts: [mount] };
}

async function verdict(
  authz: AuthzRequest,
  policy: Partial<PrivilegesSettings> = {},
  engine = engineOf(),
): Promise<string> {
  try {
    const decision = await decidePrivileges(
      { ...STRICT, ...policy },
      callOf(authz),
      engine,
    );
    return said(decision).replace(/^privileges: /, "");
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return `unreadable: ${error.message}`;
  }
}

function create(
  HostConfig: unknown,
  policy: Partial<PrivilegesSettings> = {},
  engine = engineOf(),
) {
  return verdict(
    request("POST /v1.41/containers/create", { Image: "busybox", HostConfig }),
    policy,
    engine,
  );
}

const UNMASKED = "--security-opt systempaths=unconfined";

/** What is refused, by which words, and which setting allows it. */
const REFUSED: [
  hostConfig: JsonObject,
  message: string,
  allowedBy?: Partial<PrivilegesSettings>,
][] = [
  [
    { Privileged: true },
    "--privileged is not allowed (allow-privileged in [privileges])",
    { allowPrivileged: true },
  ],
  [
    { CapAdd: ["SYS_ADMIN"] },
    "--cap-add SYS_ADMIN is not allowed (allow-capabilities in [privileges])",
    { allowCapabilities: ["CAP_SYS_ADMIN"] },
  ],
  [
    { CapAdd: ["chown", "cap_net_admin"] },
    "--cap-add NET_ADMIN is not allowed (allow-capabilities in [privileges])",
    { allowCapabilities: ["net_admin"] },
  ],
  [
    { CapAdd: ["all"], CapDrop: ["SYS_ADMIN"] },
    "--cap-add ALL is not allowed (allow-capabilities in [privileges])",
    { allowCapabilities: ["ALL"] },
  ],
  [
    { Capabilities: ["SYS_PTRACE"] },
    "--cap-add SYS_PTRACE is not allowed (allow-capabilities in [privileges])",
    { allowCapabilities: ["ALL"] },
  ],
  [
    { Devices: [{ PathOnHost: "/dev/null" }] },
    "--device /dev/null is not allowed (allow-devices in [privileges])",
    { allowDevices: ["/dev/null"] },
  ],
  [
    { Devices: [{ PathOnHost: "/dev/shm/../null" }] },
    "--device /dev/shm/../null is not allowed (allow-devices in [privileges])",
    { allowDevices: ["/dev/"] },
  ],
  [
    { DeviceCgroupRules: ["c 189:* rmw"] },
    '--device-cgroup-rule "c 189:* rmw" is not allowed (allow-devices in ' +
    "[privileges])",
    { allowDevices: ["c 189:* rmw"] },
  ],
  [
    { DeviceRequests: [{ Count: -1, Capabilities: [["gpu"]] }] },
    "--gpus (devices with gpu) is not allowed (allow-devices in [privileges])",
    { allowDevices: ["gpu"] },
  ],
  [
    { DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["nvidia.com/gpu=all"] }] },
    "--device nvidia.com/gpu=all is not allowed (allow-devices in [privileges])",
    { allowDevices: ["nvidia.com/gpu"] },
  ],
  ...([
    ["NetworkMode", "--network", "network"],
    ["PidMode", "--pid", "pid"],
    ["IpcMode", "--ipc", "ipc"],
    ["UTSMode", "--uts", "uts"],
    ["CgroupnsMode", "--cgroupns", "cgroup"],
  ] as const).map((
    [field, option, share],
  ): (typeof REFUSED)[number] => [
    { [field]: "host" },
    `${option}=host is not allowed (allow-host in [privileges])`,
    { allowHost: [share] },
  ]),
  ...([
    ["NetworkMode", "--network", "network"],
    ["PidMode", "--pid", "pid"],
    ["IpcMode", "--ipc", "ipc"],
  ] as const).map((
    [field, option, share],
  ): (typeof REFUSED)[number] => [
    { [field]: "container:web" },
    `${option}=container:web is not allowed (allow-join in [privileges])`,
    { allowJoin: [share] },
  ]),
  [
    { Binds: ["/srv:/srv:rw,rshared"] },
    "bind-propagation=rshared is not allowed (allow-host in [privileges])",
    { allowHost: ["mount"] },
  ],
  [
    { Mounts: [{ Type: "bind", BindOptions: { Propagation: "shared" } }] },
    "bind-propagation=shared is not allowed (allow-host in [privileges])",
    { allowHost: ["mount"] },
  ],
  ...[
    "seccomp=unconfined",
    "apparmor=unconfined",
    "label=disable",
    "label=type:spc_t",
    "no-new-privileges=false",
    "writable-cgroups",
    'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
  ].map((option): (typeof REFUSED)[number] => [
    { SecurityOpt: ["no-new-privileges", option] },
    `--security-opt ${option} is not allowed (allow-security-opt in ` +
    "[privileges])",
    { allowSecurityOpt: [option] },
  ]),
  [
    { SecurityOpt: ["seccomp:unconfined"] },
    "--security-opt seccomp:unconfined is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["seccomp=unconfined"] },
  ],
  [
    { MaskedPaths: [] },
    `${UNMASKED} (no protection of /proc/acpi) is not allowed ` +
    "(allow-security-opt in [privileges])",
    { allowSecurityOpt: ["systempaths=unconfined"] },
  ],
  [
    { ReadonlyPaths: ["/proc/bus"] },
    `${UNMASKED} (no protection of /proc/fs) is not allowed ` +
    "(allow-security-opt in [privileges])",
    { allowSecurityOpt: ["systempaths=unconfined"] },
  ],
  [
    { Sysctls: { "net.core.somaxconn": "1024" } },
    "--sysctl net.core.somaxconn is not allowed (allow-sysctls in [privileges])",
    { allowSysctls: ["net.core."] },
  ],
  [
    { Sysctls: { "net/core/somaxconn": "1024" } },
    "--sysctl net/core/somaxconn is not allowed (allow-sysctls in [privileges])",
    { allowSysctls: ["net.core.somaxconn"] },
  ],
  [
    { Runtime: "io.containerd.runhcs.v1" },
    "--runtime io.containerd.runhcs.v1 is not allowed (allow-runtimes in " +
    "[privileges])",
    { allowRuntimes: ["io.containerd.runhcs.v1"] },
  ],
  [
    {
      LogConfig: { Type: "syslog", Config: { "syslog-address": "unix:///x" } },
    },
    "--log-driver syslog is not allowed (allow-log-drivers in [privileges])",
    { allowLogDrivers: ["syslog"] },
  ],
  [
    { VolumeDriver: "rexray" },
    "--volume-driver rexray is not allowed (allow-volume-drivers in [privileges])",
    { allowVolumeDrivers: ["rexray"] },
  ],
  [
    {
      Mounts: [{
        Type: "volume",
        Source: "v",
        VolumeOptions: {
          DriverConfig: {
            Options: { type: "none", o: "rw,bind", device: "/" },
          },
        },
      }],
    },
    "a volume that is a bind mount of / (local:bind) is not allowed " +
    "(allow-volume-drivers in [privileges])",
    { allowVolumeDrivers: ["local:bind"] },
  ],
  [
    { CgroupParent: "user.slice" },
    "--cgroup-parent user.slice is not allowed (allow-cgroup-parents in " +
    "[privileges])",
    { allowCgroupParents: ["user.slice"] },
  ],
  [
    { Ulimits: [{ Name: "RTPRIO", Soft: 99, Hard: 99 }] },
    "--ulimit rtprio without SYS_NICE is not allowed (allow-capabilities in " +
    "[privileges])",
    { allowCapabilities: ["SYS_NICE"] },
  ],
  [
    { CpuRealtimeRuntime: 950000 },
    "--cpu-rt-runtime without SYS_NICE is not allowed (allow-capabilities in " +
    "[privileges])",
    { allowCapabilities: ["SYS_NICE"] },
  ],
  [
    { Tmpfs: { "/x": "size=1,bind" } },
    "--tmpfs with the option bind is not allowed",
  ],
  [
    {
      Mounts: [{
        Type: "tmpfs",
        TmpfsOptions: {
          SizeBytes: 1,
          Mode: 511,
          Options: [["noexec"], ["rbind"]],
        },
      }],
    },
    "--tmpfs with the option rbind is not allowed",
  ],
  [{ OomScoreAdj: -1000 }, "--oom-score-adj -1000 is not allowed"],
  [{ OomKillDisable: true }, "--oom-kill-disable is not allowed"],
  [{ Annotations: { "run.oci.x": "y" } }, "--annotation is not allowed"],
  [{ Cgroup: "container:x" }, "Cgroup is not allowed"],
  [{ StorageOpt: { "dm.x": "1" } }, "--storage-opt dm.x is not allowed"],
  [
    { BlkioDeviceReadBps: [{ Path: "/root/.ssh/id_rsa", Rate: 1 }] },
    "a limit for /root/.ssh/id_rsa is not allowed",
  ],
];

Deno.test("privileges: what is refused, and the setting that allows it", async () => {
  for (const [hostConfig, message, allowedBy] of REFUSED) {
    const shown = JSON.stringify(hostConfig);
    assertEquals(await create(hostConfig), message, shown);
    if (!allowedBy) continue;
    assertEquals(await create(hostConfig, allowedBy), "allowed", shown);
  }
});

Deno.test("privileges: the same at the top of the body, and in a start's", async () => {
  for (const [hostConfig, message] of REFUSED) {
    for (
      const authz of [
        request("POST /containers/create", hostConfig),
        request("POST /containers/create", { ...hostConfig, HostConfig: {} }),
        request("POST /v1.23/containers/web/start", hostConfig),
        request("POST /v1.23/containers/web/start", { HostConfig: hostConfig }),
      ]
    ) {
      assertEquals(await verdict(authz), message, JSON.stringify(authz));
    }
  }
});

Deno.test("privileges: what every container may have", async () => {
  for (
    const hostConfig of [
      undefined,
      null,
      {},
      { CapAdd: ["NET_BIND_SERVICE", "CAP_CHOWN"], CapDrop: ["ALL"] },
      { CapAdd: null, Devices: [], Privileged: false, Sysctls: {} },
      { NetworkMode: "bridge", IpcMode: "shareable", PidMode: "" },
      { NetworkMode: "web_default", CgroupnsMode: "private" },
      { UsernsMode: "host" }, // Users are not remapped: it means nothing.
      { Runtime: "runc", LogConfig: { Type: "json-file", Config: {} } },
      { LogConfig: { Type: "", Config: { "max-size": "10m" } } },
      { LogConfig: { Type: "journald", Config: { tag: "web" } } },
      { SecurityOpt: ["no-new-privileges:true"] },
      { SecurityOpt: ["apparmor=docker-default", "seccomp=builtin"] },
      { Ulimits: [{ Name: "nofile", Soft: 65535, Hard: 65535 }] },
      { Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] },
      { RestartPolicy: { Name: "always" }, ReadonlyRootfs: true },
      { Tmpfs: { "/run": "size=64m" }, ShmSize: 67108864 },
      { Memory: 536870912, PidsLimit: 100, OomScoreAdj: 500 },
      { PortBindings: { "80/tcp": [{ HostPort: "80" }] } },
      { DiskQuota: 0, LxcConf: [], KernelMemory: 0 },
      { DiskQuota: 5, LxcConf: [{ Key: "x" }], KernelMemory: 5 },
      { Binds: ["/srv:/srv:ro,z", "/srv:/x:rslave", "/srv:/y"] },
      { StorageOpt: { size: "10G" }, OomKillDisable: false },
      { BlkioDeviceReadBps: [{ Path: "/dev/sda", Rate: 1 }] },
      { NoSuchField: "x" },
      {
        Mounts: [{
          Type: "volume",
          VolumeOptions: {
            DriverConfig: {
              Name: "local",
              Options: { type: "tmpfs", device: "tmpfs" },
            },
          },
        }],
      },
      {
        MaskedPaths: [
          ...["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys"],
          ...["/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats"],
          ...["/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/proc/x"],
        ],
        ReadonlyPaths: [
          ...["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
          "/proc/sysrq-trigger",
        ],
      },
    ]
  ) {
    assertEquals(
      await create(hostConfig),
      "allowed",
      JSON.stringify(hostConfig),
    );
  }
});

Deno.test("privileges: what the engine's own settings make of it", async () => {
  const on = (host: Partial<HostFacts>, hostConfig: JsonObject) =>
    create(hostConfig, {}, engineOf({}, {}, host));
  assertEquals(
    await on({ remapsUsers: true }, { UsernsMode: "host" }),
    "--userns=host is not allowed (allow-host in [privileges])",
  );
  assertEquals(
    await on({ hasOwnCgroups: false }, { CgroupnsMode: "host" }),
    "allowed",
  );
  assertEquals(
    await on({ hasBuiltinSeccomp: false }, {
      SecurityOpt: ["seccomp=builtin"],
    }),
    "--security-opt seccomp=builtin is not allowed (allow-security-opt in " +
      "[privileges])",
  );
  assertEquals(
    await on({ defaultLogDriver: "syslog" }, { LogConfig: { Type: "syslog" } }),
    "allowed",
  );
  assertEquals(
    await on({ defaultLogDriver: "syslog" }, {
      LogConfig: { Type: "", Config: { "syslog-address": "tcp://x" } },
    }),
    "--log-driver syslog with --log-opt is not allowed (allow-log-drivers in " +
      "[privileges])",
  );
  assertEquals(
    await on({ defaultRuntime: "crun" }, { Runtime: "runc" }),
    "--runtime runc is not allowed (allow-runtimes in [privileges])",
  );
});

Deno.test("privileges: a field that nobody knows, on an engine of the future", async () => {
  const future = engineOf({}, {}, { apiVersion: "1.57" });
  const message =
    "the field giveroot, which this plugin does not know and this " +
    "engine may, is not allowed";
  assertEquals(await create({ GiveRoot: true }, {}, future), message);
  assertEquals(await create({ GiveRoot: false, X: [] }, {}, future), "allowed");
  assertEquals(await create({ GiveRoot: true }), "allowed");
  assertEquals(
    await verdict(
      request("POST /containers/create", { GiveRoot: 1 }),
      {},
      future,
    ),
    message,
  );
  assertEquals(
    await verdict(
      request("POST /services/create", {
        TaskTemplate: { ContainerSpec: { GiveRoot: 1 } },
      }),
      {},
      future,
    ),
    message,
  );
  assertEquals(
    await create(
      Object.fromEntries(
        ["Memory", "Dns", "ShmSize"].map((name) => [name, null]),
      ),
      {},
      future,
    ),
    "allowed",
  );
});

Deno.test("privileges: a privileged container that is allowed may have all", async () => {
  const all = Object.assign({}, ...REFUSED.map(([hostConfig]) => hostConfig));
  const rest = { ...all, NetworkMode: "", PidMode: "", IpcMode: "" };
  assertEquals(
    await create({ ...rest, Privileged: true, Devices: [] }, {
      allowPrivileged: true,
    }),
    "allowed",
  );
});

Deno.test("privileges: what each container must have", async () => {
  const missing = (
    requirement: PrivilegesSettings["require"][number],
    what: string,
  ) =>
    `a container without ${what} is not allowed (require = "${requirement}" in ` +
    "[privileges])";
  const number = "--user UID (a number, not 0)";
  const body = (more: JsonObject) =>
    request("POST /containers/create", { Image: "node", ...more });
  const withImage = (user: string) =>
    engineOf({}, {
      inspectEveryPlatform: () =>
        Promise.resolve([{
          ...{ id: "", volumes: [], labels: {}, layers: [], parent: "" },
          ...{ repoDigests: [], user },
          platform: { os: "", architecture: "", variant: "" },
        }]),
    });
  const node = withImage("1000");
  for (
    const [requirement, without, wanted, given] of [
      ["memory", {}, "--memory", { HostConfig: { Memory: 1 } }],
      ["pids-limit", { HostConfig: { PidsLimit: -1 } }, "--pids-limit", {
        HostConfig: { PidsLimit: 1 },
      }],
      ["read-only", {}, "--read-only", {
        HostConfig: { ReadonlyRootfs: true },
      }],
      ["no-new-privileges", {}, "--security-opt no-new-privileges", {
        HostConfig: { SecurityOpt: ["no-new-privileges:true"] },
      }],
      ["user", { User: "0" }, number, { User: "1000" }],
      ["user", { User: "node" }, number, { User: "65534" }],
      ["user", { User: "00" }, number, { User: "1000", HostConfig: {} }],
      ["user", { User: "1000:0" }, number, { User: "1" }],
      [
        "user",
        { User: "1", HostConfig: { GroupAdd: ["docker"] } },
        "numbers other than 0 for --group-add",
        {
          User: "1",
          HostConfig: { GroupAdd: ["999"] },
        },
      ],
    ] as const
  ) {
    const policy = { require: [requirement] };
    assertEquals(
      await verdict(body(without as unknown as JsonObject), policy),
      missing(requirement, wanted),
    );
    assertEquals(
      await verdict(body(given as unknown as JsonObject), policy),
      "allowed",
      requirement,
    );
  }
  // The engine's 404 has the client pull the image; see the second line.
  const policy: Partial<PrivilegesSettings> = { require: ["user"] };
  assertEquals(await verdict(body({}), policy), "allowed");
  for (const user of ["", "0", "root"]) {
    assertEquals(
      await verdict(body({}), policy, withImage(user)),
      missing("user", number),
    );
  }
  assertEquals(await verdict(body({}), { require: ["user"] }, node), "allowed");
  assertEquals(
    await create(
      {},
      { require: ["no-new-privileges"] },
      engineOf({}, {}, { noNewPrivileges: true }),
    ),
    "allowed",
  );
});

const BAD = { bad: { PidMode: "host" }, web: {}, rooted: {} };
const IS_BAD = "container bad: --pid=host is not allowed (allow-host in " +
  "[privileges])";

Deno.test("privileges: calls on a container that has more than is allowed", async () => {
  for (
    const [line, body] of [
      ["POST /containers/NAME/start"],
      ["POST /containers/NAME/restart"],
      ["POST /containers/NAME/rename?name=x"],
      ["PUT /containers/NAME/archive?path=/"],
      ["GET /containers/NAME/archive?path=/"],
      ["HEAD /containers/NAME/archive?path=/"],
      ["POST /v1.23/containers/NAME/copy", { Resource: "/" }],
      ["GET /containers/NAME/export"],
      ["POST /containers/NAME/attach?stream=1"],
      ["GET /containers/NAME/attach/ws"],
      ["POST /commit?container=NAME"],
      ["POST /containers/NAME/exec", { Cmd: ["sh"] }],
      ["POST /containers/NAME/update", { Memory: 1 }],
      ["POST /containers/NAME/checkpoints", { CheckpointID: "x" }],
      ["GET /containers/NAME/checkpoints"],
      ["DELETE /containers/NAME/checkpoints/x"],
    ] as const
  ) {
    const on = (name: string, policy = {}) =>
      verdict(request(line.replace("NAME", name), body), policy, engineOf(BAD));
    assertEquals(await on("bad"), IS_BAD, line);
    assertEquals(await on("web"), "allowed", line);
    assertEquals(await on("none"), "allowed", line);
    assertEquals(await on("rooted"), "allowed", line);
    assertEquals(
      await on("rooted", { allowBind: ["/srv/"] }),
      "container rooted: bind mount of / is not allowed: only below /srv/",
      line,
    );
  }
});

Deno.test("privileges: links and joins lead to containers that are within bounds", async () => {
  const engine = engineOf(BAD);
  assertEquals(await create({ Links: ["bad:../foo"] }, {}, engine), IS_BAD);
  assertEquals(await create({ Links: ["web:db"] }, {}, engine), "allowed");
  const joining = { NetworkMode: "container:bad" };
  assertEquals(
    await create(joining, { allowJoin: ["network"] }, engine),
    IS_BAD,
  );
  assertEquals(
    await verdict(
      request("POST /networks/a/connect", {
        Container: "web",
        EndpointConfig: { Links: ["bad:x"] },
      }),
      {},
      engine,
    ),
    IS_BAD,
  );
});

Deno.test("privileges: exec", async () => {
  const exec = (body: JsonObject, policy = {}) =>
    verdict(
      request("POST /containers/web/exec", { Cmd: ["sh"], ...body }),
      policy,
      engineOf({ web: { user: "1000" } }),
    );
  assertEquals(
    await exec({ Privileged: true }),
    "exec --privileged is not allowed (allow-privileged in [privileges])",
  );
  assertEquals(
    await exec({ Privileged: true }, { allowPrivileged: true }),
    "allowed",
  );
  assertEquals(await exec({ User: "0" }), "allowed");
  const require = { require: ["user"] };
  assertEquals(
    await exec({ User: "0" }, require),
    "an exec without --user UID (a number, not 0) is not allowed (require = " +
      '"user" in [privileges])',
  );
  assertEquals(await exec({}, require), "allowed");
  const start = (facts: { privileged: boolean; container: string }) =>
    verdict(
      request("POST /exec/abc/start", { Detach: true }),
      {},
      engineOf(BAD, {
        inspectExec: () => Promise.resolve({ user: "", ...facts }),
      }),
    );
  assertEquals(
    await start({ privileged: true, container: "web" }),
    "exec --privileged is not allowed (allow-privileged in [privileges])",
  );
  assertEquals(await start({ privileged: false, container: "web" }), "allowed");
  assertEquals(await start({ privileged: false, container: "bad" }), IS_BAD);
});

Deno.test("privileges: exec, where every container that a name may mean counts", async () => {
  const users = { web: { user: "1000" }, web2: { user: "0" } };
  const engine = engineOf(users, {
    findContainers: () =>
      Promise.resolve([container("web"), container("web2")]),
  });
  const exec = request("POST /containers/we/exec", { Cmd: ["sh"] });
  assertEquals(await verdict(exec, {}, engine), "allowed");
  assertEquals(
    await verdict(exec, { require: ["user"] }, engine),
    "an exec without --user UID (a number, not 0) is not allowed (require = " +
      '"user" in [privileges])',
  );
});

Deno.test("privileges: attach, if a user is required", async () => {
  const engine = engineOf({ web: { user: "1000" }, old: {} });
  for (const line of ["POST", "GET"]) {
    const path = line === "GET" ? "attach/ws" : "attach?stdin=1&stream=1";
    const on = (name: string, require: PrivilegesSettings["require"]) =>
      verdict(
        request(`${line} /containers/${name}/${path}`),
        { require },
        engine,
      );
    assertEquals(await on("web", ["user", "memory"]), "allowed");
    assertEquals(await on("old", ["memory"]), "allowed");
    assertEquals(
      await on("old", ["user"]),
      "container old: a container without --user UID (a number, not 0) is not " +
        'allowed (require = "user" in [privileges])',
    );
  }
});

Deno.test("privileges: docker cp into a writable bind mount, if a user is required", async () => {
  const engine = (readOnly: boolean) =>
    engineOf({ web: { user: "1000" } }, {
      findContainers: () => Promise.resolve([bound("/srv/x", readOnly)]),
    });
  const put = request("PUT /containers/web/archive?path=/tmp", undefined, {
    "Content-Type": "application/x-tar",
  });
  const require = { require: ["user" as const] };
  assertEquals(await verdict(put, {}, engine(false)), "allowed");
  assertEquals(await verdict(put, require, engine(true)), "allowed");
  assertEquals(
    await verdict(put, require, engineOf({ web: {} })),
    "allowed",
  );
  assertEquals(
    await verdict(put, require, engine(false)),
    "container web: docker cp into it is not allowed, since that unpacks as " +
      'root and /srv/x is mounted for writing (require = "user" in ' +
      "[privileges])",
  );
  assertEquals(
    await verdict(
      request("GET /containers/web/archive?path=/tmp"),
      require,
      engine(false),
    ),
    "allowed",
  );
});

Deno.test("privileges: a start or restart whose body may come late", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${dir}/x`);
    for (const call of ["start", "restart"]) {
      const on = (
        headers: Record<string, string>,
        allowBind: PrivilegesSettings["allowBind"],
        source = `${dir}/x`,
      ) =>
        verdict(
          request(`POST /v1.41/containers/web/${call}`, undefined, headers),
          { allowBind },
          engineOf({ web: {} }, {
            findContainers: () =>
              Promise.resolve([bound(source, false), container("other")]),
          }),
        );
      const late = { "Content-Type": "application/json" };
      const below = [`${dir}/`];
      const itself = [{ path: `${dir}/*`, below: false }];
      assertEquals(
        await on(late, below),
        "container web: a call whose body may come late is not allowed, since a " +
          `link could be put in the way of its bind mount of ${dir}/x ` +
          'meanwhile: send it without a Content-Type, or with "Content-Length: ' +
          '0", as docker-java 3.5 or later does',
      );
      assertEquals(await on(late, undefined), "allowed");
      assertEquals(await on({}, below), "allowed");
      assertEquals(
        await on({ ...late, "Content-Length": "0" }, below),
        "allowed",
      );
      // Nobody but root can put a link there, nor can containers.
      const isRoot = Deno.uid() === 0;
      if (isRoot) assertEquals(await on(late, itself), "allowed");
      if (isRoot) assertEquals(await on(late, below, dir), "allowed");
      await Deno.chmod(dir, 0o775);
      assert((await on(late, itself)).includes("may come late"));
      await Deno.chmod(dir, 0o700);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("privileges: checkpoints in directories of the host", async () => {
  const message = "--checkpoint-dir /etc is not allowed";
  for (
    const authz of [
      request("POST /containers/web/checkpoints", {
        CheckpointID: "x",
        CheckpointDir: "/etc",
      }),
      request("GET /containers/web/checkpoints?dir=/etc"),
      request("DELETE /containers/web/checkpoints/x?dir=/etc"),
      request("POST /containers/web/start?checkpoint=x&checkpoint-dir=/etc"),
    ]
  ) {
    assertEquals(await verdict(authz), message);
  }
  const form = request("POST /containers/web/start", undefined, {
    "Content-Type": "text/plain",
  });
  assertEquals(await verdict(form), "allowed");
  assertEquals(
    (await verdict(form, {}, engineOf({}, {}, { isExperimental: true })))
      .slice(0, 34),
    "unreadable: it may carry a form th",
  );
});

Deno.test("privileges: update", async () => {
  const update = (body: JsonObject, policy = {}) =>
    verdict(request("POST /containers/web/update", body), policy);
  assertEquals(
    await update({ Memory: 1, RestartPolicy: { Name: "no" } }),
    "allowed",
  );
  assertEquals(
    await update({ CgroupParent: "x" }),
    "--cgroup-parent x is not allowed (allow-cgroup-parents in [privileges])",
  );
  assertEquals(await update({ PidsLimit: -1 }), "allowed");
  assertEquals(
    await update({ PidsLimit: -1 }, { require: ["pids-limit"] }),
    "--pids-limit -1 is not allowed",
  );
  assertEquals(
    await update({}, { require: ["pids-limit", "memory"] }),
    "allowed",
  );
});

/** What a service may not have, and what allows it. */
const SERVICES: [
  task: JsonObject,
  message: string,
  allowedBy?: Partial<PrivilegesSettings>,
][] = [
  [
    { ContainerSpec: { CapabilityAdd: ["CAP_SYS_ADMIN"] } },
    "--cap-add SYS_ADMIN is not allowed (allow-capabilities in [privileges])",
    { allowCapabilities: ["SYS_ADMIN"] },
  ],
  [
    { ContainerSpec: { Sysctls: { "net.core.somaxconn": "1" } } },
    "--sysctl net.core.somaxconn is not allowed (allow-sysctls in [privileges])",
    { allowSysctls: ["net.core.somaxconn"] },
  ],
  [
    { ContainerSpec: { Privileges: { SELinuxContext: { Disable: true } } } },
    "--security-opt label=disable is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["label=disable"] },
  ],
  [
    { ContainerSpec: { Privileges: { SELinuxContext: { Type: "spc_t" } } } },
    "--security-opt label=type:spc_t is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["label=type:spc_t"] },
  ],
  [
    { ContainerSpec: { Privileges: { Seccomp: { Mode: "unconfined" } } } },
    "--security-opt seccomp=unconfined is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["seccomp=unconfined"] },
  ],
  [
    { ContainerSpec: { Privileges: { AppArmor: { Mode: "disabled" } } } },
    "--security-opt apparmor=disabled is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["apparmor=disabled"] },
  ],
  [
    {
      ContainerSpec: {
        Privileges: { Seccomp: { Mode: "custom", Profile: btoa("{}") } },
      },
    },
    "--security-opt seccomp={} is not allowed (allow-security-opt in " +
    "[privileges])",
    { allowSecurityOpt: ["seccomp={}"] },
  ],
  [
    {
      ContainerSpec: { Mounts: [{ BindOptions: { Propagation: "rshared" } }] },
    },
    "bind-propagation=rshared is not allowed (allow-host in [privileges])",
    { allowHost: ["mount"] },
  ],
  [
    {
      ContainerSpec: {
        Mounts: [{
          Type: "volume",
          VolumeOptions: {
            DriverConfig: {
              Options: { type: "nfs", device: ":/", o: "addr=1.2.3.4" },
            },
          },
        }],
      },
    },
    "a volume of type nfs (local:nfs) is not allowed (allow-volume-drivers in " +
    "[privileges])",
    { allowVolumeDrivers: ["local:nfs"] },
  ],
  [
    { Networks: [{ Target: "host" }] },
    "--network host is not allowed (allow-host in [privileges])",
    { allowHost: ["network"] },
  ],
  [
    { Networks: [{ Target: "hostid" }] },
    "--network hostid is not allowed (allow-host in [privileges])",
    { allowHost: ["network"] },
  ],
  [
    {
      Networks: [{
        Target: "net",
        DriverOpts: {
          "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.x=1",
        },
      }],
    },
    "--sysctl net.ipv4.conf.IFNAME.x is not allowed (allow-sysctls in " +
    "[privileges])",
    { allowSysctls: ["net.ipv4.conf."] },
  ],
  [
    { LogDriver: { Name: "fluentd" } },
    "--log-driver fluentd is not allowed (allow-log-drivers in [privileges])",
    { allowLogDrivers: ["fluentd"] },
  ],
  [
    {
      Resources: {
        Reservations: {
          GenericResources: [{
            DiscreteResourceSpec: { Kind: "gpu", Value: 1 },
          }],
        },
      },
    },
    "--generic-resource gpu is not allowed (allow-devices in [privileges])",
    { allowDevices: ["gpu"] },
  ],
  [
    { Runtime: "plugin", PluginSpec: { Remote: "x" } },
    "a service of engine plugins is not allowed (allow-plugins in [privileges])",
    { allowPlugins: true },
  ],
  [{ ContainerSpec: { OomScoreAdj: -5 } }, "--oom-score-adj -5 is not allowed"],
];

Deno.test("privileges: services", async () => {
  for (const [TaskTemplate, message, allowedBy] of SERVICES) {
    for (
      const line of [
        "POST /services/create",
        "POST /services/web/update?version=1",
      ]
    ) {
      const authz = request(line, { Name: "web", TaskTemplate });
      assertEquals(await verdict(authz), message);
      if (!allowedBy) continue;
      assertEquals(await verdict(authz, allowedBy), "allowed", message);
    }
  }
  assertEquals(
    await verdict(
      request("POST /services/create", {
        Name: "web",
        Networks: [{ Target: "net" }],
        TaskTemplate: {
          ContainerSpec: {
            Image: "nginx",
            Mounts: [{ Type: "volume", Source: "v", Target: "/v" }],
            Privileges: { NoNewPrivileges: true, Seccomp: { Mode: "default" } },
            Hosts: ["1.2.3.4 x"],
            Healthcheck: { Test: ["CMD", "true"] },
          },
          Resources: { Limits: { MemoryBytes: 1 } },
          ForceUpdate: 1,
          Runtime: "container",
        },
      }),
      {},
      engineOf({}, {}, { apiVersion: "9.0" }),
    ),
    "allowed",
  );
});

Deno.test("privileges: a service's rollback is decided on by what it goes back to", async () => {
  const rollback = (previous?: boolean) =>
    verdict(
      request("POST /services/web/update?version=1&rollback=previous", {}),
      {},
      engineOf({}, {
        inspectPreviousService: () =>
          Promise.resolve(
            previous
              ? {
                container: { ...NO_OPTIONS, capAdd: ["SYS_ADMIN"] },
                ...{ image: "", networks: [], resources: [], isPlugin: false },
              }
              : undefined,
          ),
      }),
    );
  assertEquals(
    await rollback(true),
    "--cap-add SYS_ADMIN is not allowed (allow-capabilities in [privileges])",
  );
  assertEquals(await rollback(), "allowed");
});

Deno.test("privileges: builds with BuildKit need their key", async () => {
  const refused =
    "a build with BuildKit is not allowed (allow-buildkit in [privileges])";
  for (
    const line of ["POST /build?version=2", "POST /session", "POST /grpc"]
  ) {
    const ask = (allowBuildkit: boolean) =>
      verdict(request(line, undefined), { allowBuildkit });
    assertEquals(await ask(false), refused, line);
    assertEquals(await ask(true), "allowed", line);
  }
});

Deno.test("privileges: the options of docker top", async () => {
  assertEquals(
    await verdict(request("GET /containers/web/top?ps_args=aux", undefined)),
    "allowed",
  );
  assertEquals(
    (await verdict(
      request("GET /containers/web/top?ps_args=axo+etimes%3D,pid", undefined),
    )).startsWith("docker top with axo is not allowed"),
    true,
  );
});

Deno.test("privileges: a checkpoint's name is no path", async () => {
  for (
    const [line, body] of [
      ["POST /containers/web/start?checkpoint=../x", undefined],
      ["POST /containers/web/checkpoints", { CheckpointID: "../x" }],
    ] as const
  ) {
    assertEquals(
      await verdict(request(line, body)),
      "a checkpoint ../x is not allowed",
    );
  }
});

Deno.test("privileges: builds", async () => {
  const build = (query: string, policy = {}, headers = {}) =>
    verdict(
      request(`POST /build?${query}`, undefined, headers),
      policy,
    );
  assertEquals(await build("version=2"), "allowed");
  assertEquals(
    await build("version=2", {}, { "Content-Type": "application/x-tar" }),
    "a classic build, whose options can hide from this plugin, is not allowed " +
      "(allow-classic-build in [privileges])",
  );
  assertEquals(await build("", { allowClassicBuild: true }), "allowed");
  for (
    const [query, message] of [
      [
        "networkmode=host",
        "--network=host is not allowed (allow-host in [privileges])",
      ],
      [
        "networkmode=container:x",
        "--network=container:x is not allowed (allow-join in [privileges])",
      ],
      [
        "cgroupparent=x",
        "--cgroup-parent x is not allowed (allow-cgroup-parents in [privileges])",
      ],
      [
        "securityopt=seccomp=unconfined",
        "--security-opt seccomp=unconfined is not allowed (allow-security-opt " +
        "in [privileges])",
      ],
      [
        `ulimits=${
          encodeURIComponent('[{"Name":"rtprio","Soft":9,"Hard":9}]')
        }`,
        "--ulimit rtprio without SYS_NICE is not allowed (allow-capabilities in " +
        "[privileges])",
      ],
      ["ulimits=x", "unreadable: its body is not JSON"],
      ["ulimits=null", "allowed"],
      ["networkmode=default&ulimits=[]&shmsize=1", "allowed"],
    ]
  ) {
    assertEquals(await build(`version=2&${query}`), message);
  }
});

Deno.test("privileges: networks", async () => {
  const network = (body: JsonObject, policy = {}) =>
    verdict(request("POST /networks/create", { Name: "n", ...body }), policy);
  assertEquals(await network({}), "allowed");
  assertEquals(
    await network({
      Driver: "bridge",
      Options: { "com.docker.network.driver.mtu": "1400" },
    }),
    "allowed",
  );
  for (
    const [body, what] of [
      [{ Driver: "macvlan" }, "--driver macvlan"],
      [{ Driver: "ipvlan", Options: { parent: "eth0" } }, "--driver ipvlan"],
      [{ Options: { parent: "eth0" }, ConfigOnly: true }, "--opt parent"],
      [
        { Options: { "com.docker.network.bridge.name": "br0" } },
        "--opt com.docker.network.bridge.name",
      ],
    ] as const
  ) {
    const message = `network create ${what} is not allowed (allow-host in ` +
      "[privileges])";
    const given = body as unknown as JsonObject;
    assertEquals(await network(given), message);
    assertEquals(await network(given, { allowHost: ["network"] }), "allowed");
  }
  const DriverOpts = {
    "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.x=1,net.b=2",
  };
  const message =
    "--sysctl net.b is not allowed (allow-sysctls in [privileges])";
  const policy = { allowSysctls: ["net.ipv4."] };
  for (
    const authz of [
      request("POST /networks/n/connect", {
        Container: "web",
        EndpointConfig: { DriverOpts },
      }),
      request("POST /containers/create", {
        NetworkingConfig: { EndpointsConfig: { n: { DriverOpts } } },
      }),
    ]
  ) {
    assertEquals(await verdict(authz, policy), message);
    assertEquals(
      await verdict(authz, { allowSysctls: ["net."] }),
      "allowed",
    );
  }
});

Deno.test("privileges: volumes of the local driver mount what their options say", async () => {
  const volume = (body: JsonObject, policy = {}) =>
    verdict(request("POST /volumes/create", body), policy);
  for (
    const [DriverOpts, name] of [
      [{ type: "none", o: "bind", device: "/" }, "local:bind"],
      [{ type: "tmpfs", o: "size=1,rbind", device: "/etc" }, "local:bind"],
      [{ type: "ext4", device: "/dev/sda1" }, "local:ext4"],
      [{ type: "overlay", device: "x", o: "lowerdir=/etc:/" }, "local:overlay"],
      [{ type: "nfs", device: ":/x", o: "addr=1.2.3.4" }, "local:nfs"],
    ] as const
  ) {
    assertEquals(
      (await volume({ DriverOpts })).includes(`(${name}) is not allowed`),
      true,
      name,
    );
    assertEquals(
      await volume({ DriverOpts }, { allowVolumeDrivers: [name] }),
      "allowed",
    );
  }
  for (
    const body of [
      {},
      { Name: "v", Driver: "local", DriverOpts: null },
      { DriverOpts: { size: "1G" } },
      { DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=5" } },
    ]
  ) {
    assertEquals(await volume(body as unknown as JsonObject), "allowed");
  }
});

Deno.test("privileges: engine plugins and the swarm", async () => {
  for (
    const [line, rule, policy] of [
      ["POST /plugins/pull?remote=x", "plugin pull", { allowPlugins: true }],
      ["POST /plugins/x/enable", "plugin enable", { allowPlugins: true }],
      ["DELETE /plugins/x", "plugin remove", { allowPlugins: true }],
      ["GET /swarm", "swarm inspect", { allowSwarm: true }],
      ["GET /swarm/unlockkey", "swarm unlock key", { allowSwarm: true }],
      ["POST /swarm/join", "swarm join", { allowSwarm: true }],
      ["POST /nodes/x/update?version=1", "node update", { allowSwarm: true }],
    ] as const
  ) {
    const key = rule.startsWith("plugin") ? "allow-plugins" : "allow-swarm";
    assertEquals(
      await verdict(request(line)),
      `docker ${rule} is not allowed (${key} in [privileges])`,
    );
    assertEquals(await verdict(request(line), policy), "allowed");
  }
});

Deno.test("privileges: what the engine recorded has its defaults in it", async () => {
  const recorded = async (hostConfig: JsonObject, policy = {}) =>
    said(
      await decideContainerPrivileges(
        { ...STRICT, ...policy },
        "web",
        container("web"),
        engineOf({ web: hostConfig }, {}, { defaultLogDriver: "syslog" }),
      ),
    );
  assertEquals(
    await recorded({
      PidMode: "host",
      SecurityOpt: ["label=disable"],
      LogConfig: { Type: "syslog", Config: { "syslog-address": "tcp://x" } },
      Runtime: "runc",
      NotKnown: { a: 1 },
    }, { allowHost: ["pid"] }),
    "allowed",
  );
  assertEquals(
    await recorded({ SecurityOpt: ["label=disable"] }),
    "privileges: container web: --security-opt label=disable is not allowed " +
      "(allow-security-opt in [privileges])",
  );
  assertEquals(
    await recorded({}, { require: ["memory"] }),
    "privileges: container web: a container without --memory is not allowed " +
      '(require = "memory" in [privileges])',
  );
});

Deno.test("privileges: seccomp profiles are compared with the files", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${directory}/a.json`,
      '{\n "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [] }\n',
    );
    const option = 'seccomp={"syscalls":[],"defaultAction":"SCMP_ACT_ERRNO"}';
    const other = 'seccomp={"syscalls":[],"defaultAction":"SCMP_ACT_ALLOW"}';
    const twice =
      'seccomp={"syscalls":[],"syscalls":[],"defaultAction":"SCMP_ACT_ERRNO"}';
    for (
      const allowed of [`seccomp=${directory}/`, `seccomp=${directory}/a.json`]
    ) {
      const policy = { allowSecurityOpt: [allowed] };
      assertEquals(await create({ SecurityOpt: [option] }, policy), "allowed");
      for (const refused of [other, twice]) {
        assertEquals(
          (await create({ SecurityOpt: [refused] }, policy)).startsWith(
            "--security-opt seccomp={",
          ),
          true,
        );
      }
    }
    assertEquals(
      (await create({ SecurityOpt: [option] }, {
        allowSecurityOpt: [`seccomp=${directory}/none.json`],
      })).includes("is not allowed"),
      true,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("privileges: what can't be read is refused", async () => {
  for (
    const [hostConfig, message] of [
      [{ Privileged: "true" }, "HostConfig.Privileged is not true or false"],
      [{ CapAdd: "ALL" }, "HostConfig.CapAdd is not a list"],
      [{ OomScoreAdj: "-5" }, "HostConfig.OomScoreAdj is not a number"],
      [
        { privileged: true, Privileged: false },
        'two keys in HostConfig mean the same field, "privileged": send it once',
      ],
    ] as const
  ) {
    assertEquals(await create(hostConfig), `unreadable: ${message}`);
  }
  assertEquals(
    await create({ "privileged": true }),
    "--privileged is not allowed (allow-privileged in [privileges])",
  );
  assertEquals(
    await create({ "Sy\u017fctls": { a: "b" } }),
    "--sysctl a is not allowed (allow-sysctls in [privileges])",
  );
});
