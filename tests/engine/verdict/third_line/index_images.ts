/** An image of several platforms, put into a registry. */

import type { Harness } from "../../harness.ts";
import { rootFileSystem } from "../../images.ts";

const DOCKER = "application/vnd.docker.distribution.manifest";
const OCI = "application/vnd.oci.image";

/**
 * Puts an index into a registry: the variant of this machine's platform
 * declares a VOLUME, the other one does not.
 *
 * @param h The engine, which has neither afterwards.
 * @param registry Its host, as `localhost:5000`.
 * @param name The repository.
 * @returns The index, by its digest.
 */
export async function pushIndex(
  h: Harness,
  registry: string,
  name: string,
): Promise<string> {
  const own = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  const variants = [[own, "VOLUME /data"], [
    own === "arm64" ? "amd64" : "arm64",
    "LABEL a=b",
  ]];
  const manifests = [];
  for (const [architecture, change] of variants) {
    const tag = `${registry}/${name}:${architecture}`;
    const query = new URLSearchParams({
      fromSrc: "-",
      repo: `${registry}/${name}`,
      tag: architecture,
      platform: `linux/${architecture}`,
    });
    for (const each of [change, 'CMD ["sleep", "600"]']) {
      query.append("changes", each);
    }
    await h.api(
      "POST",
      `/images/create?${query}`,
      await rootFileSystem(h.dockerd.busybox, { variant: architecture }),
    );
    const pushed = await h.must("push", tag);
    const [, digest, size] =
      /digest: (sha256:[0-9a-f]{64}) size: (\d+)/.exec(pushed) ?? [];
    if (!digest) throw new Error(`can't push ${tag}: ${pushed}`);
    manifests.push({
      digest,
      size: Number(size),
      platform: { os: "linux", architecture },
    });
    await h.must("rmi", "-f", tag);
  }
  // Docker pushes manifests of its own type up to 28, and OCI's from 29 on.
  const script = `
    const [url, own, oci, given] = Deno.args;
    const manifests = JSON.parse(given);
    for (const manifest of manifests) {
      const { ok, headers } = await fetch(url + manifest.digest, {
        method: "HEAD",
        headers: { Accept: own + ".v2+json, " + oci + ".manifest.v1+json" },
      });
      if (!ok) throw new Error(manifest.digest + " is not there");
      manifest.mediaType = headers.get("Content-Type");
    }
    const type = manifests[0].mediaType.startsWith(oci)
      ? oci + ".index.v1+json"
      : own + ".list.v2+json";
    const answer = await fetch(url + "all", {
      method: "PUT",
      body: JSON.stringify({ schemaVersion: 2, mediaType: type, manifests }),
      headers: { "Content-Type": type },
    });
    if (!answer.ok) throw new Error(await answer.text());
    console.log(answer.headers.get("Docker-Content-Digest"));`;
  const { success, stdout, stderr } = await new Deno.Command("nsenter", {
    args: [
      ...[`--target=${await h.dockerd.pid()}`, "--net"],
      ...[Deno.execPath(), "eval", script, "--"],
      ...[
        `http://${registry}/v2/${name}/manifests/`,
        DOCKER,
        OCI,
        JSON.stringify(manifests),
      ],
    ],
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(text.decode(stderr));
  return `${registry}/${name}@${text.decode(stdout).trim()}`;
}
