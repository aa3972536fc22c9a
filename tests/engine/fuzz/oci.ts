/**
 * Images in the OCI layout that no builder makes: several manifests behind one name, of which an inspect shows
 * another than a create takes.
 */

import type { Harness } from "../harness.ts";
import { rootFileSystem } from "../images.ts";
import { request } from "../raw_http.ts";
import { tar } from "./tar.ts";

/** One image behind a name. */
interface Manifest {
  /** Makes its layer differ from the others'. */
  file: string;
  /** Paths that it declares as VOLUME. */
  volumes?: string[];
  /** What the index says of it; null for nothing. */
  platform?: { os: string; architecture: string } | null;
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
 * The images that the corpus uses, by name: each declares a VOLUME /data in a manifest that an inspect passes
 * over.
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
      platform: { os: "unknown", architecture: "unknown" },
    },
    { file: "d", platform: { os: "linux", architecture: "s390x" } },
  ],
};

/**
 * Loads them into an engine with the containerd image store.
 *
 * @param h the engine
 * @returns their IDs, by name without tag
 */
export async function loadImages(h: Harness): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const [name, manifests] of Object.entries(IMAGES)) {
    const answer = await h.send(request("POST", "/images/load?quiet=1", {
      headers: [["Content-Type", "application/x-tar"]],
      body: await layout(h.dockerd.busybox, name, manifests),
    }));
    const { Id } = (await h.api("GET", `/images/${name}/json`)).json<
      { Id?: string }
    >();
    if (!Id) throw new Error(`can't load ${name}: ${answer.body}`);
    ids[name.split(":")[0]] = Id;
  }
  return ids;
}

/** An archive for `docker load`. */
async function layout(
  busybox: string,
  name: string,
  manifests: Manifest[],
): Promise<Uint8Array> {
  const files: [string, Uint8Array][] = [
    ["oci-layout", json({ imageLayoutVersion: "1.0.0" })],
  ];
  const blob = async (mediaType: string, content: Uint8Array) => {
    const digest = await sha256(content);
    files.push([`blobs/sha256/${digest}`, content]);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const descriptors = [];
  for (const { file, volumes, platform, annotations } of manifests) {
    const layer = await blob(
      "application/vnd.oci.image.layer.v1.tar",
      await rootFileSystem(busybox, { [file]: "" }),
    );
    const config = await blob(
      "application/vnd.oci.image.config.v1+json",
      json({
        ...HOST,
        config: {
          Cmd: ["true"],
          Volumes: Object.fromEntries(
            (volumes ?? []).map((path) => [path, {}]),
          ),
        },
        rootfs: { type: "layers", diff_ids: [layer.digest] },
      }),
    );
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    descriptors.push({
      ...await blob(
        mediaType,
        json({ schemaVersion: 2, mediaType, config, layers: [layer] }),
      ),
      ...(platform !== null && { platform: platform ?? HOST }),
      ...(annotations && { annotations }),
    });
  }
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const index = await blob(
    mediaType,
    json({ schemaVersion: 2, mediaType, manifests: descriptors }),
  );
  files.push([
    "index.json",
    json({
      schemaVersion: 2,
      mediaType,
      manifests: [{
        ...index,
        annotations: {
          "io.containerd.image.name": `docker.io/library/${name}`,
        },
      }],
    }),
  ]);
  return tar(files);
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

async function sha256(content: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest(
    "SHA-256",
    content as Uint8Array<ArrayBuffer>,
  );
  return new Uint8Array(digest).toHex();
}
