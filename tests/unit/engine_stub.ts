/**
 * The HTTP answers of an engine that has what the corpus is aimed at
 * (`tests/engine/fuzz/volumes.ts` and `doors.ts`), and for every other name a
 * container, image or service that no policy minds.
 *
 * @module
 */
import type { EngineAnswer, EngineClient } from "../../lib/engine/client.ts";
import { clientWith } from "./engine/scripted.ts";

/** The APIs that each generation speaks. */
export const APIS: Readonly<
  Record<number, { oldestApi: string; api: string }>
> = {
  20: { oldestApi: "1.12", api: "1.41" },
  26: { oldestApi: "1.24", api: "1.45" },
  28: { oldestApi: "1.24", api: "1.51" },
  29: { oldestApi: "1.40", api: "1.56" },
};

/** IDs of the images, by name without tag. */
const IMAGES: Readonly<Record<string, string>> = {
  plain: id("1"),
  volume: id("2"),
  attested: id("3"),
  unknown: id("4"),
};

/** Values of the corpus's placeholders. */
export const NAMES: ReadonlyMap<string, string> = new Map([
  ...Object.entries(IMAGES).map(([name, id]) => [`image ${name}`, id] as const),
  ["service old", "o".repeat(25)],
  ["version old", "15"],
]);

function id(digit: string): string {
  return "sha256:" + digit.repeat(64);
}

/**
 * @param major The engine's major version; 20 for 20.10.
 * @returns What sends it requests.
 */
export function stubEngine(major: number): EngineClient {
  const answer = (body: unknown): Partial<EngineAnswer> => ({
    apiVersion: APIS[major].api,
    body: JSON.stringify(body),
  });
  return clientWith(({ path }) => {
    const { pathname, searchParams } = new URL(path, "http://engine");
    const [, kind, name] =
      /^(?:\/v[0-9.]+)?\/(\w+)(?:\/(.+?))?(?:\/json)?$/.exec(pathname) ?? [];
    return name === "json"
      ? answer(list(searchParams))
      : kind === "images"
      ? answer(image(decodeURIComponent(name), major))
      : kind === "containers"
      ? answer(container(decodeURIComponent(name)))
      : kind === "services"
      ? answer(name ? service(name) : [])
      : answer(kind === "info" ? { DriverStatus: null } : {});
  });
}

function image(name: string, major: number): unknown {
  const short = Object.entries(IMAGES).find(([, id]) => id === name)?.[0] ??
    name.replace(/^(docker\.io\/)?(library\/)?/, "").split(":")[0];
  const labels = short === "acme/app"
    ? { vendor: "Red Hat, Inc.", name: "rhel9" }
    : null;
  return {
    Id: IMAGES[short] ?? id("5"),
    Os: "linux",
    Architecture: "amd64",
    RootFS: { Type: "layers", Layers: [id("6")] },
    Config: {
      Volumes: /^(.*vol|volume)$/.test(short) ? { "/data": {} } : null,
      Labels: labels,
    },
    ...major >= 28 && { Manifests: manifests(short) },
  };
}

/** As seen on Docker 28.5.2 with containerd's image store. */
function manifests(name: string): unknown {
  const manifest = (Kind: string, os: string, architecture: string) => ({
    Kind,
    Available: true,
    Descriptor: { platform: { os, architecture } },
    ...Kind === "image" && { ImageData: { Platform: { os, architecture } } },
  });
  switch (name) {
    case "attested":
      return [
        manifest("attestation", "linux", "amd64"),
        manifest("image", "linux", "amd64"),
      ];
    case "unknown":
      return [
        manifest("unknown", "unknown", "unknown"),
        manifest("image", "linux", "s390x"),
      ];
    default:
      return [manifest("image", "linux", "amd64")];
  }
}

/** A list of containers has the one that is asked for; images have no lists. */
function list(query: URLSearchParams): unknown[] {
  const { name, id } = JSON.parse(query.get("filters") ?? "{}");
  if (id) return [container(id[0])];
  const [, plain] = /^\^\/\?(\w+)\$$/.exec(name?.[0] ?? "") ?? [];
  return plain ? [container(plain)] : [];
}

function container(name: string): unknown {
  return {
    Id: /^[0-9a-f]{64}$/.test(name) ? name : "c".repeat(64),
    Names: [`/${name}`],
    Created: 1704067200,
    Mounts: [],
  };
}

function service(name: string): unknown {
  const spec = (Mounts: unknown[]) => ({
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: IMAGES.plain, Mounts } },
  });
  return {
    ID: name,
    Spec: spec([]),
    PreviousSpec: spec(
      name === NAMES.get("service old")
        ? [{ Type: "volume", Source: "keep", Target: "/data" }]
        : [],
    ),
  };
}
