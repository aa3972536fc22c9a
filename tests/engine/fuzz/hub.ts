/**
 * A stand-in for Docker Hub, for pulls and pushes, on an engine's own
 * loop-back: a registry under Hub's name, with a certificate that this one
 * engine trusts.
 */

import { must } from "../../helpers/programs.ts";
import { eventually } from "../../helpers/waiting.ts";
import type { Harness } from "../harness.ts";
import { Registry } from "../registry.ts";

/** The host that engines call for `docker.io`. */
const NAME = "registry-1.docker.io";

/**
 * Starts it; it ends with the engine. The engine must not have spoken TLS yet:
 * it reads the certificates that it trusts only once.
 *
 * @param h the engine, on a network of its own
 * @returns the path of its log
 */
export async function startHub(h: Harness): Promise<string> {
  await Registry.start(h, 443, NAME);
  const dir = `${h.dir}/registry-443`;
  await Deno.writeTextFile(`${dir}/hosts`, `127.0.0.1 localhost ${NAME}\n`);
  // In the mount namespace of this engine alone.
  await must([
    ...["nsenter", `--target=${await h.dockerd.pid()}`, "--mount"],
    ...["sh", "-euc"],
    '[ -e /etc/hosts ] || : >/etc/hosts\nmount --bind "$0/hosts" /etc/hosts\n' +
    'mount --bind "$0/cert.pem" /etc/ssl/certs/ca-certificates.crt',
    dir,
  ]);
  // The engine remembers /etc/hosts for some seconds.
  await eventually("the engine finds its Hub", async () => {
    const probe = "/images/create?fromImage=none/such&tag=1";
    return (await h.api("POST", probe)).status === 404;
  });
  return `${dir}/log`;
}
