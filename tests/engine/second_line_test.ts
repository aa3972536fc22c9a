/**
 * The second line: what is left of a create that got past the first.
 *
 * Most tests put the plugin together without a third line, so that its first
 * line can be turned off, and the engine's answers to it held back. The race over
 * an image's tag runs against the plugin as it is. What the third line does about
 * creates that the second learns nothing of: tests/engine/verdict/create_test.ts.
 */

import { unless } from "../helpers/unless.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { connectEngine } from "../../lib/engine/engine.ts";
import { engineEndpoint } from "../../lib/engine/address.ts";
import { type EngineClient, engineClient } from "../../lib/engine/client.ts";
import { OwnCalls } from "../../lib/engine/own_calls.ts";
import {
  createFirstLine,
  type FirstLine,
} from "../../lib/verdict/first_line.ts";
import { listen } from "../../lib/server/listen.ts";
import { openLog } from "../../lib/log.ts";
import { pluginHandler } from "../../lib/server/plugin.ts";
import { ALLOW } from "../../lib/policy/decision.ts";
import { createSecondLine } from "../../lib/verdict/second_line.ts";
import { engineTest, type Harness, type State } from "./harness.ts";
import { request, writeAll } from "./raw_http.ts";
import { Door } from "./verdict/third_line/door.ts";
import { eventually } from "../helpers/waiting.ts";
import { LONG, longImage } from "./verdict/third_line/long_answers.ts";
import { assert, assertEquals, passes, refused, saidBy } from "./verdict.ts";

/** A plugin in this process, in front of an engine. */
interface Composed extends AsyncDisposable {
  /** What it logged, a line an event. */
  log: string[];
}

/** Asks the engine. */
type Send = EngineClient["send"];

interface Parts {
  /** The first line; by default none: it lets everything pass. */
  first?: (whole: FirstLine) => FirstLine;
  /** Stands between plugin and engine. */
  between?: (send: Send) => Send;
}

/**
 * Puts a plugin in front of an engine whose first line is turned off, at least in
 * part, and that has no third line.
 */
async function compose(
  h: Harness,
  { first = () => () => Promise.resolve(ALLOW), between = (send) => send }:
    Parts = {},
): Promise<Composed> {
  const log: string[] = [];
  const calls = new OwnCalls();
  const client = engineClient(
    engineEndpoint({ host: `unix://${h.dockerd.socket}`, tlsVerify: false }),
    { calls },
  );
  const options = {
    config: await parseConfig("test", "[volumes]"),
    engine: connectEngine({ ...client, send: between(client.send) }),
    isExempt: () => Promise.resolve(false),
    isOwnCall: calls.recognize.bind(calls),
    log: openLog(
      { debug: false, journal: false, format: "text" },
      (line) => log.push(line),
    ),
  };
  const lines = {
    firstLine: first(createFirstLine(options)),
    secondLine: createSecondLine(options, { served: async () => {} }),
    activated() {},
  };
  const listener = await listen(
    pluginHandler(lines, options.log),
    h.pluginSocket,
    {},
    options.log,
  );
  await h.dockerd.setPlugins([h.pluginName]);
  return {
    log,
    async [Symbol.asyncDispose]() {
      await h.dockerd.setPlugins([]);
      await listener.close();
      client[Symbol.dispose]();
    },
  };
}

/** The first line as it is, but blind to creates. */
const blindToCreates = (whole: FirstLine): FirstLine => (call) =>
  call.uri.includes("/containers/create")
    ? Promise.resolve(ALLOW)
    : whole(call);

/** Names of the containers that the engine started while `work` ran. */
async function started(
  h: Harness,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const now = async () =>
    (await h.api("GET", "/info")).json<{ SystemTime: string }>().SystemTime;
  const seconds = (time: string) => {
    const fraction = time.match(/\.\d+/)?.[0] ?? "";
    return Math.floor(Date.parse(time) / 1000) + fraction;
  };
  const since = seconds(await now());
  await work();
  const query = new URLSearchParams({
    since,
    until: seconds(await now()),
    filters: JSON.stringify({ type: ["container"], event: ["start"] }),
  });
  const { body } = await h.api("GET", `/events?${query}`);
  return body.split("\n").filter((line) => line.trim() !== "").map((line) =>
    (JSON.parse(line) as { Actor: { Attributes: { name: string } } }).Actor
      .Attributes.name
  );
}

/** What a container that mounts a volume finds in it, by file name; read without the plugin. */
async function contentOf(h: Harness, volume: string): Promise<string> {
  return await h.must(
    ..."run --rm --volume".split(" "),
    `${volume}:/look:nocopy`,
    ..."plain:1 sh -c".split(" "),
    "for f in $(ls /look); do echo $f: $(cat /look/$f); done",
  );
}

/** The state of an engine that nothing was left in. */
const NOTHING: State = { containers: [], volumes: [], services: [] };

/** A name as the engine gives it to anonymous volumes. */
const HEX = "c0ffee00".repeat(8);

engineTest("an image that is named by its ID", async (t, h) => {
  const plain = await h.image("plain:1");
  const volumes = await h.image("vol:1", { changes: ["VOLUME /data"] });
  let asked: string[] = [];
  const between = (send: Send): Send => (question) => {
    const { path } = question;
    if (/^\/v[\d.]+\/images\//.test(path)) asked.push(path);
    return send(question);
  };
  await using _ = await compose(h, { first: (whole) => whole, between });
  const before = await h.state();

  /** Creates a container three times; how often its image was asked for. */
  async function questions(image: string, status: number): Promise<number[]> {
    const counts: number[] = [];
    for (let round = 0; round < 3; round++) {
      asked = [];
      const answer = await h.api("POST", "/containers/create?name=pinned", {
        Image: image,
        HostConfig: { Binds: ["/:/b"] },
      });
      assertEquals(answer.status, status, answer.body);
      counts.push(Math.sign(asked.length));
      if (status !== 201) {
        assert(/declares VOLUME \/data/.test(answer.body), answer.body);
        assertEquals(await h.state(), before);
      } else await h.api("DELETE", "/containers/pinned");
    }
    return counts;
  }

  await t.step("its VOLUME is looked up each time", async () => {
    assertEquals(await questions(plain, 201), [1, 1, 1]);
    assertEquals(await questions(volumes, 403), [1, 1, 1]);
  });
  await t.step("so it is for a tag or the beginning of an ID", async () => {
    assertEquals(await questions("vol:1", 403), [1, 1, 1]);
    assertEquals(await questions(volumes.slice(7, 27), 403), [1, 1, 1]);
    assertEquals(await questions(volumes.slice(7), 403), [1, 1, 1]);
  });
  await t.step("what its tag names by then does not matter", async () => {
    await h.must("tag", "vol:1", "plain:1");
    assertEquals(await questions("plain:1", 403), [1, 1, 1]);
    if (!h.dockerd.keepsPlatforms) {
      assertEquals(await questions(plain, 201), [1, 1, 1]);
    }
  });
});

engineTest("the second line alone", async (t, h) => {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  // Volumes that stood there before, each with something in it.
  for (const name of ["kept", HEX]) {
    await h.must("volume", "create", name);
    await h.must(
      ...["run", "--rm", "-v", `${name}:/x`, "plain:1", "sh", "-c"],
      "echo precious > /x/file",
    );
  }
  await h.must(
    ...["run", "--name=old", "-v", "/o", "-v", "kept:/k", "plain:1", "sh"],
    ...["-c", "echo precious > /o/file"],
  );
  const old = await h.container("old");
  const anonymous = old?.mounts.map((mount) =>
    mount.match(/^volume ([0-9a-f]{64}) \/o$/)?.[1]
  ).find((name) => name) ?? "";
  assert(anonymous !== "", "the old container has no anonymous volume");
  const before = await h.state();

  const creates: {
    name: string;
    body: Record<string, unknown>;
    /** A pattern in the denial. */
    what: RegExp;
    /** Named volumes that are made, and stay. */
    made?: string[];
    /** Only for some engines. */
    skip?: string;
  }[] = [
    {
      name: "Volumes",
      body: { Volumes: { "/x": {} } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "Binds of a path alone",
      body: { HostConfig: { Binds: ["/x"] } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "several anonymous volumes beside a bind mount",
      body: {
        Volumes: { "/x": {}, "/y": {} },
        HostConfig: { Binds: ["/:/b"], Mounts: [volumeMount("", "/z")] },
      },
      what: /an anonymous volume at \/[xyz]$/,
    },
    {
      name: "an anonymous volume of a container that removes itself",
      body: { Volumes: { "/x": {} }, HostConfig: { AutoRemove: true } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "an anonymous volume of a container that restarts itself",
      body: {
        Volumes: { "/x": {} },
        HostConfig: { RestartPolicy: { Name: "always" } },
      },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "a mount of no name",
      body: { HostConfig: { Mounts: [volumeMount("", "/x")] } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "VOLUME of the image",
      body: { Image: "vol:1" },
      what: /an anonymous volume at \/data$/,
    },
    {
      name: "a new named volume",
      body: { HostConfig: { Binds: ["fresh:/data"] } },
      what: /volume "fresh" at \/data$/,
      made: ["fresh"],
    },
    {
      name: "a new named volume, as a mount, and an anonymous one",
      body: {
        Volumes: { "/x": {} },
        HostConfig: { Mounts: [volumeMount("fresh2", "/data")] },
      },
      what: /(volume "fresh2" at \/data|an anonymous volume at \/x)$/,
      made: ["fresh2"],
    },
    {
      name: "a named volume that stood there before",
      body: { HostConfig: { Binds: ["kept:/x"] } },
      what: /volume "kept" at \/x$/,
    },
    {
      name: "the same over the image's VOLUME",
      body: { Image: "vol:1", HostConfig: { Binds: ["kept:/data"] } },
      what: /volume "kept" at \/data$/,
    },
    {
      name:
        "a volume that stood there before, with a name like an anonymous one's",
      body: { HostConfig: { Binds: [`${HEX}:/x`] } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "the anonymous volume of another container, by its name",
      body: { HostConfig: { Mounts: [volumeMount(anonymous, "/x")] } },
      what: /an anonymous volume at \/x$/,
    },
    {
      name: "volumes of another container",
      body: { HostConfig: { VolumesFrom: ["old"] } },
      what: /(an anonymous volume at \/o|volume "kept" at \/k)$/,
    },
    {
      name: "Binds beside HostConfig",
      body: { Binds: ["top:/x"], HostConfig: undefined },
      what: /volume "top" at \/x$/,
      made: ["top"],
      skip: h.version.major > 26
        ? "Docker reads them there up to 26 only"
        : undefined,
    },
  ];

  {
    await using plugin = await compose(h);
    const stays = [...before.volumes];
    for (const { name, body, what, made = [], skip } of creates) {
      const fn = async () => {
        plugin.log.length = 0;
        const answer = await h.api("POST", "/containers/create", {
          Image: "plain:1",
          ...body,
        });
        assertEquals(answer.status, 403, answer.body);
        const said = saidBy(h, answer.message) ?? "";
        assert(what.test(said), said);
        assert(said.startsWith("volumes are not allowed: container "), said);
        stays.push(...made);
        const after = await h.state();
        assertEquals(after.containers, before.containers);
        assertEquals(after.volumes, stays.toSorted());
        assertAlert(plugin, "/containers/create");
      };
      await t.step(unless(skip, { name: `removes what came of: ${name}`, fn }));
    }

    await t.step("docker run starts nothing of it", async () => {
      const names = await started(h, async () => {
        for (
          const args of [
            ["--volume=/x", "plain:1"],
            ["--rm", "--volume=/x", "plain:1"],
            ["--detach", "--restart=always", "vol:1"],
            ["--volume=kept:/x", "plain:1"],
            ["--volumes-from=old", "plain:1"],
          ]
        ) {
          const run = await h.docker("run", ...args);
          assert(run.code !== 0, `docker run ${args.join(" ")} ended with 0`);
          assert(saidBy(h, run.stderr) !== undefined, run.stderr);
        }
      });
      assertEquals(names, []);
      assertEquals((await h.state()).containers, before.containers);
      assertEquals((await h.state()).volumes, stays.toSorted());
    });

    await t.step("it looks although the client has hung up", async () => {
      plugin.log.length = 0;
      for (let times = 0; times < 5; times++) {
        await hangUpAfter(
          h,
          request("POST", "/containers/create", {
            body: { Image: "vol:1", Volumes: { "/x": {} } },
          }),
        );
      }
      // A call that was left alone may come to nothing; if it does come to something, that is removed.
      for (let tries = 0; tries < 100; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const { containers, volumes } = await h.state();
        if (
          tries > 20 && containers.length === before.containers.length &&
          volumes.length === stays.length
        ) break;
      }
      assertEquals((await h.state()).containers, before.containers);
      assertEquals((await h.state()).volumes, stays.toSorted());
    });

    await t.step("a day's work goes by unnoticed", async () => {
      plugin.log.length = 0;
      for (
        const args of [
          ["run", "--rm", "-v", `${h.dir}:/x`, "plain:1", "true"],
          ["run", "--rm", "--tmpfs=/data", "vol:1", "true"],
          ["create", "--name=day", "plain:1"],
          ["start", "day"],
          ["rm", "--force", "day"],
        ]
      ) await passes(h, () => h.docker(...args));
      // The client that has hung up can still be heard of.
      assertEquals(plugin.log.filter((line) => /alert|denied/.test(line)), []);
    });
  }

  await t.step("volumes from before have kept what was in them", async () => {
    for (const volume of ["kept", HEX, anonymous]) {
      assertEquals(await contentOf(h, volume), "file: precious", volume);
    }
    assertEquals(
      await contentOf(h, "fresh"),
      "from-image: made with the image",
    );
  });
});

engineTest("the second line: a container that gets company", async (t, h) => {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  const create = (name: string, image = "vol:1") =>
    h.api("POST", `/containers/create?name=${name}`, { Image: image });

  /** Holds the answers to the plugin's questions about a container, when it is told to. */
  const gate = new Gate();
  const between = (send: Send): Send => async (question) => {
    const answer = await send(question);
    if (/\/containers\/([^/]+\/)?json(\?|$)/.test(question.path)) {
      await gate.pass();
    }
    return answer;
  };
  await using plugin = await compose(h, { first: blindToCreates, between });

  await t.step("it is not there for others to start", async () => {
    const names = await started(h, async () => {
      gate.close();
      const creating = create("one");
      await gate.somebodyWaits();
      assertEquals((await h.container("one"))?.running, false);

      const calls = [
        ...["start", "restart"].map((call) =>
          h.api("POST", `/containers/one/${call}`)
        ),
        h.api("POST", "/containers/one/rename?name=two"),
        h.api("POST", "/containers/one/update", {
          RestartPolicy: { Name: "always" },
        }),
      ];
      await gate.somebodyWaits(1 + calls.length);
      gate.open();
      for (const answer of await Promise.all(calls)) {
        // Judged as any other container, or gone by then.
        assert([403, 404].includes(answer.status), answer.body);
      }
      assertEquals((await creating).status, 403);
    });
    assertEquals(names, []);
    assertEquals(await h.state(), NOTHING);
  });

  await t.step("clients try all the time to start it", async () => {
    for (let round = 0; round < 10; round++) {
      const creating = create(`many${round}`);
      let created = false;
      creating.then(() => created = true);
      const starting = Array.from({ length: 3 }, async () => {
        while (!created) {
          await h.api("POST", `/containers/many${round}/start`);
        }
      });
      assertEquals((await creating).status, 403);
      await Promise.all(starting);
    }
    assertEquals(await h.state(), NOTHING);
  });

  await t.step("one is told to start before it is there", async () => {
    const names = await started(h, async () => {
      gate.close();
      const starting = h.api("POST", "/containers/early/start");
      await gate.somebodyWaits(); // No container has that name.
      gate.openFor(1);
      await gate.somebodyWaits(2); // Nor has one it from a link.
      const creating = create("early");
      await gate.somebodyWaits(3);
      gate.openFor(1);
      assertEquals((await starting).status, 204);
      gate.open();
      assertEquals((await creating).status, 403);
    });
    // It goes although it runs by then.
    assertEquals(names, ["early"]);
    assertEquals(await h.state(), NOTHING);
  });

  await t.step("one that others removed meanwhile is no error", async () => {
    plugin.log.length = 0;
    gate.close();
    const creating = create("gone", "plain:1");
    await gate.somebodyWaits();
    assertEquals((await h.api("DELETE", "/containers/gone")).status, 204);
    gate.open();
    assertEquals((await creating).status, 201);
    assertEquals(plugin.log, []);
  });
});

engineTest("an image that is retagged at the wrong moment", async (t, h) => {
  const plain = await h.image("plain:1");
  const vol = await h.image("vol:1", { changes: ["VOLUME /data"] });
  await longImage(h, "long:1", ["/data"]);
  const tag = async (image: string) => {
    const to = "/tag?repo=race&tag=1";
    const { status } = await h.api("POST", `/images/${image}${to}`);
    assertEquals(status, 201);
  };
  await tag(plain);

  await using door = new Door(`${h.dir}/door.sock`, h.dockerd.socket);
  /** Sets what happens between the engine's answer about the image and the plugin's reading of it. */
  const meanwhile = (work: () => Promise<void>) => {
    door.meanwhile = { question: /\/images\//, work };
  };
  const alerts = async () =>
    (await h.plugin?.log() ?? "").split("\n").filter((line) =>
      line.includes("alert")
    );
  await h.guard({ host: door.host });
  await eventually("its third line is there", async () => {
    await h.api("GET", "/_ping");
    return (await h.plugin?.log() ?? "").includes("following");
  });

  await t.step("without a race it is judged as it is", async () => {
    await passes(h, () => h.docker("run", "--rm", "race:1", "true"));
  });
  await t.step(
    "with one, nothing is left and nothing was started",
    async () => {
      meanwhile(() => tag(vol));
      const names = await started(h, async () => {
        for (let round = 0; round < 3; round++) {
          await tag(plain);
          const run = await h.docker("run", "--name=racer", "race:1", "true");
          assert(run.code !== 0);
          const said = saidBy(h, run.stderr) ?? run.stderr;
          const what =
            /^volumes are not allowed: container [0-9a-f]{12} has an anonymous volume at \/data$/;
          assert(what.test(said), said);
        }
      });
      assertEquals(names, []);
      assertEquals(await h.state(), NOTHING);
      assertEquals((await alerts()).length, 3);
      for (const alert of await alerts()) {
        for (const part of ["/containers/create?name=racer", "race:1"]) {
          assert(alert.includes(part), alert);
        }
      }
    },
  );
  await t.step(
    "the other way round it is refused for what it was",
    async () => {
      meanwhile(() => tag(plain));
      await tag(vol);
      const run = await h.docker("run", "race:1", "true");
      const said = saidBy(h, run.stderr) ?? run.stderr;
      assertEquals(
        said,
        "volumes are not allowed: image race:1 declares VOLUME /data",
      );
    },
  );
  await t.step("an image by its ID is no race", async () => {
    meanwhile(() => tag(vol));
    await passes(h, () => h.docker("run", "--rm", plain, "true"));
  });

  const long: {
    name: string;
    image: string;
    path: string;
    body?: Record<string, unknown>;
    skip?: string;
  }[] = [
    {
      name: "of a platform",
      image: "long:1",
      path: "/containers/create?name=ahead",
    },
    {
      name: "of a platform, without a name",
      image: "long:1",
      path: "/containers/create",
    },
    {
      name: "of a setting",
      image: "vol:1",
      path: "/v1.45/containers/create?name=ahead",
      body: {
        HostConfig: {
          Sysctls: { [`net.ipv4.conf.eth0.${"a".repeat(40_000)}`]: "1" },
        },
      },
      skip: h.version.major < 28
        ? "Docker warns of nothing here before 28"
        : undefined,
    },
  ];
  for (const { name, image, path, body, skip } of long) {
    const fn = async () => {
      const before = (await alerts()).length;
      await tag(plain);
      meanwhile(() => tag(image));
      const { status, body: answer } = await h.api("POST", path, {
        Image: "race:1",
        ...body,
      });
      // Otherwise this shows nothing.
      assertEquals(status, 201);
      assert(answer.length > LONG, answer.slice(0, 100));
      const { Id } = JSON.parse(answer);
      await eventually("the third line has removed it", async () => {
        const { containers, volumes } = await h.state();
        return containers.length === 0 && volumes.length === 0;
      });
      await eventually("an alert names it", async () => {
        return (await alerts()).length > before;
      });
      const [alert, ...more] = (await alerts()).slice(before);
      assertEquals(more, []);
      assert(alert.includes(Id), alert);
    };
    await t.step(
      unless(skip, { name: `an answer that is sent ahead, ${name}`, fn }),
    );
  }
  await t.step("the first line refuses such a platform", async () => {
    door.meanwhile = undefined;
    await longImage(h, "long:2");
    await refused(
      h,
      () => h.api("POST", "/containers/create", { Image: "long:2" }),
      "image long:2 is not allowed: its architecture has 70000 characters, " +
        "more than 100",
    );
  });
});

function volumeMount(source: string, target: string) {
  return {
    Type: "volume",
    Target: target,
    ...(source !== "" && { Source: source }),
  };
}

function assertAlert({ log }: Composed, part: string): void {
  const alerts = log.filter((line) => line.includes("alert"));
  assertEquals(alerts.length, 1, log.join("\n"));
  assert(alerts[0].includes(part), alerts[0]);
}

/** Sends a request, and closes the connection as soon as it is out. */
async function hangUpAfter(h: Harness, bytes: Uint8Array): Promise<void> {
  using connection = await Deno.connect({
    transport: "unix",
    path: h.dockerd.socket,
  });
  await writeAll(connection, bytes);
}

/** Where questions wait for leave. */
class Gate {
  #isOpen = true;
  #waiting: (() => void)[] = [];
  #arrived = 0;
  #watcher = () => {};

  /** Waits while it is closed. */
  async pass(): Promise<void> {
    if (this.#isOpen) return;
    this.#arrived++;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#watcher();
    });
  }

  close(): void {
    this.#isOpen = false;
    this.#arrived = 0;
  }

  /** Lets all pass, from now on. */
  open(): void {
    this.#isOpen = true;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Lets those pass that have waited longest. */
  openFor(count: number): void {
    for (const go of this.#waiting.splice(0, count)) go();
  }

  /** Waits until so many have come since it was closed. */
  async somebodyWaits(count = 1): Promise<void> {
    while (this.#arrived < count) {
      await new Promise<void>((resolve) => this.#watcher = resolve);
    }
  }
}
