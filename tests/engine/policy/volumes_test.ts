/**
 * The volume policy before a real engine, as docker users meet it: the docker
 * client's commands, and the bodies that other clients send.
 */

import { unless } from "../../helpers/unless.ts";
import { engineTest, type Harness } from "../harness.ts";
import { sleep } from "../../helpers/programs.ts";
import { request } from "../raw_http.ts";
import {
  assert,
  assertEquals,
  bites,
  leftToTheEngine,
  type Message,
  passes,
  refused,
} from "../verdict.ts";

/** The message for what was refused. */
const no = (what: string) => `volumes are not allowed: ${what}`;

/** The images that the tests below start from, made while no plugin looks. */
async function makeImages(h: Harness): Promise<{ plain: string; vol: string }> {
  const plain = await h.image("plain:1");
  const vol = await h.image("vol:1", { changes: ["VOLUME /data"] });
  await h.image("two:1", { changes: ['VOLUME ["/data", "/var/lib/other"]'] });
  return { plain, vol };
}

engineTest("docker run and docker create", async (t, h) => {
  const { plain, vol } = await makeImages(h);
  await h.must("create", "--name=bound", "-v", `${h.dir}:/b`, "plain:1");
  await h.guard();

  const runs: string[][] = [
    ["plain:1"],
    [plain],
    ["-v", "/:/test", "plain:1"],
    ["-v", "/:/test:ro", "plain:1"],
    ["-v", `${h.dir}:/test`, "plain:1"],
    ["--mount", "type=bind,source=/,target=/test", "plain:1"],
    ["--mount", "type=tmpfs,target=/test", "plain:1"],
    ["--tmpfs", "/test:size=1m", "plain:1"],
    ["-v", `${h.dir}:/data`, "vol:1"],
    ["-v", `${h.dir}:/data/`, "vol:1"],
    ["--mount", `type=bind,source=${h.dir},target=/data`, "vol:1"],
    ["--mount", "type=tmpfs,target=/data", "vol:1"],
    ["--tmpfs", "/data", "vol:1"],
    ["-v", `${h.dir}:/data`, "--tmpfs", "/var/lib/other", "two:1"],
    ["--label", "Foo=1", "--label", "foo=2", "plain:1"],
  ];
  for (const args of runs) {
    await t.step(`runs: ${show(h, args)}`, async () => {
      const run = await passes(
        h,
        () => h.docker("run", "--rm", ...args, "echo", "it runs"),
      );
      assertEquals(run.stdout, "it runs\n");
    });
  }

  const refusals: [args: string[], message: string][] = [
    [["-v", "/test", "plain:1"], "anonymous volume at /test"],
    [["-v", "data:/test", "plain:1"], 'named volume "data"'],
    [["-v", "data:/test:ro", "plain:1"], 'named volume "data"'],
    [["-v", "/:/a", "-v", "data:/test", "plain:1"], 'named volume "data"'],
    [["-v", "/:/a", "-v", "/test", "plain:1"], "anonymous volume at /test"],
    [["--volumes-from", "bound", "plain:1"], "--volumes-from bound"],
    [["--volumes-from", "bound:ro", "plain:1"], "--volumes-from bound:ro"],
    [["--mount", "type=volume,target=/x", "plain:1"], "anonymous volume at /x"],
    [
      ["--mount", "type=volume,source=data,target=/x", "plain:1"],
      'named volume "data"',
    ],
    [["--mount", "source=data,target=/x", "plain:1"], 'named volume "data"'],
    [
      [
        "--mount",
        "source=data,target=/x,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=none",
        "plain:1",
      ],
      'named volume "data"',
    ],
    [["vol:1"], "image vol:1 declares VOLUME /data"],
    [[vol], `image ${vol} declares VOLUME /data`],
    [[vol.slice(7, 19)], `image ${vol.slice(7, 19)} declares VOLUME /data`],
    [["--tmpfs", "/data/", "vol:1"], "image vol:1 declares VOLUME /data"],
    [
      ["-v", `${h.dir}:/data/sub`, "vol:1"],
      "image vol:1 declares VOLUME /data",
    ],
    [
      ["-v", `${h.dir}:/data`, "two:1"],
      "image two:1 declares VOLUME /var/lib/other",
    ],
  ];
  for (const [args, what] of refusals) {
    await t.step(`refused: ${show(h, args)}`, async () => {
      await refused(h, () => h.docker("run", ...args, "true"), no(what));
    });
  }
  await t.step("refused: docker create -v data:/test", async () => {
    await refused(
      h,
      () => h.docker("create", "-v", "data:/test", "plain:1"),
      no('named volume "data"'),
    );
  });

  await t.step("a volume of docker volume create can't be used", async () => {
    const made = await h.docker("volume", "create", "made");
    assertEquals(made.stdout, "made\n");
    await refused(
      h,
      () => h.docker("run", "-v", "made:/test", "plain:1", "true"),
      no('named volume "made"'),
    );
    assertEquals((await h.docker("volume", "rm", "made")).code, 0);
  });

  await t.step("a normal day goes by unnoticed", async () => {
    const file = `${h.dir}/note`;
    await Deno.writeTextFile(file, "hello\n");
    const day: string[][] = [
      ["network", "create", "own"],
      ["create", "--name", "day", "--network=own", "plain:1"],
      ["start", "day"],
      ["exec", "day", "cat", "/data/from-image"],
      ["cp", file, "day:/tmp/note"],
      ["cp", "day:/tmp/note", `${h.dir}/back`],
      ["logs", "day"],
      ["rename", "day", "evening"],
      ["update", "--cpu-shares", "100", "evening"],
      ["restart", "-t", "0", "evening"],
      ["commit", "evening", "committed:1"],
      ["kill", "evening"],
      ["update", "--restart", "always", "evening"],
      ["start", "evening"],
      ["network", "disconnect", "own", "evening"],
      ["rm", "-f", "evening"],
      ["network", "rm", "own"],
      ["run", "--rm", "committed:1", "cat", "/tmp/note"],
      ["rmi", "committed:1"],
    ];
    for (const args of day) await passes(h, () => h.docker(...args));
    assertEquals(await Deno.readTextFile(`${h.dir}/back`), "hello\n");
  });
});

engineTest("bodies of POST /containers/create", async (t, h) => {
  await makeImages(h);
  await h.must("create", "--name=bound", "-v", `${h.dir}:/b`, "plain:1");
  const { major } = h.version;

  // Read beside HostConfig, and if it stands alone, by engines up to 26.1.
  const readsTopLevel = major <= 26;
  const bind = `${h.dir}:/x`;
  const refusals: {
    name: string;
    body: Record<string, unknown>;
    message: Message;
    /** Whether this engine, left alone, makes a volume of it. Default: yes. */
    bites?: boolean;
  }[] = [
    {
      name: "Binds of a name",
      body: { HostConfig: { Binds: ["data:/x"] } },
      message: no('named volume "data"'),
    },
    {
      name: "Binds of a name, with options",
      body: { HostConfig: { Binds: ["data:/x:nocopy"] } },
      message: no('named volume "data"'),
    },
    {
      name: "Binds of a path alone",
      body: { HostConfig: { Binds: ["/x"] } },
      message: no("anonymous volume at /x"),
    },
    {
      name: "Volumes",
      body: { Volumes: { "/x": {} } },
      message: no("anonymous volume at /x"),
    },
    {
      name: "Volumes beside a bind elsewhere",
      body: { Volumes: { "/y": {} }, HostConfig: { Binds: [bind] } },
      message: no("anonymous volume at /y"),
    },
    {
      name: "Volumes with a tmpfs spelled otherwise",
      body: { Volumes: { "/x": {} }, HostConfig: { Tmpfs: { "/x/": "" } } },
      message: no("anonymous volume at /x"),
    },
    {
      name: "Mounts of a name",
      body: {
        HostConfig: {
          Mounts: [{ Type: "volume", Source: "data", Target: "/x" }],
        },
      },
      message: no('named volume "data"'),
    },
    {
      name: "Mounts of no name, after a bind",
      body: {
        HostConfig: {
          Mounts: [
            { Type: "bind", Source: "/", Target: "/b" },
            { Type: "volume", Target: "/x" },
          ],
        },
      },
      message: no("anonymous volume at /x"),
    },
    {
      name: "Mounts in another letter case",
      body: {
        HostConfig: { Mounts: [{ Type: "VOLUME", Target: "/x" }] },
      },
      message: no("mount of type VOLUME at /x"),
      bites: false,
    },
    {
      name: "Mounts without a type",
      body: { HostConfig: { Mounts: [{ Source: "data", Target: "/x" }] } },
      message: no('mount of type "" at /x'),
      bites: false,
    },
    {
      name: "Mounts of a cluster volume",
      body: {
        HostConfig: {
          Mounts: [{ Type: "cluster", Source: "data", Target: "/x" }],
        },
      },
      message: no("mount of type cluster at /x"),
      bites: false,
    },
    {
      name: "VolumesFrom",
      body: { HostConfig: { VolumesFrom: ["bound"] } },
      message: no("--volumes-from bound"),
      // That one has none; what it has when this call is judged is not asked.
      bites: false,
    },
    {
      name: "top-level Binds",
      body: { Binds: ["data:/x"] },
      message: no('named volume "data"'),
      bites: readsTopLevel,
    },
    {
      name: "top-level Mounts",
      body: { Mounts: [{ Type: "volume", Source: "data", Target: "/x" }] },
      message: no('named volume "data"'),
      bites: readsTopLevel,
    },
    {
      name: "top-level VolumesFrom",
      body: { VolumesFrom: ["bound"] },
      message: no("--volumes-from bound"),
      bites: false,
    },
    {
      name: "the image's VOLUME",
      body: { Image: "vol:1" },
      message: no("image vol:1 declares VOLUME /data"),
    },
    {
      name: "the image's VOLUME, and a bind that the container does not have",
      body: { Image: "vol:1", Volumes: { "/data": {} } },
      message: no("anonymous volume at /data"),
    },
    {
      name: "the image's VOLUME for a platform",
      body: { Image: "vol:1" },
      message: h.dockerd.keepsPlatforms && major < 28
        // Image inspect takes a platform from API 1.49 on.
        ? /^request can't be checked: this engine can't tell the image of platform/
        : no("image vol:1 declares VOLUME /data"),
    },
    {
      name: "the image's VOLUME, by a full name",
      body: { Image: "docker.io/library/vol:1" },
      message: no("image docker.io/library/vol:1 declares VOLUME /data"),
    },
    {
      name: "null in Binds",
      body: { HostConfig: { Binds: [null, "data:/x"] } },
      message: /^volumes are not allowed: /,
      bites: false,
    },
  ];
  const create = (body: Record<string, unknown>, query = "") =>
    h.api("POST", `/containers/create${query}`, { Image: "plain:1", ...body });
  const query = (name: string) =>
    name.includes("platform") ? "?platform=linux%2Famd64" : "";

  await t.step("what each of the refused does without the plugin", async () => {
    for (const { name, body, bites: expected = true } of refusals) {
      const found = await bites(h, () => create(body, query(name)));
      assertEquals(found, expected, `${name}, on Docker ${h.version.full}`);
    }
  });
  await h.guard();
  for (const { name, body, message } of refusals) {
    await t.step(`refused: ${name}`, async () => {
      await refused(h, () => create(body, query(name)), message);
    });
  }

  const good: [name: string, body: Record<string, unknown>][] = [
    ["nothing but an image", {}],
    ["empty fields", {
      Volumes: null,
      HostConfig: { Binds: null, Mounts: [], VolumesFrom: null, Tmpfs: {} },
    }],
    ["no HostConfig", { HostConfig: null }],
    ["docker-py: Volumes and the bind that is meant", {
      Volumes: { "/x": {} },
      HostConfig: { Binds: [`${bind}:rw`] },
    }],
    ["the same, spelled otherwise", {
      Volumes: { "/y/../x/": {} },
      HostConfig: { Binds: [`${bind}`] },
    }],
    ["Volumes and a bind of Mounts", {
      Volumes: { "/x": {} },
      HostConfig: { Mounts: [{ Type: "bind", Source: "/", Target: "/x/" }] },
    }],
    ["Volumes and a tmpfs", {
      Volumes: { "/x": {} },
      HostConfig: { Tmpfs: { "/x": "" } },
    }],
    ["the image's VOLUME below a bind", {
      Image: "vol:1",
      HostConfig: { Binds: [`${h.dir}:/data:ro`] },
    }],
    ["the image's VOLUME below a bind, spelled otherwise", {
      Image: "vol:1",
      HostConfig: { Binds: [`${h.dir}:/x/..//data/`] },
    }],
    ["the image's VOLUME below a tmpfs of Mounts", {
      Image: "vol:1",
      HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/data/." }] },
    }],
    ["labels that differ in letter case", {
      Labels: { Foo: "1", foo: "2", "fo\u017f": "3" },
      HostConfig: { Sysctls: {}, Annotations: { A: "1", a: "2" } },
    }],
  ];
  for (const [name, body] of good) {
    await t.step(`passes: ${name}`, async () => {
      const { Id } = (await passes(h, () => create(body))).json<
        { Id: string }
      >();
      const made = await h.container(Id);
      assertEquals(made?.mounts.filter((each) => /^volume/.test(each)), []);
      await passes(h, () => h.api("POST", `/containers/${Id}/start`));
      await h.api("DELETE", `/containers/${Id}?force=1`);
    });
  }

  await t.step("an image that is not there: the engine's own 404", async () => {
    await leftToTheEngine(
      h,
      () => create({ Image: "nowhere:1" }),
      404,
      /No such image: nowhere:1/,
    );
  });
  await t.step("no image at all: an empty container", async () => {
    const body = { Image: "", Cmd: ["true"] };
    const { Id } = (await passes(h, () => create(body))).json<{ Id: string }>();
    assertEquals((await h.container(Id))?.mounts, []);
    await h.clear();
  });
  await t.step("an image mount brings no storage", async () => {
    // Only the engine knows whether it can; the plugin has nothing against it.
    const answer = await create({
      HostConfig: {
        Mounts: [{ Type: "image", Source: "plain:1", Target: "/x" }],
      },
    });
    assert(answer.status !== 403, answer.body);
    await h.clear();
  });
});

engineTest("containers made before the plugin", async (t, h) => {
  await makeImages(h);
  await h.must("volume", "create", "data");
  const before: [name: string, ...args: string[]][] = [
    ["bound", "-v", `${h.dir}:/b`, "plain:1"],
    ["named", "-v", "data:/x", "plain:1"],
    ["anonymous", "-v", "/x", "plain:1"],
    ["image", "vol:1"],
    ["covered", "--tmpfs", "/data", "vol:1"],
    ["from", "--volumes-from", "named", "plain:1"],
    ["create", "-v", "data:/x", "plain:1"],
    ["start", "-v", "data:/x", "plain:1"],
    ["update", "-v", `${h.dir}:/b`, "plain:1"],
  ];
  for (const [name, ...args] of before) {
    await h.must("create", "--stop-timeout=0", `--name=${name}`, ...args);
  }
  await h.must("run", "-d", "--name=up", "-v", "data:/x", "plain:1");
  await h.must("rename", "named", "web");
  const id = (await h.container("web"))?.id ?? "";
  await h.guard();

  const why: Record<string, string> = {
    web: 'container web has volume "data" at /x',
    anonymous: "container anonymous has an anonymous volume at /x",
    image: "container image has an anonymous volume at /data",
    from: 'container from has volume "data" at /x',
    // Names that stand for something else in a path.
    create: 'container create has volume "data" at /x',
    start: 'container start has volume "data" at /x',
    [id]: `container ${id} has volume "data" at /x`,
    [id.slice(0, 12)]: `container ${id.slice(0, 12)} has volume "data" at /x`,
  };
  await Deno.writeTextFile(`${h.dir}/note`, "hello\n");
  for (const [name, what] of Object.entries(why)) {
    const calls = [
      ["start", name],
      ["restart", name],
      ["update", "--restart", "always", name],
      ["cp", `${h.dir}/note`, `${name}:/tmp/`],
    ];
    for (
      const args of name.startsWith(id.slice(0, 12)) ? calls.slice(0, 1) : calls
    ) {
      await t.step(`refused: ${show(h, ["docker", ...args])}`, async () => {
        await refused(h, () => h.docker(...args), no(what));
      });
    }
  }

  for (const name of ["bound", "covered", "update"]) {
    await t.step(`${name}, which has no volume, does all of this`, async () => {
      for (
        const args of [
          ["update", "--restart", "on-failure", name],
          ["cp", `${h.dir}/note`, `${name}:/tmp/`],
          ["start", name],
          ["restart", name],
          ["update", "--restart", "no", name],
          ["kill", name],
        ]
      ) await passes(h, () => h.docker(...args));
    });
  }

  await t.step("one that runs goes on, but not anew", async () => {
    const run = await h.container("up");
    await refused(
      h,
      () => h.docker("restart", "up"),
      no('container up has volume "data" at /x'),
    );
    assertEquals(await h.container("up"), run);
    await passes(h, () => h.docker("exec", "up", "ls", "/x"));
    await passes(h, () => h.docker("kill", "up"));
    await refused(
      h,
      () => h.docker("start", "up"),
      no('container up has volume "data" at /x'),
    );
  });

  await t.step("an update of something else passes", async () => {
    await passes(h, () => h.docker("update", "--cpu-shares", "100", "web"));
    await passes(h, () => h.docker("update", "--restart", "no", "web"));
  });
  await t.step("what is in the volume can be taken out", async () => {
    const copied = await h.docker("cp", "image:/data", `${h.dir}/out`);
    assertEquals(copied.code, 0, copied.stderr);
    const text = await Deno.readTextFile(`${h.dir}/out/from-image`);
    assertEquals(text, "made with the image\n");
  });
  for (const call of ["start", "restart", "update", "archive?path=/"]) {
    await t.step(
      `unknown container, ${call}: the engine's own 404`,
      async () => {
        await leftToTheEngine(
          h,
          () =>
            call.startsWith("archive")
              ? h.api("PUT", `/containers/nobody/${call}`, new Uint8Array(1024))
              : h.api(
                "POST",
                `/containers/nobody/${call}`,
                call === "update"
                  ? { RestartPolicy: { Name: "always" } }
                  : undefined,
              ),
          404,
          /No such container: nobody/i,
        );
      },
    );
  }

  await t.step("the engine starts none of them when it starts", async () => {
    await h.dockerd.restart();
    const { containers } = await h.state();
    assertEquals(containers.filter((each) => each.running), []);
    await refused(h, () => h.docker("start", "web"), no(why.web));
  });
  await t.step("they can be removed", async () => {
    for (const name of ["web", "anonymous", "image", "from"]) {
      assertEquals((await h.docker("rm", "-v", name)).code, 0);
    }
  });

  const startWithBody = async (t: Deno.TestContext) => {
    const bodies: [
      name: string,
      body: Record<string, unknown>,
      what: string,
    ][] = [
      ["Binds", { Binds: ["data:/x"] }, 'named volume "data"'],
      ["HostConfig", { HostConfig: { Binds: ["/x"] } }, "anonymous volume at"],
      [
        "Mounts",
        { Mounts: [{ Type: "volume", Source: "data", Target: "/x" }] },
        'named volume "data"',
      ],
      ["VolumesFrom", { VolumesFrom: ["up"] }, "--volumes-from up"],
    ];
    for (const [name, body, what] of bodies) {
      const start = () => h.api("POST", "/v1.23/containers/bound/start", body);
      await t.step(`API 1.23: start with ${name} in its body`, async () => {
        assert(await h.withoutPlugin(() => bites(h, start)));
        // Starting it with a body has changed it: what is judged next is new.
        await h.api("DELETE", "/containers/bound?force=1");
        await h.must("create", "--name=bound", "-v", `${h.dir}:/b`, "plain:1");
        const said = new RegExp(`^${RegExp.escape(no(what))}`);
        await refused(h, start, said);
      });
    }
    const chunked = () =>
      h.send(request("POST", "/v1.23/containers/bound/start", {
        body: { Binds: ["data:/x"] },
        chunk: 5,
      }));
    const [{ body }] = await h.shows(chunked);
    await h.docker("rm", "-f", "bound");
    await h.must("create", "--name=bound", "-v", `${h.dir}:/b`, "plain:1");
    await t.step(
      `API 1.23: start with a chunked body, ${body ? "" : "not "}shown`,
      async () => {
        await refused(
          h,
          chunked,
          body
            ? no('named volume "data"')
            : /^request can't be checked: before API 1\.24 /,
        );
      },
    );
    await t.step("API 1.23: start without a body passes", async () => {
      await passes(h, () => h.api("POST", "/v1.23/containers/bound/start"));
      await h.docker("kill", "bound");
    });
  };
  await t.step(unless(
    h.version.oldestApi === "1.12"
      ? undefined
      : `this engine's oldest API is ${h.version.oldestApi}`,
    { name: "API 1.23: start with a body", fn: startWithBody },
  ));
});

engineTest("exempt users", async (t, h) => {
  await makeImages(h);
  await h.must("create", "--name=web", "-v", "data:/x", "plain:1");
  await h.guard({
    config: `[volumes]\n  allow-user = ["dwalsh"]\n  allow-group = ["root"]\n`,
  });
  const body = { Image: "plain:1", HostConfig: { Binds: ["data:/x"] } };
  const names = ["User", "Authz-User", "AuthZ-User", "X-Remote-User"];
  for (const name of [...names, "RequestPeerCertificates", "UserAuthNMethod"]) {
    await t.step(`a header ${name} makes nobody exempt`, async () => {
      for (const who of ["dwalsh", "root"]) {
        await refused(
          h,
          () =>
            h.send(request("POST", "/containers/create", {
              headers: [[name, who]],
              body,
            })),
          no('named volume "data"'),
        );
      }
    });
  }
  await t.step("nor does one in the address or the query", async () => {
    await refused(
      h,
      () => h.api("POST", "/containers/create?User=dwalsh&user=dwalsh", body),
      no('named volume "data"'),
    );
    await refused(
      h,
      () =>
        h.api("POST", "http://dwalsh:x@docker/containers/web/start", undefined),
      no('container web has volume "data" at /x'),
    );
  });
  await t.step("nor does a user in the body", async () => {
    await refused(
      h,
      () => h.api("POST", "/containers/create", { ...body, User: "dwalsh" }),
      no('named volume "data"'),
    );
  });

  await t.step("without its section the policy is off", async () => {
    await h.guard({ config: "enforce-nothing = true\n" });
    const { Id } = (await h.api("POST", "/containers/create", body)).json<
      { Id: string }
    >();
    assertEquals((await h.container(Id))?.mounts, ["volume data /x"]);
  });
});

engineTest(
  "an engine that can't be asked, a plugin that dies",
  async (t, h) => {
    await makeImages(h);
    await h.must("create", "--name=web", "-v", "data:/x", "plain:1");
    const create = () =>
      h.api("POST", "/containers/create", { Image: "plain:1" });

    await t.step("an engine that is not there", async () => {
      await h.guard({ host: `unix://${h.dir}/nowhere.sock` });
      await refused(h, create, /^engine can't be asked: /);
      await refused(
        h,
        () => h.docker("start", "web"),
        /^engine can't be asked: /,
      );
      // What the body alone decides needs no engine.
      await refused(
        h,
        () => h.docker("run", "-v", "data:/x", "plain:1"),
        no('named volume "data"'),
      );
      await passes(h, () => h.docker("ps"));
    });

    await t.step("an engine that never answers", async () => {
      using _silent = Deno.listen({
        transport: "unix",
        path: `${h.dir}/silent.sock`,
      });
      await h.guard({ host: `unix://${h.dir}/silent.sock` });
      const begin = Date.now();
      await refused(h, create, /^engine can't be asked: .*5 s/);
      const seconds = (Date.now() - begin) / 1000;
      assert(seconds > 4.5 && seconds < 8, `it took ${seconds} s`);
    });

    await t.step("an engine that answers nonsense", async () => {
      for (
        const answer of [
          () => new Response("<html>", { headers: { "Api-Version": "1.41" } }),
          () => new Response("broken", { status: 500 }),
          () => Response.json([], { headers: { "Api-Version": "1.41" } }),
          () => Response.json({}, { headers: { "Api-Version": "1.41" } }),
        ]
      ) {
        const path = `${h.dir}/odd-${crypto.randomUUID()}.sock`;
        const server = Deno.serve({ path, onListen: () => {} }, answer);
        try {
          await h.guard({ host: `unix://${path}` });
          await refused(
            h,
            create,
            /^(engine can't be asked|request can't be checked): /,
          );
        } finally {
          await server.shutdown();
        }
      }
    });

    await t.step("kill -9, and service is back", async () => {
      await h.guard();
      await refused(h, () => h.docker("start", "web"), /volume "data"/);
      await h.plugin?.kill();
      const read = await h.send(request("GET", "/containers/json"), 1000)
        .catch(() => undefined);
      assertEquals(read, undefined, "a call passed with no plugin there");
    });
    await t.step(
      "a call that waited meanwhile is judged after all",
      async () => {
        // The engine goes on trying a plugin that is gone, for half a minute.
        const waiting = [
          h.api("POST", "/containers/create?name=late", {
            Image: "plain:1",
            HostConfig: { Binds: ["data:/x"] },
          }),
          h.api("POST", "/containers/web/start"),
        ];
        await sleep(500);
        await h.startPlugin();
        for (const answer of await Promise.all(waiting)) {
          assert(answer.status >= 400, answer.body);
          assert(/volume "data"|plugin/.test(answer.message), answer.body);
        }
        const { containers } = await h.state();
        assertEquals(
          containers.map(({ name, running }) => ({ name, running })),
          [
            { name: "web", running: false },
          ],
        );
        await passes(h, () => h.docker("run", "--rm", "plain:1", "true"));
        await refused(h, () => h.docker("start", "web"), /volume "data"/);
      },
    );

    await t.step("it ends with 0, and its socket's file goes", async () => {
      await h.dockerd.setPlugins([]);
      const plugin = h.plugin;
      h.plugin = undefined;
      await plugin?.stop();
      const left = await Deno.lstat(h.pluginSocket).then(
        () => true,
        () => false,
      );
      assertEquals(left, false, "the socket's file is still there");
    });
  },
);

/** Arguments as a step's name: without what differs from run to run. */
function show(h: Harness, args: string[]): string {
  return args.join(" ").replaceAll(h.dir, "DIR")
    .replace(/(sha256:)?[0-9a-f]{64}|\b[0-9a-f]{12}\b/, "ID");
}
