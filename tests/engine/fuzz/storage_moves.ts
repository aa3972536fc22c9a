/** Storage, named otherwise, and what seems to make room for it. */

import fc from "fast-check";
import { fromValue, members, nodes, raw, string } from "./json.ts";
import { index, json, move, one, pick, pickString } from "./move.ts";

/** Other names for a path, and names that look like it. */
const pathForm = one<(path: string) => string>(
  (path) => path + "/",
  (path) => "/" + path,
  (path) => path.replaceAll("/", "//"),
  (path) => "/." + path,
  (path) => path + "/.",
  (path) => path + "/..",
  (path) => path + "/../data",
  (path) => "/a/.." + path,
  (path) => "/../.." + path,
  (path) => path.toUpperCase(),
  (path) => path.slice(1),
  (path) => "." + path,
  (path) => path + " ",
  (path) => path + "\u0000",
  (path) => path.replaceAll("/", "\\"),
  (path) => path + "/{{1}}/..",
  (path) => `/{{printf "a%cb" 47}}/..${path}`,
  (path) => "/{{.Task.Slot}}/.." + path,
  (path) => path + "{{/* */}}",
);

/** Fields that seem to cover a path, so that no volume would be made there. */
const cover = one<(path: string) => [key: string, value: unknown]>(
  (path) => ["Tmpfs", { [path]: "" }],
  (path) => ["Tmpfs", { [path]: null }],
  (path) => ["Mounts", [{ Type: "tmpfs", Target: path }]],
  (path) => ["Mounts", [{ Type: "bind", Source: "/tmp", Target: path }]],
  (path) => ["Mounts", [{ Type: "image", Source: "plain:1", Target: path }]],
  (path) => ["Mounts", [null, { Type: "tmpfs", Target: path }]],
  (path) => ["Binds", [`/tmp:${path}`]],
  (path) => ["Binds", [`/tmp:${path}:ro`]],
  (path) => ["Binds", [`/tmp:${path}:z,ro`]],
  (path) => ["Binds", [`${path}:/tmp`]],
  (path) => ["Binds", [`/tmp:/a:${path}`]],
);

/** Moves on the mounts, volumes and images in a JSON body. */
export const storageMoves = [
  move("path", [
    index,
    pathForm.map((form) => ({ form, toJSON: () => form("/p") })),
  ], (draft, at, { form }) => {
    const paths = nodes(json(draft)).filter((each) =>
      each.kind === "string" && each.text.startsWith("/")
    );
    const keys = members(json(draft)).map(({ member }) => member.key).filter((
      key,
    ) => key.text.startsWith("/"));
    const node = pick([...paths, ...keys], at);
    if (node?.kind === "string") node.text = form(node.text);
  }),
  move(
    "cover",
    [
      index,
      cover.map((field) => ({ field, toJSON: () => field("/p") })),
      fc.option(pathForm, { nil: (path: string) => path }).map((form) => ({
        form,
        toJSON: () => form("/p"),
      })),
      one("/data", "/x", "/old"),
    ],
    (draft, at, { field }, { form }, path) => {
      const [key, value] = field(form(path));
      const holders = members(json(draft)).filter(({ member }) =>
        /^(hostconfig|containerspec)$/i.test(member.key.text) &&
        member.value.kind === "object"
      ).map(({ member }) => member.value);
      const body = json(draft);
      const holder = holders.length > 0 ? pick(holders, at) : body;
      if (holder?.kind !== "object") return;
      const there = holder.members.find((each) =>
        each.key.text.toLowerCase() === key.toLowerCase()
      );
      const more = fromValue(value);
      if (there?.value.kind === "array" && more.kind === "array") {
        there.value.items.push(...more.items);
      } else if (there?.value.kind === "object" && more.kind === "object") {
        there.value.members.push(...more.members);
      } else holder.members.push({ key: string(key), value: more });
    },
  ),
  move(
    "mount type",
    [
      index,
      one(
        "Volume",
        "VOLUME",
        " volume",
        "volume ",
        "",
        "bind",
        "BIND",
        "tmpfs",
        "image",
        "cluster",
        "npipe",
        "volu\u006de",
        "vol\u00faume",
        "b\u0131nd",
        "tmpf\u017f",
        "null",
        "0",
      ),
    ],
    (draft, at, type) => {
      const found = pick(
        members(json(draft)).filter(({ member }) =>
          /^type$/i.test(member.key.text)
        ),
        at,
      );
      if (!found) return;
      if (type === "null" || type === "0") found.member.value = raw(type);
      else if (type === "" && at % 2) {
        found.of.splice(found.of.indexOf(found.member), 1);
      } else found.member.value = string(type);
    },
  ),
  move(
    "bind or name",
    [
      index,
      one<[string, string]>(
        ["", ":ro"],
        ["", ":z"],
        ["", ":"],
        ["", "::"],
        ["", ":rw,nocopy"],
        ["", ":volume-nocopy"],
        [":", ""],
        ["./", ""],
        [".", ""],
        ["~", ""],
        ["../", ""],
        [" ", ""],
        ["/tmp/../", ""],
        ["/:", ""],
        ["/tmp:", ""],
        ["\\", ""],
        ["C:\\", ""],
        ["//./pipe/", ""],
        ["{{1}}", ""],
        ["", "\u0000"],
        ["", ":/y"],
        ["file://", ""],
        ["/tmp\u0000:", ""],
      ),
    ],
    (draft, at, [before, after]) => {
      const node = pickString(draft, at);
      if (node?.kind === "string") node.text = before + node.text + after;
    },
  ),
  move(
    "image name",
    [
      one(
        (name: string) => name + "@",
        (name) => "docker.io/library/" + name,
        (name) => "library/" + name,
        (name) => "index.docker.io/" + name,
        (name) => name.toUpperCase(),
        (name) => name.split(":")[0],
        (name) => name + " ",
        (name) => "./" + name,
        (name) => "/" + name,
        (name) => name + "/json?x=",
        (name) => name + "%00",
        (name) => name + "\n",
        (name) => "../images/" + name,
        (name) => name + "/..",
        (name) => name.slice(0, 19),
        (name) => name.slice(7),
        (name) => "sha256:" + name.slice(7, 20),
      ).map((form) => ({
        form,
        toJSON: () => form("name:tag"),
      })),
    ],
    (draft, { form }) => {
      for (const { member } of members(json(draft))) {
        if (
          /^image$/i.test(member.key.text) && member.value.kind === "string"
        ) member.value.text = form(member.value.text);
      }
    },
  ),
];
