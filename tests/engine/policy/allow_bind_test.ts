/**
 * `allow-bind` before a real engine: where bind mounts may come from, as the
 * engine will mount them.
 */

import { engineTest } from "../harness.ts";
import { assertEquals, passes, refused } from "../verdict.ts";

engineTest("allow-bind", async (t, h) => {
  await h.image("plain:1");
  const srv = `${h.dir}/srv`;
  const secret = `${h.dir}/secret`;
  const home = `${h.dir}/home`;
  for (
    const each of [srv, secret, `${srv}/a`, `${home}/ann/share`, `${home}/bob`]
  ) {
    await Deno.mkdir(each, { recursive: true });
  }
  await Deno.writeTextFile(`${secret}/key`, "secret\n");
  await Deno.symlink(secret, `${srv}/out`);
  await Deno.symlink("a", `${srv}/in`);
  await Deno.symlink(`${srv}/later`, `${srv}/nowhere`);
  await Deno.symlink(secret, `${home}/bob/share`);
  await Deno.symlink(srv, `${h.dir}/shortcut`);
  await Deno.symlink("/proc/self/root", `${srv}/proc`);
  await h.must("create", "--name=before", "-v", `${secret}:/x`, "plain:1");
  await h.guard({
    config: `[volumes]\nallow-bind = ["${srv}/", "${home}/*/share/"]\n`,
  });
  const no = /^bind mount of .* is not allowed: /;

  const sources: [source: string, allowed: boolean][] = [
    [srv, true],
    [`${srv}/a`, true],
    [`${srv}/./a/../a`, true],
    [`${srv}/in`, true],
    [`${srv}/new/er`, true],
    [`${h.dir}/shortcut/a`, true],
    [`${home}/ann/share`, true],
    [`${home}/ann/share/new`, true],
    ["/", false],
    [secret, false],
    [`${srv}/../secret`, false],
    [`${srv}/a/../../secret`, false],
    [`${srv}/out`, false],
    [`${srv}/out/key`, false],
    [`${srv}/nowhere`, false],
    [`${srv}/proc${srv}/a`, false],
    [`/proc/self/root${srv}/a`, false],
    [`${srv}x`, false],
    [`${home}/ann`, false],
    [`${home}/bob/share`, false],
    [`${home}/ann/x/share`, false],
    [h.dockerd.socket, false],
  ];
  for (const [source, allowed] of sources) {
    const name = source.replaceAll(h.dir, "DIR");
    await t.step(`${allowed ? "allowed" : "refused"}: ${name}`, async () => {
      const run = () =>
        h.docker("run", "--rm", "-v", `${source}:/x`, "plain:1", "true");
      const mount = () =>
        h.api("POST", "/containers/create", {
          Image: "plain:1",
          HostConfig: {
            Mounts: [{ Type: "bind", Source: source, Target: "/x" }],
          },
        });
      if (allowed) return void await passes(h, run);
      await refused(h, run, no);
      await refused(h, mount, no);
    });
  }

  await t.step("a link that is changed after the create", async () => {
    await h.must("create", "--name=web", "-v", `${srv}/in:/x`, "plain:1");
    await Deno.remove(`${srv}/in`);
    await Deno.symlink(secret, `${srv}/in`);
    await refused(h, () => h.docker("start", "web"), no);
    await refused(h, () => h.docker("restart", "-t", "0", "web"), no);
    await Deno.remove(`${srv}/in`);
    await Deno.symlink("a", `${srv}/in`);
    await passes(h, () => h.docker("start", "web"));
    await h.must("rm", "-f", "web");
  });
  await t.step("a container from before", async () => {
    await refused(h, () => h.docker("start", "before"), no);
    await refused(h, () => h.docker("restart", "before"), no);
  });

  await t.step("services", async () => {
    await h.must("swarm", "init", "--advertise-addr=127.0.0.1");
    const id =
      (await h.api("GET", "/images/plain:1/json")).json<{ Id: string }>().Id;
    const create = (name: string, source: string) => () =>
      h.api("POST", "/services/create", {
        Name: name,
        TaskTemplate: {
          ContainerSpec: {
            Image: id,
            Mounts: [{ Type: "bind", Source: source, Target: "/x" }],
          },
        },
        Mode: { Replicated: { Replicas: 0 } },
      });
    for (const source of [secret, `${srv}/out`, `${srv}/{{.Node.ID}}`]) {
      await refused(h, create("bad", source), no);
    }
    const answer = await passes(h, create("good", `${srv}/a`));
    assertEquals(answer.status, 201);
  });
});
