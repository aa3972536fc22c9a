import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { http2Warning } from "../../../lib/config/http2.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { parseOldVolumes } from "../../../lib/config/old_volumes.ts";
import {
  describeConfig,
  printConfig,
  showConfig,
  summarizeConfig,
} from "../../../lib/config/show.ts";
import {
  engineWarnings,
  reloadWarnings,
  startWarnings,
} from "../../../lib/config/warnings.ts";
import { problemLines } from "./problems.ts";

const toml = (text: string) => parseConfig("x.toml", text);

/** What is wrong with a file, by its lines. */
function mistakes(text: string): string[] {
  return problemLines(() => toml(text));
}

const OPS = '[for.ops]\nuser = ["bob"]\n';

Deno.test("for users: their keys, and everybody's for all others", () => {
  const config = toml(`
[volumes]
allow-bind = ["/srv/"]
allow-service = ["db"]
allow-user = ["root"]
[push]
name-prefixes = ["rhel", "ocp"]
[for.ops]
user = ["bob", "al"]
group = ["ops"]
[for.ops.volumes]
allow-bind = ["/srv/", "/opt/"]
[for.ops.push]
enforce = false
[for.ops.privileges]
allow-capabilities = ["NET_ADMIN"]
[for.interns]
group = ["interns"]
[for.interns.volumes]
allow-classic-build = false
`);
  const [ops, interns] = config.forUsers!;
  assertEquals([ops.name, ops.user, ops.group], ["ops", ["bob", "al"], [
    "ops",
  ]]);
  assertEquals(ops.sections.volumes, {
    ...config.volumes!,
    allowBind: ["/srv/", "/opt/"],
  });
  assertEquals(ops.sections.push, { ...config.push!, enforce: false });
  assertEquals(ops.sections.privileges?.allowCapabilities, ["NET_ADMIN"]);
  // It is on for them alone.
  assertEquals(config.privileges, undefined);
  assertEquals(interns.sections.privileges, undefined);
  assertEquals(interns.sections.volumes, {
    ...config.volumes!,
    allowClassicBuild: false,
  });
  // It is everybody's own, not a copy.
  assertEquals(interns.sections.push === config.push, true);
});

Deno.test("for users: what follows from a key follows from theirs", () => {
  const { forUsers } = toml(`
[images]
allow-load = false
${OPS}[for.ops.images]
default-allow = true
`);
  const { allowBuild, allowLoad } = forUsers![0].sections.images!;
  assertEquals([allowBuild, allowLoad], [true, false]);
});

Deno.test("for users: the file's order counts", () => {
  const names = ({ forUsers = [] }: Config) => forUsers.map(({ name }) => name);
  const text = `
[for.z.push]
block-rhel = false
[push]
[for.a]
user = ["a"]
[for.a.push]
enforce = false
[for.z]
user = ["z"]
`;
  assertEquals(names(toml(text)), ["z", "a"]);
  assertEquals(names(toml(printConfig(toml(text)))), ["z", "a"]);
});

Deno.test("for users: a policy can be on for some users alone", () => {
  const config = toml(`${OPS}[for.ops.volumes]`);
  assertEquals([config.volumes, !!config.forUsers![0].sections.volumes], [
    undefined,
    true,
  ]);
  assertEquals(startWarnings(config), []);
  assertEquals(
    summarizeConfig(config),
    "enforcing nothing; other settings in [for.ops]",
  );
});

Deno.test("for users: the old name of [volumes] counts", () => {
  const { forUsers } = toml(
    '[docker-novolume-plugin]\nallow-user = ["root"]\n' +
      `${OPS}[for.ops.volumes]\nallow-bind = []`,
  );
  assertEquals(forUsers![0].sections.volumes?.allowUser, ["root"]);
  assertEquals(
    problemLines(() =>
      parseOldVolumes("x", `[docker-novolume-plugin]\n${OPS}`)
    ),
    [
      "2: unknown section or key for: expected [volumes], [images], [push] or " +
      "[privileges]",
    ],
  );
});

Deno.test("for users: mistakes are named with their line", () => {
  for (
    const [text, expected] of [
      ["[for]\nuser = []", [
        "2: expected a table [for.NAME], with a NAME of up to 64 letters, " +
        'digits, "-" and "_" that begins with a letter',
      ]],
      ["[push]\n[for]", ["2: expected tables [for.NAME]"]],
      ["for = 1", ["1: expected tables [for.NAME]"]],
      ["[[for]]", ["1: expected tables [for.NAME]"]],
      [
        '[for."a b"]\n[for.1]\n[for.""]',
        [1, 2, 3].map((line) =>
          `${line}: expected a table [for.NAME], with a NAME of up to 64 ` +
          'letters, digits, "-" and "_" that begins with a letter'
        ),
      ],
      [
        "[for.x]\n[for.x.volumes]\n[for.y]\nuser = []\n[for.y.push]",
        [
          "1: [for.x] is for nobody: give it user = [...] or group = [...]",
          "3: [for.y] is for nobody: give it user = [...] or group = [...]",
        ],
      ],
      [
        '[for.x]\nuser = "bob"\ngroup = [""]\n',
        [
          '2: user is "bob": expected a list of strings, such as ["one", "two"]',
          '3: group is "": nobody has that name',
        ],
      ],
      [
        `${OPS}volume = true\n[for.ops.image]\n`,
        [
          "3: unknown key volume in [for.ops]: expected one of user, group, " +
          "volumes, images, push, privileges",
          "4: unknown key image in [for.ops]: expected one of user, group, " +
          "volumes, images, push, privileges",
        ],
      ],
      [
        `${OPS}[for.ops.volumes]\nallow-binds = []\nenforce = 1\n`,
        [
          "4: unknown key allow-binds in [for.ops.volumes]: expected one of " +
          "enforce, allow-user, allow-group, allow-classic-build, allow-bind, " +
          "allow-service",
          "5: enforce is 1: expected true or false",
        ],
      ],
      [`${OPS}volumes = 1`, ["3: expected a table [for.ops.volumes]"]],
      [
        `[volumes]\n${OPS}[for.ops.volumes]\nallow-user = []\n` +
        'allow-group = ["x"]\nallow-service = ["db"]\n',
        [
          "5: allow-user does not belong in [for.ops.volumes]: write user in " +
          "[for.ops], or, for who is exempt, allow-user in [volumes]",
          "6: allow-group does not belong in [for.ops.volumes]: write group in " +
          "[for.ops], or, for who is exempt, allow-group in [volumes]",
          "7: allow-service does not belong in [for.ops.volumes]: it is about " +
          "services, whoever made them: write it in [volumes]",
        ],
      ],
      // Mistakes in everybody's section are told once.
      [
        `[volumes]\nenforce = 1\nbad = 2\n${OPS}[for.ops.volumes]\n` +
        "allow-bind = []",
        [
          "2: enforce is 1: expected true or false",
          "3: unknown key bad in [volumes]: expected one of enforce, " +
          "allow-user, allow-group, allow-classic-build, allow-bind, " +
          "allow-service",
        ],
      ],
      [
        '[push]\n[for.a]\nuser = ["x", "y"]\n[for.b]\ngroup = ["g"]\n' +
        '[for.c]\nuser = ["y"]\ngroup = ["g"]\n[for.c.push]\nenforce = false\n',
        [
          "6: [for.c] can never apply: all that it names is named before, in " +
          "[for.a], [for.b]",
        ],
      ],
      [
        OPS,
        [
          "it has no section, so that nothing would be enforced: write " +
          "[volumes], [images], [push] or [privileges], or " +
          "enforce-nothing = true if that is meant",
        ],
      ],
      [
        `enforce-nothing = true\n${OPS}[for.ops.volumes]`,
        [
          "1: enforce-nothing = true goes with no section: remove it, or all " +
          "sections",
        ],
      ],
    ] as [string, string[]][]
  ) assertEquals(mistakes(text), expected, text);
});

Deno.test("for users: who is named before is not named for nothing", () => {
  const { forUsers } = toml(
    '[push]\n[for.a]\nuser = ["x"]\n[for.b]\nuser = ["x", "y"]\n' +
      '[for.c]\nuser = ["x"]\ngroup = ["x"]\n',
  );
  assertEquals(forUsers!.length, 3);
});

Deno.test("for users: what changes nothing is a warning with its line", () => {
  assertEquals(
    startWarnings(toml(
      `[push]\n[volumes]\nallow-bind = []\n${OPS}[for.ops.push]\n` +
        "block-rhel = true\n[for.ops.volumes]\n" +
        '[for.none]\ngroup = ["g"]\n[for.last]\nuser = ["l"]\n',
    )),
    [
      "x.toml:8:10: [for.ops.volumes] changes nothing: [volumes] says the same",
      "x.toml:6:10: [for.ops.push] changes nothing: [push] says the same",
      // [for.none] keeps its users out of what comes behind.
      "x.toml:11:6: [for.last] changes nothing: it has no section",
    ],
  );
});

Deno.test("for users: what is printed means the same as a settings file", () => {
  for (
    const text of [
      `[volumes]\n${OPS}group = ["a b", "c"]\n[for.ops.volumes]\nallow-bind = []`,
      `${OPS}[for.ops.volumes]\n[for.ops.images]\nwhitelist = ['^a\\.']`,
      `[images]\n${OPS}[for.ops.images]\ndefault-allow = true\n` +
      '[for.a]\nuser = ["a"]\n[for.a.privileges]\nrequire = ["memory"]\n' +
      "[for.a.push]\nregistries = []\n",
    ]
  ) {
    const { remarks: _, ...config } = toml(text);
    assertEquals(toml(printConfig(config)), config, text);
  }
});

Deno.test("for users: they are shown by what is other than everybody's", () => {
  const config = toml(
    `[volumes]\n[push]\n${OPS}[for.ops.volumes]\nenforce = false\n` +
      "[for.ops.images]\n",
  );
  const { for: shown } = showConfig(config);
  assertEquals(shown, {
    ops: {
      user: ["bob"],
      volumes: { enforce: false },
      images: {
        whitelist: [],
        blacklist: [],
        "default-allow": false,
        "allow-build": false,
        "allow-load": false,
        "allow-import": false,
        enforce: true,
      },
    },
  });
  assertEquals(
    summarizeConfig(config),
    "enforcing [volumes], [push]; other settings in [for.ops]",
  );
  assertEquals(
    describeConfig(config).at(-1),
    `other settings in [for.ops] ${JSON.stringify(shown.ops)}`,
  );
  assertEquals("for" in showConfig(toml("[volumes]")), false);
});

Deno.test("for users: warnings say whom they are about", async () => {
  const config = toml(
    "[volumes]\nallow-bind = []\n[privileges]\n" +
      `${OPS}[for.ops.privileges]\nallow-privileged = true\n`,
  );
  assertEquals(startWarnings(config), [
    "for the users of [for.ops]: allow-privileged = true: whoever may run " +
    "containers is root",
  ]);
  const onlyThem = toml(
    `${OPS}[for.ops.privileges]\nallow-buildkit = true\n` +
      "[for.ops.volumes]\nallow-bind = []",
  );
  const warnings = await engineWarnings(onlyThem, {
    file: "/nowhere",
    systemctl: () => Promise.reject(new Error("no systemd")),
  });
  assertEquals(warnings.length, 1);
});

Deno.test("for users: a reload that has less for them is told", () => {
  const before = toml(`[push]\n${OPS}[for.ops.volumes]\n`);
  for (
    const [after, expected] of [
      [`[push]\n${OPS}[for.ops.volumes]`, []],
      ["[push]", [
        "[for.ops] is gone: its users have what everybody has",
        "[volumes] in [for.ops] was enforced, and is off now",
      ]],
      ["[push]\n[volumes]", [
        "[for.ops] is gone: its users have what everybody has",
      ]],
      [
        `[push]\n${OPS}[for.ops.volumes]\nenforce = false`,
        ["[volumes] in [for.ops] was enforced, and is tried out now"],
      ],
      [`[push]\nenforce = false\n${OPS}[for.ops.volumes]`, [
        "[push] was enforced, and is tried out now",
      ]],
    ] as [string, string[]][]
  ) assertEquals(reloadWarnings(before, toml(after)), expected, after);
});

Deno.test("for users: HTTP/2 leaves nothing of their sections either", () => {
  const found = { version: "29.3.0", host: "unix:///x" };
  const text = `[volumes]\n${OPS}[for.ops.images]\n`;
  assertEquals(http2Warning(toml("[volumes]"), found), undefined);
  assertStringIncludes(
    http2Warning(toml(text), found) ?? "",
    "[images] can be got around on unix:///x",
  );
});
