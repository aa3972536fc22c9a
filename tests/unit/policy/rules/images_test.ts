import { assertEquals } from "@std/assert";
import { readPattern } from "../../../../lib/policy/rules/patterns.ts";
import {
  checkAllTags,
  checkDoor,
  checkImage,
  doorsNotCovered,
  findPattern,
  type ImagesPolicy,
} from "../../../../lib/policy/rules/images.ts";
import type { Decision } from "../../../../lib/policy/decision.ts";
import { parseReference } from "../../../../lib/call/reference.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;

function policy(
  lists: { whitelist?: string[]; blacklist?: string[]; defaultAllow?: boolean },
  doors: Partial<
    Pick<ImagesPolicy, "allowBuild" | "allowLoad" | "allowImport">
  > = {},
): ImagesPolicy {
  return {
    whitelist: (lists.whitelist ?? []).map(readPattern),
    blacklist: (lists.blacklist ?? []).map(readPattern),
    defaultAllow: lists.defaultAllow ?? false,
    allowBuild: false,
    allowLoad: false,
    allowImport: false,
    ...doors,
  };
}

function said(decision?: Decision): string {
  return !decision || decision.allow ? "allowed" : decision.message;
}

function verdict(of: ImagesPolicy, image: string): string {
  return said(checkImage(of, parseReference(image)));
}

function verdictOnAllTags(of: ImagesPolicy, image: string): string {
  return said(checkAllTags(of, parseReference(image)));
}

/** Every way to write `docker` or `docker:latest`. */
const SPELLINGS = [
  "docker",
  "docker:latest",
  "library/docker",
  "docker.io/docker",
  "docker.io/library/docker:latest",
  "Docker.IO/library/docker",
  "docker.io:443/library/docker",
  "index.docker.io/docker",
  "index.docker.io/library/docker",
  "registry-1.docker.io/library/docker",
  "registry-1.docker.io:0443/docker",
  "registry.hub.docker.com/library/docker",
];

/** The example in docker-image-policy's README. */
const README = policy({
  whitelist: [
    "^alpine:",
    "^docker\\.elastic\\.co/beats/filebeat:",
    "^gcr\\.io/google_containers",
    "^mysql:",
    "^nginx:",
    "^php:",
    "^apache:",
    "^quay\\.io/calico/cni",
    "^quay\\.io/calico/node",
    "^quay\\.io/coreos/flannel",
  ],
  blacklist: ["^docker:"],
});

Deno.test("the old plugin's example gives the old plugin's verdicts", () => {
  for (
    const image of [
      "alpine",
      "alpine:3",
      "docker.io/library/alpine:3",
      `alpine@${DIGEST}`,
      "docker.elastic.co/beats/filebeat:8",
      "gcr.io/google_containers/pause:3",
      "nginx:1",
      "quay.io/calico/cni:v3",
      "quay.io/calico/node",
      "quay.io/coreos/flannel:v1",
    ]
  ) {
    assertEquals(verdict(README, image), "allowed", image);
  }
  assertEquals(
    verdict(README, "evil/x:1"),
    "image evil/x:1 is not allowed: not on the whitelist",
  );
  assertEquals(
    verdict(README, "evil/alpine"),
    "image evil/alpine:latest is not allowed: not on the whitelist",
  );
  assertEquals(
    verdict(README, "quay.io/evil/alpine:1"),
    "image quay.io/evil/alpine:1 is not allowed: not on the whitelist",
  );
  assertEquals(
    verdict(README, "docker"),
    "image docker:latest is not allowed: blacklisted by ^docker:",
  );
  assertEquals(
    verdict(README, `docker@${DIGEST}`),
    `image docker:${DIGEST} is not allowed: blacklisted by ^docker:`,
  );
});

Deno.test("the whitelist goes before the blacklist, and both before the default", () => {
  const both = policy({
    whitelist: ["^docker:20$"],
    blacklist: ["^docker:"],
    defaultAllow: true,
  });
  assertEquals(verdict(both, "docker:20"), "allowed");
  assertEquals(
    verdict(both, "docker:19"),
    "image docker:19 is not allowed: blacklisted by ^docker:",
  );
  assertEquals(verdict(both, "alpine"), "allowed");
  assertEquals(
    verdict(policy({ defaultAllow: false }), "alpine"),
    "image alpine:latest is not allowed: not on the whitelist",
  );
  assertEquals(verdict(policy({ defaultAllow: true }), "alpine"), "allowed");
});

Deno.test("the first pattern in the list's order, whatever its form", () => {
  const find = (name: string, ...patterns: string[]) =>
    findPattern(patterns.map(readPattern), {
      familiar: name,
      full: `docker.io/library/${name}`,
    })?.source;
  const list = ["^a:", "^docker\\.io/library/b", "b", "^(a|b):", "a"];
  assertEquals(find("a:1", ...list), "^a:");
  assertEquals(find("b:1", ...list), "^docker\\.io/library/b");
  assertEquals(find("xb:1", ...list), "b");
  assertEquals(find("xa:1", ...list), "a");
  assertEquals(find("c:1", ...list), undefined);
  assertEquals(find("c:1"), undefined);
});

Deno.test("no spelling escapes a blacklist, and none misses a whitelist", () => {
  const open = policy({ blacklist: ["^docker:"], defaultAllow: true });
  const closed = policy({ whitelist: ["^docker:latest$"] });
  for (const image of SPELLINGS) {
    assertEquals(
      verdict(open, image),
      "image docker:latest is not allowed: blacklisted by ^docker:",
      image,
    );
    assertEquals(verdict(closed, image), "allowed", image);
  }
});

Deno.test("a pattern takes no more of Docker Hub than it says", () => {
  // unanchored at its end, ^docker takes docker/compose and docker-dev, as it did; not all of Hub
  const open = policy({ blacklist: ["^docker"], defaultAllow: true });
  for (
    const image of [
      "alpine",
      "docker.io/library/alpine",
      "index.docker.io/acme/app",
      "acme/docker",
    ]
  ) {
    assertEquals(verdict(open, image), "allowed", image);
  }
  for (
    const image of [
      "docker",
      "docker/compose",
      "docker.elastic.co/beats/filebeat",
    ]
  ) {
    assertEquals(checkImage(open, parseReference(image)).allow, false, image);
  }
});

Deno.test("a pattern that names docker.io sees names with the registry, and those only", () => {
  const full = policy({ whitelist: ["^docker\\.io/library/(alpine|nginx):"] });
  for (
    const image of [
      "alpine:3",
      "library/alpine",
      "docker.io/alpine",
      "registry-1.docker.io/library/nginx",
    ]
  ) {
    assertEquals(verdict(full, image), "allowed", image);
  }
  for (
    const image of [
      "acme/alpine",
      "quay.io/library/alpine",
      "docker.io/acme/nginx",
    ]
  ) {
    assertEquals(checkImage(full, parseReference(image)).allow, false, image);
  }
  const hub = policy({ blacklist: ["^docker\\.io/"], defaultAllow: true });
  assertEquals(
    verdict(hub, "alpine"),
    "image alpine:latest is not allowed: blacklisted by ^docker\\.io/",
  );
  assertEquals(verdict(hub, "quay.io/x/y:1"), "allowed");
  const official = policy({ whitelist: ["^docker\\.io/library/"] });
  assertEquals(verdict(official, "docker.io/library/a/b"), "allowed");
  assertEquals(
    checkImage(official, parseReference("docker.io.evil.com/library/alpine"))
      .allow,
    false,
  );
});

Deno.test("another registry's image is never taken for Docker Hub's, nor the other way round", () => {
  const bitnami = policy({ whitelist: ["^bitnami/"] });
  assertEquals(verdict(bitnami, "bitnami/nginx"), "allowed");
  for (
    const image of ["Bitnami/nginx", "bitnami:443/nginx", "BITNAMI:0443/nginx"]
  ) {
    assertEquals(
      verdict(bitnami, image),
      "image bitnami:443/nginx:latest is not allowed: not on the whitelist",
      image,
    );
  }
  const local = policy({ whitelist: ["^localhost/", "^quay\\.io/"] });
  assertEquals(verdict(local, "localhost/x"), "allowed");
  assertEquals(
    verdict(local, "docker.io/localhost/x"),
    "image docker.io/localhost/x:latest is not allowed: not on the whitelist",
  );
  assertEquals(
    checkImage(local, parseReference("docker.io/quay.io/x")).allow,
    false,
  );
});

Deno.test("a digest counts without the tag beside it", () => {
  const tag = policy({ whitelist: ["^alpine:3$"] });
  assertEquals(verdict(tag, "alpine:3"), "allowed");
  assertEquals(
    verdict(tag, `alpine:3@${DIGEST}`),
    `image alpine:${DIGEST} is not allowed: not on the whitelist`,
  );
  assertEquals(
    verdict(
      policy({ whitelist: [`^alpine:${DIGEST}$`] }),
      `alpine:3@${DIGEST}`,
    ),
    "allowed",
  );
});

Deno.test("all tags of a repository", () => {
  const WHITELIST =
    "all tags of alpine are not allowed: they can't be judged one by one, and no whitelist entry matches the name without a tag; pull a tag";
  const BLACKLIST =
    "all tags of alpine are not allowed: they can't be judged one by one, and some of them may be blacklisted; pull a tag";
  const table: [of: ImagesPolicy, verdict: string][] = [
    [policy({}), WHITELIST],
    [policy({ whitelist: ["^alpine:"] }), WHITELIST],
    [policy({ whitelist: ["^alpine:3$"] }), WHITELIST],
    [policy({ whitelist: ["^alpine:"], blacklist: ["^docker:"] }), WHITELIST],
    [policy({ whitelist: ["^alpine"] }), "allowed"],
    [policy({ whitelist: ["^alpine$"] }), "allowed"],
    [
      policy({ whitelist: ["^alpine(:|$)"], blacklist: ["^alpine:2"] }),
      "allowed",
    ],
    [policy({ whitelist: ["^docker\\.io/library/alpine$"] }), "allowed"],
    [policy({ whitelist: ["^docker\\.io/library/alpine:"] }), WHITELIST],
    [policy({ whitelist: ["latest"] }), WHITELIST],
    [policy({ defaultAllow: true }), "allowed"],
    [policy({ defaultAllow: true, whitelist: ["^x"] }), "allowed"],
    [policy({ defaultAllow: true, blacklist: ["^alpine:2"] }), BLACKLIST],
    [policy({ defaultAllow: true, blacklist: ["^docker:"] }), BLACKLIST],
    [
      policy({
        defaultAllow: true,
        blacklist: [":2$"],
        whitelist: ["^alpine$"],
      }),
      "allowed",
    ],
  ];
  for (const [of, verdict] of table) {
    const lists = JSON.stringify(of, (_, value) => value?.source ?? value);
    for (
      const name of [
        "alpine",
        "docker.io/library/alpine",
        "index.docker.io/alpine",
      ]
    ) {
      assertEquals(verdictOnAllTags(of, name), verdict, lists);
    }
  }
});

Deno.test("a closed door says which key opens it", () => {
  const shut = policy({ whitelist: ["."] });
  assertEquals(
    said(checkDoor(shut, "build", "docker build")),
    "docker build is not allowed: the images it brings can't be seen, and allow-build in [images] is not true",
  );
  assertEquals(
    said(checkDoor(shut, "load", "docker plugin create")),
    "docker plugin create is not allowed: the images it brings can't be seen, and allow-load in [images] is not true",
  );
  assertEquals(
    said(checkDoor(shut, "import", "docker import")),
    "docker import is not allowed: the images it brings can't be seen, and allow-import in [images] is not true",
  );
  for (
    const [doors, door, opens] of [
      [{ allowBuild: true }, "build", true],
      [{ allowBuild: true }, "load", false],
      [{ allowLoad: true }, "load", true],
      [{ allowImport: true }, "import", true],
    ] as const
  ) {
    const denied = checkDoor(policy({}, doors), door, "this");
    assertEquals(denied === undefined, opens, door);
  }
});

Deno.test("open doors are named where the lists refuse something", () => {
  const open = { allowBuild: true, allowLoad: true, allowImport: false };
  assertEquals(doorsNotCovered(policy({}, open)), ["build", "load"]);
  assertEquals(
    doorsNotCovered(policy({ whitelist: ["^a"] }, { allowImport: true })),
    ["import"],
  );
  assertEquals(
    doorsNotCovered(policy({ blacklist: ["^a"], defaultAllow: true }, open)),
    ["build", "load"],
  );
  assertEquals(
    doorsNotCovered(policy({ whitelist: ["^a"], defaultAllow: true }, open)),
    [],
  );
  assertEquals(doorsNotCovered(policy({ whitelist: ["^a"] })), []);
});

Deno.test("what a message shows is one printable line of bearable length", () => {
  const long = verdict(policy({}), `${"a".repeat(100_000)}.com/x`);
  assertEquals(long.length < 300, true);
  assertEquals(
    verdict(policy({ blacklist: ["l(\n)?p"], defaultAllow: true }), "alpine"),
    "image alpine:latest is not allowed: blacklisted by l(\\u000a)?p",
  );
});
