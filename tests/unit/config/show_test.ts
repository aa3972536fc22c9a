import { assertEquals } from "@std/assert";
import { DEFAULTS } from "../../../lib/config/config.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { parseOldImages } from "../../../lib/config/old_images.ts";
import {
  describeConfig,
  printConfig,
  summarizeConfig,
} from "../../../lib/config/show.ts";

Deno.test("show: what is printed means the same as a settings file", () => {
  const file = "x.toml";
  for (
    const config of [
      parseConfig(file, "enforce-nothing = true"),
      parseConfig(file, "[volumes]\n[images]\n[push]\n"),
      parseConfig(
        file,
        String.raw`[volumes]
         allow-user = ["a b", 'DOM\x', "\"'\u001b\u007f\t", "ü\u2028😀"]
         allow-group = ["[x]", "# y", "= z"]
         allow-bind = ["/srv/", "/home/*/data"]
         allow-classic-build = false
         enforce = false
         [images]
         whitelist = ['^quay\.io/(cni|node):', '\Qa.b\E', '''^"x'y"''']
         blacklist = ["^docker:"]
         default-allow = true
         allow-load = false
         [push]
         block-rhel = false
         name-prefixes = []
         registries = []`,
      ),
      parseConfig(file, "[volumes]\nallow-bind = []"),
      {
        volumes: { ...DEFAULTS.volumes, file },
        push: { ...DEFAULTS.push, file },
      },
      parseOldImages(file, '{"whitelist":["^a\\\\.b:"],"defaultAllow":true}'),
    ]
  ) assertEquals(parseConfig(file, printConfig(config)), config);
});

Deno.test("show: what is printed says where it comes from", () => {
  assertEquals(
    printConfig({
      ...parseConfig("/etc/x\ny.toml", "[volumes]"),
      push: DEFAULTS.push,
    }),
    `# /etc/x\\u000ay.toml
[volumes]
allow-classic-build = true
enforce = true
allow-user = []
allow-group = []

# default
[push]
block-rhel = true
name-prefixes = ["rhel"]
registries = ["registry.redhat.io","registry.access.redhat.com"]
enforce = true
allow-user = []
allow-group = []
`,
  );
  assertEquals(printConfig({}), "enforce-nothing = true\n");
});

Deno.test("show: the log has a line for each policy", () => {
  const lines = describeConfig(
    parseConfig("x.toml", "[volumes]\nenforce = false\n[push]"),
  );
  assertEquals(lines[0].startsWith("trying out [volumes] {"), true, lines[0]);
  assertEquals(lines[1], "not enforcing [images]");
  assertEquals(lines[2].startsWith("enforcing [push] {"), true, lines[2]);
});

Deno.test("show: long lists and texts are cut short in the log", () => {
  const { images } = parseConfig(
    "x.toml",
    "[images]\nwhitelist = ['^alpine:']\nblacklist = [\"^docker:\"]\n" +
      `allow-user = ["${"x".repeat(100_000)}"]`,
  );
  const whitelist = images!.whitelist.flatMap((one) => Array(30_000).fill(one));
  const [, line] = describeConfig({ images: { ...images!, whitelist } });
  assertEquals(line.length < 1000, true, line);
  assertEquals(line.includes('"^alpine:","… and 29992 more"]'), true, line);
  assertEquals(line.includes('"blacklist":["^docker:"]'), true, line);
});

Deno.test("show: what is enforced, in a few words", () => {
  for (
    const [text, expected] of [
      ["[volumes]\n[push]", "enforcing [volumes], [push]"],
      [
        "[volumes]\n[images]\nenforce = false",
        "enforcing [volumes]; trying out [images]",
      ],
      ["enforce-nothing = true", "enforcing nothing"],
    ]
  ) assertEquals(summarizeConfig(parseConfig("x.toml", text)), expected);
});
