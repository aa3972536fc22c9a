import { hasOldCgroups, type Host, IMAGE, PORT } from "../host.ts";
import { reads, says, type Way } from "../escape.ts";
import { request } from "../../raw_http.ts";
import { tar } from "../../tar.ts";
import { addCliPlugins, whyNoCliPlugins } from "../../front/cli_plugins.ts";
import { SOURCES } from "./sources.ts";

const ASK = `nc -w 2 127.0.0.1 ${PORT}`;

/** A build by the classic builder, as clients other than docker's send it. */
async function build(
  host: Host,
  query: Record<string, string>,
  ...lines: string[]
): Promise<void> {
  const file = [`FROM ${IMAGE}`, ...lines].join("\n");
  const parts = new URLSearchParams({ nocache: "1", rm: "1", ...query });
  const answer = await host.send(
    request("POST", `/build?${parts}`, {
      headers: [["Content-Type", "application/x-tar"]],
      body: tar([{
        path: "Dockerfile",
        content: new TextEncoder().encode(file),
      }]),
    }),
  );
  for (const line of answer.body.split("\n")) {
    try {
      host.note((JSON.parse(line) as { stream?: string }).stream ?? "");
    } catch {
      // An answer that is no stream.
    }
  }
}

/** A build by BuildKit, through docker's own client. */
async function buildKit(
  host: Host,
  options: string[],
  ...lines: string[]
): Promise<void> {
  const folder = `${host.h.dir}/context`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/Dockerfile`,
    [`FROM ${IMAGE}`, ...lines].join("\n"),
  );
  await host.dockerBy(
    { DOCKER_BUILDKIT: "1" },
    ...["build", "--no-cache", "--progress=plain", ...options, folder],
  );
}

/** Docker 20.10's client has BuildKit in it; newer ones need buildx. */
const noBuildKit = async (host: Host) => {
  if (host.h.version.major < 23) return undefined;
  const why = await whyNoCliPlugins();
  if (why === undefined) await addCliPlugins(`${host.h.dir}/client`);
  return why;
};

/** What the steps of a build may have is a flag of buildx alone. */
const noBuildx = async (host: Host) =>
  host.h.version.major < 23
    ? "Docker 20.10's own client asks for no entitlements"
    : await noBuildKit(host);

/** Options of a classic build that give its steps more. */
const OPTIONS: readonly Way[] = [
  {
    name: "docker build --network host",
    sources: [
      "https://docs.docker.com/reference/cli/docker/buildx/build/#network",
    ],
    attempt: (host) => build(host, { networkmode: "host" }, `RUN ${ASK}`),
    proof: reads,
  },
  {
    name: "docker build --network container: of one with the host's",
    sources: ["https://docs.docker.com/reference/api/engine/"],
    before: async (host) => {
      if (await host.h.container("net-for-build")) return;
      const options = ["--name=net-for-build", "--network=host"];
      await host.h.must("run", "--detach", ...options, IMAGE);
    },
    attempt: (host) =>
      build(host, { networkmode: "container:net-for-build" }, `RUN ${ASK}`),
    proof: reads,
  },
  {
    name: "docker build --cgroup-parent",
    sources: ["https://docs.docker.com/reference/api/engine/"],
    attempt: (host) =>
      build(
        host,
        {
          networkmode: "none",
          cgroupparent: `/${host.h.dockerd.name}/build`,
        },
        "RUN cat /proc/self/cgroup",
      ),
    proof: (host) => host.output.includes(`/${host.h.dockerd.name}/build/`),
    cannot: async () =>
      await hasOldCgroups()
        ? undefined
        : "with control groups of version 2 a build sees none but its own",
  },
];

/** Ways through builds. */
export const BUILDS: readonly Way[] = [
  ...OPTIONS,
  ...OPTIONS.map((way) => ({
    ...way,
    name: `${way.name}, where classic builds are allowed`,
    keys: "allow-classic-build = true",
  })),
  {
    name: "docker build --security-opt seccomp=unconfined",
    closed: "the engine takes no such option on Linux",
    sources: ["https://docs.docker.com/reference/api/engine/", SOURCES.seccomp],
    attempt: (host) =>
      build(
        host,
        {
          networkmode: "none",
          securityopt: '["seccomp=unconfined"]',
        },
        "RUN unshare -U true && echo new user namespace",
      ),
    proof: says("new user namespace"),
  },
  {
    name: "docker build of a container with a privileged exec's file",
    sources: ["https://docs.docker.com/reference/dockerfile/#from"],
    closed: "a build takes files from images and its context alone",
    attempt: (host) =>
      build(
        host,
        { networkmode: "none" },
        `COPY --from=${IMAGE} ${host.file} /x`,
        "RUN cat /x",
      ),
    proof: reads,
  },
  {
    name: "docker build: a link in the context, out of it",
    sources: ["https://docs.docker.com/build/concepts/context/"],
    closed: "the engine resolves links within the context",
    attempt: async (host) => {
      const file = `FROM ${IMAGE}\nCOPY link /x\nRUN cat /x`;
      const answer = await host.send(
        request("POST", "/build?networkmode=none", {
          headers: [["Content-Type", "application/x-tar"]],
          body: tar([
            { path: "Dockerfile", content: new TextEncoder().encode(file) },
            { path: "link", link: host.file },
          ]),
        }),
      );
      host.note(answer.body);
    },
    proof: reads,
  },
  {
    name: "docker build: ADD of a service on the host's loopback",
    sources: ["https://docs.docker.com/reference/dockerfile/#add"],
    attempt: (host) =>
      build(
        host,
        { networkmode: "none" },
        `ADD http://127.0.0.1:${PORT}/x /x`,
        "RUN cat /x",
      ),
    proof: reads,
  },
  {
    name: "docker build of a service on the host's loopback",
    sources: ["https://docs.docker.com/build/concepts/context/"],
    attempt: (host) =>
      host.api("POST", `/build?remote=http://127.0.0.1:${PORT}/Dockerfile`),
    // The engine quotes the line that it does not know.
    proof: (host) =>
      host.output.toLowerCase().includes(host.secret.split("-")[0]),
  },
  {
    name: "BuildKit: docker build --network=host",
    sources: [
      "https://docs.docker.com/reference/dockerfile/#run---network",
      "https://docs.docker.com/build/buildkit/toml-configuration/",
    ],
    cannot: noBuildKit,
    attempt: (host) =>
      buildKit(host, ["--network=host"], `RUN ${ASK} # ${crypto.randomUUID()}`),
    proof: reads,
    // buildx looks for another builder.
    isQuiet: true,
  },
  {
    name: "BuildKit: RUN --network=host",
    sources: [
      "https://docs.docker.com/reference/dockerfile/#run---network",
      "moby daemon/builder/backend",
    ],
    cannot: noBuildx,
    attempt: (host) =>
      buildKit(
        host,
        ["--network=none", "--allow=network.host"],
        `RUN --network=host ${ASK}`,
      ),
    proof: reads,
    // buildx looks for another builder.
    isQuiet: true,
  },
  {
    name: "BuildKit: ADD of a service on the host's loopback",
    sources: ["https://docs.docker.com/reference/dockerfile/#add"],
    cannot: noBuildKit,
    attempt: (host) =>
      buildKit(
        host,
        ["--network=none"],
        `ADD http://127.0.0.1:${PORT}/x /x`,
        "RUN cat /x",
      ),
    proof: reads,
    // buildx looks for another builder.
    isQuiet: true,
  },
  {
    name: "BuildKit: RUN --security=insecure",
    sources: ["https://docs.docker.com/reference/dockerfile/#run---security"],
    closed: "BuildKit in the engine grants security.insecure only if " +
      "daemon.json does",
    cannot: noBuildx,
    attempt: (host) =>
      buildKit(
        host,
        ["--network=none", "--allow=security.insecure"],
        "RUN --security=insecure : >>/proc/sys/kernel/core_pattern && echo opened",
      ),
    proof: (host) => / opened$/m.test(host.output),
  },
  {
    name: "BuildKit: a Dockerfile that is a device file",
    sources: ["moby vendor/github.com/moby/buildkit/cache/util/fsutil.go"],
    engines: { to: 28 },
    cannot: async (host) =>
      host.disk === undefined
        ? "no disk can be made here"
        : host.h.version.major < 23
        ? "its builder has no frontend that reads it"
        : await noBuildKit(host),
    attempt: async (host) => {
      const context = `${host.h.dir}/device-context.tar`;
      await Deno.writeFile(context, await host.diskAs("Dockerfile"));
      await host.buildFrom(context, "build", "--no-cache", "-");
    },
    proof: reads,
    isQuiet: true,
  },
  {
    name: "BuildKit: RUN --mount=type=bind of the host",
    sources: [
      "https://docs.docker.com/reference/dockerfile/#run---mounttypebind",
    ],
    closed: "it binds from the context and from images alone",
    cannot: noBuildKit,
    attempt: (host) =>
      buildKit(
        host,
        ["--network=none"],
        `RUN --mount=type=bind,source=${host.dir},target=/x cat /x/secret`,
      ),
    proof: reads,
  },
];

/** The same on an engine whose daemon.json grants a build nothing. */
export const BUILDS_WITHOUT_GRANTS: readonly Way[] = BUILDS.filter((
  { name },
) => /--network=host$/.test(name)).map((way) => ({
  ...way,
  keys: "allow-buildkit = true",
  closed: "builder.entitlements in daemon.json does not grant it",
}));
