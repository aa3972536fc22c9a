/**
 * The stream of events, when it breaks, loses something, or the engine ends;
 * and locks that hold up questions.
 */

import { Door } from "./third_line/door.ts";
import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { BY_LIST } from "./third_line/names.ts";
import { sleep } from "../../helpers/programs.ts";
import { assert, assertEquals, refused } from "../verdict.ts";

const doorOf = (host: Host) =>
  new Door(`${host.h.dir}/door.sock`, host.h.dockerd.socket);

const makeBad = (host: Host) =>
  host.behindItsBack((h) => h.must("run", "-d", "-v", "/x", "plain:1"));

const gone = (host: Host, id: string, timeout?: number) =>
  eventually("it is gone", async () => !(await host.listed(id)), timeout);

hostTest("a stream of events that breaks", async (t, host) => {
  await host.image("plain:1");
  const old = await host.h.must("create", "-v", "/x", "plain:1");
  await using door = doorOf(host);
  await host.guard("[volumes]\n", { host: door.host });

  await t.step("is there at first", async () => {
    await eventually("it is", () => Promise.resolve(door.streams === 1));
    await eventually("/health has nothing to tell", async () => {
      return /^HEALTHY \(/.test((await host.monitor("/health")).body);
    });
    await gone(host, await makeBad(host));
  });
  await t.step("is taken up again at once", async () => {
    door.cutEvents();
    await eventually("it is", () => Promise.resolve(door.streams === 1));
    await gone(host, await makeBad(host));
  });
  await t.step("is told of if it can't be had, and calls go on", async () => {
    door.events = "refuse";
    door.cutEvents();
    await eventually("/health tells", async () => {
      return /event/.test((await host.monitor("/health")).body);
    });
    await refused(
      host.h,
      () => host.stranger.docker("run", "-v", "/x", "plain:1"),
      /^volumes are not allowed/,
    );
    await host.stranger.must("run", "--rm", "plain:1", "true");
  });
  await t.step("what happened meanwhile is found", async () => {
    const bad = await makeBad(host);
    await host.behindItsBack((h) => h.must("start", old));
    const good = await host.stranger.must("run", "-d", "plain:1");
    door.events = "pass";
    await gone(host, bad, 60_000);
    await eventually("the one from before stands still", async () => {
      return (await host.listed(old))?.State === "exited";
    });
    await eventually("/health is well", async () => {
      return /^HEALTHY \(/.test((await host.monitor("/health")).body);
    });
    assertEquals((await host.listed(good))?.State, "running");
  });
  await t.step("does not fill the log", async () => {
    const before = (await host.log()).length;
    door.events = "refuse";
    door.cutEvents();
    await sleep(11_000); // Two more attempts.
    door.events = "pass";
    assert((await host.log()).length - before < 4000, await host.log());
  });
});

hostTest("events that are lost", async (t, host) => {
  await host.image("plain:1");
  const old = await host.h.must("create", "-v", "/x", "plain:1");
  await using door = doorOf(host);
  await host.guard("[volumes]\n", { host: door.host });
  await eventually(
    "there is a stream",
    () => Promise.resolve(door.streams > 0),
  );

  await t.step("are made up for by a list", async () => {
    door.events = "drop";
    const bad = await makeBad(host);
    await host.behindItsBack((h) => h.must("start", old));
    const good = await host.stranger.must("run", "-d", "plain:1");
    await sleep(1000);
    door.events = "pass";
    await gone(host, bad, BY_LIST);
    await eventually("the one from before stands still", async () => {
      return (await host.listed(old))?.State === "exited";
    }, BY_LIST);
    assertEquals((await host.listed(good))?.State, "running");
  });
  await t.step("after a time in which they all came late", async () => {
    door.events = "stall";
    const bad = await makeBad(host);
    await sleep(2000);
    door.events = "pass";
    await gone(host, bad);
  });
  await t.step("cost the engine little", async () => {
    const before = door.asked.length;
    await sleep(10_000);
    const asked = door.asked.slice(before);
    // A look at all containers can fall into that time.
    assert(asked.length <= 3, asked.join("\n"));
  });
});

hostTest("an engine that an administrator stops", async (t, host) => {
  await host.image("plain:1");
  await using door = doorOf(host);
  await host.guard("[volumes]\n", { host: door.host });
  let before = 0;
  await eventually("the first look is over", async () => {
    before = door.connections;
    await sleep(1000);
    return door.connections === before &&
      (await host.log()).includes("following the engine's events");
  });

  await t.step("stops at once, and stays so", async () => {
    const took = await host.stopEngine();
    // Up to 28 an engine waits 5 s for streams that are open.
    assert(took < 4000, `it took ${took} ms`);
    // docker.socket would start it for each.
    await always("nobody connects", () => {
      return Promise.resolve(door.connections === before);
    }, 8000);
  });
  await t.step("is followed again without a call", async () => {
    // At its start an engine asks each plugin who it is.
    await host.h.dockerd.restart();
    await eventually("there is a stream", () => {
      return Promise.resolve(door.streams > 0);
    }, 60_000);
    await host.stranger.api("GET", "/_ping");
    await gone(host, await makeBad(host));
  });
  await t.step("also if the plugin comes while it is stopped", async () => {
    await host.stopEngine();
    const before = door.connections;
    await host.restartPlugin();
    await always("nobody connects", () => {
      return Promise.resolve(door.connections === before);
    }, 8000);
    await host.reboot();
    await gone(host, await makeBad(host));
  });
});

hostTest("a container's lock that is held", async (t, host) => {
  await host.image("plain:1", { files: { big: "x".repeat(50_000_000) } });
  const old = await host.h.must("create", "-v", "/x", "plain:1");
  await host.guard();
  const locked = await host.stranger.must("create", "plain:1");
  const ran = await host.stranger.must("run", "-d", "plain:1");

  // Nobody reads the archives, so the engine can't let go of the locks.
  const held: Deno.Conn[] = [];
  for (const id of [locked, ran]) {
    const connection = await Deno.connect({
      transport: "unix",
      path: host.stranger.socket,
    });
    await connection.write(
      new TextEncoder().encode(
        `GET /containers/${id}/archive?path=/big HTTP/1.1\r\nHost: d\r\n\r\n`,
      ),
    );
    held.push(connection);
  }
  await sleep(1000);

  await t.step("does not hold up the judgement of others", async () => {
    await gone(host, await makeBad(host));
    await host.behindItsBack((h) => h.must("start", old));
    await eventually("the one from before stands still", async () => {
      return (await host.listed(old))?.State === "exited";
    });
  });
  await t.step("nor does a new process of the plugin wait for it", async () => {
    await host.restartPlugin();
    await gone(host, await makeBad(host));
  });
  await t.step("and both are there afterwards", async () => {
    for (const connection of held) connection.close();
    assert(await host.listed(locked));
    assertEquals((await host.listed(ran))?.State, "running");
  });
});
