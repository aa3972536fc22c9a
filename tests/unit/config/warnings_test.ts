import { assertEquals } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { parseOldImages } from "../../../lib/config/old_images.ts";
import {
  engineWarnings,
  reloadWarnings,
  startWarnings,
} from "../../../lib/config/warnings.ts";

const toml = (text: string) => parseConfig("x.toml", text);

const UNCOVERED = "[images] covers pulls, not what comes in by ";

Deno.test("warnings: doors that stand open beside lists", () => {
  const warnings: [config: Config, warnings: string[]][] = [
    [toml("enforce-nothing = true"), [
      "nothing is enforced: every policy is off",
    ]],
    [toml("[volumes]\n[push]"), []],
    [toml('[images]\nwhitelist = ["^alpine:"]'), []],
    // Nothing is refused, so that no door lets in what the lists keep out.
    [toml("[images]\ndefault-allow = true"), []],
    [
      toml('[images]\nblacklist = ["^docker:"]\ndefault-allow = true'),
      [
        `${UNCOVERED}build, load, import: allow-build = false, ` +
        "allow-load = false, allow-import = false closes that; an open " +
        "import also lets pulls by that are dressed up as one",
      ],
    ],
    [
      toml("[images]\nallow-load = true"),
      [`${UNCOVERED}load: allow-load = false closes that`],
    ],
    [
      parseOldImages("x.json", '{"whitelist":["^alpine:"]}'),
      [
        `${UNCOVERED}build, load: allow-build = false, allow-load = false ` +
        "closes that",
      ],
    ],
    [parseOldImages("x.json", '{"defaultAllow":true}'), []],
  ];
  for (const [config, expected] of warnings) {
    assertEquals(startWarnings(config), expected);
  }
});

Deno.test("warnings: a reload names each policy that does less than before", () => {
  const before = toml("[volumes]\n[push]\nenforce = false\n[images]");
  for (
    const [text, expected] of [
      ["[volumes]\n[push]\n[images]", []],
      ["[volumes]\n[push]\nenforce = false\n[images]\nenforce = false", [
        "[images] was enforced, and is tried out now",
      ]],
      ["enforce-nothing = true", [
        "[volumes] was enforced, and is off now",
        "[images] was enforced, and is off now",
        "[push] was tried out, and is off now",
      ]],
    ] as [string, string[]][]
  ) assertEquals(reloadWarnings(before, toml(text)), expected);
});

Deno.test("warnings: what makes [privileges] worth little", () => {
  const bind = "[volumes]\nallow-bind = []\n";
  const warnings: [text: string, beginning?: string][] = [
    [`${bind}[privileges]\n`],
    ["[privileges]\n", "[privileges] DOES NOT HOLD: bind mounts are open"],
    [
      "[volumes]\n[privileges]\n",
      "[privileges] DOES NOT HOLD: bind mounts are open",
    ],
    [
      `${bind}enforce = false\n[privileges]\n`,
      "[privileges] DOES NOT HOLD while enforce = false in [volumes]",
    ],
    [
      '[volumes]\nallow-bind = [{ path = "/a/*", below = false }, ' +
      '{ path = "/b/", read-only = true }]\n[privileges]\n',
    ],
    [
      '[volumes]\nallow-bind = ["/srv/data/"]\n[privileges]\n',
      "[privileges] does not hold against who can write below /srv/data/",
    ],
    ['[volumes]\nallow-bind = ["/srv/data/"]\n'],
    [
      `${bind}[privileges]\nallow-privileged = true\n`,
      "allow-privileged = true: whoever may run containers is root",
    ],
    [
      `${bind}[privileges]\nallow-classic-build = true\n`,
      "allow-classic-build = true in [privileges]: such a build can hide",
    ],
  ];
  for (const [text, beginning] of warnings) {
    const given = startWarnings(toml(text));
    assertEquals(
      given.map((warning) => warning.slice(0, beginning?.length)),
      beginning === undefined ? [] : [beginning],
      text,
    );
  }
});

Deno.test("warnings: what BuildKit's steps use", async () => {
  const file = await Deno.makeTempFile();
  const names = async (daemon: string, text: string) => {
    await Deno.writeTextFile(file, daemon);
    const warnings = await engineWarnings(toml(text), {
      ...{ file, systemctl: () => Promise.reject(new Error("no systemd")) },
    });
    return warnings
      .flatMap((warning) => warning.match(/"[a-z-]+": false/g) ?? []);
  };
  const closed = '{"builder":{"entitlements":{"network-host":false,' +
    '"device":false}}}';
  try {
    const [network, device] = ['"network-host": false', '"device": false'];
    const builds = "[privileges]\nallow-buildkit = true\n";
    assertEquals(await names("{}", builds), [network, device]);
    assertEquals(await names("no JSON", builds), [network, device]);
    assertEquals(await names(closed, builds), []);
    assertEquals(await names("{}", "[privileges]"), []);
    assertEquals(await names("{}", "[volumes]"), []);
    assertEquals(await names("{}", `${builds}[images]\n`), []);
    assertEquals(
      await names("{}", `${builds}allow-host = ["network"]`),
      [device],
    );
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("warnings: an engine that may open devices, and builds", async () => {
  const warned = async (state: string, policy: string, text: string) => {
    const warnings = await engineWarnings(toml(text), {
      file: "/nowhere",
      systemctl: () =>
        Promise.resolve(`LoadState=${state}\nDevicePolicy=${policy}\n`),
    });
    return warnings.some((warning) => warning.includes("DevicePolicy=closed"));
  };
  const builds = "[privileges]\nallow-buildkit = true\n";
  assertEquals(await warned("loaded", "auto", builds), true);
  assertEquals(await warned("loaded", "closed", builds), false);
  assertEquals(await warned("loaded", "strict", builds), false);
  assertEquals(await warned("not-found", "auto", builds), false);
  assertEquals(await warned("loaded", "auto", "[privileges]"), false);
});
