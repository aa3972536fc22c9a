/**
 * A host to escape to: what an engine of the tests' own has around it, with a
 * secret in each place that a container must not reach.
 *
 * All of it is the test's: files in the engine's directory, a process and a
 * listener in its namespaces, and a disk that is a file. No setting of the
 * kernel is written; files of `/proc/sys` and the like are opened at most.
 *
 * @module
 */
import { exists, must, sleep, which } from "../../helpers/programs.ts";
import type { ApiAnswer, Harness, Result } from "../harness.ts";
import { type Entry, tar } from "../tar.ts";
import { request, type RequestParts, writeAll } from "../raw_http.ts";
import { saidBy } from "../verdict.ts";

/** The image that containers are made of: all of busybox, and host_access.c. */
export const IMAGE = "box:1";

/** Where the service on the host's loopback listens. */
export const PORT = 7777;

const PREY = "as it was\n";

/** An engine's host, and somebody who tries to get to it through the API. */
export class Host {
  /** What stands in each place that is to be read. */
  readonly secret: string = crypto.randomUUID();
  /** A disk of the host with the secret at its begin, if one can be made. */
  disk?: string;
  /** Why there is none. */
  whyNoDisk = "no losetup: install mount";
  /** Why host_access.c is not in the image, if it isn't. */
  whyNoTool?: string;
  /** The number of the host's process in the engine's PID namespace. */
  pid = 0;
  /** All that came back since the last `begin`. */
  output = "";
  /** The denials of the plugin since then. */
  denials: string[] = [];

  #children: Deno.ChildProcess[] = [];
  #open: Deno.FsFile[] = [];
  #shared: string;

  private constructor(readonly h: Harness) {
    this.#shared = `/dev/shm/${h.dockerd.name}`;
  }

  /** Makes all of it. */
  static async make(h: Harness): Promise<Host> {
    const host = new Host(h);
    try {
      await host.#makeFiles();
      await host.#makeDisk();
      await host.#makeImage();
      await host.#makeProcesses();
    } catch (error) {
      await host.remove();
      throw error;
    }
    return host;
  }

  /** A folder that no bind mount is allowed to come from. */
  get dir(): string {
    return `${this.h.dir}/host`;
  }

  /** A folder that bind mounts may come from. */
  get allowed(): string {
    return `${this.h.dir}/allowed`;
  }

  /** A file with the secret. */
  get file(): string {
    return `${this.dir}/secret`;
  }

  /** A file to write to. */
  get prey(): string {
    return `${this.dir}/prey`;
  }

  /** The secret's file as a process sees it that has the host as `at`. */
  below(at: string): string {
    return at + this.file;
  }

  /** The name of the host's process, which stands in its command line. */
  get process(): string {
    return `${this.h.dockerd.name}-process`;
  }

  /** Name of an abstract socket that answers with the secret. */
  get abstract(): string {
    return `${this.h.dockerd.name}-abstract`;
  }

  /** A file in the host's `/dev/shm`. */
  get shared(): string {
    return this.#shared;
  }

  /** Whether the host's file was written to. */
  async written(): Promise<boolean> {
    return await Deno.readTextFile(this.prey).catch(() => "gone") !== PREY;
  }

  /** Forgets what came back, and puts the host's file as it was. */
  async begin(): Promise<void> {
    this.output = "";
    this.denials = [];
    await Deno.writeTextFile(this.prey, PREY);
  }

  /** Runs the docker client; whatever comes of it is noted. */
  async docker(...args: string[]): Promise<Result> {
    return await this.dockerBy({}, ...args);
  }

  /** Runs the docker client with more variables. */
  async dockerBy(
    env: Record<string, string>,
    ...args: string[]
  ): Promise<Result> {
    const client = await this.h.dockerd.client();
    const result = await this.h.dockerBy(
      ["timeout", "30", ...client],
      args,
      env,
    );
    this.note(result.stdout, result.stderr);
    return result;
  }

  /** Runs the docker client with BuildKit, and a file as its input. */
  async buildFrom(input: string, ...args: string[]): Promise<Result> {
    const client = await this.h.dockerd.client();
    const result = await this.h.dockerBy(
      ["timeout", "30", "sh", "-c", 'exec "$@" <"$INPUT"', "sh", ...client],
      args,
      { DOCKER_BUILDKIT: "1", INPUT: input },
    );
    this.note(result.stdout, result.stderr);
    return result;
  }

  /** Runs a container to its end, with options before the image. */
  async run(options: string[], ...command: string[]): Promise<Result> {
    return await this.docker(
      "run",
      "--rm",
      "--network=none",
      ...options,
      IMAGE,
      ...command,
    );
  }

  /** Runs a container to its end that has a network of its own choice. */
  async runIn(options: string[], ...command: string[]): Promise<Result> {
    return await this.docker("run", "--rm", ...options, IMAGE, ...command);
  }

  /** One request to the API; whatever comes of it is noted. */
  async api(
    method: string,
    path: string,
    body?: RequestParts["body"],
  ): Promise<ApiAnswer> {
    return await this.send(request(method, path, { body }));
  }

  /** Bytes to the API; whatever comes of it is noted. */
  async send(bytes: Uint8Array): Promise<ApiAnswer> {
    const answer = await this.h.send(bytes, 30_000);
    this.note(answer.body, answer.message);
    return answer;
  }

  /**
   * Creates a container by the API, starts it and reads what it says.
   *
   * @param body of the create, with the command; `Image` is added.
   * @param send How the create is sent.
   */
  async create(
    body: Record<string, unknown>,
    send: (body: Record<string, unknown>) => Promise<ApiAnswer> = (body) =>
      this.api("POST", "/containers/create", body),
  ): Promise<void> {
    const answer = await send({ Image: IMAGE, NetworkDisabled: true, ...body });
    if (answer.status !== 201) return;
    const { Id } = answer.json<{ Id: string }>();
    await this.docker("start", "--attach", Id);
  }

  /** Sends text into what a request of the API opens, and notes the answer. */
  async talk(target: string, text: string): Promise<void> {
    const connection = await Deno.connect({
      transport: "unix",
      path: this.h.dockerd.socket,
    });
    const head = request("POST", target, {
      headers: [["Connection", "Upgrade"], ["Upgrade", "tcp"]],
    });
    await writeAll(connection, head);
    await sleep(300);
    await writeAll(connection, new TextEncoder().encode(text)).catch(() => {});
    let all = "";
    const end = setTimeout(() => connection.close(), 1500);
    try {
      const buffer = new Uint8Array(65_536);
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null) break;
        all += new TextDecoder().decode(buffer.subarray(0, count));
      }
      clearTimeout(end);
      connection.close();
    } catch {
      // Closed after a second and a half.
    }
    this.note(all);
  }

  /** Keeps what came back, and what the plugin said in it. */
  note(...texts: string[]): void {
    for (const text of texts) {
      this.output += `${text}\n`;
      const said = saidBy(this.h, text);
      if (said !== undefined) this.denials.push(said.replace(/"}$/, ""));
    }
  }

  /**
   * Runs a command on the host, as a user who is not root.
   *
   * @param pid In the engine's PID namespace, to be put into `{pid}`.
   */
  async asUser(pid: number, ...command: string[]): Promise<void> {
    const enter = await this.#enter("--mount", "--root", "--pid");
    const child = await new Deno.Command(enter[0], {
      args: [
        ...enter.slice(1),
        "setpriv",
        ...["--reuid=1000", "--regid=1000", "--clear-groups"],
        `${this.h.dir}/busybox`,
        ...command.map((each) => each.replaceAll("{pid}", String(pid))),
      ],
      stdin: "null",
    }).output();
    this.note(
      new TextDecoder().decode(child.stdout),
      new TextDecoder().decode(child.stderr),
    );
  }

  /**
   * A `docker cp` of the host's disk, open for everybody, as `d`: the bytes for
   * the API.
   */
  async putDisk(container: string, path = "/tmp"): Promise<Uint8Array> {
    return this.put(container, path, await this.diskAs("d"));
  }

  /** An archive in which the host's disk has a name. */
  async diskAs(name: string): Promise<Uint8Array> {
    const folder = await Deno.makeTempDir({ dir: this.h.dir });
    const minor = (this.disk ?? "").replace(/\D*/, "") || "0";
    const { busybox } = this.h.dockerd;
    const file = `${folder}/${name}`;
    await must([busybox, "mknod", "-m", "666", file, "b", "7", minor]);
    const { stdout } = await new Deno.Command(busybox, {
      args: ["tar", "-c", "-C", folder, name],
    }).output();
    await Deno.remove(folder, { recursive: true });
    return stdout;
  }

  /** A `docker cp` of an archive: the bytes for the API. */
  put(container: string, path: string, body: Uint8Array): Uint8Array {
    return request("PUT", `/containers/${container}/archive?path=${path}`, {
      headers: [["Content-Type", "application/x-tar"]],
      body,
    });
  }

  /** The number of a container's first process in the engine's namespace. */
  async pidOf(container: string): Promise<number> {
    const answer = await this.h.api("GET", `/containers/${container}/json`);
    return answer.status === 200
      ? answer.json<{ State: { Pid: number } }>().State.Pid
      : 0;
  }

  /** Runs a command as root in the engine's namespaces, for what a test needs. */
  async onHost(...command: string[]): Promise<string> {
    return await must([
      ...await this.#enter("--mount", "--root", "--net"),
      ...command,
    ]);
  }

  /** Takes all of it away that does not end with the engine. */
  async remove(): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It ended by itself.
      }
      await child.status;
    }
    for (const file of this.#open) file.close();
    await Deno.remove(this.#shared).catch(() => {});
  }

  async #enter(...namespaces: string[]): Promise<string[]> {
    return [
      "nsenter",
      `--target=${await this.h.dockerd.pid()}`,
      ...namespaces,
    ];
  }

  async #makeFiles(): Promise<void> {
    await Deno.mkdir(this.dir);
    await Deno.mkdir(this.allowed);
    await Deno.writeTextFile(this.file, `${this.secret}\n`, { mode: 0o600 });
    await Deno.writeTextFile(this.#shared, `${this.secret}\n`);
    await Deno.copyFile(this.h.dockerd.busybox, `${this.h.dir}/busybox`);
    // The user who has a shell on this host gets to the busybox in it.
    await Deno.chmod(this.h.dir, 0o711);
    await this.begin();
  }

  /** The device goes with the last who has it open: no end of ours leaves it. */
  async #makeDisk(): Promise<void> {
    if (!await which("losetup")) return;
    const image = `${this.h.dir}/disk`;
    await Deno.writeFile(image, new Uint8Array(4 << 20));
    await must([this.h.dockerd.busybox, "mke2fs", "-F", image, "4096"]);
    // A file system begins with 1024 bytes of nothing.
    const file = await Deno.open(image, { write: true });
    await file.write(new TextEncoder().encode(`${this.secret}\n`));
    file.close();
    try {
      const disk = (await must(["losetup", "--find", "--show", image])).trim();
      this.#open.push(await Deno.open(disk));
      await must(["losetup", "--detach", disk]);
      this.disk = disk;
    } catch (error) {
      this.whyNoDisk = `no loop device: ${(error as Error).message}`;
    }
  }

  async #makeImage(): Promise<void> {
    const { busybox } = this.h.dockerd;
    const applets = (await must([busybox, "--list"])).trim().split("\n");
    const text = (value: string) => new TextEncoder().encode(value);
    const files: Entry[] = [
      ...["bin/", "etc/", "host/"].map((path) => ({ path })),
      { path: "tmp/", mode: 0o1777 },
      {
        path: "bin/busybox",
        content: await Deno.readFile(busybox),
        mode: 0o755,
      },
      ...applets.filter((name) => name !== "busybox").map((name) => ({
        path: `bin/${name}`,
        link: "busybox",
      })),
      {
        path: "etc/passwd",
        content: text("root:x:0:0:root:/:/bin/sh\nu:x:1000:1000:u:/:/bin/sh\n"),
      },
    ];
    const tool = await this.#compile();
    if (tool) {
      files.push({ path: "bin/host-access", content: tool, mode: 0o755 });
    }
    const query = new URLSearchParams({ fromSrc: "-", repo: "box", tag: "1" });
    query.append("changes", 'CMD ["sleep", "600"]');
    const answer = await this.h.api(
      "POST",
      `/images/create?${query}`,
      tar(files),
    );
    if (answer.status !== 200) throw new Error(answer.body);
  }

  async #compile(): Promise<Uint8Array | undefined> {
    if (!await which("gcc")) {
      this.whyNoTool = "no gcc: install it";
      return;
    }
    const source = new URL("host_access.c", import.meta.url).pathname;
    try {
      await must(["gcc", "-static", "-O", "-o", this.tool, source]);
    } catch {
      this.whyNoTool = "no static C library: install libc6-dev";
      return;
    }
    return await Deno.readFile(this.tool);
  }

  /** The program of host_access.c, on the host. */
  get tool(): string {
    return `${this.h.dir}/host-access`;
  }

  async #makeProcesses(): Promise<void> {
    const busybox = `${this.h.dir}/busybox`;
    await this.#spawn(busybox, "sh", "-c", `sleep 3000; : ${this.process}`);
    // What reads HTTP takes it too.
    const serve = `${this.h.dir}/serve`;
    await Deno.writeTextFile(
      serve,
      [
        `#!${busybox} sh`,
        // To the empty line behind a request's head, or to the end of nothing.
        'while read -r line && [ "${#line}" -gt 1 ]; do :; done',
        // The engine wants to see a hundred bytes of whatever it fetches.
        `printf 'HTTP/1.0 200 OK\\r\\n\\r\\n${this.secret}\\n${
          "#".repeat(100)
        }\\n'\n`,
      ].join("\n"),
      { mode: 0o755 },
    );
    await this.#spawn(busybox, "nc", "-ll", "-p", `${PORT}`, "-e", serve);
    if (!this.whyNoTool) {
      await this.#spawn(this.tool, "listen", this.abstract, this.secret);
    }
    const end = Date.now() + 5000;
    while (!this.pid && Date.now() < end) {
      await sleep(20);
      this.pid = await this.#findProcess();
    }
    if (!this.pid) throw new Error("the host's process did not start");
  }

  /** Starts a program of the host: its end comes with the engine's. */
  async #spawn(...command: string[]): Promise<void> {
    const enter = await this.#enter("--mount", "--root", "--pid", "--net");
    this.#children.push(
      new Deno.Command(enter[0], {
        args: [...enter.slice(1), ...command],
        env: { HOST_SECRET: this.secret },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn(),
    );
  }

  async #findProcess(): Promise<number> {
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const line = await Deno.readTextFile(`/proc/${name}/cmdline`)
        .catch(() => "");
      if (!line.startsWith(`${this.h.dir}/busybox\0sh\0`)) continue;
      if (!line.includes(this.process)) continue;
      const status = await Deno.readTextFile(`/proc/${name}/status`);
      return Number(status.match(/^NSpid:.*\t(\d+)$/m)?.[1]);
    }
    return 0;
  }
}

/**
 * Why a container can't have all capabilities: the test's root may have fewer,
 * and Docker 20.10 gives a privileged container those of the kernel.
 */
export async function whyNotAll({ h }: Host): Promise<string | undefined> {
  const status = await Deno.readTextFile("/proc/self/status");
  const has = status.match(/^CapBnd:\t(\w+)$/m)?.[1];
  const last = await Deno.readTextFile("/proc/sys/kernel/cap_last_cap");
  const all = (1n << (BigInt(last.trim()) + 1n)) - 1n;
  return h.version.major >= 23 || has && BigInt(`0x${has}`) === all
    ? undefined
    : "Docker 20.10 gives all capabilities, and root here has not all";
}

/** Whether this machine has control groups of version 1. */
export function hasOldCgroups(): Promise<boolean> {
  return exists("/sys/fs/cgroup/memory/release_agent");
}
