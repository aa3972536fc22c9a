import { assertEquals, assertMatch } from "@std/assert";
import {
  type BindEntry,
  checkBind,
  DANGEROUS_PLACES,
  readBindDirectory,
} from "../../../../lib/policy/rules/binds.ts";
import { cleanPath } from "../../../../lib/policy/rules/paths.ts";

/** Follows links out of a table: each folder in it is a link to its value, undefined for one to nowhere. */
function followBy(links: Record<string, string | undefined>) {
  return (path: string): string | undefined => {
    for (const [link, target] of Object.entries(links)) {
      if (path === link || path.startsWith(`${link}/`)) {
        return target === undefined
          ? undefined
          : (target + path.slice(link.length)).replace(/^\/\//, "/");
      }
    }
    return path;
  };
}

/** What is said of a source; undefined if it may be mounted. */
function said(
  source: string,
  allowed: string[],
  links: Record<string, string | undefined> = {},
): string | undefined {
  const follow = followBy(links);
  const directories = allowed.map(readBindDirectory).map((directory) => ({
    ...directory,
    real: follow(directory.fixed),
  }));
  const path = { real: follow(cleanPath(source)) };
  return checkBind({ source, readOnly: false }, path, directories)?.message;
}

function allows(
  allowed: string[],
  table: [source: string, allowed: boolean][],
  links: Record<string, string | undefined> = {},
) {
  for (const [source, expected] of table) {
    assertEquals(
      said(source, allowed, links) === undefined,
      expected,
      `${source} under ${allowed.join(", ")}`,
    );
  }
}

Deno.test("binds: a directory and what lies under it", () => {
  for (const allowed of ["/srv", "/srv/", "/srv/.", "//srv//", "/x/../srv"]) {
    allows([allowed], [
      ["/srv", true],
      ["/srv/", true],
      ["/srv/a", true],
      ["/srv/a/b", true],
      ["/srvx", false],
      ["/sr", false],
      ["/", false],
      ["/etc", false],
      ["/home/srv", false],
    ]);
  }
});

Deno.test("binds: . and .. are cleaned away first", () => {
  allows(["/srv/"], [
    ["/srv/./a", true],
    ["//srv//a", true],
    ["/srv/a/../b", true],
    ["/etc/../srv/a", true],
    ["/../srv", true],
    ["/srv/..", false],
    ["/srv/../etc", false],
    ["/srv/a/../../etc", false],
    ["/srv/a/..", true],
    ["/srv/...", true],
    ["/srv/..a", true],
  ]);
});

Deno.test("binds: several directories, or none", () => {
  allows(["/srv", "/opt/data"], [
    ["/srv/a", true],
    ["/opt/data/a", true],
    ["/opt/a", false],
  ]);
  allows([], [["/srv", false], ["/", false]]);
  allows(["/"], [["/", true], ["/etc/shadow", true]]);
});

Deno.test("binds: * stands for one component", () => {
  allows(["/home/*/share/"], [
    ["/home/ann/share", true],
    ["/home/ann/share/a/b", true],
    ["/home/*/share", true],
    ["/home/ann", false],
    ["/home/ann/shared", false],
    ["/home/ann/x/share", false],
    ["/home/share", false],
    ["/home//share", false],
    ["/home/../share", false],
    ["/home/ann/../share", false],
    ["/home/ann/share/../private", false],
    ["/home/ann/../bob/share", true],
  ]);
  allows(["/*"], [["/etc", true], ["/etc/x", true], ["/", false]]);
  allows(["/*/data"], [["/srv/data", true], ["/srv/x/data", false]]);
  allows(["/a/*/*/z"], [["/a/b/c/z", true], ["/a/b/z", false]]);
});

Deno.test("binds: a star beside other letters is a letter", () => {
  allows(["/srv/a*", "/srv/**", "/srv/*b/*"], [
    ["/srv/ab", false],
    ["/srv/a*", true],
    ["/srv/x", false],
    ["/srv/**", true],
    ["/srv/**/x", true],
    ["/srv/xb/c", false],
    ["/srv/*b/c", true],
    ["/srv/*b", false],
  ]);
  allows(["/srv/[ab]", "/srv/?", "/srv/.*"], [
    ["/srv/a", false],
    ["/srv/[ab]", true],
    ["/srv/?", true],
    ["/srv/.hidden", false],
  ]);
});

Deno.test("binds: links in the source are followed before it is compared", () => {
  const links = {
    "/srv/out": "/etc",
    "/srv/in": "/srv/other",
    "/shortcut": "/srv/a",
    "/srv/nowhere": undefined,
    "/srv/up": "/",
  };
  allows(["/srv"], [
    ["/srv/out", false],
    ["/srv/out/passwd", false],
    ["/srv/in", true],
    ["/srv/in/x", true],
    ["/shortcut", true],
    ["/shortcut/x", true],
    ["/srv/nowhere", false],
    ["/srv/up/srv", true],
    ["/srv/up/etc", false],
    ["/srv/up", false],
    // By the text alone, as the engine cleans it: the link is gone before it is followed.
    ["/srv/out/../a", true],
  ], links);
  allows(["/home/*/share"], [
    ["/home/ann/share", false],
    ["/home/bob/share", false],
    ["/home/eve/share", true],
  ], { "/home/ann/share": "/etc", "/home/bob": "/export/bob" });
});

Deno.test("binds: links in the fixed part of a directory are followed as well", () => {
  const links = { "/srv": "/export/srv", "/home": "/export/home" };
  allows(["/srv/", "/home/*/share"], [
    ["/srv/a", true],
    ["/export/srv/a", true],
    ["/export/a", false],
    ["/home/ann/share/x", true],
    ["/export/home/ann/share", true],
    ["/export/home/ann", false],
  ], links);
  // One that leads nowhere allows nothing, not what stands under its own name.
  allows(["/gone"], [["/gone", false], ["/gone/a", false]], {
    "/gone": undefined,
  });
});

Deno.test("binds: a denial says what, where it leads, and what would do", () => {
  assertEquals(
    said("/etc", ["/srv/", "/home/*/share/"]),
    "bind mount of /etc is not allowed: only below /srv/, /home/*/share/",
  );
  assertEquals(
    said("/srv/out", ["/srv/"], { "/srv/out": "/etc" }),
    "bind mount of /srv/out (/etc) is not allowed: only below /srv/",
  );
  assertEquals(
    said("/srv/out", ["/srv/"], { "/srv/out": undefined }),
    "bind mount of /srv/out is not allowed: only below /srv/",
  );
  assertEquals(
    said("/etc/", []),
    "bind mount of /etc/ is not allowed: only below no directory at all",
  );
  const control = said("/e\u001b[2Jtc\nx", ["/srv"]) ?? "";
  assertEquals(
    // deno-lint-ignore no-control-regex -- none may be left
    /[\u0000-\u001f]/.test(control),
    false,
    control,
  );
});

Deno.test("binds: what can't be followed is said", () => {
  const problem = "too many links to follow";
  const srv = { ...readBindDirectory("/srv"), real: "/srv" };
  assertEquals(
    checkBind({ source: "/srv/a", readOnly: false }, { problem }, [srv])
      ?.message,
    "bind mount of /srv/a is not allowed: too many links to follow",
  );
  // A directory that can't be followed allows nothing, and is not the reason.
  const etc = { ...readBindDirectory("/etc"), problem };
  assertEquals(
    checkBind({ source: "/srv/a", readOnly: false }, { real: "/srv/a" }, [
      etc,
      srv,
    ]),
    undefined,
  );
  assertEquals(
    checkBind({ source: "/etc/a", readOnly: false }, { real: "/etc/a" }, [
      etc,
      srv,
    ])?.message,
    "bind mount of /etc/a is not allowed: only below /etc, /srv",
  );
});

Deno.test("binds: long and hostile sources are read quickly", () => {
  const begin = performance.now();
  const allowed = ["/home/*/share/", "/" + "*/".repeat(200) + "x"];
  for (
    const source of [
      "/" + "a/".repeat(100_000),
      "/" + "../".repeat(100_000) + "etc",
      "/" + "*".repeat(500_000),
      "/home/" + "/".repeat(500_000) + "etc",
    ]
  ) {
    assertMatch(said(source, allowed) ?? "", /^bind mount of /);
  }
  const took = performance.now() - begin;
  assertEquals(took < 2000, true, `${took} ms`);
});

Deno.test("binds: a hostile directory in the settings is read quickly, too", () => {
  const begin = performance.now();
  for (const part of ["*a/", "/*", "*", "a*/", "**/"]) {
    const allowed = ["/" + part.repeat(20_000)];
    assertMatch(said("/etc", allowed) ?? "", /^bind mount of /, part);
  }
  const took = performance.now() - begin;
  assertEquals(took < 2000, true, `${took} ms`);
});

Deno.test("binds: what a directory is before its first star", () => {
  for (
    const [written, fixed, rest] of [
      ["/", "/", []],
      ["/srv/", "/srv", []],
      ["//srv/./a/../b", "/srv/b", []],
      ["/*", "/", ["*"]],
      ["/home/*/share/*", "/home", ["*", "share", "*"]],
      ["/a*/b", "/a*/b", []],
    ] as [string, string, string[]][]
  ) {
    assertEquals(readBindDirectory(written), {
      ...{ written, fixed, rest, readOnly: false, below: true },
    });
  }
});

Deno.test("binds: a directory that is really called * is no wildcard", () => {
  const links = { "/srv": "/export/*" };
  allows(["/srv"], [["/export/*/a", true], ["/export/x/a", false]], links);
});

/** What is said of mounts that can write and can't, with these places. */
function saidOf(
  source: string,
  readOnly: boolean,
  allowed: BindEntry[],
): string | undefined {
  const directories = allowed.map(readBindDirectory)
    .map((directory) => ({ ...directory, real: directory.fixed }));
  const bind = { source, readOnly };
  return checkBind(bind, { real: source }, directories, DANGEROUS_PLACES)
    ?.message;
}

Deno.test("binds: read-only where the entry says so", () => {
  const pki = { path: "/etc/pki/", readOnly: true };
  const refused = (path: string) =>
    `bind mount of ${path} is not allowed: only read-only`;
  assertEquals(saidOf("/etc/pki/a", true, [pki]), undefined);
  assertEquals(saidOf("/etc/pki/a", false, [pki]), refused("/etc/pki/a"));
  assertEquals(saidOf("/etc/pki/a", false, [pki, "/etc/pki/a"]), undefined);
  assertEquals(saidOf("/srv/a", false, ["/srv/", pki]), undefined);
  assertEquals(
    saidOf("/opt", true, ["/srv/", pki]),
    "bind mount of /opt is not allowed: only below /srv/, /etc/pki/",
  );
});

Deno.test("binds: a directory without what lies below it", () => {
  const allowed = [{ path: "/srv/*", below: false }, {
    path: "/opt",
    below: false,
    readOnly: true,
  }];
  const refused = (path: string) =>
    `bind mount of ${path} is not allowed: only below /srv/*, /opt`;
  assertEquals(saidOf("/srv/ann", false, allowed), undefined);
  assertEquals(saidOf("/srv/ann/x", false, allowed), refused("/srv/ann/x"));
  assertEquals(saidOf("/srv", false, allowed), refused("/srv"));
  assertEquals(saidOf("/opt", true, allowed), undefined);
  assertEquals(saidOf("/opt/x", true, allowed), refused("/opt/x"));
});

Deno.test("binds: dangerous places are below no directory by accident", () => {
  const refused = (path: string, place: string) =>
    `bind mount of ${path} is not allowed: ${place} must be named in allow-bind`;
  for (
    const [source, place, allowed] of [
      ["/run/docker.sock", "/run/docker.sock", "/run/"],
      ["/run/docker/plugins/x.sock", "/run/docker", "/run/"],
      ["/run", "/run/systemd", "/run/"],
      ["/", "/proc", "/"],
      ["/etc/docker", "/etc/docker", "/etc/"],
      ["/var/lib/docker/volumes/x", "/var/lib/docker", "/var/"],
      ["/dev/sda", "/dev", "/"],
      ["/sys/fs/cgroup", "/sys", "/"],
    ]
  ) {
    assertEquals(saidOf(source, false, [allowed]), refused(source, place));
    assertEquals(saidOf(source, true, [allowed]), refused(source, place));
  }
  for (
    const [source, allowed] of [
      ["/run/user/1000", "/run/"],
      ["/var/log", "/var/"],
      ["/var/lib/dockerfiles", "/var/lib/"],
      ["/run/docker.sock", "/run/docker.sock"],
      ["/var/lib/docker/volumes/x", "/var/lib/docker/volumes/"],
      ["/dev/shm", "/dev/shm"],
    ]
  ) {
    assertEquals(saidOf(source, false, ["/srv/", allowed]), undefined, source);
  }
});
