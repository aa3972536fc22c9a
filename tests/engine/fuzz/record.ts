/**
 * Records what clients send: `deno run -A tests/engine/fuzz/record.ts [NAME…]`
 * writes `tests/corpus/legit/`.
 *
 * The docker clients are those that the tests find, docker-py is Debian's,
 * dockerode comes from npm. `COMPOSE` has the commands of docker compose, one a
 * line. Recordings are made once, and kept: nothing of this runs in CI.
 *
 * @module
 */

import { javaWithHttpClient } from "../clients/java.ts";
import { Harness } from "../harness.ts";
import { rootFileSystem } from "../images.ts";
import { findClients } from "../registry.ts";
import { ID_KINDS, longIds, type RecordedCall, RECORDINGS } from "./legit.ts";
import { type Exchange, Proxy } from "./proxy.ts";

const CLIENTS = new URL("../clients/", import.meta.url).pathname;
const COMPOSE_FILE = `
services:
  web:
    image: base:1
    command: sleep 600
    network_mode: none
    labels: { a: "1", A: "2" }
    volumes:
      - .:/b:ro
      - type: bind
        source: ./note
        target: /note
    tmpfs: /scratch
  once:
    image: vol:1
    command: cat /data/note
    network_mode: none
    volumes: [".:/data"]
`;

/**
 * What a client does: a command, with the proxy's socket in its environment.
 */
interface Script {
  client: string;
  about: string;
  /**
   * Whether the engine has the images `base:1` and `vol:1` before it begins.
   */
  images: boolean;
  commands: string[][];
}

if (import.meta.main) {
  await Deno.mkdir(RECORDINGS, { recursive: true });
  for (const [name, script] of await scripts()) {
    if (Deno.args.length > 0 && !Deno.args.includes(name)) continue;
    console.log(name);
    await record(name, script);
  }
}

async function scripts(): Promise<[string, Script][]> {
  const found: [string, Script][] = [];
  for (const [version, command] of await findClients()) {
    found.push([`docker-${version.split(".")[0]}`, {
      client: `docker ${version}`,
      about: "a day's work: import, run, exec, cp, commit, services",
      images: true,
      commands: dockerDay().map((args) => [...command, ...args]),
    }]);
  }
  for (const line of (Deno.env.get("COMPOSE") ?? "").split("\n")) {
    if (line === "") continue;
    const command = line.split(" ");
    const { stdout } = await new Deno.Command(command[0], {
      args: [...command.slice(1), "version", "--short"],
    }).output();
    const version = new TextDecoder().decode(stdout).trim();
    const run = (...args: string[]) => [
      ...command,
      "--project-name=legit",
      "--file=compose.yaml",
      ...args,
    ];
    found.push([`compose-${version.split(".")[0]}`, {
      client: `docker-compose ${version}`,
      about: "up, run, exec, restart, down of services with bind mounts",
      images: true,
      commands: [
        run("up", "-d"),
        run("ps"),
        run("exec", "-T", "web", "cat", "/note"),
        run("run", "--rm", "once", "true"),
        run("logs"),
        run("restart", "-t", "0", "web"),
        run("stop", "-t", "0"),
        run("start", "web"),
        run("up", "-d", "--force-recreate", "-t", "0"),
        run("down", "-t", "0"),
      ],
    }]);
  }
  found.push(["docker-py", {
    client: "docker-py, Debian's",
    about: "clients/docker_py.py",
    images: false,
    commands: [[
      "/usr/bin/python3",
      `${CLIENTS}docker_py.py`,
      "<<socket>>",
      "root.tar",
      "<<dir>>",
    ]],
  }]);
  found.push(["dockerode", {
    client: "dockerode 5.0.1",
    about: "clients/dockerode.ts",
    images: false,
    commands: [["tar", "cf", "context.tar", "Dockerfile"], [
      Deno.execPath(),
      ...["run", "-A", "--quiet", "--no-config", "--no-lock"],
      `${CLIENTS}dockerode.ts`,
      "npm:dockerode@5.0.1",
      "<<socket>>",
      "root.tar",
      "<<dir>>",
    ]],
  }]);
  const java = await javaWithHttpClient();
  if (java) {
    found.push(["docker-java-old", {
      client: "docker-java 3.2 to 3.4: Debian's Apache HttpClient 5.2",
      about: "clients/DockerJava.java: a POST without an entity has a " +
        "Content-Type, and neither a length nor a body",
      images: false,
      commands: [[
        ...java,
        `${CLIENTS}DockerJava.java`,
        "<<socket>>",
        "root.tar",
        "<<dir>>",
      ]],
    }]);
  }
  return found;
}

function dockerDay(): string[][] {
  const bind = "<<dir>>";
  return [
    ["version"],
    ["info"],
    ["import", "root.tar", "cli:1"],
    ["import", "-c", "VOLUME /data", "root.tar", "clivol:1"],
    ["tag", "cli:1", "cli:copy"],
    ["rmi", "cli:copy"],
    ["network", "create", "--internal", "cli-net"],
    ["run", "--rm", "cli:1", "echo", "hello"],
    ["run", "--rm", "-v", `${bind}:/b:ro`, "cli:1", "cat", "/b/note"],
    ["run", "--rm", "-v", `${bind}:/data`, "clivol:1", "cat", "/data/note"],
    ["run", "--rm", "--tmpfs", "/data", "clivol:1", "true"],
    ["run", "--rm", "--read-only", "--cap-drop=ALL", "-m64m", "cli:1", "true"],
    ["run", "--rm", "--platform=linux/amd64", "cli:1", "true"],
    ["create", "--name=cli-made", "cli:1", "true"],
    ["start", "cli-made"],
    ["wait", "cli-made"],
    ["rm", "cli-made"],
    [
      ...["run", "-d", "--name=cli-web", "--network=cli-net", "--init=false"],
      ...["--tmpfs=/scratch", "--label=a=1", "--label=A=2", "-e", "X=a=b;c"],
      ...["--mount", `type=bind,source=${bind},target=/m`],
      ...["--mount", "type=tmpfs,target=/t,tmpfs-size=1m"],
      ...["cli:1", "sh", "-c", "echo hello; sleep 600"],
    ],
    ["ps", "-a"],
    ["logs", "cli-web"],
    ["exec", "cli-web", "cat", "/m/note"],
    ["exec", "-i", "-w", "/tmp", "cli-web", "cat"],
    ["cp", `${bind}/note`, "cli-web:/tmp/up"],
    ["cp", "cli-web:/tmp/up", `${bind}/down`],
    ["stats", "--no-stream", "cli-web"],
    ["diff", "cli-web"],
    ["pause", "cli-web"],
    ["unpause", "cli-web"],
    ["update", "--restart=unless-stopped", "cli-web"],
    ["update", "--memory=128m", "--memory-swap=-1", "cli-web"],
    ["update", "--restart=no", "cli-web"],
    ["restart", "-t", "0", "cli-web"],
    ["rename", "cli-web", "cli-renamed"],
    ["commit", "-c", "LABEL x=y", "cli-renamed", "cli:2"],
    ["export", "-o", "export.tar", "cli-renamed"],
    ["network", "disconnect", "cli-net", "cli-renamed"],
    ["stop", "-t", "0", "cli-renamed"],
    ["start", "cli-renamed"],
    ["kill", "cli-renamed"],
    ["rm", "-f", "cli-renamed"],
    ["network", "rm", "cli-net"],
    ["save", "-o", "saved.tar", "cli:2"],
    ["load", "-i", "saved.tar"],
    ["build", "-t", "cli:3", "context"],
    ["volume", "create", "cli-volume"],
    ["volume", "ls"],
    ["volume", "rm", "cli-volume"],
    ["swarm", "init", "--listen-addr=127.0.0.1", "--advertise-addr=127.0.0.1"],
    [
      ...["service", "create", "--detach", "--name=cli-service"],
      ...["--replicas=0", "--mount", `type=bind,source=${bind},target=/b`],
      ...["<<image>>", "sleep", "600"],
    ],
    ["service", "ls"],
    ["service", "update", "--detach", "--env-add=a=b", "cli-service"],
    ["service", "update", "--detach", "--rollback", "cli-service"],
    ["service", "scale", "--detach", "cli-service=0"],
    ["service", "rm", "cli-service"],
    ["swarm", "leave", "--force"],
    ["system", "df"],
    ["system", "prune", "-f"],
    ["events", "--since=1m", "--until=0s"],
  ];
}

async function record(name: string, script: Script): Promise<void> {
  const h = await Harness.start({});
  try {
    const dir = `${h.dir}/legit`;
    await Deno.mkdir(`${dir}/context`, { recursive: true });
    await Deno.writeTextFile(`${dir}/note`, "from the host\n");
    await Deno.writeTextFile(`${dir}/compose.yaml`, COMPOSE_FILE);
    for (const each of ["Dockerfile", "context/Dockerfile"]) {
      await Deno.writeTextFile(
        `${dir}/${each}`,
        `FROM ${
          script.client.startsWith("docker ") ? "cli:1" : "js:1"
        }\nRUN echo built >/made\n`,
      );
    }
    await Deno.writeFile(
      `${dir}/root.tar`,
      await rootFileSystem(h.dockerd.busybox),
    );
    let image = "";
    if (script.images) {
      image = await h.image("base:1");
      await h.image("vol:1", { changes: ["VOLUME /data"] });
    }
    const proxy = new Proxy(`${h.dir}/proxy.sock`, h.dockerd.socket);
    for (const command of script.commands) {
      const [program, ...args] = command.map((word) =>
        word.replaceAll("<<dir>>", dir).replaceAll("<<socket>>", proxy.path)
          .replaceAll("<<image>>", image)
      );
      const { code, stdout, stderr } = await new Deno.Command(program, {
        args,
        cwd: dir,
        stdin: "null",
        env: {
          DOCKER_HOST: `unix://${proxy.path}`,
          DOCKER_CONFIG: `${h.dir}/client`,
          HOME: `${h.dir}/client`,
          DOCKER_BUILDKIT: "0",
          COMPOSE_PROJECT_NAME: "legit",
        },
      }).output();
      if (code !== 0) {
        const text = new TextDecoder();
        console.log(
          `  ${args.slice(-6).join(" ")}: ${code} ` +
            (text.decode(stdout) + text.decode(stderr)).slice(-500),
        );
      }
    }
    const calls = anonymous(proxy.stop(), {
      ...image !== "" && { base: image.slice("sha256:".length) },
      dir,
    });
    await Deno.writeTextFile(
      new URL(`${name}.json`, RECORDINGS),
      write({ client: script.client, about: script.about, calls }),
    );
    console.log(`  ${calls.length} calls`);
  } finally {
    await h.stop();
  }
}

/** One call a line, or nobody could read it. */
function write(
  { client, about, calls }: {
    client: string;
    about: string;
    calls: RecordedCall[];
  },
): string {
  const lines = calls.map((call) => "    " + JSON.stringify(call));
  return `{\n  "client": ${JSON.stringify(client)},\n  "about": ${
    JSON.stringify(about)
  },\n  "calls": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

/** Takes out what belongs to this machine and this run. */
function anonymous(
  exchanges: Exchange[],
  fixed: Record<string, string>,
): RecordedCall[] {
  const known: [id: string, placeholder: string][] = [];
  return exchanges.map((exchange, call) => {
    const hide = (text: string) => {
      for (const [name, value] of Object.entries(fixed)) {
        text = text.replaceAll(value, `<<${name}>>`)
          .replaceAll(encodeURIComponent(value), `<<${name}>>`);
      }
      for (const [id, placeholder] of known) {
        text = text.replaceAll(id, `<<${placeholder}>>`);
        if (id.length === 64) {
          text = text.replaceAll(id.slice(0, 12), `<<${placeholder}.12>>`);
        }
      }
      return text.replaceAll(Deno.osRelease(), "6");
    };
    const [, version, target] = /^\/v([0-9.]+)(\/.*)$/.exec(exchange.target) ??
      [, undefined, exchange.target];
    const recorded: RecordedCall = {
      method: exchange.method,
      ...version !== undefined && { version },
      target: hide(target),
      headers: exchange.headers.filter(([name]) =>
        !/^(content-length|transfer-encoding|traceparent|baggage|tracestate)$/i
          .test(name)
      ).map(([name, value]) => [name, hide(value)]),
      framing: exchange.framing,
      ...exchange.body.length > 0 && { body: bodyOf(exchange, hide) },
      status: exchange.status,
    };
    const answer = new TextDecoder().decode(exchange.answer);
    for (const kind of ID_KINDS) {
      longIds(answer, kind).forEach((id, nth) => {
        if (known.some(([each]) => each === id)) return;
        known.push([id, `${call}.${kind}.${nth}`]);
      });
    }
    return recorded;
  });
}

function bodyOf(
  { target, headers, body }: Exchange,
  hide: (text: string) => string,
): RecordedCall["body"] {
  const type = headers.find(([name]) => /^content-type$/i.test(name))?.[1];
  if (/json/.test(type ?? "") && body.length < 1e5) {
    return hide(new TextDecoder().decode(body));
  }
  const archive = /\/archive\b/.test(target)
    ? "file"
    : /\/build\b/.test(target)
    ? "context"
    : "image";
  return { archive };
}
