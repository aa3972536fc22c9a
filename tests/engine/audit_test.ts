/** `audit` on each engine: it tells what the settings would refuse, and leaves everything as it is. */

import { run, sleep } from "../helpers/programs.ts";
import { engineTest, type Harness } from "./harness.ts";
import { startCommand } from "./plugin.ts";
import { assert, assertEquals } from "./verdict.ts";
import { createService, service } from "./verdict/third_line/swarm.ts";

const CONFIG = `
[volumes]
allow-bind = ["/srv/"]
allow-service = ["db"]

[images]
whitelist = ["^(plain|vol):"]
enforce = false

[privileges]
`;

/** Nothing of what is there is refused by these. */
const OPEN = '[images]\nblacklist = ["^nowhere/"]\ndefault-allow = true\n';

/** A finding as `--format json` tells it. */
interface Found {
  kind: string;
  name: string;
  id: string;
  service?: string;
  policy: string;
  enforced: boolean;
  rule: string;
  reason: string;
  advice: string;
}

async function audit(h: Harness, config: string, ...words: string[]) {
  const file = `${h.dir}/audit.toml`;
  await Deno.writeTextFile(file, config);
  return await run([
    ...await startCommand(),
    ...["audit", file, "--host", `unix://${h.dockerd.socket}`, ...words],
  ], { env: { NO_COLOR: "1" }, timeout: 60_000 });
}

/** Kind, name, policy and rule of what was found; a task by its service. */
function linesOf(found: Found[]): string[] {
  return found.map(({ kind, name, policy, rule, enforced, service }) =>
    [
      kind,
      service ? `task of ${service}` : name,
      rule,
      ...(enforced ? [] : [`${policy} tried out`]),
    ].join(" ")
  );
}

/** What is found of the things that `fill` makes, in the order of the report. */
const EXPECTED = [
  "container anonymous volumes/container",
  "container both volumes/container",
  "container both privileges/host-pid",
  "container bound volumes/bind",
  "container privileged privileges/privileged",
  "container volume volumes/container",
  "container task of volume volumes/container",
  "service capable privileges/capability",
  "service declared volumes/image",
  "service elsewhere images/not-whitelisted images tried out",
  "service volume volumes/named",
  "image localhost:1/off:1 images/not-whitelisted images tried out",
  "image off:1 images/not-whitelisted images tried out",
];

async function fill(h: Harness): Promise<void> {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  await h.image("off:1", { files: { "/off": "" } });
  await h.must("tag", "plain:1", "localhost:1/off:1");

  const create = (name: string, ...words: string[]) =>
    h.must("create", "--network=none", `--name=${name}`, ...words);
  const started = (name: string, ...words: string[]) =>
    h.must("run", "-d", "--network=none", `--name=${name}`, ...words);
  await started("fine", "--tmpfs=/data", "vol:1");
  await create("off", "off:1");
  await create("volume", "-v", "data:/x", "plain:1");
  await started("anonymous", "vol:1");
  await create("privileged", "--privileged", "plain:1");
  await create("both", "-v", "data:/x", "--pid=host", "plain:1");
  await create("bound", "-v", "/etc:/x", "plain:1");

  await h.must("swarm", "init", "--advertise-addr=127.0.0.1");
  const data = [{ Type: "volume", Source: "data", Target: "/x" }];
  const capable = service("capable", "plain:1", { replicas: 0 });
  Object.assign(
    (capable.TaskTemplate as { ContainerSpec: Record<string, unknown> })
      .ContainerSpec,
    { CapabilityAdd: ["CAP_NET_ADMIN"] },
  );
  for (
    const body of [
      service("fine", "plain:1"),
      service("volume", "plain:1", { mounts: data }),
      service("db", "plain:1", { mounts: data }),
      service("declared", "vol:1", { replicas: 0 }),
      service("elsewhere", "localhost:1/gone:1", { replicas: 0 }),
      capable,
    ]
  ) {
    const { status, message } = await createService(h, body);
    assertEquals(status, 201, message);
  }
  const running = async () => {
    const answer = await h.api("GET", "/containers/json");
    return answer.json<unknown[]>().length;
  };
  for (let tries = 0; await running() < 5; tries++) {
    assert(tries < 300, "the tasks do not run");
    await sleep(100);
  }
}

/** What a look must not change: of containers, also when they were started. */
async function stateOf(h: Harness): Promise<unknown> {
  const state = await h.state();
  const inspects = await Promise.all(
    state.containers.map(({ id }) => h.api("GET", `/containers/${id}/json`)),
  );
  const images = await h.api("GET", "/images/json");
  return {
    state,
    containers: inspects.map((each) => each.json<unknown>()),
    images: images.json<{ Id: string; RepoTags: string[] }[]>()
      .map(({ Id, RepoTags }) => [Id, ...RepoTags.sort()].join(" ")).sort(),
  };
}

engineTest("audit: what is there before the plugin is", async (t, h) => {
  await t.step("an engine that has nothing", async () => {
    const { code, stdout, stderr } = await audit(h, CONFIG);
    const said = "0 findings in 0 containers, 0 services and 0 images; " +
      "enforcing [volumes], [privileges]; trying out [images]\n";
    assertEquals([code, stdout, stderr], [0, said, ""]);
  });
  await t.step("containers that vanish meanwhile", async () => {
    await h.image("going:1");
    const HostConfig = { NetworkMode: "none", Privileged: true };
    const paths = await Promise.all(Array.from({ length: 40 }, async () => {
      const body = { Image: "going:1", HostConfig };
      const made = await h.api("POST", "/containers/create", body);
      return `/containers/${made.json<{ Id: string }>().Id}?force=1`;
    }));
    const going = sleep(200).then(async () => {
      for (const path of paths) await h.api("DELETE", path);
    });
    const said = await audit(h, CONFIG);
    assert(said.code < 2, JSON.stringify(said));
    assertEquals(said.stderr, "");
    await going;
    await h.must("rmi", "going:1");
  });
  await fill(h);
  const before = await stateOf(h);

  async function isWhole(): Promise<void> {
    const { code, stdout, stderr } = await audit(h, CONFIG, "--format=json");
    assertEquals([code, stderr], [1, ""], stdout);
    const { findings, unchecked, checked } = JSON.parse(stdout) as {
      findings: Found[];
      unchecked: unknown[];
      checked: Record<string, number>;
    };
    assertEquals(linesOf(findings), EXPECTED);
    assertEquals(unchecked, []);
    assertEquals(checked, { container: 10, service: 6, image: 3 });
    for (const each of findings) {
      assert(each.reason !== "" && each.advice !== "", JSON.stringify(each));
      // What it is called by is what the engine knows it by.
      const kind = each.kind === "image" ? "images" : `${each.kind}s`;
      const path = each.kind === "service"
        ? `/${kind}/${each.id}`
        : `/${kind}/${each.id}/json`;
      assertEquals((await h.api("GET", path)).status, 200, path);
    }
  }

  await t.step("as JSON", isWhole);

  await t.step("as a table", async () => {
    const { code, stdout, stderr } = await audit(h, CONFIG);
    assertEquals([code, stderr], [1, ""], stdout);
    const lines = stdout.split("\n");
    const end = lines.indexOf("");
    assertEquals(end, EXPECTED.length + 1);
    const [head, ...rows] = lines.slice(0, end);
    const [, rule, doing, why] = ["POLICY", "RULE", "DO", "WHY"]
      .map((word) => head.indexOf(word));
    assertEquals(
      rows.map((row) => row.slice(rule, doing).trim()),
      EXPECTED.map((line) => line.match(/\w+\/[\w-]+(?= images|$)/)![0]),
    );
    for (const row of rows) {
      const at = row.slice(doing, why).trim();
      assert(stdout.includes(`\n${at.padStart(3)}  `), row);
    }
    const [volume] = rows.filter((row) => /^container +volume /.test(row));
    const { id } = (await h.container("volume"))!;
    assert(
      volume.endsWith(
        `volumes are not allowed: container ${id.slice(0, 12)} has volume ` +
          '"data" at /x',
      ),
      volume,
    );
    assert(rows.at(-1)!.includes("[images] tried out"), rows.at(-1)!);
    const counts = "13 findings in 10 containers, 6 services and 3 images; ";
    assert(lines.at(-2)!.startsWith(counts), stdout);
  });

  await t.step("by settings that refuse nothing of it", async () => {
    const { code, stdout } = await audit(h, OPEN, "--format", "json");
    assertEquals([code, JSON.parse(stdout).findings], [0, []]);
  });

  await t.step("nothing was changed", async () => {
    assertEquals(await stateOf(h), before);
  });

  await h.guard({ config: CONFIG.replace("enforce = false\n", "") });

  await t.step("beside the plugin that enforces it", isWhole);

  await t.step("nothing was changed then", async () => {
    assertEquals(await stateOf(h), before);
  });

  await t.step("what it names is refused, in its words", async () => {
    const { stdout } = await audit(h, CONFIG, "--format=json");
    const findings: Found[] = JSON.parse(stdout).findings;
    for (const name of ["volume", "privileged", "bound"]) {
      const found = findings.find((each) =>
        each.kind === "container" && each.name === name
      )!;
      const answer = await h.api("POST", `/containers/${found.id}/start`);
      assertEquals(answer.status, 403, name);
      const words = found.reason.replaceAll(found.id.slice(0, 12), found.id);
      assert(answer.message.endsWith(words), `${answer.message} / ${words}`);
    }
    const image = findings.find(({ name }) => name === "off:1")!;
    const pull = await h.api("POST", "/images/create?fromImage=off&tag=1");
    assert(pull.message.endsWith(image.reason), pull.message);
    const volume = findings.find(({ kind, name }) =>
      kind === "service" && name === "volume"
    )!;
    const again = await createService(
      h,
      service("again", "plain:1", {
        mounts: [{ Type: "volume", Source: "data", Target: "/x" }],
      }),
    );
    assert(again.message.endsWith(volume.reason), again.message);
  });
});
