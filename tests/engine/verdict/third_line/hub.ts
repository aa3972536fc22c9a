/**
 * A stand-in for Docker Hub that takes pushes: a registry on the engine's own
 * loop-back, to which the engine's own /etc/hosts and certificates lead it.
 */

import { Authority } from "../../tls_certificates.ts";
import { eventually } from "../../../helpers/waiting.ts";
import type { Host } from "./host.ts";

const NAMES = ["registry-1.docker.io", "index.docker.io"];

/** Docker Hub, as one engine sees it. */
export class Hub {
  private constructor(private readonly data: string) {}

  /**
   * Starts an empty one, and the engine anew. It ends with the engine.
   *
   * @param host Whose engine it is for, with no plugin in front.
   */
  static async start(host: Host): Promise<Hub> {
    const { h } = host;
    const ca = await Authority.create(`${h.dir}/hub-ca`);
    const server = await ca.server(NAMES.map((name) => `DNS:${name}`).join());
    const dir = `${h.dir}/hub`;
    await Deno.mkdir(`${dir}/data`, { recursive: true });
    await Deno.writeTextFile(`${dir}/cert.pem`, server.cert);
    await Deno.writeTextFile(`${dir}/key.pem`, server.key);
    await Deno.writeTextFile(
      `${dir}/hosts`,
      `127.0.0.1 localhost ${NAMES.join(" ")}\n`,
    );
    await Deno.writeTextFile(
      `${dir}/config.json`, // JSON is YAML
      JSON.stringify({
        version: "0.1",
        log: { level: "info" },
        storage: { filesystem: { rootdirectory: `${dir}/data` } },
        http: {
          addr: "127.0.0.1:443",
          secret: "none",
          tls: { certificate: `${dir}/cert.pem`, key: `${dir}/key.pem` },
        },
      }),
    );
    // The engine's environment is ours.
    Deno.env.set("SSL_CERT_FILE", `${h.dir}/hub-ca/ca.pem`);
    try {
      await host.reboot();
    } finally {
      Deno.env.delete("SSL_CERT_FILE");
    }
    const target = `--target=${await h.dockerd.pid()}`;
    const mounted = await new Deno.Command("nsenter", {
      args: [
        ...[target, "--mount", "--root"],
        ...["mount", "--bind", `${dir}/hosts`, "/etc/hosts"],
      ],
    }).output();
    if (!mounted.success) {
      throw new Error(new TextDecoder().decode(mounted.stderr));
    }
    const { pid } = new Deno.Command("sh", {
      args: [
        ...["-c", 'exec "$@" >"$0" 2>&1', `${dir}/log`],
        ...["nsenter", target, "--net"],
        ...["docker-registry", "serve", `${dir}/config.json`],
      ],
      stdin: "null",
    }).spawn();
    // dockerd.sh ends it.
    await Deno.writeTextFile(`${h.dir}/plugins/${pid}`, "");
    await eventually("the stand-in listens", async () => {
      const log = await Deno.readTextFile(`${dir}/log`).catch(() => "");
      return log.includes("listening on");
    });
    // The engine reads /etc/hosts anew every few seconds only.
    await eventually("the engine finds the stand-in", async () => {
      const { body } = await h.api("GET", "/distribution/acme/none/json");
      return !body.includes("lookup ");
    }, 20_000);
    return new Hub(`${dir}/data`);
  }

  /**
   * Whether it has an image, by its ID: the digest of its configuration, or of
   * its manifest.
   */
  async has(id: string): Promise<boolean> {
    const digest = id.replace("sha256:", "");
    const path =
      `${this.data}/docker/registry/v2/blobs/sha256/${digest.slice(0, 2)}/` +
      `${digest}/data`;
    return await Deno.stat(path).then(() => true, () => false);
  }
}
