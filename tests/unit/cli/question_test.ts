import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../lib/cli/args.ts";
import { readQuestion } from "../../../lib/cli/question.ts";
import { InvalidReference } from "../../../lib/call/reference.ts";
import { base64, bytes } from "../requests.ts";

const noBody = () => Promise.reject(new Error("no standard input here"));

async function uriOf(...words: string[]): Promise<string> {
  return (await readQuestion(words, noBody)).request.uri;
}

async function createOf(...words: string[]) {
  const { request } = await readQuestion(["run", "--", ...words], noBody);
  return {
    uri: request.uri,
    body: JSON.parse(atob(request.body ?? "")),
  };
}

Deno.test("explain: pulls and pushes are the docker client's", async () => {
  for (
    const [words, uri] of [
      [["pull", "alpine"], "/images/create?fromImage=alpine&tag=latest"],
      [["pull", "alpine:3"], "/images/create?fromImage=alpine%3A3"],
      [["pull", "--all-tags", "alpine"], "/images/create?fromImage=alpine"],
      [["push", "acme/app"], "/images/acme/app/push?tag=latest"],
      [["push", "acme/app:1"], "/images/acme/app/push?tag=1"],
      [
        ["push", "localhost:5000/app:1"],
        "/images/localhost:5000/app/push?tag=1",
      ],
      [["push", "--all-tags", "acme/app"], "/images/acme/app/push"],
    ] as [string[], string][]
  ) assertEquals(await uriOf(...words), uri);
});

Deno.test("explain: docker run's options, as far as they decide anything", async () => {
  const { uri, body } = await createOf(
    ...["-it", "--rm", "--name", "web", "-e", "A=b", "-p", "80:80"],
    ...["-v", "data:/a", "--volume=/srv:/b:ro", "-v", "/c"],
    ...["--mount", "type=bind,src=/srv,dst=/d", "--mount", "target=/e"],
    ...["--tmpfs", "/f:size=1m", "--tmpfs", "/g", "--volumes-from", "other"],
    ...["--platform", "linux/arm64", "busybox", "sh", "-c", "-v", "/h"],
  );
  assertEquals(uri, "/containers/create?platform=linux%2Farm64");
  assertEquals(body, {
    Image: "busybox",
    Volumes: { "/c": {} },
    HostConfig: {
      Binds: ["data:/a", "/srv:/b:ro"],
      Mounts: [
        { Type: "bind", Source: "/srv", Target: "/d" },
        { Type: "volume", Target: "/e" },
      ],
      VolumesFrom: ["other"],
      Tmpfs: { "/f": "size=1m", "/g": "" },
    },
  });
});

Deno.test("explain: a path that begins at the working directory is made absolute", async () => {
  const { body } = await createOf("-v", "./data:/x", "busybox");
  assertEquals(body.HostConfig.Binds, [`${Deno.cwd()}/./data:/x`]);
});

Deno.test("explain: a body from standard input, and who asks", async () => {
  const { request, options } = await readQuestion(
    ["--user", "dwalsh", "--config", "x.toml", "--tls-verify", "create"],
    () => Promise.resolve(bytes('{"Image":"b"}')),
  );
  assertEquals(options, ["--config=x.toml", "--tls-verify"]);
  assertEquals(request, {
    user: "dwalsh",
    method: "POST",
    uri: "/containers/create",
    headers: { "Content-Type": "application/json", "Content-Length": "13" },
    body: base64('{"Image":"b"}'),
  });
});

Deno.test("explain: words that say nothing", async () => {
  for (
    const words of [
      [],
      ["frobnicate"],
      ["pull"],
      ["pull", "a", "b"],
      ["--frobnicate", "pull", "a"],
      ["run", "--", "-d"],
    ]
  ) await assertRejects(() => readQuestion(words, noBody), UsageError);
  await assertRejects(
    () => readQuestion(["pull", "A/B c"], noBody),
    InvalidReference,
  );
});
