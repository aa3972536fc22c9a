/**
 * `deno task demo`: the plugin at work, on a Docker engine of its own.
 *
 * The engine has its own directories, no bridge, no iptables and no network. It
 * is gone afterwards, however this ends. The host's Docker stays as it is. The
 * images are made here; nothing is downloaded.
 *
 * @module
 */
import { whyNoEngine } from "../tests/engine/dockerd.ts";
import type { Harness } from "../tests/engine/harness.ts";
import { Plugin } from "../tests/engine/plugin.ts";

const NAME = "docker-policy-plugin";

const CONFIG = `[volumes]

[images]
  whitelist = ["^alpine:", "^quay\\\\.io/calico/(cni|node):"]
  blacklist = ["^docker:"]

[push]
`;

const RED_HAT = ["LABEL vendor='Red Hat, Inc.'", "LABEL name=rhel9"];

const colour = Deno.stdout.isTerminal() && !Deno.noColor;
const paint = (code: number, text: string) =>
  colour ? `\x1b[${code}m${text}\x1b[0m` : text;

/** How many commands did not do what the text around them says. */
let surprises = 0;

/** What a command does. */
type Expected = "works" | "refused" | "fails elsewhere";

async function main(): Promise<void> {
  const missing = await whyNoEngine().catch((error: Error) => error.message);
  if (missing) {
    console.error(`demo: ${missing}`);
    Deno.exit(1);
  }

  const begin = performance.now();
  // Imported only now: without an engine, it says which tests are skipped.
  const { Harness } = await import("../tests/engine/harness.ts");
  const h = await Harness.start();
  try {
    await show(h);
  } finally {
    await h.stop();
  }
  const seconds = Math.round((performance.now() - begin) / 1000);
  console.log(`\nCleaned up. That was the demo, in ${seconds} s.`);
  if (surprises > 0) {
    console.error(`demo: ${surprises} answers were not the expected ones`);
    Deno.exit(1);
  }
}

async function show(h: Harness): Promise<void> {
  await h.image("busybox:latest");
  await h.image("with-volume:latest", { changes: ["VOLUME /data"] });
  await h.image("acme/app:1", { changes: RED_HAT });
  await h.must("create", "--name", "old", "-v", "/cache", "busybox", "true");

  h.plugin = await Plugin.start({
    // This engine's /run/docker/plugins: the plugin can have its real name.
    socket: `${h.dir}/run/${NAME}.sock`,
    host: `unix://${h.dockerd.socket}`,
    dir: h.dir,
    config: CONFIG,
  });
  await h.dockerd.setPlugins([NAME]);

  console.log(
    `Docker ${h.version.full} with an empty state of its own, and ${NAME} in front. The policy:\n`,
  );
  console.log(paint(36, CONFIG.trimEnd().replace(/^(?=.)/gm, "    ")));

  title("Bind mounts are fine");
  await run(h, "works", "run -v /:/test busybox echo it runs");
  await run(h, "works", "run --tmpfs /test busybox echo it runs");

  title("Volumes are not, however they come");
  await run(h, "refused", "run -v /test busybox");
  await run(h, "works", "volume create data");
  await run(h, "refused", "run -v data:/test busybox");
  await run(
    h,
    "refused",
    "run --mount type=volume,source=data,target=/test busybox",
  );
  await run(h, "refused", "run --volumes-from old busybox");

  title("An image with VOLUME runs if something is mounted there");
  await run(h, "refused", "run with-volume");
  await run(h, "works", "run -v /tmp:/data with-volume echo it runs");

  title("A container made before the plugin was there");
  await run(h, "refused", "start old");

  title("Images: pulled only if the policy allows them");
  await run(h, "refused", "pull docker");
  await run(h, "refused", "pull index.docker.io/library/docker:dind");
  await run(h, "refused", "pull evil/x:1");
  await run(h, "fails elsewhere", "pull alpine:3");
  note("allowed; but this engine has no network");

  title("RHEL content is not pushed to Docker Hub");
  await run(h, "refused", "push acme/app:1");
  await run(h, "works", "tag acme/app:1 registry.example.com/acme/app:1");
  await run(h, "fails elsewhere", "push registry.example.com/acme/app:1");
  note("allowed; but this engine has no network");

  title("What the plugin logged of it");
  const denials = (await h.plugin.log()).split("\n")
    .filter((line) => line.includes("denied"));
  for (const line of denials.slice(0, 3)) console.log(`  ${line}`);
  console.log(`  … ${denials.length} denials`);
}

function title(text: string): void {
  console.log(`\n${paint(1, text)}`);
}

function note(text: string): void {
  console.log(`  (${text})`);
}

async function run(
  h: Harness,
  expected: Expected,
  command: string,
): Promise<void> {
  console.log(`  ${paint(1, "$")} docker ${command}`);
  const { code, stdout, stderr } = await h.docker(...command.split(" "));
  const lines = (stdout + stderr).split("\n")
    .filter((line) => line.trim() !== "" && !line.includes("--help'"));
  const denied = stderr.includes(`denied by plugin ${NAME}: `);
  const happened: Expected = code === 0
    ? "works"
    : denied
    ? "refused"
    : "fails elsewhere";
  for (const line of lines) {
    console.log(`    ${paint(denied ? 31 : 32, line)}`);
  }
  if (happened === expected) return;
  surprises++;
  console.log(`    (expected: ${expected}; exit status ${code})`);
}

await main();
