/**
 * Swarm services before a real engine: it makes their containers itself and
 * asks no plugin then. Mounts, and the image if it is here, are decided on when
 * a service is created or updated. What can't be known by then is decided on
 * when its tasks arrive: tests/engine/verdict/services_test.ts.
 */

import { engineTest, type Harness, type ServiceInspect } from "../harness.ts";
import { eventually } from "../../helpers/waiting.ts";
import { Registry, registryTest } from "../registry.ts";
import { request } from "../raw_http.ts";
import {
  assert,
  assertEquals,
  type Call,
  leftToTheEngine,
  type Message,
  passes,
  refused,
} from "../verdict.ts";

const no = (what: string) => `volumes are not allowed: ${what}`;

/** A mount as the API has it. */
type Mount = { Type?: string; Source?: string; Target: string };

/**
 * A service's body: no tasks, so that nothing happens by itself while a test
 * looks.
 */
function spec(
  Image: string,
  Mounts?: Mount[],
  Name = "new",
): Record<string, unknown> {
  return {
    Name,
    // The images' sleep takes no notice of a polite request to end.
    TaskTemplate: { ContainerSpec: { Image, Mounts, StopGracePeriod: 1 } },
    Mode: { Replicated: { Replicas: 0 } },
  };
}

const create = (h: Harness, body: Record<string, unknown> | string) =>
  h.send(request("POST", "/services/create", {
    body,
    headers: typeof body === "string"
      ? [["Content-Type", "application/json"]]
      : [],
  }));

async function service(h: Harness, name: string): Promise<ServiceInspect> {
  return (await h.api("GET", `/services/${name}`)).json<ServiceInspect>();
}

/**
 * Sends a service's own spec back, changed: what the client does for each
 * `docker service update`.
 */
async function update(
  h: Harness,
  name: string,
  query: string,
  change: (spec: ServiceInspect["Spec"]) => void = () => {},
) {
  const { Spec, Version } = await service(h, name);
  change(Spec);
  return await h.api(
    "POST",
    `/services/${name}/update?version=${Version.Index}${query}`,
    Spec,
  );
}

/** Starts a swarm of this one engine. */
async function startSwarm(h: Harness): Promise<void> {
  await h.must("swarm", "init", "--advertise-addr=127.0.0.1");
}

engineTest("services", async (t, h) => {
  const plain = await h.image("plain:1");
  const vol = await h.image("vol:1", { changes: ["VOLUME /data"] });
  await startSwarm(h);
  // From before the plugin: by tag, as a client without a registry makes them.
  const old = { "tagged": [], "with-volume": [volume("data", "/x")] };
  for (const [name, mounts] of Object.entries(old)) {
    assertEquals((await create(h, spec("plain:1", mounts, name))).status, 201);
  }
  await create(h, spec("vol:1", [bind(h.dir, "/data")], "covered"));
  await create(h, spec(plain, [volume("data", "/x")], "volume-before"));
  await update(h, "volume-before", "", (spec) => {
    delete spec.TaskTemplate.ContainerSpec?.Mounts;
  });
  await create(h, spec(vol, [], "image-before"));
  await update(h, "image-before", "", (spec) => {
    assert(spec.TaskTemplate.ContainerSpec);
    spec.TaskTemplate.ContainerSpec.Image = plain;
  });
  await create(h, spec(plain, [], "bind-before"));
  await update(h, "bind-before", "", (spec) => {
    assert(spec.TaskTemplate.ContainerSpec);
    spec.TaskTemplate.ContainerSpec.Mounts = [bind(h.dir, "/b")];
  });

  const refusals: [
    name: string,
    body: Record<string, unknown> | string,
    message: Message,
    /**
     * Whether an engine of this generation, left alone, makes a service of it.
     * Default: all do.
     */
    bites?: (major: number) => boolean,
  ][] = [
    [
      "a named volume",
      spec(plain, [volume("data", "/x")]),
      no('named volume "data"'),
    ],
    [
      "a volume of no name",
      spec(plain, [{ Type: "volume", Target: "/x" }]),
      no("anonymous volume at /x"),
    ],
    [
      "a volume beside a bind",
      spec(plain, [bind(h.dir, "/b"), volume("data", "/x")]),
      no('named volume "data"'),
    ],
    [
      // Services take a mount's type in any letter case.
      "a volume in capitals",
      spec(plain, [{ Type: "VOLUME", Source: "data", Target: "/x" }]),
      no('named volume "data"'),
    ],
    [
      "a cluster volume",
      spec(plain, [{ Type: "cluster", Source: "data", Target: "/x" }]),
      no("mount of type cluster at /x"),
      (major) => major >= 23,
    ],
    [
      "keys that fold",
      JSON.stringify(spec(plain, [volume("data", "/x")]))
        .replace("TaskTemplate", "tas\u212atemplate")
        .replace("Mounts", "mountſ"),
      no('named volume "data"'),
    ],
    [
      "a second, empty ContainerSpec",
      JSON.stringify(spec(plain, [volume("data", "/x")]))
        .replace(/"ContainerSpec":/, '"containerSpec":{},$&'),
      /^request can't be checked: two keys in TaskTemplate /,
    ],
    [
      "the image's VOLUME",
      spec(vol),
      no(`image ${vol} declares VOLUME /data`),
    ],
    [
      "the image's VOLUME, by tag",
      spec("vol:1"),
      no("image vol:1 declares VOLUME /data"),
    ],
    [
      "the image's VOLUME with a bind elsewhere",
      spec(vol, [bind(h.dir, "/data/x")]),
      no(`image ${vol} declares VOLUME /data`),
    ],
    [
      "a volume, and an image that is not on this host",
      spec("nowhere:1", [volume("data", "/x")]),
      no('named volume "data"'),
    ],
  ];
  await t.step("what they are without the plugin", async () => {
    for (const [name, body, , bites = () => true] of refusals) {
      const answer = await create(h, body);
      await h.api("DELETE", "/services/new");
      assertEquals(
        answer.status < 400,
        bites(h.version.major),
        `${name}, on Docker ${h.version.full}: ${answer.body}`,
      );
    }
  });
  await h.guard();
  for (const [name, body, message] of refusals) {
    await t.step(`create refused: ${name}`, async () => {
      await refused(h, () => create(h, body), message);
    });
  }

  const good: [string, Record<string, unknown>][] = [
    ["by image ID", spec(plain)],
    ["by tag", spec("plain:1")],
    ["of an image that is not on this host", spec("nowhere:1")],
    [
      "of a digest that is on no host",
      spec(`plain:1@sha256:${"0".repeat(64)}`),
    ],
    ["with a bind", spec(plain, [bind(h.dir, "/b")])],
    // A mount without a type is a bind.
    ["with a bind of no type", spec(plain, [{ Source: "/", Target: "/b" }])],
    [
      "with a bind in capitals",
      spec(plain, [{ ...bind("/", "/b"), Type: "BIND" }]),
    ],
    ["with a tmpfs", spec(plain, [{ Type: "tmpfs", Target: "/t" }])],
    ["whose bind covers the VOLUME", spec(vol, [bind(h.dir, "/data/")])],
    ["whose tmpfs covers it", spec(vol, [{ Type: "tmpfs", Target: "/data" }])],
  ];
  for (const [name, body] of good) {
    await t.step(`create passes: ${name}`, async () => {
      await passes(h, () => create(h, body));
      await h.api("DELETE", "/services/new");
    });
  }

  await t.step("docker service create", async () => {
    const client = (...args: string[]) => () =>
      h.docker("service", "create", "-d", "--name=new", ...args);
    await refused(
      h,
      client("--mount", "type=volume,source=data,target=/x", plain),
      no('named volume "data"'),
    );
    await refused(
      h,
      client("vol:1"),
      no("image vol:1 declares VOLUME /data"),
    );
    await passes(h, client("--replicas=0", "plain:1"));
    await h.must("service", "rm", "new");
    await passes(
      h,
      client(
        "--replicas=0",
        `--mount=type=bind,source=${h.dir},target=/b`,
        plain,
      ),
    );
    await h.must("service", "rm", "new");
  });

  await t.step("docker service scale of one from before", async () => {
    await passes(h, () => h.docker("service", "scale", "-d", "tagged=1"));
    await eventually("its task runs", async () => {
      return (await h.state()).containers.some((each) => each.running);
    });
    const { containers, volumes } = await h.state();
    assertEquals(containers.map(({ mounts }) => mounts), [[]]);
    assertEquals(volumes, []);
    await passes(h, () => h.docker("service", "scale", "-d", "tagged=0"));
    await eventually("its task is gone", async () => {
      return (await h.state()).containers.length === 0;
    });
  });

  const updates: [
    string,
    Call,
    Message | "passes",
  ][] = [
    [
      "scale of one with a volume",
      () => h.docker("service", "scale", "-d", "with-volume=1"),
      no('named volume "data"'),
    ],
    [
      "--force of one by tag",
      () => h.docker("service", "update", "-d", "--force", "tagged"),
      "passes",
    ],
    [
      "--mount-add of a volume",
      () =>
        h.docker(
          ...["service", "update", "-d"],
          "--mount-add=type=volume,source=data,target=/x",
          "tagged",
        ),
      no('named volume "data"'),
    ],
    [
      "--mount-add of a bind",
      () =>
        h.docker(
          ...["service", "update", "-d"],
          `--mount-add=type=bind,source=${h.dir},target=/b`,
          "tagged",
        ),
      "passes",
    ],
    [
      "--mount-rm of what covers the image's VOLUME",
      () => h.docker("service", "update", "-d", "--mount-rm=/data", "covered"),
      no("image vol:1 declares VOLUME /data"),
    ],
    [
      "--image of a tag",
      () =>
        h.docker("service", "update", "-d", "--image=plain:1", "bind-before"),
      "passes",
    ],
    [
      "--image of a tag with a VOLUME",
      () => h.docker("service", "update", "-d", "--image=vol:1", "bind-before"),
      no("image vol:1 declares VOLUME /data"),
    ],
    [
      "--image of what is not on this host",
      () => h.docker("service", "update", "-d", "--image=nowhere:1", "tagged"),
      "passes",
    ],
    [
      "--image of an ID with a VOLUME",
      () =>
        h.docker("service", "update", "-d", `--image=${vol}`, "bind-before"),
      no(`image ${vol} declares VOLUME /data`),
    ],
    [
      "--image of an ID with a VOLUME that is covered",
      () => h.docker("service", "update", "-d", `--image=${vol}`, "covered"),
      "passes",
    ],
    [
      "docker service rollback to a volume",
      () => h.docker("service", "rollback", "-d", "volume-before"),
      no('named volume "data"'),
    ],
    [
      "docker service rollback to an image with a VOLUME",
      () => h.docker("service", "rollback", "-d", "image-before"),
      no(`image ${vol} declares VOLUME /data`),
    ],
    ...[
      "&rollback=previous",
      "&%72ollback=previou%73",
      "&rollback=previous&rollback=none",
    ].map((query): [string, Call, string] => [
      `${query}, whatever the body says`,
      () => update(h, "volume-before", query),
      no('named volume "data"'),
    ]),
    ...["&rollback=", "&rollback=none", "&rollback=none&rollback=previous"].map(
      (query): [string, Call, string] => [
        `${query}, where the body counts`,
        () => update(h, "volume-before", query),
        "passes",
      ],
    ),
    [
      "the same with a volume in the body",
      () =>
        update(h, "bind-before", "&rollback=none&rollback=previous", (spec) => {
          assert(spec.TaskTemplate.ContainerSpec);
          spec.TaskTemplate.ContainerSpec.Mounts = [volume("data", "/x")];
        }),
      no('named volume "data"'),
    ],
    [
      "docker service rollback to what is harmless",
      () => h.docker("service", "rollback", "-d", "bind-before"),
      "passes",
    ],
  ];
  for (const [name, call, message] of updates) {
    await t.step(
      `update ${message === "passes" ? "passes" : "refused"}: ${name}`,
      async () => {
        if (message === "passes") await passes(h, call);
        else await refused(h, call, message);
      },
    );
  }

  await t.step("unknown service: the engine's own 404", async () => {
    await leftToTheEngine(
      h,
      () => h.api("POST", "/services/nobody/update?version=1", spec(plain)),
      404,
      /service nobody not found/,
    );
  });
  await t.step("an update with no body", async () => {
    await refused(
      h,
      () => h.api("POST", "/services/tagged/update?version=1"),
      "request can't be checked: it has no body",
    );
  });
  await t.step("they can be removed", async () => {
    await passes(h, () => h.docker("service", "rm", "with-volume", "tagged"));
  });
});

registryTest("services of a registry's images", async (t, h) => {
  const registry = await Registry.start(h, 5000);
  for (
    const [name, changes] of [["plain", []], ["vol", ["VOLUME /data"]]] as const
  ) {
    const reference = `${registry.host}/${name}:1`;
    await h.image(reference, { changes: [...changes] });
    await h.must("push", reference);
  }
  await startSwarm(h);
  await h.guard();

  await t.step("the client pins a tag by itself, and it runs", async () => {
    await passes(h, () =>
      h.docker(
        ...["service", "create", "-d", "--name=web", "--stop-grace-period=0"],
        `--mount=type=bind,source=${h.dir},target=/b`,
        `${registry.host}/plain:1`,
      ));
    const { Spec } = await service(h, "web");
    assert(/@sha256:/.test(Spec.TaskTemplate.ContainerSpec?.Image ?? ""));
    await eventually("its task runs", async () => {
      return (await h.state()).containers.some((each) => each.running);
    });
    const { containers, volumes } = await h.state();
    assertEquals(containers.map(({ mounts }) => mounts), [
      [`bind ${h.dir} /b`],
    ]);
    assertEquals(volumes, []);
    await h.must("service", "rm", "web");
    await eventually("its task is gone", async () => {
      return (await h.state()).containers.length === 0;
    });
  });
  await t.step("an image with a VOLUME is seen all the same", async () => {
    await refused(
      h,
      () => h.docker("service", "create", "-d", `${registry.host}/vol:1`),
      /^volumes are not allowed: image \S+\/vol:1@sha256:\S+ declares VOLUME \/data$/,
    );
  });
  await t.step("one that was never pulled passes, and runs", async () => {
    await h.must("rmi", `${registry.host}/plain:1`);
    await passes(h, () =>
      h.docker(
        ...["service", "create", "-d", "--name=far", "--stop-grace-period=0"],
        `${registry.host}/plain:1`,
      ));
    await eventually("its task runs", async () => {
      return (await h.state()).containers.some((each) => each.running);
    });
    assertEquals((await h.state()).volumes, []);
    await h.must("service", "rm", "far");
    await eventually("its task is gone", async () => {
      return (await h.state()).containers.length === 0;
    });
  });
  await t.step("with a VOLUME it passes, but does not stay", async () => {
    await h.must("rmi", `${registry.host}/vol:1`);
    const { code, stderr } = await h.docker(
      ...["service", "create", "-d", "--name=far"],
      `${registry.host}/vol:1`,
    );
    assertEquals(code, 0, stderr);
    await eventually("it is scaled to 0", async () => {
      const { Spec } = await service(h, "far");
      return Spec.Mode?.Replicated.Replicas === 0;
    });
    await eventually("nothing is left of it", async () => {
      const { containers, volumes } = await h.state();
      return volumes.length === 0 &&
        containers.every(({ mounts }) => mounts.length === 0);
    });
  });
});

function volume(Source: string, Target: string): Mount {
  return { Type: "volume", Source, Target };
}

function bind(Source: string, Target: string): Mount {
  return { Type: "bind", Source, Target };
}
