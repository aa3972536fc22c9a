/** `explain` with the docker client of each engine: what it says, and that nothing is done. */

import { run } from "../helpers/programs.ts";
import { engineTest, type Harness } from "./harness.ts";
import { startTask } from "./plugin.ts";
import { assert, assertEquals } from "./verdict.ts";

const CONFIG = `
[volumes]
allow-classic-build = false
allow-user = ["dwalsh"]

[images]
whitelist = ["^localhost:1/ok:"]

[push]
`;

/** Explains a command, with the socket at a place that the engine's client sees. */
async function explain(h: Harness, ...words: string[]) {
  const [program, ...args] = await startTask();
  const config = `${h.dir}/explain.toml`;
  await Deno.writeTextFile(config, CONFIG);
  return await run([
    ...[program, ...args, "explain", "--config", config],
    ...["--host", `unix://${h.dockerd.socket}`, ...words],
  ], {
    env: {
      NO_COLOR: "1",
      TMPDIR: h.dir,
      HOME: `${h.dir}/client`,
      DOCKER_CONFIG: `${h.dir}/client`,
      DOCKER_BUILDKIT: "0",
      // A client that is told of TLS would not speak to the socket.
      DOCKER_TLS_VERIFY: "1",
    },
    timeout: 60_000,
  });
}

engineTest("explain: the docker client's commands", async (t, h) => {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  await h.must("create", "--name=before", "-v", "old:/x", "plain:1", "true");
  const context = `${h.dir}/context`;
  await Deno.mkdir(context);
  await Deno.writeTextFile(`${context}/Dockerfile`, "FROM plain:1\n");
  const docker = await h.dockerd.client();
  const before = await h.state();

  const denied = /authorization denied by plugin docker-policy-plugin: /;
  const undone = /explain: would be allowed; nothing was done/;
  const mount = `type=bind,"src=${h.dir}/a,b",dst=/x`;
  const cases: [string[], number, RegExp, RegExp][] = [
    [
      ["run", "-v", "data:/x", "plain:1", "true"],
      1,
      /create: refused by volumes\/named: .*"data"\n$/,
      denied,
    ],
    [
      ["run", "-vdata:/x", "plain:1"],
      1,
      /: refused by volumes\/named: /,
      denied,
    ],
    [["run", "vol:1"], 1, /: refused by volumes\/image: .*vol:1/, denied],
    [["run", "--tmpfs=/data", "vol:1"], 0, /create: allowed\n$/, undone],
    [["run", "--mount", mount, "plain:1"], 0, /create: allowed\n$/, undone],
    [["run", "--frobnicate", "plain:1"], 2, /^$/, /flag: --frobnicate/],
    [["start", "before"], 1, /: refused by volumes\/container: /, denied],
    [["rm", "before"], 0, /^DELETE .*: allowed\n$/, undone],
    // What is not here is pulled first, and may have volumes.
    [
      ["run", "localhost:1/ok:1"],
      2,
      /create: can't tell .*ok:1.*\n.*: allowed: /,
      undone,
    ],
    [
      ["run", "localhost:1/bad:1"],
      1,
      /create: can't tell .*\n.*: refused by images\//,
      denied,
    ],
    [["pull", "localhost:1/ok"], 0, /^POST .*: allowed: /m, undone],
    [["pull", "localhost:1/bad"], 1, /^POST .*: refused by images\//m, denied],
    [["push", "plain:1"], 0, /push\?tag=1: allowed\n$/, undone],
    [["build", context], 1, /: refused by images\/build: /, denied],
    [["ps", "-a"], 2, /^CONTAINER/, /asked for no change/],
    [["volume", "create", "data"], 0, /^data\nPOST .*: allowed\n$/, /^$/],
  ];
  for (const [words, code, out, err] of cases) {
    await t.step(`docker ${words.join(" ")}`, async () => {
      const said = await explain(h, "--", ...docker, ...words);
      const all = JSON.stringify(said);
      assert(out.test(said.stdout), all);
      assert(err.test(said.stderr), all);
      assertEquals(said.code, code, all);
    });
  }
  await t.step("for somebody who is exempt", async () => {
    const said = await explain(
      ...[h, "--user=dwalsh", "--"] as const,
      ...docker,
      ...["run", "-v", "data:/x", "vol:1"],
    );
    assert(/: allowed: dwalsh is exempt/.test(said.stdout), said.stdout);
    assertEquals(said.code, 0);
  });
  await t.step("nothing was done", async () => {
    assertEquals(await h.state(), before);
  });
  await t.step("nothing was left", async () => {
    for await (const { name } of Deno.readDir(h.dir)) {
      assert(!name.startsWith("docker-policy-plugin-"), name);
    }
  });
});
