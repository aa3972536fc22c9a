import { type Host, IMAGE } from "../host.ts";
import { says, type Way } from "../escape.ts";

/** A service of the host that listens on a unix socket, and what it hears. */
async function heard(
  host: Host,
  options: (socket: string) => string[],
): Promise<void> {
  const path = `${host.dir}/log.sock`;
  await Deno.remove(path).catch(() => {});
  const listener = Deno.listen({ transport: "unix", path });
  let text = "";
  const hearing = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(65_536);
      const count = await connection.read(buffer).catch(() => null) ?? 0;
      text += new TextDecoder().decode(buffer.subarray(0, count));
      connection.close();
    }
  })();
  await host.run(options(path), "sh", "-c", "echo from the container; sleep 1");
  listener.close();
  await hearing.catch(() => {});
  if (text.includes("from the container")) host.note("heard");
}

/** Ways through what the engine does with a container's output. */
export const LOGS: readonly Way[] = [
  {
    name: "--log-driver syslog into a unix socket of the host",
    sources: [
      "https://docs.docker.com/engine/logging/drivers/syslog/",
      "moby daemon/logger/syslog/syslog.go",
    ],
    attempt: (host) =>
      heard(host, (path) => [
        "--log-driver=syslog",
        `--log-opt=syslog-address=unix://${path}`,
      ]),
    proof: says("heard"),
  },
  {
    name: "--log-driver fluentd into a unix socket of the host",
    sources: [
      "https://docs.docker.com/engine/logging/drivers/fluentd/",
      "moby daemon/logger/fluentd/fluentd.go",
    ],
    attempt: (host) =>
      heard(host, (path) => [
        "--log-driver=fluentd",
        `--log-opt=fluentd-address=unix://${path}`,
      ]),
    proof: says("heard"),
  },
  {
    name: "--log-driver syslog to the host's loopback",
    sources: ["https://docs.docker.com/engine/logging/drivers/syslog/"],
    attempt: async (host) => {
      await host.docker(
        ...["run", "--network=none", "--name=to-loopback"],
        ...[
          "--log-driver=syslog",
          "--log-opt=syslog-address=tcp://127.0.0.1:7777",
        ],
        ...[IMAGE, "echo", "from the container"],
      );
      await host.docker(
        "inspect",
        "--format={{.State.ExitCode}}",
        "to-loopback",
      );
    },
    // It starts only if the engine reached the service.
    proof: says("from the container"),
  },
  {
    name: "--log-opt with a file's path: the engine reads it",
    sources: [
      "https://docs.docker.com/engine/logging/drivers/splunk/",
      "moby daemon/logger/splunk/splunk.go",
    ],
    attempt: async (host) => {
      // A certificate that is none: the engine's words tell what it read.
      await host.run(
        [
          "--log-driver=splunk",
          ...[
            "--log-opt=splunk-token=x",
            "--log-opt=splunk-url=https://127.0.0.1:1",
          ],
          `--log-opt=splunk-capath=${host.dir}/no-such-file`,
        ],
        "true",
      );
      if (/no-such-file: no such file/.test(host.output)) host.note("looked");
    },
    proof: says("looked"),
  },
];
