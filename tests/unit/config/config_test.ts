import { assertEquals, assertRejects } from "@std/assert";
import {
  type Config,
  ConfigError,
  loadConfig,
  parseConfig,
  parseOldImages,
  showConfig,
} from "../../../lib/config/config.ts";

/** `line: message` for each problem, in the lines' order. */
async function problems(read: () => Promise<unknown>): Promise<string[]> {
  const { problems } = await assertRejects(read, ConfigError) as ConfigError;
  return problems
    .toSorted((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0))
    .map(({ place, message }) => `${place?.line}: ${message}`);
}

/** Compares beginnings: what is expected instead grows with the program. */
async function assertProblems(
  text: string,
  beginnings: string[],
): Promise<void> {
  const given = await problems(() => parseConfig("x.toml", text));
  assertEquals(
    given.map((problem, i) => problem.slice(0, beginnings[i]?.length)),
    beginnings,
    text,
  );
}

/** A settings file's text, read; shown under the names of the file. */
async function shown(text: string): Promise<Record<string, unknown>> {
  return showConfig(await parseConfig("x.toml", text));
}

const VOLUMES = {
  from: "x.toml",
  "allow-classic-build": true,
  enforce: true,
  "allow-user": [],
  "allow-group": [],
};
const IMAGES = {
  from: "x.toml",
  whitelist: [],
  blacklist: [],
  "default-allow": false,
  "allow-build": false,
  "allow-load": false,
  "allow-import": false,
  enforce: true,
  "allow-user": [],
  "allow-group": [],
};
const PUSH = {
  from: "x.toml",
  "block-rhel": true,
  "name-prefixes": ["rhel"],
  registries: ["registry.redhat.io", "registry.access.redhat.com"],
  enforce: true,
  "allow-user": [],
  "allow-group": [],
};

Deno.test("config: a policy is on where its section stands", async () => {
  assertEquals(await shown(""), {});
  assertEquals(await shown("# [volumes]\n"), {});
  assertEquals(await shown("[volumes]"), { volumes: VOLUMES });
  assertEquals(await shown("[images]"), { images: IMAGES });
  assertEquals(await shown("[push]"), { push: PUSH });
  assertEquals(
    await shown("[push]\n[volumes]\n[images]\n"),
    { volumes: VOLUMES, images: IMAGES, push: PUSH },
  );
});

Deno.test("config: every key", async () => {
  assertEquals(
    await shown(`
[volumes]
  allow-user = ["dwalsh", 'DOM\\x']
  allow-group = [
    "storage", # behind a comma
    "domain users",
  ]
  allow-classic-build = false
  allow-bind = ["/srv/", "/home/*/data"]
  enforce = false
`),
    {
      volumes: {
        from: "x.toml",
        "allow-classic-build": false,
        "allow-bind": ["/srv/", "/home/*/data"],
        enforce: false,
        "allow-user": ["dwalsh", "DOM\\x"],
        "allow-group": ["storage", "domain users"],
      },
    },
  );
  assertEquals(
    await shown(`
[images]
whitelist = ["^alpine:", '^quay\\.io/calico/(cni|node):']
blacklist = ["^docker:"]
default-allow = true
allow-build = false
allow-user = ["a"]
[push]
block-rhel = false
name-prefixes = ["rhel", "openshift"]
registries = []
allow-group = ["g"]
`),
    {
      images: {
        ...IMAGES,
        whitelist: ["^alpine:", "^quay\\.io/calico/(cni|node):"],
        blacklist: ["^docker:"],
        "default-allow": true,
        "allow-build": false,
        // What is not said goes with the default.
        "allow-load": true,
        "allow-import": true,
        "allow-user": ["a"],
      },
      push: {
        ...PUSH,
        "block-rhel": false,
        "name-prefixes": ["rhel", "openshift"],
        registries: [],
        "allow-group": ["g"],
      },
    },
  );
});

Deno.test("config: every spelling that TOML has for it", async () => {
  const expected = { volumes: { ...VOLUMES, "allow-user": ["a"] } };
  for (
    const text of [
      '[volumes]\nallow-user = ["a"]\n',
      '[volumes]\r\nallow-user = ["a"]\r\n',
      '\t[ volumes ]\t# here\n\tallow-user=["a"]',
      '["volumes"]\n"allow-user" = ["a"]\n',
      "['volumes']\n'allow-user' = ['a']\n",
      'volumes.allow-user = ["a"]\n',
      'volumes = { allow-user = ["a"] }\n',
      'volumes = { "allow-user" = ["\\u0061"] }\n',
    ]
  ) {
    assertEquals(await shown(text), expected, text);
  }
});

Deno.test("config: the old table in place of [volumes]", async () => {
  assertEquals(
    await shown(
      '[docker-novolume-plugin]\n  allow-user = ["dwalsh"]\n  allow-group = []',
    ),
    { volumes: { ...VOLUMES, "allow-user": ["dwalsh"] } },
  );
  await assertProblems("[volumes]\n\n[docker-novolume-plugin]\n", [
    "3: [docker-novolume-plugin] is the old name of [volumes]: keep one of them",
  ]);
});

Deno.test("config: mistakes, each with its line and what was expected", async () => {
  const list = 'expected a list of strings, such as ["one", "two"]';
  for (
    const [text, ...beginnings] of [
      // Values of the wrong type.
      ['[volumes]\nallow-user = "a"', `2: allow-user is "a": ${list}`],
      ["[volumes]\n\nallow-user = 1", `3: allow-user is 1: ${list}`],
      ['[push]\nregistries = ["a", 1]', `2: registries is ["a",1]: ${list}`],
      ['[volumes]\nallow-user = [["a"]]', `2: allow-user is [["a"]]: ${list}`],
      ["[volumes.allow-user]\nx = 1", `1: allow-user is {"x":1}: ${list}`],
      [
        '[volumes]\nallow-classic-build = "no"',
        '2: allow-classic-build is "no": expected true or false',
      ],
      [
        "[push]\nblock-rhel = 1",
        "2: block-rhel is 1: expected true or false",
      ],
      [
        '[volumes]\nallow-bind = ["/srv", "data"]',
        '2: allow-bind is "data": expected absolute directories, such as "/srv/"',
      ],
      ["volumes = 5", "1: expected a table [volumes]"],
      ["[[volumes]]\nallow-user = []", "1: expected a table [volumes]"],
      // Unknown names.
      [
        "[volumes]\nallow-grup = []",
        "2: unknown key allow-grup in [volumes]: expected one of enforce, " +
        "allow-user, allow-group, allow-classic-build",
      ],
      [
        "[docker-novolume-plugin]\nallow-classic-build = false",
        "2: unknown key allow-classic-build in [docker-novolume-plugin]: " +
        "expected one of enforce, allow-user, allow-group",
      ],
      [
        "[volumes]\nAllow-User = []",
        "2: unknown key Allow-User in [volumes]: expected one of ",
      ],
      [
        "[volumes]\ntoString = 1\nconstructor = 2",
        "2: unknown key toString in [volumes]: ",
        "3: unknown key constructor in [volumes]: ",
      ],
      [
        "\n[image]\nwhitelist = []",
        "2: unknown section or key image: expected [volumes], [images] or [push]",
      ],
      [
        "[constructor]\n",
        "1: unknown section or key constructor: expected ",
      ],
      // Several at once.
      [
        '# all wrong\n[volumes]\nallow-user = "x"\nallow-classic-build = 1\n' +
        "foo = 1\n\n[imagez]\nx = 1\n",
        `3: allow-user is "x": ${list}`,
        "4: allow-classic-build is 1: expected true or false",
        "5: unknown key foo in [volumes]: ",
        "7: unknown section or key imagez: ",
      ],
      // The same key in two sections.
      [
        '[push]\nallow-user = []\n[volumes]\nallow-user = "x"\n',
        `4: allow-user is "x": ${list}`,
      ],
      // In other words.
      [
        '["volumes"]\n"allow-user" = 1\n\'allow-group\' = 2',
        `2: allow-user is 1: ${list}`,
        `3: allow-group is 2: ${list}`,
      ],
      [
        'volumes.allow-user = []\nvolumes."allow-group" = 5',
        `2: allow-group is 5: ${list}`,
      ],
      [
        "\nvolumes = { allow-user = 3, nope = true }",
        `2: allow-user is 3: ${list}`,
        "2: unknown key nope in [volumes]: ",
      ],
      [
        "[volumes]\r\nallow-user = []\r\nallow-grup = []\r\n" +
        "allow-classic-build = 0\r\n",
        "3: unknown key allow-grup in [volumes]: ",
        "4: allow-classic-build is 0: expected true or false",
      ],
      // Not taken for the key: comments, and what a list holds.
      [
        "[volumes] # allow-user = 1\n# allow-user = 2\nallow-user = 3",
        `3: allow-user is 3: ${list}`,
      ],
      [
        '[volumes]\nallow-user = [\n  "a",\n  "b",\n]\nallow-group = "x"',
        `6: allow-group is "x": ${list}`,
      ],
    ]
  ) {
    await assertProblems(text, beginnings);
  }
});

Deno.test("config: a pattern that does not compile, with its line", async () => {
  await assertProblems(
    '[images]\nwhitelist = [\n  "^alpine:",\n  "^(busybox:",\n]\n' +
      "blacklist = ['[z-a]']\n",
    ["4: whitelist: ", "6: blacklist: "],
  );
});

Deno.test("config: what is no TOML, with its line", async () => {
  for (
    const [text, line] of [
      ["[volumes]\nallow-user = \n", "3"],
      ['[volumes]\nallow-user = ["a"\nallow-group = []\n', "3"],
      ["[volumes]\n]\n", "2"],
      ["volumes\n", "1"],
    ]
  ) {
    const [first] = await problems(() => parseConfig("x.toml", text));
    assertEquals(/^\d+/.exec(first)?.[0], line, text);
  }
});

Deno.test("config: the message says file and line, a line a problem", async () => {
  const error = await assertRejects(
    () => parseConfig("/etc/x.toml", "[volumes]\na = 1\nb = 2\n"),
    ConfigError,
  );
  assertEquals(
    error.message.split("\n").map((line: string) => line.slice(0, 30)),
    ["/etc/x.toml:2:1: unknown key a", "/etc/x.toml:3:1: unknown key b"],
  );
});

Deno.test("config: docker-image-policy's JSON", async () => {
  const images = {
    ...IMAGES,
    from: "x.json",
    // As they were with it.
    "allow-build": true,
    "allow-load": true,
  };
  const read = async (text: string) =>
    showConfig(await parseOldImages("x.json", text));
  assertEquals(await read("{}"), { images });
  assertEquals(
    await read(`{
      "whitelist": ["^alpine:"],
      "blacklist": ["^docker:"],
      "defaultAllow": true,
      "comment": "other keys are ignored, as they were"
    }`),
    {
      images: {
        ...images,
        whitelist: ["^alpine:"],
        blacklist: ["^docker:"],
        "default-allow": true,
      },
    },
  );
  assertEquals(
    await read('{"WhiteList":["^a:"],"DEFAULTALLOW":true,"blacklist":null}'),
    { images: { ...images, whitelist: ["^a:"], "default-allow": true } },
  );
  for (
    const [text, line] of [
      ['{"whitelist":\n"^alpine:"}', "1"],
      ['{\n"blacklist": ["^a:",\n"("]}', "3"],
      ['{\n\n"defaultAllow": "yes"}', "3"],
      ['{\n"whitelist": [],\n}', "3"],
      ["null", "1"],
    ]
  ) {
    const given = await problems(() => parseOldImages("x.json", text));
    assertEquals(given.map((problem) => /^\w+/.exec(problem)?.[0]), [line]);
  }
});

/** Runs with files of these texts in a directory of its own. */
async function withFiles(
  texts: { config?: string; volumes?: string; images?: string },
  test: (
    files: Parameters<typeof loadConfig>[1] & object,
    directory: string,
  ) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const files = {
    config: `${directory}/new.toml`,
    old: {
      volumes: `${directory}/novolume.conf`,
      images: `${directory}/image-policy.json`,
    },
  };
  try {
    for (
      const [file, text] of [
        [files.config, texts.config],
        [files.old.volumes, texts.volumes],
        [files.old.images, texts.images],
      ] as const
    ) {
      if (text !== undefined) Deno.writeTextFileSync(file, text);
    }
    await test(files, directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function sections(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(showConfig(config)).map(([name, section]) => [
      name,
      String((section as { from: string }).from).replace(/.*\//, ""),
    ]),
  );
}

Deno.test("config: which file counts", async () => {
  const novolume = "[docker-novolume-plugin]\n";
  for (
    const [texts, expected] of [
      [{}, { volumes: "default", push: "default" }],
      [{ config: "[images]\n" }, { images: "new.toml" }],
      [{ config: "" }, {}],
      [{ volumes: novolume }, { volumes: "novolume.conf" }],
      [{ images: "{}" }, { images: "image-policy.json" }],
      [
        { volumes: novolume, images: "{}" },
        { volumes: "novolume.conf", images: "image-policy.json" },
      ],
      // The new one replaces them all, however bad they are.
      [
        { config: "[push]\n", volumes: "?", images: "?" },
        { push: "new.toml" },
      ],
    ] as const
  ) {
    await withFiles(texts, async (files) =>
      assertEquals(
        sections(await loadConfig(undefined, files)),
        expected,
        JSON.stringify(texts),
      ));
  }
});

Deno.test("config: --config names the file, and its form", async () => {
  await withFiles(
    { config: "[volumes]\n", images: '{"whitelist":["^a:"]}' },
    async (files, directory) => {
      assertEquals(sections(await loadConfig(files.config)), {
        volumes: "new.toml",
      });
      assertEquals(
        sections(await loadConfig(files.old.images)),
        { images: "image-policy.json" },
      );
      assertEquals(
        (await problems(() => loadConfig(`${directory}/missing.toml`)))[0]
          .startsWith("undefined: can't be read: "),
        true,
      );
    },
  );
});

Deno.test("config: a file that is there and can't be read is a mistake", async () => {
  await withFiles({ volumes: "[docker-novolume-plugin]\n" }, async (files) => {
    Deno.symlinkSync("/nowhere/at/all", files.config);
    const [problem, ...others] = await problems(() =>
      loadConfig(undefined, files)
    );
    assertEquals(problem.startsWith("undefined: can't be read: "), true);
    assertEquals(others, []);
  });
  await withFiles({}, async (files) => {
    Deno.mkdirSync(files.config);
    await assertRejects(() => loadConfig(undefined, files), ConfigError);
  });
});
