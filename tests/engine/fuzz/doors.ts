/**
 * The target of attacks on the image policy and the push policy: registries
 * that may be asked for nothing, and an image that may not be pushed.
 */

import type { Harness } from "../harness.ts";
import { Registry } from "../registry.ts";
import { CONFIGS } from "./corpus.ts";
import type { Draft } from "./draft.ts";
import { startHub } from "./hub.ts";
import { fromValue, raw } from "./json.ts";
import { tar } from "../tar.ts";
import { count, type Target } from "./target.ts";

/** Of the one registry, as CONFIGS has it; the other is Docker Hub. */
const PORT = 5002;

/** Makes the push policy see RHEL. */
const RHEL = [`LABEL vendor="Red Hat, Inc."`, "LABEL name=rhel9"];

/**
 * Makes the target on a fresh engine, and puts the plugin in front of it.
 *
 * @param h the engine, which no plugin guards yet, on a network of its own
 * @returns the target
 */
export async function doorsTarget(h: Harness): Promise<Target> {
  await Registry.start(h, PORT);
  const hub = await startHub(h);
  await h.image("plain:1");
  await h.image("acme/app:1", { changes: RHEL, files: { which: "rhel" } });
  const swarm = await h.api("POST", "/swarm/init", {
    ListenAddr: "127.0.0.1:2377",
    AdvertiseAddr: "127.0.0.1",
  });
  const logs = [`${h.dir}/registry-${PORT}/log`, hub].map((file) => ({
    file,
    read: 0,
  }));
  const before = (await images(h)).map(({ Id }) => Id);
  await h.guard({ config: CONFIGS.doors });
  const seeds = calls(swarm.status === 200);
  return {
    h,
    arsenal: "doors",
    seeds: () => seeds,
    glance: async () => {
      const sizes = logs.map(async ({ file }) => (await Deno.stat(file)).size);
      return [
        ...await Promise.all(sizes),
        await count(`${h.dir}/data/image/overlay2/imagedb/content/sha256`)
          .catch(() => 0),
      ].join(" ");
    },
    inspectAndMend: async () => [
      ...(await Promise.all(logs.map(askedFor))).flat(),
      ...await newImages(h, before),
      ...await newPlugins(h),
      ...await newServices(h),
    ],
    unguarded: (work) => h.withoutPlugin(work),
    names: () => new Map(),
  };
}

function calls(swarm: boolean): Record<string, Partial<Draft>> {
  const headers: Draft["headers"] = [["Host", "docker"]];
  const post = (
    path: string,
    query: string[],
    more: Partial<Draft> = {},
  ): Partial<Draft> => ({ path, query, headers, ...more });
  const typed = (type: string): Draft["headers"] => [
    ...headers,
    ["Content-Type", type],
  ];
  const archive = (files: [string, string][]): Partial<Draft> => ({
    headers: typed("application/x-tar"),
    body: tar(
      files.map(([path, text]) => ({
        path,
        content: new TextEncoder().encode(text),
      })),
    ),
  });
  const upgrade: Partial<Draft> = {
    headers: [
      ...headers,
      ["Connection", "Upgrade"],
      ["Upgrade", "h2c"],
      ["X-Docker-Expose-Session-Uuid", "x"],
      ["X-Docker-Expose-Session-Name", "x"],
    ],
  };
  const from = (name: string, ...more: string[]) =>
    post("/images/create", [`fromImage=${name}`, ...more]);
  return {
    "pull": from(`localhost:${PORT}/evil`, "tag=1"),
    "pull with the tag in the name": from(`localhost:${PORT}/evil:1`),
    "pull from Docker Hub": from("evil/x", "tag=1"),
    "pull what is blacklisted": from("docker.io/library/docker", "tag=latest"),
    "pull of all tags": from(`localhost:${PORT}/good`),
    "pull by digest": from(
      `localhost:${PORT}/evil`,
      "tag=sha256:" + "1".repeat(64),
    ),
    "pull by a form": post("/images/create", [], {
      headers: typed("application/x-www-form-urlencoded"),
      body: raw(`fromImage=localhost:${PORT}/evil&tag=1`),
    }),
    "import of a body": post(
      "/images/create",
      ["fromSrc=-", "repo=new", "tag=1"],
      archive([["file", "imported"]]),
    ),
    "import from a server": post("/images/create", [
      `fromSrc=http://localhost:${PORT}/evil.tar`,
      "repo=new",
      "tag=1",
    ]),
    "build": post(
      "/build",
      ["t=new:1"],
      archive([["Dockerfile", "FROM plain:1\nLABEL built=here\n"]]),
    ),
    "build of a server's file": post("/build", [
      `remote=http://localhost:${PORT}/evil/Dockerfile`,
    ]),
    // Nothing but its answer shows that it was let in.
    "session": post("/session", [], upgrade),
    "plugin pull": post("/plugins/pull", [
      `remote=localhost:${PORT}/evil:1`,
    ], { headers: typed("application/json"), body: fromValue([]) }),
    "push": post("/images/acme/app/push", ["tag=1"], {
      headers: [...headers, ["X-Registry-Auth", "e30="]],
    }),
    "push of all tags": post("/images/docker.io/acme/app/push", [], {
      headers: [...headers, ["X-Registry-Auth", "e30="]],
    }),
    ...swarm && {
      "service": post("/services/create", [], {
        headers: typed("application/json"),
        body: fromValue({
          Name: "svc",
          TaskTemplate: {
            ContainerSpec: { Image: `localhost:${PORT}/evil:1` },
          },
          Mode: { Replicated: { Replicas: 0 } },
        }),
      }),
    },
  };
}

/** A log that is read bit by bit. */
interface Log {
  file: string;
  /** How many characters were read. */
  read: number;
}

async function news(log: Log): Promise<string[]> {
  const text = await Deno.readTextFile(log.file);
  const fresh = text.slice(log.read);
  log.read = text.length;
  return fresh.split("\n");
}

/**
 * What a registry was asked for that is not the good image, nor whether it is
 * there.
 */
async function askedFor(log: Log): Promise<string[]> {
  return (await news(log)).flatMap((line) => {
    const path = /"[A-Z]+ (\/\S*) HTTP/.exec(line)?.[1];
    const allowed = path === undefined || path === "/v2/" ||
      log.file.includes(`registry-${PORT}/`) &&
        /^\/v2\/good\/(manifests|blobs)\//.test(path);
    return allowed ? [] : [`a registry was asked for ${path}`];
  });
}

async function images(
  h: Harness,
): Promise<{ Id: string; RepoTags: string[] }[]> {
  return (await h.api("GET", "/images/json?all=1")).json();
}

async function newImages(h: Harness, before: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const { Id, RepoTags } of await images(h)) {
    if (before.includes(Id)) continue;
    found.push(`image ${RepoTags?.join(", ")} came in`);
    await h.api("DELETE", `/images/${Id}?force=1`);
  }
  return found;
}

async function newPlugins(h: Harness): Promise<string[]> {
  const list = (await h.api("GET", "/plugins")).json<{ Name: string }[]>();
  for (const { Name } of list) {
    await h.api("DELETE", `/plugins/${Name}?force=1`);
  }
  return list.map(({ Name }) => `plugin ${Name} came in`);
}

async function newServices(h: Harness): Promise<string[]> {
  const answer = await h.api("GET", "/services");
  if (answer.status !== 200) return [];
  const found: string[] = [];
  for (
    const { ID, Spec } of answer.json<
      {
        ID: string;
        Spec: { TaskTemplate: { ContainerSpec?: { Image: string } } };
      }[]
    >()
  ) {
    const image = Spec.TaskTemplate.ContainerSpec?.Image ?? "";
    const good = image.startsWith(`localhost:${PORT}/good`) ||
      /^sha256:[0-9a-f]{64}$/.test(image);
    if (!good) found.push(`a service of ${image} was made`);
    await h.api("DELETE", `/services/${ID}`);
  }
  return found;
}
