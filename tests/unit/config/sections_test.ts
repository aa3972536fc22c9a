import { assertEquals } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import { showConfig } from "../../../lib/config/show.ts";
import { problemLines, problems } from "./problems.ts";

/** Compares beginnings: what is expected instead grows with the program. */
function assertProblems(text: string, beginnings: string[]): void {
  const given = problemLines(() => parseConfig("x.toml", text));
  assertEquals(
    given.map((problem, i) => problem.slice(0, beginnings[i]?.length)),
    beginnings,
    text,
  );
}

/** A settings file's text, read; shown under the names of the file. */
function shown(text: string): Record<string, unknown> {
  return showConfig(parseConfig("x.toml", text));
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

Deno.test("sections: a policy is on where its section stands", () => {
  assertEquals(shown("enforce-nothing = true"), {});
  assertEquals(shown("# [volumes]\nenforce-nothing = true"), {});
  assertEquals(shown("[volumes]"), { volumes: VOLUMES });
  assertEquals(shown("[images]"), { images: IMAGES });
  assertEquals(shown("[push]"), { push: PUSH });
  assertEquals(
    shown("[push]\n[volumes]\n[images]\n"),
    { volumes: VOLUMES, images: IMAGES, push: PUSH },
  );
});

Deno.test("sections: every key", () => {
  assertEquals(
    shown(`
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
    shown(`
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

Deno.test("sections: every spelling that TOML has for it", () => {
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
    assertEquals(shown(text), expected, text);
  }
});

Deno.test("sections: the old table in place of [volumes]", () => {
  assertEquals(
    shown(
      '[docker-novolume-plugin]\n  allow-user = ["dwalsh"]\n  allow-group = []',
    ),
    { volumes: { ...VOLUMES, "allow-user": ["dwalsh"] } },
  );
  assertProblems("[volumes]\n\n[docker-novolume-plugin]\n", [
    "3: [docker-novolume-plugin] is the old name of [volumes]: keep one of them",
  ]);
});

Deno.test("sections: mistakes, each with its line and what was expected", () => {
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
        "2: unknown section or key image: expected [volumes], [images], [push] or [privileges]",
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
    assertProblems(text, beginnings);
  }
});

Deno.test("sections: a pattern that does not compile, with its line", () => {
  assertProblems(
    '[images]\nwhitelist = [\n  "^alpine:",\n  "^(busybox:",\n]\n' +
      "blacklist = ['[z-a]']\n",
    ["4: whitelist: ", "6: blacklist: "],
  );
});

Deno.test("sections: values that would mean something else than they look", () => {
  for (
    const [text, ...expected] of [
      // Every entry that is wrong, and no other.
      [
        '[volumes]\nallow-bind = ["/srv", "data", "/**/x",\n"/x/*y/", "/*/x", ""]',
        '2:23: allow-bind is "data": expected absolute directories, such as ' +
        '"/srv/"',
        `2:31: allow-bind is "/**/x": ${ONE_DIRECTORY}`,
        `3:1: allow-bind is "/x/*y/": ${ONE_DIRECTORY}`,
        '3:19: allow-bind is "": expected absolute directories, such as "/srv/"',
      ],
      [
        '[push]\nregistries = ["registry.redhat.io", "https://r.example/",\n' +
        '"r.example/", "r.example:5000/redhat", "", " r.example"]',
        `2:37: registries is "https://r.example/": ${HOST}`,
        `3:1: registries is "r.example/": ${HOST}`,
        `3:40: registries is "": ${HOST}`,
        `3:44: registries is " r.example": ${HOST}`,
      ],
      [
        "[push]\n\nname-prefixes = []",
        "3:1: name-prefixes is []: nothing would count as RHEL; write " +
        "block-rhel = false if that is meant",
      ],
      [
        '[push]\nname-prefixes = ["rhel", ""]',
        '2:26: name-prefixes is "": every name begins with it',
      ],
      [
        '[images]\nwhitelist = ["^a:", ""]\nblacklist = [\'\']',
        '2:21: whitelist: pattern "" matches every image: leave it out, or ' +
        "set default-allow",
        '3:14: blacklist: pattern "" matches every image: leave it out, or ' +
        "set default-allow",
      ],
      // A word boundary for RE2, a backspace for TOML.
      [
        '[images]\nblacklist = ["\\bdocker:"]',
        '2:14: blacklist: pattern "\\bdocker:" has a control character, which ' +
        "no name has: write patterns in 'single quotes'",
      ],
    ]
  ) assertEquals(problems(() => parseConfig("x.toml", text)), expected, text);
  assertEquals(shown("[push]\nname-prefixes = []\nblock-rhel = false"), {
    push: { ...PUSH, "name-prefixes": [], "block-rhel": false },
  });
});

const ONE_DIRECTORY = 'a "*" stands for any one directory, and must be all ' +
  'of its name: "/home/*/data"';
const HOST = "give the host only, as in the name of an image: " +
  '"registry.redhat.io"';

const PRIVILEGES = {
  from: "x.toml",
  "allow-privileged": false,
  "allow-capabilities": [],
  "allow-devices": [],
  "allow-host": [],
  "allow-join": [],
  "allow-security-opt": [],
  "allow-sysctls": [],
  "allow-runtimes": [],
  "allow-log-drivers": [],
  "allow-volume-drivers": [],
  "allow-cgroup-parents": [],
  require: [],
  "allow-plugins": false,
  "allow-swarm": false,
  "allow-classic-build": false,
  "allow-buildkit": false,
  enforce: true,
  "allow-user": [],
  "allow-group": [],
};

Deno.test("sections: [privileges]", () => {
  assertEquals(shown("[privileges]"), { privileges: PRIVILEGES });
  const keys = {
    ...PRIVILEGES,
    "allow-privileged": true,
    "allow-capabilities": ["NET_ADMIN", "cap_sys_time", "ALL"],
    "allow-devices": ["/dev/fuse", "gpu"],
    "allow-host": ["network", "mount"],
    "allow-join": ["pid"],
    "allow-security-opt": ["seccomp=unconfined"],
    require: ["user", "memory"],
    "allow-swarm": true,
  };
  const { from: _, ...written } = keys;
  const lines = Object.entries(written)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  assertEquals(shown(`[privileges]\n${lines.join("")}`), { privileges: keys });
  assertProblems(
    '[privileges]\nallow-host = ["net"]\nallow-join = ["uts"]\n' +
      'require = ["root"]\nallow-capabilities = ["CAP NET"]\nallow-all = 1\n',
    [
      '2: allow-host is "net": expected one of network, pid, ipc, uts, user, ' +
      "cgroup, mount",
      '3: allow-join is "uts": expected one of network, pid, ipc',
      '4: require is "root": expected one of no-new-privileges, read-only, user',
      '5: allow-capabilities is "CAP NET": expected the name of a capability',
      "6: unknown key allow-all in [privileges]: ",
    ],
  );
});

Deno.test("sections: entries of allow-bind that say more", () => {
  const entries = [
    "/srv/",
    { path: "/etc/pki/", "read-only": true, below: true },
    { path: "/srv/*", "read-only": false, below: false },
  ];
  const inline = '[volumes]\nallow-bind = ["/srv/", ' +
    '{ path = "/etc/pki/", read-only = true }, ' +
    '{ path = "/srv/*", below = false }]\n';
  assertEquals(shown(inline).volumes, {
    ...VOLUMES,
    "allow-bind": entries,
  });
  const tables = '[[volumes.allow-bind]]\npath = "/etc/pki/"\n' +
    'read-only = true\n[[volumes.allow-bind]]\npath = "/srv/*"\n' +
    "below = false\n";
  assertEquals(shown(tables).volumes, {
    ...VOLUMES,
    "allow-bind": entries.slice(1),
  });
  for (
    const wrong of [
      "{ path = 1 }",
      '{ path = "/x", read-only = 1 }',
      '{ path = "/x", readonly = true }',
      "{ read-only = true }",
      "1",
      '["/x"]',
    ]
  ) {
    assertProblems(`[volumes]\nallow-bind = [${wrong}]\n`, [
      "2: allow-bind is ",
    ]);
  }
  assertProblems('[volumes]\nallow-bind = [{ path = "srv" }]\n', [
    '2: allow-bind is "srv": expected absolute directories',
  ]);
});
