/**
 * Containers with more than `[privileges]` allows that came past the first
 * line: they are removed when they are made, and stopped when they are started.
 */

import { always, eventually } from "../../helpers/waiting.ts";
import { type Host, hostTest } from "./third_line/host.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";

const REFUSED = {
  "--privileged": { Privileged: true },
  "--pid=host": { PidMode: "host" },
  "--cap-add SYS_ADMIN": { CapAdd: ["SYS_ADMIN"] },
  "--device /dev/null": {
    Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x" }],
  },
  "--security-opt seccomp=unconfined": { SecurityOpt: ["seccomp=unconfined"] },
};

async function untilGone(host: Host, id: string): Promise<void> {
  await eventually("it is gone", async () => {
    const { containers } = await host.things();
    return containers.every((each) => each.Id !== id);
  });
}

hostTest("a container with more than is allowed", async (t, host) => {
  await host.image("plain:1");
  const before = await host.h.must(
    ...["create", "--name=before", "--pid=host", "--network=none"],
    ...["plain:1", "sleep", "600"],
  );
  await host.guard("[privileges]\n");

  for (const [option, HostConfig] of Object.entries(REFUSED)) {
    await t.step(`made with ${option}: removed, with an alert`, async () => {
      const { Id } = await host.behindItsBack((h) =>
        h.api("POST", "/containers/create", {
          Image: "plain:1",
          Cmd: ["sleep", "600"],
          HostConfig: { NetworkMode: "none", ...HostConfig },
        }).then((answer) => answer.json<{ Id: string }>())
      );
      await untilGone(host, Id);
      const alert = await host.alert(Id.slice(0, 12));
      assertStringIncludes(alert, `${option} is not allowed`);
    });
  }

  await t.step("started: stopped, with an alert", async () => {
    await host.behindItsBack((h) => h.must("start", "before"));
    await eventually("it does not run", async () => {
      return (await host.h.container(before))?.running === false;
    });
    const alert = await host.alert(before.slice(0, 12));
    assertStringIncludes(alert, "--pid=host is not allowed");
  });

  await t.step("one as it should be runs on", async () => {
    const id = await host.behindItsBack((h) =>
      h.must("run", "-d", "--network=none", "plain:1", "sleep", "600")
    );
    await always("it runs", async () => {
      return (await host.h.container(id))?.running === true;
    });
    assertEquals(await host.alerts(id.slice(0, 12)), []);
  });
});

hostTest("an image that is not here, and a required user", async (t, host) => {
  await host.image("plain:1");
  await host.guard('[privileges]\nrequire = ["user"]\n');
  const create = (Image: string) =>
    host.h.api("POST", "/containers/create", { Image, Cmd: ["true"] });

  await t.step("the engine's 404 tells the client to pull it", async () => {
    const { status, body } = await create("nowhere:1");
    assertEquals(status, 404, body);
  });

  await t.step("once it is here, its user counts", async () => {
    const { status, body } = await create("plain:1");
    assertEquals(status, 403, body);
    assertStringIncludes(body, "--user UID");
  });

  await t.step("made in between: removed, with an alert", async () => {
    const { Id } = await host.behindItsBack(() =>
      create("plain:1").then((answer) => answer.json<{ Id: string }>())
    );
    await untilGone(host, Id);
    assertStringIncludes(await host.alert(Id.slice(0, 12)), "--user UID");
  });
});
