/**
 * A stand-in for Docker Hub, for pulls and pushes, on an engine's own loop-back: a registry under Hub's name, with
 * a certificate that this one engine trusts.
 */

import { sleep } from "../dockerd.ts";
import type { Harness } from "../harness.ts";

/** The host that engines call for `docker.io`. */
const NAME = "registry-1.docker.io";

/**
 * Starts it; it ends with the engine. The engine must not have spoken TLS yet: it reads the certificates that it
 * trusts only once.
 *
 * @param h the engine, on a network of its own
 * @returns the path of its log
 */
export async function startHub(h: Harness): Promise<string> {
  const dir = `${h.dir}/hub`;
  await Deno.mkdir(`${dir}/data`, { recursive: true });
  await run("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`],
    ...["-out", `${dir}/cert.pem`, "-keyout", `${dir}/key.pem`],
  ]);
  await Deno.writeTextFile(`${dir}/hosts`, `127.0.0.1 localhost ${NAME}\n`);
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
  const pid = String(await h.dockerd.pid());
  // In the mount namespace of this engine alone.
  await run("nsenter", [
    `--target=${pid}`,
    "--mount",
    "sh",
    "-euc",
    '[ -e /etc/hosts ] || : >/etc/hosts\nmount --bind "$0/hosts" /etc/hosts\n' +
    'mount --bind "$0/cert.pem" /etc/ssl/certs/ca-certificates.crt',
    dir,
  ]);
  const log = `${dir}/log`;
  const registry = new Deno.Command("sh", {
    args: [
      "-c",
      'exec nsenter --target="$1" --net docker-registry serve "$2" >"$0" 2>&1',
      ...[log, pid, `${dir}/config.json`],
    ],
    stdin: "null",
  }).spawn();
  // dockerd.sh ends what is noted here.
  await Deno.writeTextFile(`${h.dir}/plugins/${registry.pid}`, "");
  const end = Date.now() + 20_000;
  while (
    !(await Deno.readTextFile(log).catch(() => "")).includes("listening on ")
  ) {
    if (Date.now() > end) throw new Error(`no registry: see ${log}`);
    await sleep(30);
  }
  // The engine remembers /etc/hosts for some seconds.
  const probe = () => h.api("POST", "/images/create?fromImage=none/such&tag=1");
  while ((await probe()).status !== 404) {
    if (Date.now() > end) throw new Error("the engine does not find its Hub");
    await sleep(300);
  }
  return log;
}

async function run(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
  }).output();
  if (!success) {
    throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  }
}
