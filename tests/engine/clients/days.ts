/** What people do with their clients on a full normal day. */

import { exists, run, sleep, which, whyNo } from "../../helpers/programs.ts";
import type { Harness } from "../harness.ts";
import { configFor } from "../fuzz/legit.ts";
import { rootFileSystem } from "../images.ts";
import { assert, assertEquals } from "../verdict.ts";
import { JAVA_NEEDS, javaWithHttpClient } from "./java.ts";

/** Not in deno.json: it and its forty dependencies are of use here only. */
const DOCKERODE = "npm:dockerode@5.0.1";

const CLIENTS = new URL(".", import.meta.url).pathname;

/** A Python with docker-py: Debian's packages are for its own. */
async function pythonWithDocker(): Promise<string | undefined> {
  for (const python of ["/usr/bin/python3", await which("python3")]) {
    if (!python || !(await exists(python))) continue;
    const { code } = await run([
      python,
      "-c",
      "import docker; docker.DockerClient",
    ]);
    if (code === 0) return python;
  }
}

async function whyNoDockerode(): Promise<string | undefined> {
  const { code } = await run([
    ...[Deno.execPath(), "cache", "--quiet", "--no-config", "--no-lock"],
    DOCKERODE,
  ]);
  return code === 0 ? undefined : `can't get ${DOCKERODE}`;
}

const PYTHON = await pythonWithDocker();
/** Why docker-py can't work here, or undefined if it can. */
export const noPython = PYTHON
  ? undefined
  : "no docker-py: install python3-docker";
/** The same of dockerode. */
export const noDockerode = await whyNoDockerode();

const JAVA = await javaWithHttpClient();
/** The same of docker-java. */
export const noJava = JAVA ? undefined : JAVA_NEEDS;
/** The same of Ansible. */
export const noAnsible = await whyNo({ "ansible-playbook": "ansible" }) ??
  noPython;
/** The same of docker-api for Ruby. */
export const noRuby = await whyNoRuby();

async function whyNoRuby(): Promise<string | undefined> {
  const wish = "no docker-api for Ruby: install ruby-docker-api";
  if (!await which("ruby")) return wish;
  const { code } = await run(["ruby", "-rdocker", "-e", "0"]);
  return code === 0 ? undefined : wish;
}

/** What a client finds on the host, at the same place for the engine. */
export interface Desk {
  /** A tar of a root file system. */
  root: string;
  /** A folder with a file `note` and a build context, `context.tar`. */
  bind: string;
}

/** Puts the plugin in front, lets a client work, and looks whether anybody was refused anything. */
export async function day(
  h: Harness,
  work: (desk: Desk) => Promise<void>,
): Promise<void> {
  const desk = { root: `${h.dir}/root.tar`, bind: `${h.dir}/desk` };
  await Deno.writeFile(desk.root, await rootFileSystem(h.dockerd.busybox));
  await Deno.mkdir(desk.bind);
  await Deno.writeTextFile(`${desk.bind}/note`, "from the host\n");
  await h.guard({ config: configFor(desk.bind) });
  await work(desk);
  const log = await h.plugin?.log() ?? "";
  const trouble = log.split("\n")
    .filter((line) => /denied|error|alert/.test(line));
  assertEquals(trouble, []);
  assertEquals((await h.state()).containers, []);
  assertEquals((await h.state()).volumes, []);
}

/** Runs a client that is a program; what it did so far is part of the error if it fails. */
async function runClient(program: string, args: string[]): Promise<void> {
  const { code, stdout, stderr } = await run([program, ...args], {
    env: { NO_COLOR: "1" },
    timeout: 600_000,
  });
  assert(code === 0, `after:\n${stdout}\nit said:\n${stderr}`);
}

/** docker-py's day, on a socket of the engine or one in front of it. */
export async function pythonDay(
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  await runClient(PYTHON ?? "", [
    `${CLIENTS}docker_py.py`,
    ...[socket, root, bind],
  ]);
}

/** docker-java's, of the versions before 3.5. */
export async function javaDay(
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  const [java, ...args] = JAVA ?? [];
  await runClient(java, [
    ...[...args, `${CLIENTS}DockerJava.java`],
    ...[socket, root, bind],
  ]);
}

/** Ansible's, with its modules of community.docker. */
export async function ansibleDay(
  h: Harness,
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  await h.must("import", root, "ansible:1");
  await Deno.writeTextFile(
    `${bind}/Dockerfile`,
    "FROM ansible:1\nRUN echo built >/made\n",
  );
  await runClient("ansible-playbook", [
    ...["--inventory", "localhost,", `${CLIENTS}ansible.yaml`],
    ...["--extra-vars", JSON.stringify({ socket, bind })],
  ]);
}

/** That of docker-api for Ruby. */
export async function rubyDay(
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  await Deno.writeTextFile(
    `${bind}/Dockerfile`,
    "FROM ruby:1\nRUN echo built >/made\n",
  );
  await runClient("ruby", [
    `${CLIENTS}docker_api.rb`,
    ...[socket, root, bind],
  ]);
}

/** dockerode's. */
export async function dockerodeDay(
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  // Its build takes a tar; the image is that of the import before it.
  await Deno.writeTextFile(
    `${bind}/Dockerfile`,
    "FROM js:1\nRUN echo built >/made\n",
  );
  await runClient(
    "tar",
    ["cf", `${bind}/context.tar`, "-C", bind]
      .concat("Dockerfile"),
  );
  await runClient(Deno.execPath(), [
    ...["run", "-A", "--quiet", "--no-config", "--no-lock"],
    `${CLIENTS}dockerode.ts`,
    ...[DOCKERODE, socket, root, bind],
  ]);
}

/** The docker client's. */
export async function dockerDay(
  h: Harness,
  socket: string,
  { root, bind }: Desk,
): Promise<void> {
  const says = async (wanted: string | RegExp, ...args: string[]) => {
    const env = { DOCKER_HOST: `unix://${socket}` };
    const client = await h.dockerd.client();
    const { code, stdout, stderr } = await h.dockerBy(client, args, env);
    assert(code === 0, `docker ${args.join(" ")}: ${stderr}`);
    const got = stdout.trim();
    const fits = typeof wanted === "string" ? got === wanted : wanted.test(got);
    assert(fits, `docker ${args.join(" ")}: ${got}`);
  };
  const any = /(?:)/;

  await says(/Server/, "version");
  await says(/Plugins/, "info");
  await says(/^sha256:/, "import", root, "cli:1");
  await says(/cli/, "images");
  await says(any, "tag", "cli:1", "cli:copy");
  await says(/Untagged/, "rmi", "cli:copy");
  await says(/^[0-9a-f]{64}$/, "network", "create", "--internal", "cli-net");
  await says(/cli-net/, "network", "ls");

  const runs = ["run", "--rm"];
  await says("hello", ...runs, "cli:1", "echo", "hello");
  await says(
    "from the host",
    ...[...runs, "-v", `${bind}:/b:ro`, "cli:1", "cat", "/b/note"],
  );
  await says(/^[0-9a-f]{64}$/, "create", "--name=cli-made", "cli:1", "true");
  await says("cli-made", "start", "cli-made");
  await says("0", "wait", "cli-made");
  await says("cli-made", "rm", "cli-made");
  await says(
    /^[0-9a-f]{64}$/,
    ...["run", "-d", "--name=cli-web", "--network=cli-net"],
    ...["--tmpfs=/scratch", "--label=a=1", "--label=A=2"],
    ...["--mount", `type=bind,source=${bind},target=/m`, "--init=false"],
    ...["cli:1", "sh", "-c", "echo hello; sleep 600"],
  );
  await says(/cli-web/, "ps");
  await says("hello", "logs", "cli-web");
  await says("from the host", "exec", "cli-web", "cat", "/m/note");
  await says(any, "exec", "-i", "-w", "/tmp", "cli-web", "cat");
  await says(any, "cp", `${bind}/note`, "cli-web:/tmp/up");
  await says(any, "cp", "cli-web:/tmp/up", `${bind}/down`);
  assertEquals(await Deno.readTextFile(`${bind}/down`), "from the host\n");
  await says(/cli-web|[0-9a-f]{12}/, "stats", "--no-stream", "cli-web");
  await says(/A \/tmp\/up/, "diff", "cli-web");
  await says("cli-web", "pause", "cli-web");
  await says("cli-web", "unpause", "cli-web");
  await says("cli-web", "update", "--restart=unless-stopped", "cli-web");
  await says("cli-web", "restart", "-t", "0", "cli-web");
  await says(any, "rename", "cli-web", "cli-renamed");
  await says(/^sha256:/, "commit", "cli-renamed", "cli:2");
  await says("from the host", ...runs, "cli:2", "cat", "/tmp/up");
  await says(any, "export", "-o", `${bind}/export.tar`, "cli-renamed");
  await says(any, "network", "disconnect", "cli-net", "cli-renamed");
  await says(any, "network", "connect", "cli-net", "cli-renamed");
  await says("cli-renamed", "stop", "-t", "0", "cli-renamed");
  await says("cli-renamed", "start", "cli-renamed");
  await says("cli-renamed", "kill", "cli-renamed");
  await says("cli-renamed", "rm", "-f", "cli-renamed");
  await says("cli-net", "network", "rm", "cli-net");

  await says(any, "save", "-o", `${bind}/saved.tar`, "cli:2");
  await says(/Untagged/, "rmi", "cli:2");
  await says("Loaded image: cli:2", "load", "-i", `${bind}/saved.tar`);
  await says("cli-volume", "volume", "create", "cli-volume");
  await says(/cli-volume/, "volume", "ls");
  await says("cli-volume", "volume", "rm", "cli-volume");
  await says(/Images/, "system", "df");
  await says(any, "system", "prune", "-f");
  await says(any, "events", "--since=1m", "--until=0s");
}

/** That of `docker stack`, which makes and changes services. */
export async function stackDay(
  h: Harness,
  { root, bind }: Desk,
): Promise<void> {
  await h.must("import", root, "stack:1");
  const image = await h.must(
    ...["image", "inspect", "--format={{.Id}}", "stack:1"],
  );
  const address = "127.0.0.1";
  await h.must(
    ...["swarm", "init", `--listen-addr=${address}`],
    `--advertise-addr=${address}`,
  );
  const file = `${bind}/stack.yaml`;
  const deploy = async (more: Record<string, unknown>) => {
    const web = {
      image: "stack:1",
      command: ["sleep", "600"],
      labels: { a: "1", A: "2" },
      volumes: [`${bind}:/b:ro`, { type: "tmpfs", target: "/scratch" }],
      configs: ["note"],
      ...more,
    };
    const stack = {
      version: "3.8",
      services: { web, idle: { image, deploy: { replicas: 0 } } },
      configs: { note: { file: `${bind}/note` } },
    };
    // JSON is YAML.
    await Deno.writeTextFile(file, JSON.stringify(stack));
    await h.must(
      ...["stack", "deploy", "--compose-file", file, "--resolve-image=never"],
      "day",
    );
  };
  await deploy({});
  assertEquals(await h.must("stack", "ls", "--format={{.Services}}"), "2");
  // The first task, then another with the changed environment.
  await until(
    "run the service",
    async () => await h.must("ps", "--quiet") !== "",
  );
  await deploy({ environment: { B: "c" }, deploy: { replicas: 2 } });
  await until(
    "run it twice",
    async () => (await h.must("ps", "--quiet")).split("\n").length === 2,
  );
  await h.must("stack", "services", "day");
  await h.must("stack", "ps", "day");
  await h.must("service", "rollback", "--detach", "day_web");
  await h.must("service", "scale", "--detach", "day_web=0");
  await h.must("stack", "rm", "day");
  await until(
    "stop it",
    async () => await h.must("ps", "--all", "--quiet") === "",
  );
  await h.must("swarm", "leave", "--force");
}

/** compose's and buildx's, as plugins of the docker client. */
export async function cliPluginsDay(
  h: Harness,
  { root, bind }: Desk,
): Promise<void> {
  await h.must("import", root, "plain:1");
  await Deno.writeTextFile(
    `${bind}/Dockerfile`,
    "FROM plain:1\nCOPY note /copied\nRUN --network=none echo built >/made\n",
  );
  await h.must("buildx", "ls");
  await h.must("buildx", "build", "--load", "--tag=built:1", bind);
  assertEquals(await h.must("run", "--rm", "built:1", "cat", "/made"), "built");
  const file = `${bind}/compose.yaml`;
  const project = {
    services: {
      web: {
        image: "web:1",
        build: bind,
        command: ["sleep", "600"],
        volumes: [`${bind}:/b:ro`, { type: "tmpfs", target: "/scratch" }],
        networks: ["inside"],
        configs: ["note"],
        labels: { a: "1", A: "2" },
        healthcheck: { test: ["CMD", "true"], interval: "1s" },
      },
      after: {
        image: "plain:1",
        command: ["sleep", "600"],
        network_mode: "none",
        depends_on: { web: { condition: "service_healthy" } },
      },
      once: { image: "plain:1", network_mode: "none", profiles: ["tools"] },
    },
    networks: { inside: { internal: true } },
    configs: { note: { file: `${bind}/note` } },
  };
  await Deno.writeTextFile(file, JSON.stringify(project));
  const compose = (...args: string[]) =>
    h.must("compose", `--file=${file}`, "--project-name=day", ...args);
  await compose("config");
  await compose("up", "--detach", "--build", "--wait");
  assertEquals(await compose("exec", "-T", "web", "cat", "/note"), NOTE);
  assertEquals(await compose("exec", "-T", "web", "cat", "/b/note"), NOTE);
  assertEquals(await compose("run", "--rm", "once", "echo", "said"), "said");
  await compose("cp", `${bind}/note`, "web:/tmp/up");
  await compose("ps");
  await compose("logs");
  await compose("restart", "--timeout=0", "web");
  await compose("up", "--detach", "--timeout=0", "--force-recreate");
  await compose("up", "--detach", "--timeout=0", "--scale=after=2");
  await compose("stop", "--timeout=0");
  await compose("start");
  await compose("down", "--timeout=0", "--rmi=local");
}

const NOTE = "from the host";

/** Waits for something, half a minute at most. */
async function until(what: string, done: () => Promise<boolean>) {
  for (const end = Date.now() + 30_000; !await done(); await sleep(200)) {
    assert(Date.now() < end, `it did not ${what}`);
  }
}
