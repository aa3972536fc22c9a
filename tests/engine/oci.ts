/**
 * Images in the OCI layout that no builder makes: several manifests behind one
 * name.
 */

import type { Harness } from "./harness.ts";
import { rootFileSystem } from "./images.ts";
import { request } from "./raw_http.ts";
import { type Entry, tar } from "./tar.ts";

/** One image behind a name. */
export interface Manifest {
  /**
   * Makes its layer differ from the others'; its platform's architecture by
   * default.
   */
  file?: string;
  labels?: Record<string, string>;
  /** Paths that it declares as VOLUME. */
  volumes?: string[];
  /** What it is for; the host by default. */
  platform?: { os: string; architecture: string };
  /** The platform that the index names, if it is another one. */
  listed?: { os: string; architecture: string };
  annotations?: Record<string, string>;
}

const HOST = {
  os: "linux",
  architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
};

const ATTESTATION = {
  "vnd.docker.reference.type": "attestation-manifest",
  "vnd.docker.reference.digest": "sha256:" + "0".repeat(64),
};

/**
 * The images that the corpus uses, by name: each declares a VOLUME /data in a
 * manifest that an inspect passes over, and a create takes.
 */
const IMAGES: Record<string, Manifest[]> = {
  "attested:1": [
    { file: "a", volumes: ["/data"], annotations: ATTESTATION },
    { file: "b" },
  ],
  "unknown:1": [
    {
      file: "c",
      volumes: ["/data"],
      listed: { os: "unknown", architecture: "unknown" },
    },
    { file: "d", listed: { os: "linux", architecture: "s390x" } },
  ],
};

/**
 * Loads the corpus's images into an engine with the containerd image store.
 *
 * @param h the engine
 * @returns their IDs, by name without tag
 */
export async function loadImages(h: Harness): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const [name, manifests] of Object.entries(IMAGES)) {
    ids[name.split(":")[0]] = await loadImage(h, name, manifests);
  }
  return ids;
}

/**
 * Loads an image into an engine with the containerd image store.
 *
 * @param h the engine
 * @param name of Docker Hub, or with a registry's host
 * @param manifests the images behind that name
 * @returns its ID
 */
export async function loadImage(
  h: Harness,
  name: string,
  manifests: Manifest[],
): Promise<string> {
  const { status, body } = await h.send(
    request("POST", "/images/load?quiet=1", {
      headers: [["Content-Type", "application/x-tar"]],
      body: await layout(h.dockerd.busybox, name, manifests),
    }),
  );
  const { Id } = (await h.api("GET", `/images/${name}/json`)).json<
    { Id?: string }
  >();
  if (status !== 200 || body.includes("errorDetail") || !Id) {
    throw new Error(`can't load ${name}: ${body}`);
  }
  return Id;
}

/** An archive for `docker load`. */
async function layout(
  busybox: string,
  name: string,
  manifests: Manifest[],
): Promise<Uint8Array> {
  const files: Entry[] = [];
  const blob = async (type: string, value: Uint8Array | object) => {
    const content = value instanceof Uint8Array ? value : json(value);
    const hash = await crypto.subtle.digest("SHA-256", content.slice());
    const hex = new Uint8Array(hash).toHex();
    files.push({ path: `blobs/sha256/${hex}`, content });
    const mediaType = `application/vnd.oci.image.${type}`;
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const descriptors = [];
  for (const each of manifests) {
    const { labels, volumes = [], platform = HOST, listed } = each;
    const layer = await blob(
      "layer.v1.tar",
      await rootFileSystem(busybox, {
        [each.file ?? platform.architecture]: "",
      }),
    );
    const config = await blob("config.v1+json", {
      ...platform,
      config: {
        Cmd: ["true"],
        Labels: labels,
        Volumes: Object.fromEntries(volumes.map((path) => [path, {}])),
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    });
    descriptors.push({
      ...await blob("manifest.v1+json", {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config,
        layers: [layer],
      }),
      platform: listed ?? platform,
      annotations: each.annotations,
    });
  }
  const index = await blob("index.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: descriptors,
  });
  const annotations = {
    "io.containerd.image.name": /[.:].*\//.test(name)
      ? name
      : `docker.io/library/${name}`,
    "org.opencontainers.image.ref.name": name.replace(/.*:/, ""),
  };
  files.push(
    {
      path: "index.json",
      content: json({
        schemaVersion: 2,
        manifests: [{ ...index, annotations }],
      }),
    },
    { path: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) },
  );
  return tar(files);
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
