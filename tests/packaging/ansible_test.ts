/**
 * The Ansible role: on a machine that systemd runs, from nothing to a volume
 * that is refused, and back.
 */

import { parseConfig } from "../../lib/config/load.ts";
import { makeTarball } from "../../tools/dist.ts";
import { run, whyNo } from "../helpers/programs.ts";
import { unless } from "../helpers/unless.ts";
import { assert, assertEquals } from "../engine/verdict.ts";
import {
  createsBecome,
  EXECUTABLE,
  executable,
  guards,
  isActive,
  type Machine,
  machineTest,
  mainPid,
  PLUGIN,
  putImage,
  type Step,
} from "./machine.ts";

const ROLES = new URL("../../packaging/ansible/roles", import.meta.url)
  .pathname;
const DAEMON = "/etc/docker/daemon.json";
const SETTINGS = `/etc/docker/${PLUGIN}.toml`;

const noAnsible = await whyNo({ "ansible-playbook": "ansible" });
const noTools = noAnsible ?? await whyNo({
  "go-md2man": "go-md2man",
  tar: "tar",
  gzip: "gzip",
}) ?? await whyNoConnection();

/** Ansible's way into a machine's namespaces comes with a collection. */
async function whyNoConnection(): Promise<string | undefined> {
  const { code } = await run(
    ["ansible-doc", "-t", "connection", "community.docker.nsenter"],
    { env: { LC_ALL: "C.UTF-8" } },
  );
  if (code !== 0) return "no collection community.docker: install ansible";
}

/** Runs one of Ansible's programs in a directory, with the role. */
async function ansible(dir: string, command: string[]) {
  return await run(command, {
    cwd: dir,
    env: {
      ANSIBLE_ROLES_PATH: ROLES,
      ANSIBLE_LIBRARY: `${ROLES}/docker_policy_plugin/library`,
      ANSIBLE_HOME: `${dir}/.ansible`,
      ANSIBLE_LOCAL_TEMP: `${dir}/.ansible/tmp`,
      ANSIBLE_NOCOLOR: "1",
      ANSIBLE_RETRY_FILES_ENABLED: "0",
      LC_ALL: "C.UTF-8",
    },
    timeout: 300_000,
  });
}

/** Runs a test in a directory of its own. */
function ansibleTest(name: string, body: (dir: string) => Promise<void>) {
  Deno.test(unless(noAnsible, {
    name,
    fn: async () => {
      const dir = await Deno.makeTempDir({ prefix: "dpp-ansible-" });
      try {
        await body(dir);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  }));
}

/** Has the role's module change a file of this machine. */
async function list(
  dir: string,
  before: string | undefined,
  ...options: string[]
): Promise<{ changed: boolean; said: string; after: string | undefined }> {
  const path = `${dir}/daemon.json`;
  await Deno.remove(path).catch(() => {});
  if (before !== undefined) await Deno.writeTextFile(path, before);
  const { stdout, stderr } = await ansible(dir, [
    ...["ansible", "localhost", "-i", "localhost,", "--connection=local"],
    ...["-m", "docker_authorization_plugin"],
    ...["-a", `name=${PLUGIN} path=${path}`],
    ...options,
  ]);
  return {
    changed: /"changed": true/.test(stdout),
    said: stdout + stderr,
    after: await Deno.readTextFile(path).catch(() => undefined),
  };
}

ansibleTest("ansible: daemon.json keeps what else it says", async (dir) => {
  const before = `{
    "log-opts": { "tag": "{{.Name}}/{{.ID}}", "max-size": "10m" },
    "authorization-plugins": ["first", "second"],
    "labels": ["größe=1", "a=b"],
    "default-shm-size": 67108864,
    "live-restore": true
}
`;
  const { changed, said, after } = await list(dir, before);
  assert(changed && after, said);
  const settings = JSON.parse(before);
  settings["authorization-plugins"].push(PLUGIN);
  // In the same order, indented as before.
  assertEquals(after, JSON.stringify(settings, null, 4) + "\n");

  const again = await list(dir, after);
  assertEquals([again.changed, again.after], [false, after], again.said);

  const absent = `-aname=${PLUGIN} path=${dir}/daemon.json state=absent`;
  const gone = await list(dir, after, absent);
  assertEquals(
    [gone.changed, JSON.parse(gone.after!)],
    [true, JSON.parse(before)],
    gone.said,
  );
});

ansibleTest("ansible: daemon.json is made, and emptied", async (dir) => {
  const only = `{\n  "authorization-plugins": [\n    "${PLUGIN}"\n  ]\n}\n`;
  for (const before of [undefined, "", "{}"]) {
    const { changed, said, after } = await list(dir, before);
    assertEquals([changed, after], [true, only], said);
  }
  const absent = `-aname=${PLUGIN} path=${dir}/daemon.json state=absent`;
  const gone = await list(dir, only, absent);
  assertEquals([gone.changed, gone.after], [true, "{}\n"], gone.said);
  const none = await list(dir, undefined, absent);
  assertEquals([none.changed, none.after], [false, undefined], none.said);
});

ansibleTest("ansible: --check changes no daemon.json", async (dir) => {
  const { changed, said, after } = await list(dir, "{}", "--check");
  assertEquals([changed, after], [true, "{}"], said);
});

ansibleTest("ansible: a broken daemon.json is left as it is", async (dir) => {
  for (
    const [before, problem] of [
      ['{ "debug": true, }', "is no JSON, mend it first"],
      ["[]", "is no JSON object"],
      ['{ "authorization-plugins": "x" }', "authorization-plugins is no list"],
    ]
  ) {
    const { changed, said, after } = await list(dir, before);
    assertEquals([changed, after], [false, before], said);
    assert(said.includes(problem), said);
  }
});

ansibleTest(
  "ansible: settings for some users are tried out too",
  async (dir) => {
    const template =
      `${ROLES}/docker_policy_plugin/templates/${PLUGIN}.toml.j2`;
    await Deno.writeTextFile(
      `${dir}/vars.json`,
      JSON.stringify({
        docker_policy_plugin_enforce: false,
        docker_policy_plugin_settings: {
          volumes: { "allow-bind": [] },
          for: {
            ops: {
              group: ["ops"],
              volumes: { "allow-bind": ["/srv/"], enforce: true },
              privileges: null,
            },
          },
        },
      }),
    );
    const { code, stdout, stderr } = await ansible(dir, [
      ...["ansible", "localhost", "-i", "localhost,", "--connection=local"],
      ...["-e", "@vars.json", "-m", "template"],
      ...["-a", `src=${template} dest=${dir}/settings.toml`],
    ]);
    assertEquals(code, 0, stdout + stderr);
    const text = await Deno.readTextFile(`${dir}/settings.toml`);
    assertEquals(text.split("\n").slice(1), [
      "",
      "[volumes]",
      "enforce = false",
      "allow-bind = []",
      "",
      "[for.ops]",
      'group = ["ops"]',
      "",
      "[for.ops.volumes]",
      "enforce = true",
      'allow-bind = ["/srv/"]',
      "",
      "[for.ops.privileges]",
      "enforce = false",
      "",
    ]);
    parseConfig("settings.toml", text);
  },
);

/** What `ansible-playbook` said of a run of the role, and its last line. */
interface Played {
  said: string;
  code: number;
  changed: number;
}

machineTest("ansible: the role on a machine that boots", async (step, host) => {
  const dir = await Deno.makeTempDir({ prefix: "dpp-ansible-" });
  try {
    await playRole(step, host, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}, noTools);

async function playRole(
  step: Step,
  machine: Machine,
  dir: string,
): Promise<void> {
  const service = `${PLUGIN}.service`;
  const socket = `${PLUGIN}.socket`;
  const tarball = async (version: string) => {
    // Its list of contents wants to know which Deno it has.
    const program = `${await executable(version)}# Deno/${Deno.version.deno}\n`;
    await Deno.writeTextFile(`${dir}/program`, program);
    return await makeTarball(Deno.build.target, dir, `${dir}/program`);
  };
  const play = async (
    vars: Record<string, unknown>,
    ...options: string[]
  ): Promise<Played> => {
    await Deno.writeTextFile(
      `${dir}/play.yml`,
      // Facts take long, and the role needs none.
      JSON.stringify([{
        hosts: "all",
        gather_facts: false,
        roles: ["docker_policy_plugin"],
      }]),
    );
    await Deno.writeTextFile(
      `${dir}/vars.json`,
      JSON.stringify({
        ansible_connection: "community.docker.nsenter",
        ansible_nsenter_pid: Number(await machine.pid()),
        ansible_python_interpreter: "/usr/bin/python3",
        docker_policy_plugin_package: package_,
        ...vars,
      }),
    );
    const { code, stdout, stderr } = await ansible(dir, [
      ...["ansible-playbook", "-i", "machine,", "-e", "@vars.json"],
      ...["play.yml", ...options],
    ]);
    const said = stdout + stderr;
    const changed = Number(/ changed=(\d+) /.exec(stdout)?.[1]);
    return { said, code, changed };
  };
  /** Plays what has to work; gives the number of changes. */
  const plays = async (vars: Record<string, unknown>) => {
    const { said, code, changed } = await play(vars);
    assertEquals(code, 0, said);
    return changed;
  };
  const becomes = (status: number) => createsBecome(machine, status);
  const enginePid = () => machine.property("docker.service", "MainPID");
  const daemon = async () => JSON.parse(await machine.must("cat", DAEMON));

  const before = {
    bridge: "none",
    iptables: false,
    "ip-forward": false,
    "log-opts": { tag: "{{.Name}}" },
  };
  await machine.write(DAEMON, JSON.stringify(before));
  await machine.must("systemctl", "restart", "docker");
  await putImage(machine);
  const engine = await enginePid();
  let package_ = await tarball("1.0.0");
  const settings = {
    volumes: { "allow-bind": ["/srv/", { path: "/etc/pki/*", below: false }] },
    images: { whitelist: ['^busybox:"?\\d$'], enforce: true },
    push: null,
  };
  const tried = {
    docker_policy_plugin_settings: settings,
    docker_policy_plugin_enforce: false,
  };

  await step("the first run: tried out, nothing refused", async () => {
    assert(await plays(tried) > 5);
    assertEquals(await daemon(), {
      ...before,
      "authorization-plugins": [PLUGIN],
    });
    assertEquals(
      await machine.must("cat", SETTINGS),
      [
        "# Written by Ansible. See docker-policy-plugin.toml(5).",
        "",
        "[volumes]",
        "enforce = false",
        'allow-bind = ["/srv/", { path = "/etc/pki/*", below = false }]',
        "",
        "[images]",
        "enforce = true",
        'whitelist = ["^busybox:\\"?\\\\d$"]',
        "",
        "[push]",
        "enforce = false",
      ].join("\n"),
    );
    await becomes(201);
    assert((await machine.journal()).includes("would deny"));
    assertEquals(await isActive(machine, socket), "active");
    await machine.must("systemctl", "is-enabled", socket);
  });

  await step("the second run changes nothing", async () => {
    const plugin = await mainPid(machine);
    assertEquals(await plays(tried), 0);
    assertEquals(await mainPid(machine), plugin);
  });

  const enforced = { docker_policy_plugin_settings: settings };
  await step("enforced: a volume is refused", async () => {
    const plugin = await mainPid(machine);
    assertEquals(await plays(enforced), 2); // the file, and the reload
    await becomes(403);
    await guards(machine);
    assertEquals(await mainPid(machine), plugin);
  });

  await step("a mistake in the settings does not get there", async () => {
    const there = await machine.must("cat", SETTINGS);
    const { code, said } = await play({
      docker_policy_plugin_settings: { volumes: { "allow-bnd": [] } },
    });
    assert(code !== 0, said);
    assert(said.includes("unknown key") && said.includes("allow-bnd"), said);
    assertEquals(await machine.must("cat", SETTINGS), there);
    await guards(machine);
  });

  await step("--check --diff says what would change", async () => {
    const { code, said, changed } = await play(tried, "--check", "--diff");
    assertEquals([code, changed], [0, 1], said);
    assert(said.includes("+enforce = false"), said);
    await guards(machine);
  });

  await step("another version, with options", async () => {
    package_ = await tarball("2.0.0");
    const options = {
      ...enforced,
      docker_policy_plugin_options: "--log-format json",
    };
    // The tarball, the program, the options, and the restart.
    assertEquals(await plays(options), 4);
    assert((await machine.monitor("/version")).endsWith("2.0.0"));
    await guards(machine);
    assert((await machine.journal()).includes('"reason":"volumes are not'));
    assertEquals(await plays(options), 0);
  });

  await step("the engine was never restarted", async () => {
    assertEquals(await enginePid(), engine);
  });

  await step("after a boot all that is still so", async () => {
    await machine.shutDown();
    await machine.boot();
    await guards(machine);
  });

  await step("absent: the engine is told first, and open again", async () => {
    const absent = { docker_policy_plugin_state: "absent" };
    assert(await plays(absent) > 3);
    assertEquals(await daemon(), before);
    await becomes(201);
    const { code } = await machine.run(
      ...["ls", EXECUTABLE, `/usr/lib/systemd/system/${socket}`],
    );
    assertEquals(code, 2);
    assertEquals(
      await machine.property(service, "LoadState"),
      "not-found",
    );
    // Whoever wrote them may want them back.
    assert((await machine.must("cat", SETTINGS)).includes("[volumes]"));
    assertEquals(await plays(absent), 0);
  });
}
