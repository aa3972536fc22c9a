import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  familiar,
  familiarName,
  full,
  fullName,
  type ImageReference,
  InvalidReference,
  isDigest,
  normalHost,
  parseReference,
  pullReference,
  pushReference,
} from "../../../lib/call/reference.ts";

const F64 = "f".repeat(64);
const SHA = `sha256:${F64}`;
const SHA512 = `sha512:${"0".repeat(128)}`;

/** What the engine answers, for the tables below. */
const FORMAT = "invalid reference format";
const LOWER = "repository name must be lowercase";
const LOWER_PATH = `${FORMAT}: ${LOWER}`;
const LONG = "repository name must not be more than 255 characters";
const ID =
  `invalid repository name (${F64}), cannot specify 64-byte hexadecimal strings`;

function hub(path: string, more: Partial<ImageReference> = {}): ImageReference {
  return { domain: "docker.io", path, ...more };
}

function at(
  domain: string,
  path: string,
  more: Partial<ImageReference> = {},
): ImageReference {
  return { domain, path, ...more };
}

/**
 * The examples of distribution/reference (reference_test.go, normalize_test.go,
 * regexp_test.go), with what becomes of them as the engine reads them: a normal
 * form, or the engine's error.
 *
 * Those that its tests feed to the bare grammar are here as the engine would
 * take them, so with Docker Hub where no registry is named.
 */
const GRAMMAR: [text: string, outcome: ImageReference | string][] = [
  // names alone, with a tag, with a digest
  ["test_com", hub("library/test_com")],
  ["test.com:tag", hub("library/test.com", { tag: "tag" })],
  ["test.com:5000", hub("library/test.com", { tag: "5000" })],
  ["test.com/repo:tag", at("test.com", "repo", { tag: "tag" })],
  ["test:5000/repo", at("test:5000", "repo")],
  ["test:5000/repo:tag", at("test:5000", "repo", { tag: "tag" })],
  [`test:5000/repo@${SHA}`, at("test:5000", "repo", { digest: SHA })],
  [`test:5000/repo:tag@${SHA}`, at("test:5000", "repo", { digest: SHA })],
  ["", FORMAT],
  [":justtag", FORMAT],
  [`@${SHA}`, FORMAT],
  [`repo@sha256:${"f".repeat(34)}`, "invalid checksum digest length"],
  [`validname@invaliddigest:${F64}`, "unsupported digest algorithm"],
  // the grammar's own test has not registered sha512; the engine has
  [`validname@${SHA512}`, hub("library/validname", { digest: SHA512 })],
  ["Uppercase:tag", LOWER_PATH],
  ["test:5000/Uppercase/lowercase:tag", LOWER_PATH],
  ["lowercase:Uppercase", hub("library/lowercase", { tag: "Uppercase" })],
  [`domain/${"a".repeat(256)}:tag`, LONG],
  [
    `${"a/".repeat(127)}a:tag-puts-this-over-max`,
    hub(`${"a/".repeat(127)}a`, { tag: "tag-puts-this-over-max" }),
  ],
  [`${"a/".repeat(128)}a`, LONG],
  ["aa/asdf$$^/aa", FORMAT],
  ["asdf$$^/aa", FORMAT],
  ["a^a", FORMAT],
  ["sub-dom1.foo.com/bar/baz/quux", at("sub-dom1.foo.com", "bar/baz/quux")],
  [
    "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
    at("sub-dom1.foo.com", "bar/baz/quux", { tag: "some-long-tag" }),
  ],
  [
    "b.gcr.io/test.example.com/my-app:test.example.com",
    at("b.gcr.io", "test.example.com/my-app", { tag: "test.example.com" }),
  ],
  [
    "xn--n3h.com/myimage:xn--n3h.com",
    at("xn--n3h.com", "myimage", { tag: "xn--n3h.com" }),
  ],
  [
    `xn--7o8h.com/myimage:xn--7o8h.com@${SHA}`,
    at("xn--7o8h.com", "myimage", { digest: SHA }),
  ],
  [
    "example.com/xn--7o8h.com/myimage",
    at("example.com", "xn--7o8h.com/myimage"),
  ],
  ["foo_bar.com:8080", hub("library/foo_bar.com", { tag: "8080" })],
  ["foo/foo_bar.com:8080", hub("foo/foo_bar.com", { tag: "8080" })],
  ["192.168.1.1", hub("library/192.168.1.1")],
  ["192.168.1.1:tag", hub("library/192.168.1.1", { tag: "tag" })],
  ["192.168.1.1:5000", hub("library/192.168.1.1", { tag: "5000" })],
  ["192.168.1.1/repo", at("192.168.1.1", "repo")],
  ["192.168.1.1:5000/repo", at("192.168.1.1:5000", "repo")],
  [
    "192.168.1.1:5000/repo:5050",
    at("192.168.1.1:5000", "repo", { tag: "5050" }),
  ],
  [
    `example.com/${"a".repeat(255)}:tag`,
    at("example.com", "a".repeat(255), { tag: "tag" }),
  ],
  // IPv6, which 20.10 refuses
  ["[2001:db8::1]", FORMAT],
  ["[2001:db8::1]:5000", FORMAT],
  ["[2001:db8::1]:tag", FORMAT],
  ["[2001:db8::1]/repo", at("[2001:db8::1]", "repo")],
  [
    "[2001:db8:1:2:3:4:5:6]/repo:tag",
    at("[2001:db8:1:2:3:4:5:6]", "repo", { tag: "tag" }),
  ],
  ["[2001:db8::1]:5000/repo", at("[2001:db8::1]:5000", "repo")],
  [
    "[2001:db8::1]:5000/repo:tag",
    at("[2001:db8::1]:5000", "repo", { tag: "tag" }),
  ],
  [
    `[2001:db8::1]:5000/repo@${SHA}`,
    at("[2001:db8::1]:5000", "repo", { digest: SHA }),
  ],
  [
    `[2001:db8::1]:5000/repo:tag@${SHA}`,
    at("[2001:db8::1]:5000", "repo", { digest: SHA }),
  ],
  ["[2001:db8::]:5000/repo", at("[2001:db8::]:5000", "repo")],
  ["[::1]:5000/repo", at("[::1]:5000", "repo")],
  ["[fc00::1]:5000/docker", at("[fc00::1]:5000", "docker")],
  [
    "[fc00:1:2:3:4:5:6:7]:5000/library/debian",
    at("[fc00:1:2:3:4:5:6:7]:5000", "library/debian"),
  ],
  ["[fd00123123123]:75050/x", at("[fd00123123123]:75050", "x")],
  ["[fe80::1%eth0]:5000/repo", FORMAT],
  ["[fe80::1%@invalidzone]:5000/repo", FORMAT],
  ["[2001:db8:3:4::192.0.2.33]:5000/debian", FORMAT],
  ["[fc00::1]", FORMAT],
  ["[fc00::1]:5000", FORMAT],
  ["fc00::1:5000/debian", FORMAT],
  ["[fd00:1:2::3]75050/x", FORMAT],
  ["[fd00:1:2::3]::75050/x", FORMAT],
  // domains
  ["test.com:10304/x", at("test.com:10304", "x")],
  ["test.com:http/x", FORMAT],
  ["localhost/x", at("localhost", "x")],
  ["localhost:8080/bar", at("localhost:8080", "bar")],
  ["localhost:http/name", FORMAT],
  [`localhost:8080@${SHA}`, hub("library/localhost", { digest: SHA })],
  [`localhost:8080/name@${SHA}`, at("localhost:8080", "name", { digest: SHA })],
  [`localhost@${SHA}`, hub("library/localhost", { digest: SHA })],
  ["localhost/library/debian", at("localhost", "library/debian")],
  ["ab.cd.com/x", at("ab.cd.com", "x")],
  ["a-b.com/x", at("a-b.com", "x")],
  ["-ab.com/x", FORMAT],
  ["ab-.com/x", FORMAT],
  ["ab.c-om/x", at("ab.c-om", "x")],
  ["ab.-com/x", FORMAT],
  ["ab.com-/x", FORMAT],
  ["0101.com/x", at("0101.com", "x")],
  ["001a.com/x", at("001a.com", "x")],
  ["b.gbc.io:443/x", at("b.gbc.io", "x")],
  ["Asdf.com/foo/bar", at("asdf.com", "foo/bar")],
  ["192.168.1.1:75050/x", at("192.168.1.1:75050", "x")],
  ["192.168.1.1:750050/x", at("192.168.1.1:750050", "x")],
  // a host name by its upper-case letter, which 20.10 refuses
  ["LOCALDOMAIN/library/debian", at("localdomain:443", "library/debian")],
  ["LOCALDOMAIN/fooo", at("localdomain:443", "fooo")],
  ["Docker/docker", at("docker:443", "docker")],
  ["DOCKER/docker", at("docker:443", "docker")],
  ["Foo/bar", at("foo:443", "bar")],
  ["Foo/FarB", LOWER_PATH],
  // paths
  ["short", hub("library/short")],
  ["simple/name", hub("simple/name")],
  ["docker/stevvooe/app", hub("docker/stevvooe/app")],
  ["aa/aa/bb/bb/bb", hub("aa/aa/bb/bb/bb")],
  ["a/a/a/a", hub("a/a/a/a")],
  ["a/a/a/a/", FORMAT],
  ["a//a/a", FORMAT],
  ["a", hub("library/a")],
  ["foo.com", hub("library/foo.com")],
  ["foo.com/", FORMAT],
  ["foo.com:8080/bar", at("foo.com:8080", "bar")],
  ["foo.com:http/bar", FORMAT],
  ["foo.com/bar/baz", at("foo.com", "bar/baz")],
  ["aa-a/a", hub("aa-a/a")],
  ["a-/a/a/a", FORMAT],
  ["foo.com/a-/a/a", FORMAT],
  ["-foo/bar", FORMAT],
  ["foo/bar-", FORMAT],
  ["foo-/bar", FORMAT],
  ["foo/-bar", FORMAT],
  ["_foo/bar", FORMAT],
  ["foo_bar", hub("library/foo_bar")],
  ["foo_bar.com", hub("library/foo_bar.com")],
  ["foo_bar.com:8080/app", FORMAT],
  ["bad_hostname.com:8080/myapp:tag", FORMAT],
  ["foo.com/foo_bar", at("foo.com", "foo_bar")],
  // no domain by the grammar, so a path without one; the containerd store asks that host
  ["foo_bar.com/app", at("foo_bar.com", "app")],
  [`foo_bar.com/${"a".repeat(250)}`, LONG],
  ["Foo_bar.com/app", LOWER],
  ["____/____", FORMAT],
  ["_docker/_docker", FORMAT],
  ["docker_/docker_", FORMAT],
  [
    "example.com/some_separator__underscore/myimage",
    at("example.com", "some_separator__underscore/myimage"),
  ],
  ["example.com/__underscore/myimage", FORMAT],
  ["example.com/..dots/myimage", FORMAT],
  ["example.com/.dots/myimage", FORMAT],
  ["example.com/nodouble..dots/myimage", FORMAT],
  ["docker./docker", FORMAT],
  [".docker/docker", FORMAT],
  ["docker-/docker", FORMAT],
  ["-docker/docker", FORMAT],
  ["-docker-/docker", FORMAT],
  ["-docker.io/docker/docker", FORMAT],
  ["do..cker/docker", FORMAT],
  ["do__cker:8080/docker", FORMAT],
  ["do__cker/docker", hub("do__cker/docker")],
  ["dock__er/docker", hub("dock__er/docker")],
  ["dock..er/docker", FORMAT],
  ["dock_.er/docker", FORMAT],
  ["dock-.er/docker", FORMAT],
  ["docker-rules/docker", hub("docker-rules/docker")],
  ["docker---rules/docker", hub("docker---rules/docker")],
  ["d/docker", hub("d/docker")],
  ["docker/", FORMAT],
  ["docker///docker", FORMAT],
  ["docker.io/docker///docker", FORMAT],
  ["docker/Docker", LOWER_PATH],
  ["docker.io/docker/Docker", LOWER_PATH],
  ["https://github.com/docker/docker", FORMAT],
  ["-docker", FORMAT],
  ["-foo", FORMAT],
  [
    "registry.io/foo/project--id.module--name.ver---sion--name",
    at("registry.io", "foo/project--id.module--name.ver---sion--name"),
  ],
  [`${"this_is_not_a_valid_namespace_".repeat(9)}/docker`, FORMAT],
  [`${"namespace_too_long_".repeat(14)}x/docker`, LONG],
  // tags and digests
  [
    "registry.com:8080/myapp:tag",
    at("registry.com:8080", "myapp", { tag: "tag" }),
  ],
  [
    `registry.com:8080/myapp:tag2@${SHA}`,
    at("registry.com:8080", "myapp", { digest: SHA }),
  ],
  ["registry.com:8080/myapp@sha256:badbadbadbad", FORMAT],
  ["registry.com:8080/myapp:invalid~tag", FORMAT],
  ["registry.com:8080/myapp@bad", FORMAT],
  ["registry.com:8080/myapp@2bad", FORMAT],
  [`foo:${"t".repeat(128)}`, hub("library/foo", { tag: "t".repeat(128) })],
  [`foo:${"t".repeat(129)}`, FORMAT],
  ["foo:-tag", FORMAT],
  ["foo:.tag", FORMAT],
  ["foo:_tag", hub("library/foo", { tag: "_tag" })],
  ["foo:", FORMAT],
  ["foo@", FORMAT],
  ["foo:a:b", FORMAT],
  ["foo:a/b", FORMAT],
  [`foo@sha256:${"F".repeat(64)}`, "invalid checksum digest format"],
  [`foo@${SHA}:tag`, FORMAT],
  [`foo@${SHA}@${SHA}`, FORMAT],
  // identifiers
  [F64, ID],
  [`docker.io/${F64}`, hub(`library/${F64}`)],
  [F64.slice(1), hub(`library/${F64.slice(1)}`)],
  [
    "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
    hub(
      "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
    ),
  ],
  [SHA, hub("library/sha256", { tag: F64 })],
  // Docker Hub
  ["docker/docker", hub("docker/docker")],
  ["debian", hub("library/debian")],
  ["library/debian", hub("library/debian")],
  ["docker.io/debian", hub("library/debian")],
  ["docker.io/library/debian", hub("library/debian")],
  ["docker.io/docker/docker", hub("docker/docker")],
  ["index.docker.io/debian", hub("library/debian")],
  ["index.docker.io/library/debian", hub("library/debian")],
  ["index.docker.io/docker/docker", hub("docker/docker")],
  ["library/foo/bar", hub("library/foo/bar")],
  ["store/foo/bar", hub("store/foo/bar")],
  ["other/library", hub("other/library")],
  ["library/ubuntu-12.04-base", hub("library/ubuntu-12.04-base")],
  ["gcr.io/library/busybox", at("gcr.io", "library/busybox")],
  ["test_com/foo", hub("test_com/foo")],
  ["docker/migrator", hub("docker/migrator")],
  ["test-com:8080/foo", at("test-com:8080", "foo")],
  // what a careless regular expression lets through
  ["foo\n", FORMAT],
  ["foo:tag\n", FORMAT],
  ["foo bar", FORMAT],
  ["foo:t\u00e4g", FORMAT],
  ["f\u00f6o", FORMAT],
  ["\u212aoo", LOWER_PATH], // the Kelvin sign, a k when lowered
];

Deno.test("the grammar's examples are read as the engine reads them", async (t) => {
  for (const [text, outcome] of GRAMMAR) {
    await t.step(JSON.stringify(text).slice(0, 80), () => {
      if (typeof outcome === "string") {
        const error = assertThrows(
          () => parseReference(text),
          InvalidReference,
        );
        assertEquals(error.message, outcome);
      } else {
        assertEquals(parseReference(text), outcome);
      }
    });
  }
});

Deno.test("every spelling of one image has one normal form", () => {
  const spellings = [
    "docker",
    "docker:latest",
    "library/docker",
    "docker.io/docker",
    "docker.io/library/docker",
    "index.docker.io/docker",
    "index.docker.io/library/docker",
    "registry-1.docker.io/docker",
    "registry-1.docker.io/library/docker",
    "registry.hub.docker.com/library/docker",
    "Docker.IO/library/docker",
    "INDEX.docker.io/docker",
    "docker.io:443/docker",
    "docker.io:0443/library/docker",
    "Index.Docker.io:443/docker",
    "registry-1.docker.io:443/library/docker",
  ];
  for (const text of spellings) {
    const reference = parseReference(text);
    assertEquals(familiar(reference), "docker:latest", text);
    assertEquals(full(reference), "docker.io/library/docker:latest", text);
  }
  for (
    const text of [
      "quay.io/x/y:1",
      "Quay.io/x/y:1",
      "QUAY.IO:443/x/y:1",
      "quay.io:00443/x/y:1",
    ]
  ) {
    assertEquals(familiar(parseReference(text)), "quay.io/x/y:1", text);
  }
});

Deno.test("a registry's host has one form, which can't be taken for a user of Docker Hub", () => {
  const hosts: [host: string, normal: string][] = [
    ["quay.io", "quay.io"],
    ["Quay.IO:443", "quay.io"],
    ["quay.io:5000", "quay.io:5000"],
    ["quay.io:05000", "quay.io:5000"],
    ["quay.io:0", "quay.io:0"],
    ["quay.io:000", "quay.io:0"],
    ["localhost:443", "localhost"],
    ["LOCALHOST", "localhost"],
    ["docker.io:80", "docker.io:80"],
    ["hub.docker.com", "hub.docker.com"],
    ["bitnami:443", "bitnami:443"],
    ["Bitnami", "bitnami:443"],
    ["Bitnami:80", "bitnami:80"],
    ["[::1]:443", "[::1]"],
    ["[0:0::0001]:5000", "[::1]:5000"],
    ["[FE80::A]", "[fe80::a]"],
    ["[1:2]:80", "[1:2]:80"], // no address, but the grammar takes it
  ];
  for (const [host, normal] of hosts) {
    assertEquals(normalHost(host), normal, host);
    assertEquals(normalHost(normal), normal, host);
  }
  assertEquals(
    familiar(parseReference("Bitnami/nginx")),
    "bitnami:443/nginx:latest",
  );
  assertEquals(
    familiar(parseReference("bitnami:443/nginx")),
    "bitnami:443/nginx:latest",
  );
  assertEquals(
    familiar(parseReference("bitnami/nginx")),
    "bitnami/nginx:latest",
  );
});

Deno.test("the familiar form", () => {
  const forms: [text: string, familiar: string, full: string][] = [
    ["alpine:3", "alpine:3", "docker.io/library/alpine:3"],
    ["quay.io/calico/cni:v3", "quay.io/calico/cni:v3", "quay.io/calico/cni:v3"],
    ["acme/app:1", "acme/app:1", "docker.io/acme/app:1"],
    [`alpine:3@${SHA}`, `alpine:${SHA}`, `docker.io/library/alpine:${SHA}`],
    [
      "library/foo/bar",
      "library/foo/bar:latest",
      "docker.io/library/foo/bar:latest",
    ],
    // what the engine shortens to another registry's image stays whole
    [
      "docker.io/localhost/x",
      "docker.io/localhost/x:latest",
      "docker.io/localhost/x:latest",
    ],
    [
      "docker.io/quay.io/calico/cni",
      "docker.io/quay.io/calico/cni:latest",
      "docker.io/quay.io/calico/cni:latest",
    ],
    [
      "docker.io/docker.io/x",
      "docker.io/docker.io/x:latest",
      "docker.io/docker.io/x:latest",
    ],
    [
      "docker.io/library/quay.io",
      "quay.io:latest",
      "docker.io/library/quay.io:latest",
    ],
    [
      "docker.io/library/localhost",
      "localhost:latest",
      "docker.io/library/localhost:latest",
    ],
  ];
  for (const [text, short, long] of forms) {
    assertEquals(familiar(parseReference(text)), short, text);
    assertEquals(full(parseReference(text)), long, text);
  }
});

Deno.test("both names of a repository lead back to it", () => {
  for (const [text, outcome] of GRAMMAR) {
    if (typeof outcome === "string") continue;
    const { domain, path } = outcome;
    if (path === `library/${F64}`) continue; // an ID by the engine's rule
    assertEquals(parseReference(familiarName(outcome)), { domain, path }, text);
    assertEquals(parseReference(fullName(outcome)), { domain, path }, text);
  }
});

Deno.test("fromImage and tag together are what the engine pulls", () => {
  const ALL = "all tags";
  const pulls: [fromImage: string, tag: string | undefined, pulled: string][] =
    [
      ["alpine", "3", "alpine:3"],
      ["docker.io/library/alpine", "3", "alpine:3"],
      ["alpine:3", undefined, "alpine:3"],
      ["alpine:3", "", "alpine:3"],
      ["alpine:3", "4", "alpine:4"],
      ["alpine", undefined, ALL],
      ["alpine", "", ALL],
      ["alpine:", undefined, ALL],
      ["alpine:", "3", "alpine:3"],
      ["alpine", SHA, `alpine:${SHA}`],
      ["alpine:3", SHA, `alpine:${SHA}`],
      [`alpine@${SHA}`, undefined, `alpine:${SHA}`],
      [`alpine:3@${SHA}`, undefined, `alpine:${SHA}`],
      [`alpine@${SHA}`, "3", `alpine:${SHA}`],
      [`alpine@${SHA}`, SHA512, `alpine:${SHA512}`],
      ["localhost:5000/x", undefined, ALL],
      ["localhost:5000", undefined, "localhost:5000"],
      [F64, undefined, ID],
      [F64, "3", ID],
      ["alpine::", undefined, FORMAT],
      ["alpine", ":", "invalid tag format"],
      ["alpine", "3:4", "invalid tag format"],
      ["alpine", "sha256:abc", "invalid tag format"],
      ["alpine", `@${SHA}`, "invalid tag format"],
      ["alpine", SHA.toUpperCase(), "invalid tag format"],
      ["alpine", "3\n", "invalid tag format"],
      [`alpine@${SHA}`, "-", "invalid tag format"],
      ["Alpine", "3", LOWER_PATH],
      [":", "3", FORMAT],
    ];
  for (const [fromImage, tag, pulled] of pulls) {
    let got: string;
    try {
      const { reference, allTags } = pullReference(fromImage, tag);
      got = allTags ? ALL : familiar(reference);
    } catch (error) {
      if (!(error instanceof InvalidReference)) throw error;
      got = error.message;
    }
    assertEquals(got, pulled, `${fromImage} with ${tag}`);
  }
  assertEquals(pullReference("alpine"), {
    reference: hub("library/alpine"),
    allTags: true,
  });
});

Deno.test("name and tag of a push: where it goes, and which local image it is", () => {
  assertEquals(pushReference("acme/app", "1"), {
    reference: hub("acme/app", { tag: "1" }),
    allTags: false,
    qualified: false,
    repository: "acme/app",
    local: "acme/app:1",
  });
  assertEquals(pushReference("docker.io/library/app"), {
    reference: hub("library/app"),
    allTags: true,
    qualified: true,
    repository: "app",
    local: "app",
  });
  // the same destination, but another image on the host
  assertEquals(pushReference("registry-1.docker.io/acme/app:2"), {
    reference: hub("acme/app", { tag: "2" }),
    allTags: false,
    qualified: true,
    repository: "registry-1.docker.io/acme/app",
    local: "registry-1.docker.io/acme/app:2",
  });
  assertEquals(pushReference("Quay.io:443/x:1", "2"), {
    reference: at("quay.io", "x", { tag: "2" }),
    allTags: false,
    qualified: true,
    repository: "Quay.io:443/x",
    local: "Quay.io:443/x:2",
  });
  assertEquals(pushReference(`index.docker.io/x@${SHA}`, "2"), {
    reference: hub("library/x", { digest: SHA }),
    allTags: false,
    qualified: true,
    repository: "x",
    local: `x@${SHA}`,
  });
  assertThrows(
    () => pushReference("x", SHA),
    InvalidReference,
    "invalid tag format",
  );
  assertThrows(() => pushReference(F64), InvalidReference, ID);
});

Deno.test("a bare digest", () => {
  for (const text of [SHA, SHA512, `sha384:${"0".repeat(96)}`]) {
    assertEquals(isDigest(text), true, text);
  }
  for (
    const text of [
      "",
      F64,
      "sha256",
      "sha256:",
      "sha256:abc",
      SHA.toUpperCase(),
      `${SHA}\n`,
      ` ${SHA}`,
      `alpine@${SHA}`,
      `md5:${"0".repeat(32)}`,
    ]
  ) {
    assertEquals(isDigest(text), false, text);
  }
});

Deno.test("reading a reference takes time in proportion to its length", () => {
  const hostile = [
    (n: number) => "a".repeat(n),
    (n: number) => "a-".repeat(n / 2),
    (n: number) => "a" + "-".repeat(n),
    (n: number) => "a__".repeat(n / 3),
    (n: number) => "a/".repeat(n / 2) + "-",
    (n: number) => "a.".repeat(n / 2) + "/x",
    (n: number) => "a-".repeat(n / 2) + ".b/x",
    (n: number) => "[" + ":".repeat(n) + "/x",
    (n: number) => "a:" + "0".repeat(n) + "x/y",
    (n: number) => "x@" + "a+".repeat(n / 2) + ":",
    (n: number) => "x@a:" + "f".repeat(n) + "g",
    (n: number) => "x".repeat(n) + "_.com/y",
  ];
  for (const make of hostile) {
    const text = make(1_000_000);
    const start = performance.now();
    try {
      parseReference(text);
    } catch (error) {
      if (!(error instanceof InvalidReference)) throw error;
    }
    // quadratic work on a million characters takes minutes
    assert(performance.now() - start < 5_000, make.toString());
  }
});
