import { assertEquals } from "@std/assert";
import type { Denial } from "../../../../lib/policy/decision.ts";
import {
  checkPush,
  type ImageContent,
  isRhelBase,
  pushDestination,
  type PushedImage,
  type PushPolicy,
  RHEL_LABEL_FILTERS,
} from "../../../../lib/policy/rules/push.ts";
import { familiar, pushReference } from "../../../../lib/call/reference.ts";

const POLICY: PushPolicy = {
  blockRhel: true,
  namePrefixes: ["rhel"],
  registries: ["registry.redhat.io", "registry.access.redhat.com"],
};

const RED_HAT = { vendor: "Red Hat, Inc.", name: "rhel9" };

/** RHEL as it is after a pull. */
const RHEL: ImageContent = {
  labels: RED_HAT,
  layers: ["sha256:r1", "sha256:r2"],
  repoDigests: [`registry.redhat.io/rhel9@sha256:${"0".repeat(64)}`],
};

const ALPINE: ImageContent = {
  labels: {},
  layers: ["sha256:a1"],
  repoDigests: [`alpine@sha256:${"1".repeat(64)}`],
};

function image(more: Partial<ImageContent>): ImageContent {
  return { labels: {}, layers: [], repoDigests: [], ...more };
}

interface Push {
  host?: ImageContent[];
  parents?: PushedImage["parents"];
  policy?: Partial<PushPolicy>;
}

/** Pushes one image under one name. */
function push(
  name: string,
  pushed: ImageContent,
  { host = [], parents = [], policy }: Push = {},
): Denial | undefined {
  const { reference } = pushReference(name);
  return checkPush({ ...POLICY, ...policy }, [
    { name: familiar(reference), image: pushed, parents },
  ], host);
}

/** Whether an image's content alone keeps it off Docker Hub. */
function isRefused(pushed: ImageContent, more: Push = {}): boolean {
  return push("acme/app:1", pushed, more) !== undefined;
}

Deno.test("the tables in rhel-push-plugin's README", async (t) => {
  const OTHER = "myregistry.com:5000";
  const engines: [
    engine: string,
    registries: string[] | undefined,
    unqualified: "disallow" | "allow",
  ][] = [
    ["docker/docker", undefined, "disallow"],
    ["docker/docker, an empty list", [], "disallow"],
    [
      "projectatomic/docker with one additional registry",
      [OTHER, "docker.io"],
      "allow",
    ],
    ["projectatomic/docker with none", ["docker.io"], "disallow"],
  ];
  for (const [engine, registries, unqualified] of engines) {
    await t.step(engine, () => {
      const verdict = (name: string, pushed: ImageContent) =>
        pushDestination(pushReference(name), registries) === "docker.io" &&
          push(name, pushed)
          ? "disallow"
          : "allow";
      assertEquals(verdict("docker.io/acme/app:1", ALPINE), "allow");
      assertEquals(verdict(`${OTHER}/acme/app:1`, ALPINE), "allow");
      assertEquals(verdict("acme/app:1", ALPINE), "allow");
      assertEquals(verdict("docker.io/acme/app:1", RHEL), "disallow");
      assertEquals(verdict(`${OTHER}/acme/app:1`, RHEL), "allow");
      assertEquals(verdict("acme/app:1", RHEL), unqualified);
    });
  }
});

Deno.test("the destination", () => {
  const destination = (name: string, registries?: string[]) =>
    pushDestination(pushReference(name), registries);
  const REGISTRY = ["Registry.Example.com:443", "docker.io"];
  const table: [
    name: string,
    registries: string[] | undefined,
    destination: string,
  ][] = [
    ["app", undefined, "docker.io"],
    ["acme/app", undefined, "docker.io"],
    ["docker.io/app", REGISTRY, "docker.io"],
    ["index.docker.io/acme/app", REGISTRY, "docker.io"],
    ["registry-1.docker.io/acme/app", REGISTRY, "docker.io"],
    ["Docker.IO/acme/app", REGISTRY, "docker.io"],
    ["docker.io:443/acme/app", REGISTRY, "docker.io"],
    ["app", REGISTRY, "registry.example.com"],
    ["library/app", REGISTRY, "registry.example.com"],
    ["app", ["index.docker.io"], "docker.io"],
    ["app", ["Docker.io"], "docker.io"],
    ["app", [""], "docker.io"],
    ["quay.io/acme/app", undefined, "quay.io"],
    ["quay.io/acme/app", ["docker.io"], "quay.io"],
    ["localhost/app", undefined, "localhost"],
  ];
  for (const [name, registries, expected] of table) {
    assertEquals(
      destination(name, registries),
      expected,
      `${name} with ${registries}`,
    );
  }
});

Deno.test("the message names the image and what it is based on", () => {
  assertEquals(
    push("acme/app:1", RHEL)?.message,
    "RHEL based images are not allowed to be pushed to docker.io: acme/app:1 is based on rhel9",
  );
  assertEquals(
    push(
      "docker.io/library/app",
      image({ labels: { Vendor: "Red Hat, Inc.", Name: "rhel7/rhel\n" } }),
    )?.message,
    "RHEL based images are not allowed to be pushed to docker.io: app:latest is based on rhel7/rhel\\u000a",
  );
});

Deno.test("labels", () => {
  const table: [labels: Record<string, string>, refused: boolean][] = [
    [{}, false],
    [{ vendor: "Red Hat, Inc.", name: "rhel9" }, true],
    [{ vendor: "Red Hat, Inc.", name: "rhel8/postgresql-13" }, true],
    [{ Vendor: "Red Hat, Inc.", Name: "rhel7" }, true],
    [{ Vendor: "Red Hat, Inc.", name: "rhel7" }, true],
    [{ vendor: "Red Hat, Inc.", Name: "rhel7" }, true],
    [
      { vendor: "Acme", Vendor: "Red Hat, Inc.", name: "app", Name: "rhel7" },
      true,
    ],
    [{ vendor: "Red Hat, Inc.", name: "ubi9" }, false],
    [{ vendor: "Red Hat, Inc.", name: "ubi8/rhel" }, false],
    [{ vendor: "Red Hat, Inc." }, false],
    [{ vendor: "Acme", name: "rhel9" }, false],
    [{ name: "rhel9" }, false],
    [{ vendor: "Red Hat, Inc", name: "rhel9" }, false],
    [{ VENDOR: "Red Hat, Inc.", NAME: "rhel9" }, false],
  ];
  for (const [labels, refused] of table) {
    assertEquals(isRefused(image({ labels })), refused, JSON.stringify(labels));
    assertEquals(
      isRefused(ALPINE, { parents: [image({}), image({ labels })] }),
      refused,
      JSON.stringify(labels),
    );
  }
});

/**
 * Labels as Red Hat's images have them, and images made from those. Of the texts
 * for people only what could mislead is here.
 */
const URL_OF =
  "https://access.redhat.com/containers/#/registry.access.redhat.com";
const TERMS_OF =
  "https://www.redhat.com/en/about/red-hat-end-user-license-agreements";

/** Red Hat Enterprise Linux 7, of 2015. */
const RHEL_7_1 = {
  Architecture: "x86_64",
  Authoritative_Registry: "registry.access.redhat.com",
  BZComponent: "rhel-server-docker",
  Build_Host: "rcm-img04.build.eng.bos.redhat.com",
  Name: "rhel7/rhel",
  Release: "4",
  Vendor: "Red Hat, Inc.",
  Version: "7.1",
};

/** Of 2021. */
const RHEL_7_9 = {
  architecture: "x86_64",
  "build-date": "2021-07-13T15:12:27.073772",
  "com.redhat.build-host": "cpt-1006.osbs.prod.upshift.rdu2.redhat.com",
  "com.redhat.component": "rhel-server-container",
  "com.redhat.license_terms": "https://www.redhat.com/agreements",
  "distribution-scope": "public",
  "io.k8s.display-name": "Red Hat Enterprise Linux 7",
  "io.openshift.tags": "base rhel7",
  name: "rhel7",
  release: "437",
  summary: "Provides the latest release of Red Hat Enterprise Linux 7 in a " +
    "fully featured and supported base image.",
  url: `${URL_OF}/rhel7/images/7.9-437`,
  "vcs-ref": "a4d1f0b8a9b923ca309da182943d17fe639d8c95",
  "vcs-type": "git",
  vendor: "Red Hat, Inc.",
  version: "7.9",
};

/** A software collection on RHEL 7. */
const RHSCL = {
  architecture: "x86_64",
  "build-date": "2020-09-21T15:38:28.666467",
  "com.redhat.build-host": "cpt-1002.osbs.prod.upshift.rdu2.redhat.com",
  "com.redhat.component": "rh-postgresql96-container",
  "com.redhat.license_terms": `${TERMS_OF}#rhel`,
  "distribution-scope": "public",
  "io.k8s.display-name": "PostgreSQL 9.6",
  "io.openshift.expose-services": "5432:postgresql",
  "io.openshift.s2i.assemble-user": "26",
  "io.openshift.tags": "database,postgresql,postgresql96,rh-postgresql96",
  maintainer: "SoftwareCollections.org <sclorg@redhat.com>",
  name: "rhscl/postgresql-96-rhel7",
  release: "63",
  url: `${URL_OF}/rhscl/postgresql-96-rhel7/images/1-63`,
  "vcs-type": "git",
  vendor: "Red Hat, Inc.",
  version: "1",
};

/** An application of RHEL 8, which is built on UBI. */
const RHEL_8 = {
  architecture: "x86_64",
  "com.redhat.component": "mariadb-103-container",
  "com.redhat.license_terms": `${TERMS_OF}#rhel`,
  "distribution-scope": "public",
  "io.openshift.tags": "database,mysql,mariadb,mariadb103,mariadb-103",
  maintainer: "SoftwareCollections.org <sclorg@redhat.com>",
  name: "rhel8/mariadb-103",
  release: "102",
  summary: "MariaDB 10.3 SQL database server",
  url: `${URL_OF}/rhel8/mariadb-103/images/1-102`,
  "vcs-ref": "ab3c3f15b6180b967a312c93e82743e842a4ac7c",
  "vcs-type": "git",
  vendor: "Red Hat, Inc.",
  version: "1",
};

/** The same of RHEL 9, of the builds whose `url` no longer names the image. */
const RHEL_9 = {
  architecture: "x86_64",
  "com.redhat.component": "postgresql-15-container",
  "com.redhat.license_terms": `${TERMS_OF}#rhel`,
  cpe: "cpe:/a:redhat:enterprise_linux:9::appstream",
  "distribution-scope": "public",
  "io.openshift.tags": "database,postgresql,postgresql15,postgresql-15",
  maintainer: "SoftwareCollections.org <sclorg@redhat.com>",
  name: "rhel9/postgresql-15",
  url: "https://catalog.redhat.com/en/search?searchType=containers",
  vendor: "Red Hat, Inc.",
  version: "1",
};

const UBI_8 = {
  architecture: "x86_64",
  "build-date": "2022-05-03T08:36:31.336870",
  "com.redhat.build-host": "cpt-1002.osbs.prod.upshift.rdu2.redhat.com",
  "com.redhat.component": "ubi8-container",
  "com.redhat.license_terms": `${TERMS_OF}#UBI`,
  "distribution-scope": "public",
  "io.k8s.display-name": "Red Hat Universal Base Image 8",
  "io.openshift.expose-services": "",
  "io.openshift.tags": "base rhel8",
  maintainer: "Red Hat, Inc.",
  name: "ubi8",
  release: "239",
  summary: "Provides the latest release of Red Hat Universal Base Image 8.",
  url: `${URL_OF}/ubi8/images/8.5-239`,
  "vcs-type": "git",
  vendor: "Red Hat, Inc.",
  version: "8.5",
};

const UBI_9_MICRO = {
  ...UBI_8,
  "build-date": "2023-01-17T14:19:54",
  "com.redhat.component": "ubi9-micro-container",
  "io.buildah.version": "1.27.1",
  "io.k8s.display-name": "Ubi9-micro",
  name: "ubi9/ubi-micro",
  release: "13",
  summary: "ubi9 micro image",
  url: `${URL_OF}/ubi9/ubi-micro/images/9.1.0-13`,
  version: "9.1.0",
};

/** Of 2025. */
const UBI_9 = {
  architecture: "x86_64",
  "build-date": "2025-09-18T08:46:43Z",
  "com.redhat.component": "ubi9-container",
  "com.redhat.license_terms": `${TERMS_OF}#UBI`,
  cpe: "cpe:/a:redhat:enterprise_linux:9::appstream",
  "distribution-scope": "public",
  "io.buildah.version": "1.40.1",
  "io.openshift.expose-services": "",
  "io.openshift.tags": "base rhel9",
  maintainer: "Red Hat, Inc.",
  name: "ubi9/ubi",
  url: "https://catalog.redhat.com/en/search?searchType=containers",
  vendor: "Red Hat, Inc.",
  version: "9.6",
};

/** What partners of Red Hat's overwrite, as they must to be certified. */
const OWN = {
  name: "acme/app",
  vendor: "Acme, Ltd.",
  maintainer: "ops@acme.example",
  version: "1.0",
  release: "1",
  summary: "An application",
  description: "An application that runs on Red Hat Enterprise Linux (rhel)",
};

Deno.test("RHEL by the labels of its images, as they are", () => {
  const images: [labels: Record<string, string>, base: string | undefined][] = [
    [RHEL_7_1, "rhel7/rhel"],
    [RHEL_7_9, "rhel7"],
    [RHSCL, "rhel"],
    [RHEL_8, "rhel8/mariadb-103"],
    [RHEL_9, "rhel9/postgresql-15"],
    [UBI_8, undefined],
    [UBI_9_MICRO, undefined],
    [UBI_9, undefined],
  ];
  for (const [labels, base] of images) {
    assertBase(labels, base);
  }
});

Deno.test("RHEL whose name and vendor a child overwrote, as BuildKit leaves it", () => {
  const images: [labels: Record<string, string>, base: string | undefined][] = [
    [RHEL_7_9, "rhel-server-container"],
    [RHSCL, "rhel"],
    [RHEL_8, "rhel8/mariadb-103"],
    [RHEL_9, "rhel"],
    [UBI_8, undefined],
    [UBI_9_MICRO, undefined],
    [UBI_9, undefined],
  ];
  for (const [labels, base] of images) {
    assertBase({ ...labels, ...OWN }, base);
    assertBase({ ...labels, name: "app" }, base);
    assertBase({ ...labels, vendor: "" }, base);
  }
  // The first images wrote labels with capitals.
  assertBase({ ...RHEL_7_1, ...OWN }, "rhel7/rhel");
  assertBase({ ...RHEL_7_1, Name: "app", Vendor: "x" }, "rhel-server-docker");
  // Each of the signs is enough.
  const { url, ...rest } = { ...RHEL_7_9, ...OWN };
  assertBase(rest, "rhel-server-container");
  assertBase({ ...OWN, url }, "rhel7");
  // A page of one's own is nobody else's.
  assertBase(
    { ...OWN, url: "https://acme.example/#/x/rhel7/images/1" },
    undefined,
  );
});

Deno.test("what is no RHEL, however near it comes", () => {
  const centosOnUbi = {
    ...UBI_8,
    "com.redhat.component": "centos-stream-container",
    "com.redhat.license_terms": "https://centos.org/legal/licensing-policy/",
    "io.k8s.display-name": "CentOS Stream 8",
    "io.openshift.tags": "base centos centos-stream",
    name: "centos-stream",
    url: `${URL_OF}/ubi8/images/8.6-903`,
  };
  // CentOS, with RHEL's terms copied.
  const varnish = {
    "com.redhat.component": "varnish-6-container",
    "com.redhat.license_terms": `${TERMS_OF}#rhel`,
    "io.openshift.tags": "builder,varnish6,varnish-6",
    maintainer: "sclorg",
    name: "sclorg/varnish-6-c9s",
    version: "1",
  };
  const postgres = {
    "com.redhat.component": "postgresql-15-container",
    "io.openshift.tags": "database,postgresql,postgresql15,postgresql-15",
    name: "sclorg/postgresql-15-c9s",
    version: "1",
  };
  const minio = {
    ...UBI_9_MICRO,
    name: "MinIO",
    vendor: "MinIO Inc <dev@min.io>",
    maintainer: "MinIO Inc <dev@min.io>",
    release: "RELEASE.2025-09-07T16-13-09Z",
  };
  // Of Red Hat, but not what name-prefixes are about.
  const openshift = {
    ...RHEL_7_9,
    "com.redhat.component": "openshift-enterprise-base-container",
    "com.redhat.license_terms": "https://www.redhat.com/licenses/eulas",
    name: "openshift3/ose-base",
    url: `${URL_OF}/openshift3/ose-base/images/v3.11.0-1`,
  };
  for (const labels of [centosOnUbi, varnish, postgres, minio, openshift]) {
    assertBase(labels, undefined);
    assertBase({ ...labels, ...OWN }, undefined);
  }
});

Deno.test("name-prefixes hold for what is inherited, too", () => {
  const policy = { namePrefixes: ["ubi"] };
  assertBase({ ...UBI_8, ...OWN }, "ubi8-container", { policy });
  assertBase({ ...UBI_9, ...OWN }, "ubi9-container", { policy });
  assertBase({ ...RHEL_7_9, ...OWN }, undefined, { policy });
  assertBase({ ...RHEL_8, ...OWN }, undefined, { policy });
});

Deno.test("an image that was made from one that inherited its labels", () => {
  const parents = [{ labels: { ...RHEL_7_9, ...OWN } }];
  assertBase({}, "rhel-server-container", { parents });
});

function assertBase(
  labels: Record<string, string>,
  base: string | undefined,
  more: Push = {},
) {
  assertEquals(
    push("acme/app:1", image({ labels }), more)?.message,
    base && "RHEL based images are not allowed to be pushed to docker.io: " +
        `acme/app:1 is based on ${base}`,
    JSON.stringify(labels),
  );
}

Deno.test("a child that overwrites the labels is known by its layers", () => {
  const overwritten = { vendor: "Acme", name: "app" };
  const child = image({
    labels: overwritten,
    layers: [...RHEL.layers, "sha256:c1"],
  });
  assertEquals(
    push("acme/app:1", child, { host: [ALPINE, RHEL] })?.message,
    "RHEL based images are not allowed to be pushed to docker.io: acme/app:1 is based on rhel9",
  );
  const host = [RHEL];
  assertEquals(
    isRefused(image({ labels: overwritten, layers: RHEL.layers }), { host }),
    true,
  );
  // parts of RHEL are not RHEL, nor is what has its layers elsewhere (a squashed copy has none)
  assertEquals(isRefused(image({ layers: ["sha256:r1"] }), { host }), false);
  assertEquals(
    isRefused(image({ layers: ["sha256:r2", "sha256:r1"] }), { host }),
    false,
  );
  assertEquals(
    isRefused(image({ layers: ["sha256:a1", ...RHEL.layers] }), { host }),
    false,
  );
  assertEquals(
    isRefused(image({ layers: ["sha256:squashed"] }), { host }),
    false,
  );
  assertEquals(isRefused(image({ layers: [] }), { host }), false);
  assertEquals(isRefused(ALPINE, { host }), false);
  assertEquals(isRefused(child, { host: [] }), false);
});

Deno.test("only what came from Red Hat says which layers are RHEL's", () => {
  const child = image({ layers: [...ALPINE.layers, "sha256:c1"] });
  const poison = (
    repoDigests: string[],
    labels: Record<string, string> = RED_HAT,
  ) => image({ labels, layers: ALPINE.layers, repoDigests });
  const digest = `@sha256:${"2".repeat(64)}`;
  const table: [image: ImageContent, counts: boolean][] = [
    [poison([`registry.redhat.io/rhel9${digest}`]), true],
    [poison([`registry.access.redhat.com/rhel7${digest}`]), true],
    [poison([`Registry.RedHat.IO:443/rhel9${digest}`]), true],
    [
      poison([`alpine${digest}`, `registry.redhat.io/rhel9/app${digest}`]),
      true,
    ],
    [poison([]), false],
    [poison([`alpine${digest}`]), false],
    [poison([`evil.com/registry.redhat.io/rhel9${digest}`]), false],
    [poison([`registry.redhat.io.evil.com/rhel9${digest}`]), false],
    [poison([`registry.redhat.io:5000/rhel9${digest}`]), false],
    [poison([`docker.io/registry.redhat.io/rhel9${digest}`]), false],
    [poison(["<none>@<none>"]), false],
    [
      poison([`registry.redhat.io/ubi9${digest}`], {
        vendor: "Red Hat, Inc.",
        name: "ubi9",
      }),
      false,
    ],
    [poison([`registry.redhat.io/x${digest}`], {}), false],
    [image({ labels: RED_HAT, repoDigests: RHEL.repoDigests }), false], // no layers: all images begin so
  ];
  for (const [base, counts] of table) {
    assertEquals(isRhelBase(POLICY, base), counts, JSON.stringify(base));
    assertEquals(
      isRefused(child, { host: [base] }),
      counts,
      JSON.stringify(base),
    );
  }
});

Deno.test("the settings", () => {
  const named = (name: string) =>
    image({ labels: { vendor: "Red Hat, Inc.", name } });
  const policy = { namePrefixes: ["rhel", "openshift"] };
  assertEquals(isRefused(named("openshift3/ose"), { policy }), true);
  assertEquals(isRefused(named("openshift3/ose")), false);
  assertEquals(
    isRefused(named("rhel9"), { policy: { namePrefixes: [] } }),
    false,
  );

  const child = image({ layers: [...RHEL.layers, "sha256:c1"] });
  const from = (
    repository: string,
  ) => [{ ...RHEL, repoDigests: [`${repository}@sha256:${"3".repeat(64)}`] }];
  const mirror = { registries: ["Mirror.example.com:443/redhat"] };
  assertEquals(
    isRefused(child, {
      policy: mirror,
      host: from("mirror.example.com/redhat/rhel9"),
    }),
    true,
  );
  assertEquals(
    isRefused(child, {
      policy: mirror,
      host: from("mirror.example.com/redhatted/rhel9"),
    }),
    false,
  );
  assertEquals(
    isRefused(child, {
      policy: mirror,
      host: from("mirror.example.com/rhel9"),
    }),
    false,
  );
  assertEquals(isRefused(child, { policy: mirror, host: [RHEL] }), false);
  assertEquals(
    isRefused(child, { policy: { registries: [] }, host: [RHEL] }),
    false,
  );
});

Deno.test("every image of a push counts", () => {
  const pushed = [
    { name: "acme/app:1", image: ALPINE, parents: [] },
    { name: "acme/app:2", image: RHEL, parents: [] },
  ];
  assertEquals(
    checkPush(POLICY, pushed, [])?.message,
    "RHEL based images are not allowed to be pushed to docker.io: acme/app:2 is based on rhel9",
  );
  assertEquals(checkPush(POLICY, pushed.slice(0, 1), []), undefined);
  assertEquals(checkPush(POLICY, [], [RHEL]), undefined);
});

Deno.test("the engine's label filters find what can be a base", () => {
  assertEquals(RHEL_LABEL_FILTERS, [
    "vendor=Red Hat, Inc.",
    "Vendor=Red Hat, Inc.",
  ]);
});
