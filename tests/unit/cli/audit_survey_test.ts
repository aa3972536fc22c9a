/** What `audit` finds, on a host that is made up. */
import { assertEquals, assertRejects } from "@std/assert";
import { survey } from "../../../lib/cli/audit_survey.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import {
  type ContainerFacts,
  type Engine,
  EngineError,
} from "../../../lib/engine/engine.ts";
import { SILENT } from "../../../lib/log.ts";
import { engineWith } from "../requests.ts";
import { idOf, mountsOf, taskLabels } from "../verdict/host.ts";

function containerOf(
  digit: string,
  more: Partial<ContainerFacts> = {},
): ContainerFacts {
  return {
    id: idOf(digit),
    created: 0,
    names: [`c${digit}`],
    running: true,
    image: "plain:1",
    labels: {},
    mounts: [],
    ...more,
  };
}

/** An engine with these containers and nothing else, unless it is said. */
function hostWith(
  containers: ContainerFacts[],
  more: Partial<Engine> = {},
): Engine {
  return engineWith({
    async *listContainers() {
      yield* containers;
    },
    findContainer: (id) =>
      Promise.resolve(containers.find((each) => each.id === id)),
    isTask: () => Promise.resolve(true),
    taskImage: () => Promise.resolve("evil:1"),
    inspectImage: () => Promise.resolve(undefined),
    listServices: () => Promise.resolve([]),
    listImages: () => Promise.resolve([]),
    ...more,
  });
}

/** What is found, such as `container c1 volumes/container`. */
async function found(config: string, engine: Engine): Promise<string[]> {
  const { found, unchecked } = await survey({
    config: parseConfig("x.toml", config),
    engine,
    log: SILENT,
  });
  return [
    ...found.map(({ kind, name, service, denial, enforce }) =>
      [
        ...[kind, name, denial.rule],
        ...(service === undefined ? [] : [`of ${service}`]),
        ...(enforce ? [] : ["tried out"]),
      ].join(" ")
    ),
    ...unchecked.map(({ name, reason }) => `${name}: ${reason}`),
  ];
}

Deno.test("audit: containers, sorted by name, with what each policy has against them", async () => {
  const engine = hostWith([
    containerOf("3", { mounts: mountsOf("data") }),
    containerOf("2", { mounts: mountsOf("/etc") }),
    containerOf("1", { names: ["z/alias", "b"], mounts: mountsOf("") }),
    containerOf("4", { labels: taskLabels("web") }),
  ]);
  const config = "[volumes]\nallow-bind = []\nenforce = false\n[images]\n";
  assertEquals(await found(config, engine), [
    "container b volumes/container tried out",
    "container c2 volumes/bind tried out",
    "container c3 volumes/container tried out",
    "container c4 images/not-whitelisted of web",
  ]);
  assertEquals(await found("[push]", engine), []);
});

Deno.test("audit: services, unless allow-service names them", async () => {
  const service = (name: string, ContainerSpec: unknown) => ({
    id: `${name}-id`,
    name,
    spec: { Name: name, TaskTemplate: { ContainerSpec } },
  });
  const Mounts = [{ Type: "volume", Source: "data", Target: "/x" }];
  const engine = hostWith([], {
    listServices: () =>
      Promise.resolve([
        service("web", { Image: "evil:1", Mounts }),
        service("odd", { Image: "ok:1", Mounts: "x" }),
        service("fine", { Image: "ok:1" }),
        service("db", { Image: "ok:1", Mounts }),
      ]),
  });
  const config = '[volumes]\nallow-service = ["db"]\n' +
    '[images]\nwhitelist = ["^ok:"]\nenforce = false\n';
  assertEquals(await found(config, engine), [
    "service odd unreadable",
    "service odd unreadable tried out",
    "service web volumes/named",
    "service web images/not-whitelisted tried out",
  ]);
});

Deno.test("audit: images by tag, and by digest if there is no tag of that repository", async () => {
  const digest = `sha256:${idOf("a")}`;
  const images = [
    ["ok:1", "evil:1"],
    ["ok:2"],
    ["<none>:<none>"],
    [],
    ["<none>:<none>"],
  ];
  const digests = [
    [`ok@${digest}`],
    [`evil@${digest}`],
    [`localhost:5/ok@${digest}`],
    [`ok@${digest}`],
    ["<none>@<none>"],
  ];
  const engine = hostWith([], {
    listImages: () =>
      Promise.resolve(images.map((repoTags, at) => ({
        ...{ id: `sha256:${at}`, repoTags, repoDigests: digests[at] },
      }))),
  });
  const config = '[images]\nwhitelist = ["^ok:[12]$"]\n';
  assertEquals(await found(config, engine), [
    "image evil:1 images/not-whitelisted",
    `image evil@${digest} images/not-whitelisted`,
    `image localhost:5/ok@${digest} images/not-whitelisted`,
    `image ok@${digest} images/not-whitelisted`,
  ]);
});

Deno.test("audit: what vanishes meanwhile is left out", async () => {
  const gone = hostWith(
    [containerOf("1", { mounts: mountsOf("data") }), containerOf("2")],
    {
      findContainer: () => Promise.resolve(undefined),
      inspectOptions: (id) =>
        id === idOf("2")
          ? Promise.reject(new EngineError("it is going"))
          : Promise.resolve(undefined),
    },
  );
  assertEquals(await found("[volumes]\n[privileges]\n", gone), []);
});

Deno.test("audit: what can't be judged is told, and keeps from nothing else", async () => {
  const engine = hostWith(
    [containerOf("1"), containerOf("2", { mounts: mountsOf("data") })],
    {
      inspectOptions: (id) =>
        id === idOf("1")
          ? Promise.reject(new EngineError("it waits for its lock"))
          : Promise.resolve(undefined),
      listServices: () =>
        Promise.resolve([{
          id: "s",
          name: "web",
          spec: { TaskTemplate: { ContainerSpec: { Image: "plain:1" } } },
        }]),
      inspectImage: () => Promise.reject(new EngineError("no answer")),
    },
  );
  assertEquals(await found("[volumes]\n[privileges]\n", engine), [
    "container c2 volumes/container",
    "c1: it waits for its lock",
    "web: engine can't be asked: no answer",
  ]);
});

Deno.test("audit: without an engine there is no report", async () => {
  const lost = hostWith([containerOf("1")], {
    inspectOptions: () => Promise.reject(new EngineError("connection refused")),
    findContainer: () => Promise.reject(new EngineError("connection refused")),
  });
  await assertRejects(
    () => found("[privileges]\n", lost),
    EngineError,
    "connection refused",
  );
});

Deno.test("audit: many containers are judged some at a time, and it tells how far it is", async () => {
  let open = 0;
  let most = 0;
  const ids = Array.from({ length: 50 }, (_, at) => String(at));
  const engine = hostWith(ids.map((id) => containerOf("1", { id })), {
    async inspectOptions() {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 1));
      open--;
      return undefined;
    },
  });
  const told: string[] = [];
  const { checked } = await survey({
    config: parseConfig("x.toml", "[privileges]\n"),
    engine,
    log: SILENT,
    progress: (done, total) => told.push(`${done}/${total}`),
  });
  assertEquals(most, 8);
  assertEquals([told.length, told[0], told.at(-1)], [50, "1/50", "50/50"]);
  assertEquals(checked, { container: 50, service: 0, image: 0 });
});
