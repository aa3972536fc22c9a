import { assertEquals, assertRejects } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import {
  type Engine,
  EngineError,
  type ImageFacts,
} from "../../../lib/engine/engine.ts";
import { decidePush } from "../../../lib/policy/push.ts";
import { Unreadable } from "../../../lib/call/unreadable.ts";
import type { AuthzRequest } from "../../../lib/call/authz.ts";
import { callOf, engineWith, request, said } from "../requests.ts";

const VENDOR = "Red Hat, Inc.";

/** An image on the host. */
interface Image extends Partial<ImageFacts> {
  tags?: string[];
}

/** What the engine was asked. */
type Questions = string[];

/** An engine with these images by their IDs, and what it is asked. */
function engineOf(
  images: Record<string, Image>,
  registries?: string[],
): { engine: Partial<Engine>; asked: Questions } {
  const asked: Questions = [];
  const facts = (id: string, image: Image): ImageFacts => ({
    platform: { os: "linux", architecture: "amd64", variant: "" },
    volumes: [],
    labels: {},
    user: "",
    layers: [`layer of ${id}`],
    parent: "",
    repoDigests: [],
    ...image,
    id,
  });
  const find = (name: string) =>
    Object.entries(images).find(([id, { tags }]) =>
      id === name || tags?.includes(name)
    );
  return {
    asked,
    engine: {
      inspectImage(name) {
        asked.push(`image ${name}`);
        const found = find(name);
        return Promise.resolve(found && facts(...found));
      },
      inspectEveryPlatform(name) {
        asked.push(`platforms of ${name}`);
        const found = find(name);
        return Promise.resolve(found ? [facts(...found)] : []);
      },
      listImages({ reference, label }) {
        asked.push(`list ${reference ?? label}`);
        const listed = Object.entries(images).filter(([, image]) =>
          reference
            ? image.tags?.some((tag) => tag.startsWith(`${reference[0]}:`))
            : Object.entries(image.labels ?? {}).some(([key, value]) =>
              `${key}=${value}` === label?.[0]
            )
        );
        return Promise.resolve(
          listed.map(([id, { tags, repoDigests }]) => ({
            id,
            repoTags: tags ?? [],
            repoDigests: repoDigests ?? [],
          })),
        );
      },
      inspectsPlatforms: () => Promise.resolve(true),
      additionalRegistries() {
        asked.push("registries");
        return Promise.resolve(registries);
      },
    },
  };
}

async function decided(
  authz: AuthzRequest,
  engine: Partial<Engine>,
  config = "[push]",
): Promise<string> {
  const { push } = await parseConfig("test.toml", config);
  if (!push) throw new Error("no [push] in the settings");
  return said(await decidePush(push, callOf(authz), engineWith(engine)));
}

/** A push as the docker client sends it. */
const push = (target: string) =>
  request(`POST /v1.41/images/${target}`, undefined, {
    "Content-Length": "0",
    "X-Registry-Auth": "e30=",
  });

const isBasedOn = (image: string, base: string) =>
  "RHEL based images are not allowed to be pushed to docker.io: " +
  `${image} is based on ${base}`;

const RHEL: Image = {
  tags: ["acme/rhel:1", "registry.redhat.io/rhel9:1"],
  labels: { vendor: VENDOR, name: "rhel9" },
  layers: ["r1", "r2"],
  repoDigests: [`registry.redhat.io/rhel9@sha256:${"0".repeat(64)}`],
};
const PLAIN: Image = { tags: ["acme/plain:1", "acme/app:1"] };
const BY_LAYERS: Image = { tags: ["acme/child:1"], layers: ["r1", "r2", "c"] };

Deno.test("push: to another registry, the engine is asked nothing", async () => {
  const { engine, asked } = engineOf({ rhel: RHEL });
  for (
    const target of [
      "localhost:5000/acme/rhel/push?tag=1",
      "quay.io%2Facme%2Frhel/push?tag=1",
      "quay.io/acme/rhel/push",
    ]
  ) assertEquals(await decided(push(target), engine), "allowed");
  assertEquals(asked, []);
});

Deno.test("push: with block-rhel = false, nothing is read at all", async () => {
  const { engine, asked } = engineOf({ rhel: RHEL });
  const config = "[push]\nblock-rhel = false";
  for (const target of ["acme/rhel/push?tag=1", "ACME/push?tag=%20"]) {
    assertEquals(await decided(push(target), engine, config), "allowed");
  }
  assertEquals(asked, []);
});

Deno.test("push: an image that says itself what it is settles it", async () => {
  const { engine, asked } = engineOf({ rhel: RHEL, plain: PLAIN });
  assertEquals(
    await decided(push("acme/rhel/push?tag=1"), engine),
    isBasedOn("acme/rhel:1", "rhel9"),
  );
  assertEquals(asked, ["registries", "platforms of acme/rhel:1"]);
});

Deno.test("push: where it does not, all that is labelled on the host is asked for", async () => {
  const old: Image = {
    labels: { Vendor: VENDOR, Name: "rhel7" },
    repoDigests: [`registry.access.redhat.com/rhel7@sha256:${"1".repeat(64)}`],
  };
  const copy: Image = { labels: { vendor: VENDOR, name: "rhel9" } };
  const { engine, asked } = engineOf({
    rhel: RHEL,
    old,
    copy, // Not from a registry of Red Hat's: not worth a question.
    plain: PLAIN,
    child: BY_LAYERS,
  });
  assertEquals(await decided(push("acme/plain/push?tag=1"), engine), "allowed");
  assertEquals(asked, [
    "registries",
    "platforms of acme/plain:1",
    `list vendor=${VENDOR}`,
    `list Vendor=${VENDOR}`,
    "platforms of rhel",
    "platforms of old",
  ]);
  assertEquals(
    await decided(push("acme/child/push?tag=1"), engine),
    isBasedOn("acme/child:1", "rhel9"),
  );
});

Deno.test("push: the parents are asked for, as far as they are there", async () => {
  const { engine, asked } = engineOf({
    child: { tags: ["acme/child:1"], parent: "middle" },
    middle: { parent: "base" },
    base: { labels: { Vendor: VENDOR, Name: "rhel7" }, parent: "gone" },
    orphan: { tags: ["acme/orphan:1"], parent: "gone" },
  });
  assertEquals(
    await decided(push("acme/child/push?tag=1"), engine),
    isBasedOn("acme/child:1", "rhel7"),
  );
  assertEquals(asked.slice(2), ["image middle", "image base", "image gone"]);
  assertEquals(
    await decided(push("acme/orphan/push?tag=1"), engine),
    "allowed",
  );
});

Deno.test("push: without a tag, every tag of the repository", async () => {
  const app = { plain: PLAIN, two: { tags: ["acme/app:2"] } };
  const { engine, asked } = engineOf(app);
  assertEquals(await decided(push("acme/app/push"), engine), "allowed");
  assertEquals(asked.slice(0, 4), [
    "registries",
    "list acme/app",
    "platforms of plain",
    "platforms of two",
  ]);

  const rhel = { tags: ["other/x:1", "acme/app:3"], labels: RHEL.labels };
  const both = engineOf({ ...app, rhel });
  for (const target of ["acme/app/push", "acme/app/push?tag="]) {
    assertEquals(
      await decided(push(target), both.engine),
      isBasedOn("acme/app:3", "rhel9"),
    );
  }
});

Deno.test("push: what may carry a form counts as a push of all tags", async () => {
  const app = { plain: PLAIN, two: { tags: ["acme/app:2"] } };
  const rhel = { tags: ["acme/app:3"], labels: RHEL.labels };
  const headers: Record<string, string>[] = [
    // Clients of docker-java before 3.5 send every push so.
    { "Content-Type": "application/json" },
    { "Content-Type": "application/x-www-form-urlencoded" },
  ];
  for (const each of headers) {
    const form = (target: string) =>
      request(`POST /images/${target}`, undefined, each);
    const plain = engineOf(app);
    const both = engineOf({ ...app, rhel });
    for (const tag of ["1", "2", "none"]) {
      const target = `acme/app/push?tag=${tag}`;
      assertEquals(await decided(form(target), plain.engine), "allowed");
      assertEquals(
        await decided(form(target), both.engine),
        isBasedOn("acme/app:3", "rhel9"),
      );
    }
    // Another repository can't be named by it.
    assertEquals(
      await decided(form("acme/plain/push?tag=1"), both.engine),
      "allowed",
    );
    assertEquals(
      await decided(form("quay.io/acme/app/push?tag=%20"), both.engine),
      "allowed",
    );
  }
  // What is shown is no form.
  const json = request("POST /images/acme/app/push?tag=1", {});
  const { engine } = engineOf({ ...app, rhel });
  assertEquals(await decided(json, engine), "allowed");
});

Deno.test("push: of many images, some are asked for at a time", async () => {
  const names = Array.from({ length: 2000 }, (_, at) => `acme/app:${at}`);
  const { engine } = engineOf(
    Object.fromEntries(names.map((name, at) => [`id${at}`, { tags: [name] }])),
  );
  let now = 0;
  let most = 0;
  let asked = 0;
  const decision = await decided(push("acme/app/push"), {
    ...engine,
    async inspectEveryPlatform(name) {
      most = Math.max(most, ++now);
      asked++;
      await new Promise((resolve) => setTimeout(resolve));
      now--;
      return await engine.inspectEveryPlatform!(name);
    },
  });
  assertEquals(decision, "allowed");
  assertEquals({ most, asked }, { most: 8, asked: 2000 });
});

Deno.test("push: an image that the engine does not know is left to it", async () => {
  const { engine, asked } = engineOf({ rhel: RHEL });
  assertEquals(await decided(push("acme/none/push?tag=1"), engine), "allowed");
  assertEquals(await decided(push("acme/none/push"), engine), "allowed");
  // Nothing is pushed: what else is there does not matter.
  assertEquals(asked, [
    "registries",
    "platforms of acme/none:1",
    "registries",
    "list acme/none",
  ]);
});

Deno.test("push: every platform's image counts", async () => {
  const { engine } = engineOf({});
  const image = (labels: Record<string, string>): ImageFacts => ({
    id: "both",
    platform: { os: "linux", architecture: "amd64", variant: "" },
    volumes: [],
    labels,
    user: "",
    layers: ["l"],
    parent: "",
    repoDigests: [],
  });
  assertEquals(
    await decided(push("acme/both/push?tag=1"), {
      ...engine,
      inspectEveryPlatform: () =>
        Promise.resolve([image({}), image(RHEL.labels ?? {})]),
    }),
    isBasedOn("acme/both:1", "rhel9"),
  );
});

Deno.test("push: the patched engine's registries say where an unqualified name goes", async () => {
  const images = {
    rhel: { ...RHEL, tags: ["acme/rhel:1", "docker.io/acme/rhel:1"] },
  };
  const denial = isBasedOn("acme/rhel:1", "rhel9");
  for (
    const [registries, unqualified] of [
      [undefined, denial],
      [[], denial],
      [["docker.io"], denial],
      [["myregistry.com:5000", "docker.io"], "allowed"],
      [["docker.io", "myregistry.com:5000"], denial],
    ] as const
  ) {
    const { engine, asked } = engineOf(images, registries && [...registries]);
    assertEquals(
      await decided(push("acme/rhel/push?tag=1"), engine),
      unqualified,
    );
    assertEquals(asked[0], "registries");
    assertEquals(
      await decided(push("docker.io/acme/rhel/push?tag=1"), engine),
      denial,
    );
  }
});

Deno.test("push: what can't be read", async (t) => {
  const { engine } = engineOf({ rhel: RHEL });
  const reason = async (authz: AuthzRequest) => {
    const error = await assertRejects(() => decided(authz, engine), Unreadable);
    return error.message;
  };
  await t.step("what is no image's name", async () => {
    assertEquals(
      await reason(push("ACME/push?tag=1")),
      'image "ACME": invalid reference format: repository name must be ' +
        "lowercase",
    );
    assertEquals(
      await reason(push("acme/app/push?tag=a%20b")),
      'image "acme/app": invalid tag format',
    );
  });
  await t.step("what has a body that is not shown", async () => {
    const FORM = "application/x-www-form-urlencoded";
    for (
      const headers of [
        { "Content-Length": "5", "Content-Type": FORM },
        { "Content-Length": "5", "Content-Type": "application/json" },
        // Credentials, as old clients send them; the engine reads them up to 26.1.
        { "Content-Length": "2" },
        { "Content-Length": "00" },
      ] as Record<string, string>[]
    ) {
      const hidden = (target: string) =>
        request(`POST /images/${target}`, undefined, headers);
      assertEquals(
        await reason(hidden("acme/app/push?tag=1")),
        'its body is not shown to plugins: send none, with "Content-Length: ' +
          '0", or JSON as "Content-Type: application/json"',
      );
      // It changes the tag and not the registry.
      assertEquals(
        await decided(hidden("quay.io/acme/app/push?tag=1"), engine),
        "allowed",
      );
    }
  });
});

Deno.test("push: without an answer from the engine there is no verdict", async (t) => {
  const fail = () => Promise.reject(new EngineError("no answer"));
  const { engine } = engineOf({ plain: PLAIN });
  for (
    const question of [
      "additionalRegistries",
      "inspectEveryPlatform",
      "listImages",
    ] as const
  ) {
    await t.step(question, async () => {
      await assertRejects(
        () =>
          decided(push("acme/plain/push?tag=1"), {
            ...engine,
            [question]: fail,
          }),
        EngineError,
        "no answer",
      );
    });
  }
});
