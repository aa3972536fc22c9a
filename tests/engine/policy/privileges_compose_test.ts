/**
 * Projects as many people have them: a web server, a database and a cache by
 * compose. `[privileges]` refuses nothing of them, neither alone nor with all
 * that it can require.
 */

import { addCliPlugins, whyNoCliPlugins } from "../front/cli_plugins.ts";
import { engineTest, type Harness } from "../harness.ts";
import { assertEquals } from "../verdict.ts";

/** What most services of a careful project have. */
const CAREFUL = {
  image: "plain:1",
  command: ["sleep", "600"],
  read_only: true,
  restart: "unless-stopped",
  init: true,
  cap_drop: ["ALL"],
  security_opt: ["no-new-privileges:true"],
  mem_limit: "64m",
  pids_limit: 50,
  logging: { driver: "json-file", options: { "max-size": "1m" } },
  stop_grace_period: "1s",
};

function project(dir: string): Record<string, unknown> {
  return {
    services: {
      web: {
        ...CAREFUL,
        user: "1000:1000",
        cap_add: ["NET_BIND_SERVICE"],
        tmpfs: ["/run", "/tmp:size=1m,mode=1777"],
        ulimits: { nofile: { soft: 1024, hard: 2048 }, nproc: 512 },
        volumes: [`${dir}/html:/html:ro`],
        networks: { front: { aliases: ["www"] }, back: {} },
        environment: { DB: "db" },
        extra_hosts: ["host.example:10.0.0.1"],
        dns: ["10.0.0.2"],
        configs: ["nginx"],
        secrets: ["password"],
        depends_on: {
          db: { condition: "service_healthy" },
          cache: { condition: "service_started" },
        },
        healthcheck: { test: ["CMD", "true"], interval: "1s" },
        labels: { "traefik.enable": "true" },
      },
      db: {
        ...CAREFUL,
        user: "999:999",
        shm_size: "16m",
        volumes: [{ type: "bind", source: `${dir}/data`, target: "/data" }],
        networks: ["back"],
        healthcheck: {
          test: ["CMD-SHELL", "test -d /data"],
          interval: "1s",
          start_period: "1s",
        },
        stop_signal: "SIGINT",
        oom_score_adj: 100,
      },
      cache: {
        ...CAREFUL,
        // Compose has them in one place or the other.
        mem_limit: undefined,
        pids_limit: undefined,
        user: "1000",
        group_add: ["1001"],
        expose: ["6379"],
        networks: ["back"],
        tmpfs: "/data",
        deploy: {
          resources: { limits: { cpus: "0.5", memory: "32m", pids: 50 } },
        },
        sysctls: {},
        cpu_shares: 512,
        working_dir: "/",
        hostname: "cache",
      },
    },
    networks: { front: { internal: true }, back: { internal: true } },
    configs: { nginx: { file: `${dir}/nginx.conf` } },
    secrets: { password: { file: `${dir}/password` } },
  };
}

const STRICT =
  'require = ["user", "no-new-privileges", "read-only", "memory", "pids-limit"]';

engineTest("privileges: ordinary projects of compose", async (t, h) => {
  await addCliPlugins(`${h.dir}/client`);
  await h.image("plain:1");
  const dir = `${h.dir}/project`;
  for (const folder of ["html", "data"]) {
    await Deno.mkdir(`${dir}/${folder}`, { recursive: true });
  }
  for (const file of ["nginx.conf", "password"]) {
    await Deno.writeTextFile(`${dir}/${file}`, "x\n");
  }
  const file = `${dir}/compose.yaml`;
  await Deno.writeTextFile(file, JSON.stringify(project(dir)));

  for (const [name, keys] of [["by default", ""], ["all required", STRICT]]) {
    await t.step(name, async () => {
      await h.guard({
        config: `[volumes]\nallow-bind = ["${dir}/"]\n[privileges]\n${keys}\n`,
      });
      await work(h, file);
      const log = await h.plugin?.log() ?? "";
      assertEquals(
        log.split("\n").filter((line) => /denied|error|alert/.test(line)),
        [],
      );
      assertEquals((await h.state()).containers, []);
    });
  }
}, { skip: await whyNoCliPlugins() });

async function work(h: Harness, file: string): Promise<void> {
  const compose = (...args: string[]) =>
    h.must("compose", `--file=${file}`, "--project-name=shop", ...args);
  await compose("up", "--detach", "--wait");
  assertEquals(await compose("exec", "-T", "web", "cat", "/nginx"), "x");
  await compose("exec", "-T", "cache", "id");
  await compose("cp", "web:/nginx", `${h.dir}/copied`);
  await compose("up", "--detach", "--timeout=0", "--force-recreate", "web");
  await compose("up", "--detach", "--timeout=0", "--scale=cache=2");
  await compose("restart", "--timeout=0");
  await compose("stop", "--timeout=0");
  await compose("start");
  await compose("ps", "--all");
  await compose("logs");
  await compose("down", "--timeout=0");
}
