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
