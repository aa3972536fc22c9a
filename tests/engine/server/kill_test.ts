/**
 * kill -9 in the middle of a load, a hundred times: nothing that is refused is
 * done, and service is back each time.
 */

import { sleep, whyNo } from "../../helpers/programs.ts";
import { engineTest } from "../harness.ts";
import { answers, Plugin } from "../plugin.ts";
import { assert, assertEquals, passes, refused } from "../verdict.ts";

const ROUNDS = 100;
const missing = await whyNo({ "systemd-socket-activate": "systemd" });

/**
 * Holds the socket as systemd does, and starts a plugin on it whenever there is
 * none.
 */
const KEEP =
  'while :; do sh -c \'echo $$ >"$0"; LISTEN_PID=$$ exec "$@"\' "$0" "$@"; done';

engineTest("kill -9 in the middle of a load", async (t, h) => {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  await h.must("create", "--name=web", "-v", "data:/x", "plain:1");
  const note = `${h.dir}/plugin.pid`;
  await using _keeper = await Plugin.launch({
    socket: h.pluginSocket,
    host: `unix://${h.dockerd.socket}`,
    dir: h.dir,
    wrap: [
      ...["systemd-socket-activate", "--listen", h.pluginSocket],
      ...["HOME", "PATH", "DENO_DIR", "NO_COLOR"].flatMap((
        name,
      ) => ["-E", name]),
      ...["sh", "-c", KEEP, note],
    ],
  });
  await answers(h.pluginSocket);
  await h.dockerd.setPlugins([h.pluginName]);
  const pid = async () => Number(await Deno.readTextFile(note));
  const before = await h.state();

  const bad = [
    () =>
      h.api("POST", "/containers/create", {
        Image: "plain:1",
        HostConfig: { Binds: ["v:/x"] },
      }),
    () => h.api("POST", "/containers/create", { Image: "vol:1" }),
    () =>
      h.api("POST", "/containers/create", {
        Image: "plain:1",
        Volumes: { "/x": {} },
      }),
    () => h.api("POST", "/containers/web/start"),
    () => h.api("POST", "/containers/web/restart?t=0"),
    () =>
      h.api("POST", "/containers/web/update", {
        RestartPolicy: { Name: "always" },
      }),
  ];
  const good = [
    () => h.api("GET", "/containers/json?all=1"),
    () =>
      h.api("POST", "/containers/create", {
        Image: "plain:1",
        HostConfig: { Binds: ["/:/x"] },
      }),
  ];
  let over = false;
  let inFlight = 0;
  let refusals = 0;
  const load = async (
    call: () => Promise<{ status: number }>,
    isBad: boolean,
  ) => {
    while (!over) {
      inFlight++;
      const status = await call().then((answer) => answer.status, () => 0);
      inFlight--;
      if (isBad) {
        assert(
          status === 0 || status >= 400,
          `a forbidden call gave ${status}`,
        );
        refusals++;
      }
      await sleep(20);
    }
  };
  let hit = 0;
  let slowest = 0;
  try {
    const loads = [
      ...bad.map((call) => load(call, true)),
      ...good.map((call) => load(call, false)),
    ];
    const killing = async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await sleep(50 + Math.random() * 100);
        if (inFlight > 0) hit++;
        Deno.kill(await pid(), "SIGKILL");
        slowest = Math.max(slowest, await answers(h.pluginSocket));
      }
    };
    await Promise.all([killing().finally(() => over = true), ...loads]);
  } finally {
    over = true;
  }
  await t.step(
    `${ROUNDS} kills, ${hit} with calls under way, ${refusals} refusals; back after ${
      Math.round(slowest)
    } ms at most`,
    () => assert(hit > ROUNDS / 2),
  );
  await t.step("nothing that is refused was done", async () => {
    const after = await h.state();
    assertEquals(after.volumes, before.volumes);
    assertEquals(after.containers.filter(({ running }) => running), []);
    assertEquals(
      after.containers.find(({ name }) => name === "web"),
      before.containers[0],
    );
    const mounts = after.containers.filter(({ name }) => name !== "web")
      .flatMap((each) => each.mounts);
    assertEquals(mounts.filter((mount) => mount !== "bind / /x"), []);
  });
  await t.step("service is as before", async () => {
    await refused(h, () => h.docker("start", "web"), /volume "data"/);
    await passes(h, () => h.docker("run", "--rm", "plain:1", "true"));
  });
  await h.dockerd.setPlugins([]);
  const last = await pid();
  // Its keeper first, or there is another one.
  await _keeper.kill();
  try {
    Deno.kill(last, "SIGKILL");
  } catch {
    // It has ended.
  }
}, { skip: missing });
