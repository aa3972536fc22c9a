/** Privileges, spelt otherwise, and what seems to say that there are none. */

import { copy, fromValue, members, nodes, raw, string } from "./json.ts";
import {
  fold,
  index,
  json,
  mask,
  move,
  one,
  pick,
  pickString,
} from "./move.ts";

/** Another spelling of an option's value, and what looks like it. */
const valueForm = one<(value: string) => string>(
  (value) => value.toUpperCase(),
  (value) => value.toLowerCase(),
  (value) => `CAP_${value}`,
  (value) => `cap_${value}`,
  (value) => value.replace(/^CAP_/i, ""),
  (value) => `${value} `,
  (value) => ` ${value}`,
  (value) => `${value}\0`,
  (value) => `${value},`,
  (value) => `${value}:`,
  (value) => `${value}=`,
  (value) => value.replace("=", ":"),
  (value) => value.replace(":", "="),
  (value) => value.replace("=", "=="),
  (value) => `${value}/`,
  (value) => `/${value}`,
  (value) => value.replaceAll("/", "//"),
  (value) => value.replace("/dev/", "/dev/shm/../"),
  (value) => value.replace("/tmp", "/proc/self/root/tmp"),
  (value) => value.replace("/tmp", "/proc/1/root/tmp"),
  (value) => value.replace("/tmp", "/var/../tmp"),
  (value) => value.replaceAll(".", "/"),
  (value) => value.replace(":ro", ":rw,rshared"),
  (value) => `${value}:rw,z,shared`,
  (value) => value.replace("host", "HOST"),
  (value) => value.replace("host", "container:"),
  (value) => value.replace("container:", "container::"),
  (value) => value.replace("unconfined", "Unconfined"),
  () => "host",
  () => "",
  () => "default",
  () => "private",
);

/** What nobody may have, wherever it is put. */
const privilege = one<[key: string, value: unknown]>(
  ["Privileged", true],
  ["CapAdd", ["SYS_ADMIN"]],
  ["Capabilities", ["CAP_SYS_ADMIN"]],
  ["PidMode", "host"],
  ["NetworkMode", "host"],
  ["IpcMode", "host"],
  ["UTSMode", "host"],
  ["SecurityOpt", ["seccomp=unconfined"]],
  ["MaskedPaths", []],
  ["ReadonlyPaths", []],
  ["Sysctls", { "net.ipv4.ip_forward": "0" }],
  ["Devices", [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x" }]],
  ["DeviceCgroupRules", ["a *:* rwm"]],
  ["CgroupParent", "elsewhere"],
  ["OomScoreAdj", -500],
  ["Binds", ["/tmp:/x"]],
  ["Mounts", [{ Type: "bind", Source: "/tmp", Target: "/x" }]],
  ["Runtime", "io.containerd.runc.v2"],
  ["Annotations", { "a": "b" }],
  ["LogConfig", { Type: "syslog", Config: {} }],
  ["Cgroup", "container:plain"],
  ["CapabilityAdd", ["CAP_SYS_ADMIN"]],
  ["Privileges", { Seccomp: { Mode: "unconfined" } }],
  ["HostConfig", { Privileged: true }],
  ["Resources", { Devices: [{ PathOnHost: "/dev/null" }] }],
);

/** What stands where an object's own fields could be expected. */
const EMBEDDED = ["Resources", "HostConfig", "hostConfig", "Config", ""];

/** What says that it is true, and what does not. */
const truth = one("true", "false", "null", '"true"', "1", "[true]", "{}", "0");

/** Moves on what a body asks for. */
export const privilegeMoves = [
  move(
    "value",
    [
      index,
      valueForm.map((form) => ({ form, toJSON: () => form("host") })),
    ],
    (draft, at, { form }) => {
      const node = pickString(draft, at);
      if (node?.kind === "string") node.text = form(node.text);
    },
  ),
  move(
    "one more privilege",
    [index, privilege, mask, one(true, false)],
    (draft, at, [key, value], bits, first) => {
      const objects = nodes(json(draft)).filter((each) =>
        each.kind === "object"
      );
      const object = pick(objects, at);
      if (object?.kind !== "object") return;
      const member = {
        key: string(fold(key, bits, true)),
        value: fromValue(value),
      };
      if (first) object.members.unshift(member);
      else object.members.push(member);
    },
  ),
  move("truth", [index, truth], (draft, at, value) => {
    const found = pick(
      members(json(draft)).filter(({ member }) =>
        member.value.kind === "raw" && /^(true|false)$/.test(member.value.text)
      ),
      at,
    );
    if (found) found.member.value = raw(value);
  }),
  move(
    "truth twice",
    [index, truth, mask, one(true, false)],
    (draft, at, value, bits, first) => {
      const found = pick(members(json(draft)), at);
      if (!found) return;
      const { of, member } = found;
      of.splice(of.indexOf(member) + (first ? 0 : 1), 0, {
        key: string(fold(member.key.text, bits, true)),
        value: raw(value),
      });
    },
  ),
  // Go reads the fields of an embedded struct beside its own.
  move("fields one level deeper", [index, index], (draft, at, to) => {
    const found = pick(
      members(json(draft)).filter(({ member }) =>
        member.value.kind === "object"
      ),
      at,
    );
    if (found?.member.value.kind !== "object") return;
    const object = found.member.value;
    const inner = copy(object);
    object.members.push({
      key: string(pick(EMBEDDED, to) ?? ""),
      value: inner,
    });
    if (to % 2) object.members.splice(0, object.members.length - 1);
  }),
  move(
    "fields one level higher",
    [index, one(true, false)],
    (draft, at, keep) => {
      const body = json(draft);
      const found = pick(
        members(body).filter(({ member }) => member.value.kind === "object"),
        at,
      );
      if (
        found?.member.value.kind !== "object" || body.kind !== "object"
      ) return;
      found.of.push(...found.member.value.members.map(copyMember));
      if (!keep) found.of.splice(found.of.indexOf(found.member), 1);
    },
  ),
  move(
    "version",
    [one("/v1.24", "/v1.25", "/v1.39", "/v1.40", "/v1.41", "/v1.43", "")],
    (draft, version) => {
      draft.version = version;
    },
  ),
];

function copyMember<T extends { key: unknown; value: unknown }>(member: T): T {
  return structuredClone(member);
}
