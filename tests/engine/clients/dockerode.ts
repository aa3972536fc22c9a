/**
 * A day's work with dockerode, for clients_test.ts: `dockerode.ts PACKAGE
 * SOCKET ROOT_TAR BIND_DIR`.
 *
 * A program of its own, so that the package and its forty dependencies stay out
 * of the project's lock file. Prints a line for each thing done; whatever goes
 * wrong is an exception.
 */

import { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { type Duplex, PassThrough, type Readable } from "node:stream";

const [PACKAGE, socketPath, rootTar, bind] = Deno.args;

type Options = Record<string, unknown>;

interface Exec {
  start(options: Options): Promise<Duplex>;
  inspect(): Promise<{ ExitCode: number }>;
}

interface Container {
  id: string;
  start(): Promise<unknown>;
  attach(options: Options): Promise<Duplex>;
  exec(options: Options): Promise<Exec>;
  logs(options: Options & { follow: true }): Promise<Readable>;
  getArchive(options: Options): Promise<Readable>;
  putArchive(data: Readable | Buffer, options: Options): Promise<unknown>;
  inspect(): Promise<{ Name: string; State: { Running: boolean } }>;
  pause(): Promise<unknown>;
  unpause(): Promise<unknown>;
  rename(options: Options): Promise<unknown>;
  stats(options: Options): Promise<Options>;
  changes(): Promise<{ Path: string }[]>;
  update(options: Options): Promise<unknown>;
  restart(options: Options): Promise<unknown>;
  commit(options: Options): Promise<{ Id: string }>;
  export(): Promise<Readable>;
  stop(options: Options): Promise<unknown>;
  wait(): Promise<{ StatusCode: number }>;
  remove(options?: Options): Promise<unknown>;
}

interface Image {
  inspect(): Promise<{ Id: string; RepoTags: string[] }>;
  get(): Promise<Readable>;
  tag(options: Options): Promise<unknown>;
  remove(options?: Options): Promise<unknown>;
}

interface Network {
  connect(options: Options): Promise<unknown>;
  disconnect(options: Options): Promise<unknown>;
  remove(): Promise<unknown>;
}

interface Volume {
  remove(): Promise<unknown>;
}

interface Dockerode {
  modem: {
    demuxStream(from: Readable, out: PassThrough, err: PassThrough): void;
    followProgress(
      stream: Readable,
      done: (error: Error | null, steps: { error?: string }[]) => void,
    ): void;
  };
  version(): Promise<{ Version: string }>;
  importImage(tar: Readable, options: Options): Promise<Readable>;
  loadImage(tar: Buffer): Promise<Readable>;
  buildImage(tar: Readable, options: Options): Promise<Readable>;
  listImages(): Promise<unknown[]>;
  getImage(name: string): Image;
  run(
    image: string,
    command: string[],
    out: PassThrough,
    options: Options,
  ): Promise<[{ StatusCode: number }, Container]>;
  createContainer(options: Options): Promise<Container>;
  listContainers(options: Options): Promise<unknown[]>;
  createNetwork(options: Options): Promise<Network>;
  createVolume(options: Options): Promise<Volume>;
  pruneContainers(): Promise<unknown>;
  df(): Promise<unknown>;
}

const { default: Docker } = await import(PACKAGE) as {
  default: new (options: Options) => Dockerode;
};
const docker = new Docker({ socketPath });

function done(what: string): void {
  console.log(what);
}

function check(got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Error(`got ${got}, wanted ${wanted}`);
}

async function bytes(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/**
 * Waits for a pull, import, load or build, whose errors come in the middle of
 * the answer.
 */
async function finished(stream: Readable): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error, steps) => {
      const failed = error ?? steps.find((step) => step.error)?.error;
      failed ? reject(failed) : resolve();
    });
  });
}

/** Runs a command in a container, with something to read. */
async function exec(
  container: Container,
  Cmd: string[],
  input: string,
): Promise<string> {
  const command = await container.exec({
    Cmd,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await command.start({ hijack: true, stdin: true });
  const out = new PassThrough();
  docker.modem.demuxStream(stream, out, out);
  stream.end(input);
  await new Promise((resolve) => stream.on("end", resolve));
  out.end();
  check((await command.inspect()).ExitCode, 0);
  return (await bytes(out)).toString();
}

async function runs(
  image: string,
  command: string[],
  options: Options,
): Promise<string> {
  const out = new PassThrough();
  const [{ StatusCode }, container] = await docker.run(
    image,
    command,
    out,
    { Tty: false, ...options },
  );
  check(StatusCode, 0);
  await container.remove();
  out.end();
  // Frames of eight bytes each, as there is no terminal.
  return (await bytes(out)).subarray(8).toString();
}

done(`version ${(await docker.version()).Version}`);
await finished(
  await docker.importImage(createReadStream(rootTar), { repo: "js", tag: "1" }),
);
check((await docker.getImage("js:1").inspect()).RepoTags[0], "js:1");
check((await docker.listImages()).length > 0, true);
done("import, image list and inspect");

const network = await docker.createNetwork({ Name: "js-net", Internal: true });
done("network create");

// The form that its README shows: `Volumes` beside the bind mount that covers
// it.
check(
  await runs("js:1", ["cat", "/b/note"], {
    Volumes: { "/b": {} },
    HostConfig: { Binds: [`${bind}:/b`] },
  }),
  "from the host\n",
);
done("run with a bind mount");

const web = await docker.createContainer({
  Image: "js:1",
  name: "js-web",
  Cmd: ["sh", "-c", "echo hello; sleep 600"],
  Labels: { a: "1", A: "2" },
  HostConfig: {
    NetworkMode: "js-net",
    Tmpfs: { "/scratch": "size=1m" },
    Mounts: [{ Type: "bind", Source: bind, Target: "/m" }],
  },
});
await web.start();
done("create, start");
const logs = await web.logs({ follow: true, stdout: true });
for await (const part of logs) {
  check((part as Buffer).subarray(8).toString(), "hello\n");
  break;
}
done("logs -f");
check(await exec(web, ["cat", "/m/note"], ""), "from the host\n");
check(await exec(web, ["cat"], "echo\n"), "echo\n");
done("exec, exec -i");
await web.putArchive(createReadStream(rootTar), { path: "/tmp" });
const archive = await bytes(await web.getArchive({ path: "/tmp/etc/passwd" }));
check(archive.length > 512, true);
done("cp both ways");
await web.pause();
await web.unpause();
await web.rename({ name: "js-renamed" });
check((await web.inspect()).Name, "/js-renamed");
await web.stats({ stream: false });
check((await web.changes()).some(({ Path }) => Path === "/tmp/etc"), true);
done("pause, unpause, rename, inspect, stats, diff");
await web.update({ RestartPolicy: { Name: "unless-stopped" } });
await web.restart({ t: 0 });
done("update, restart");
await web.commit({ repo: "js", tag: "2" });
check(
  await runs("js:2", ["cat", "/tmp/etc/passwd"], {}),
  "root:x:0:0:root:/:/bin/sh\n",
);
done("commit and run it");
check((await bytes(await web.export())).length > 1000, true);
await network.disconnect({ Container: web.id });
await network.connect({ Container: web.id });
done("export, network disconnect and connect");
await web.stop({ t: 0 });
check((await web.wait()).StatusCode, 137);
await web.remove({ force: true });
await network.remove();
done("stop, wait, rm, network rm");

const context = `${bind}/context.tar`;
await finished(
  await docker.buildImage(createReadStream(context), { t: "js:3" }),
);
check(await runs("js:3", ["cat", "/made"], {}), "built\n");
done("build");
const saved = await bytes(await docker.getImage("js:3").get());
const { Id } = await docker.getImage("js:3").inspect();
await docker.getImage("js:3").remove({ force: true });
await finished(await docker.loadImage(saved));
check((await docker.getImage("js:3").inspect()).Id, Id);
done("save, rmi, load");
await (await docker.createVolume({ Name: "js-volume" })).remove();
done("volume create and rm");
await docker.getImage("js:1").tag({ repo: "js", tag: "4" });
await docker.getImage("js:4").remove();
check((await docker.listContainers({ all: true })).length, 0);
await docker.pruneContainers();
await docker.df();
done("tag, rmi, prune, system df");
Deno.exit(0); // whatever it keeps open
