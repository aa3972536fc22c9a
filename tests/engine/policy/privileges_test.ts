/**
 * `[privileges]` before a real engine: what many people do passes, also what
 * the engine has made of it; what gives more is refused by name. Ways to become
 * root are tried in the escape tests.
 */

import { engineTest } from "../harness.ts";
import { assertEquals, passes, refused } from "../verdict.ts";

engineTest("privileges", async (t, h) => {
  await h.image("plain:1");
  const srv = `${h.dir}/srv`;
  await Deno.mkdir(srv, { recursive: true });
  await h.must("create", "--name=before", "--pid=host", "plain:1");
  await h.must("run", "-d", "--name=shared", "plain:1", "sleep", "600");
  await h.guard({
    config: `[volumes]\nallow-bind = ["${srv}/"]\n` +
      `[privileges]\nallow-join = ["network"]\n`,
  });

  for (
    const args of [
      [],
      ["--cap-drop=ALL", "--cap-add=NET_BIND_SERVICE"],
      ["--security-opt=no-new-privileges"],
      ["--read-only", "--tmpfs=/run", "--memory=64m"],
      ["--ulimit=nofile=1024:1024", "--shm-size=64m"],
      ["--network=none"],
      ["--network=container:shared"],
      ["--ipc=private"],
      ["--userns=host"],
      ["--runtime=runc"],
      ["--log-driver=json-file", "--log-opt=max-size=1m"],
      ["--log-driver=none"],
      ["-v", `${srv}:/x:ro`],
      ["--user=1000:1000", "--group-add=1000", "--init"],
      ["--oom-score-adj=500", "--add-host=a:1.2.3.4", "--dns=1.2.3.4"],
    ]
  ) {
    await t.step(`allowed: run ${args.join(" ")}`, async () => {
      await passes(
        h,
        () => h.docker("run", "--rm", ...args, "plain:1", "true"),
      );
    });
  }

  for (
    const [args, message] of [
      [["--privileged"], /--privileged is not allowed/],
      [["--cap-add=SYS_ADMIN"], /--cap-add SYS_ADMIN is not allowed/],
      [["--pid=host"], /--pid=host is not allowed/],
      [["--network=host"], /--network=host is not allowed/],
      [["--pid=container:shared"], /--pid=container:\w+ is not allowed/],
      [["--network=container:before"], /container before: --pid=host/],
      [["--device=/dev/null"], /--device \/dev\/null is not allowed/],
      [["--security-opt=seccomp=unconfined"], /seccomp=unconfined is not/],
      [["--security-opt=systempaths=unconfined"], /systempaths=unconfined/],
      [["--sysctl=net.core.somaxconn=5"], /--sysctl net.core.somaxconn is not/],
      [["-v", `${srv}:/x:rshared`], /bind-propagation=rshared is not/],
      [["--oom-score-adj=-5"], /--oom-score-adj -5 is not/],
      [["--link=before:x"], /container before: --pid=host/],
      [["--cgroup-parent=x"], /--cgroup-parent x is not/],
    ] as [string[], RegExp][]
  ) {
    await t.step(`refused: run ${args.join(" ")}`, async () => {
      await refused(
        h,
        () => h.docker("run", "--rm", ...args, "plain:1", "true"),
        message,
      );
    });
  }

  await t.step("what the engine recorded passes again", async () => {
    await passes(
      h,
      () =>
        h.docker(
          "run",
          "-d",
          "--name=web",
          "--network=none",
          "plain:1",
          "sleep",
          "600",
        ),
    );
    for (
      const args of [
        ["exec", "web", "true"],
        ["cp", "web:/etc/passwd", "-"],
        ["export", "-o", `${h.dir}/out.tar`, "web"],
        ["commit", "web", "plain:2"],
        ["rename", "web", "web2"],
        ["update", "--memory=64m", "--memory-swap=64m", "web2"],
        ["restart", "-t0", "web2"],
        ["stop", "-t0", "web2"],
        ["start", "web2"],
      ]
    ) await passes(h, () => h.docker(...args));
  });

  await t.step("a create with what inspect tells passes", async () => {
    const answer = await h.api("GET", "/containers/web2/json");
    const { HostConfig } = answer.json<{ HostConfig: unknown }>();
    const again = await h.api("POST", "/containers/create?name=again", {
      Image: "plain:1",
      HostConfig,
    });
    assertEquals([again.message ?? "", again.status], ["", 201]);
  });

  await t.step("calls on a container that has more are refused", async () => {
    for (
      const args of [
        ["start", "before"],
        ["cp", "before:/etc/passwd", "-"],
        ["export", "-o", `${h.dir}/out.tar`, "before"],
        ["commit", "before", "plain:3"],
        ["rename", "before", "after"],
      ]
    ) await refused(h, () => h.docker(...args), /container before: --pid=host/);
    await refused(
      h,
      () => h.docker("exec", "--privileged", "web2", "true"),
      /exec --privileged is not allowed/,
    );
    await refused(
      h,
      () => h.docker("swarm", "init"),
      /docker swarm init is not allowed/,
    );
  });

  await t.step("the host's network has no other name", async () => {
    const { Id } = (await h.api("GET", "/networks/host")).json<
      { Id: string }
    >();
    const made = await h.api("POST", "/containers/create?name=byid", {
      Image: "plain:1",
      Cmd: ["cat", "/proc/net/dev"],
      HostConfig: { NetworkMode: Id },
    });
    const started = made.status === 201
      ? await h.api("POST", "/containers/byid/start")
      : made;
    const { SandboxKey = "" } = started.status === 204
      ? (await h.api("GET", "/containers/byid/json"))
        .json<{ NetworkSettings: { SandboxKey: string } }>().NetworkSettings
      : {};
    assertEquals(SandboxKey.endsWith("/default"), false);
  });
});
