/** `audit` as it is run: what it says, and how it exits. */
import { assertEquals, assertMatch } from "@std/assert";
import { program, withConfig } from "../program.ts";
import { idOf } from "../verdict/host.ts";

const VOLUME = { Type: "volume", Name: "data", Destination: "/x" };

/** Answers by path, without version and query; other paths are unknown. */
type Answers = Record<string, unknown>;

/** Runs a test with an engine that answers so. */
async function withEngine(
  answers: Answers,
  test: (host: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/docker.sock`;
  const asked: string[] = [];
  const server = Deno.serve({ path, onListen() {} }, ({ method, url }) => {
    const plain = new URL(url).pathname.replace(/^\/v[0-9.]+/, "");
    asked.push(`${method} ${plain}`);
    const answer = plain === "/_ping" ? "OK" : answers[plain];
    const status = typeof answer === "number" ? answer : answer ? 200 : 404;
    return new Response(
      JSON.stringify(status === 200 ? answer : { message: "no such thing" }),
      { status, headers: { "Api-Version": "1.41" } },
    );
  });
  try {
    await test(`--host=unix://${path}`, asked);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

/** A container with a volume, and one that is fine. */
const HOST: Answers = {
  "/containers/json": [
    { Id: idOf("1"), Names: ["/db"], Mounts: [VOLUME], Created: 1 },
    { Id: idOf("2"), Names: ["/web"], Mounts: [], Created: 1 },
  ],
  "/images/json": [],
  "/info": {},
};

Deno.test("audit: 1 if there is something, 0 if not; nothing is changed", async () => {
  await withEngine(HOST, async (host, asked) => {
    await withConfig("[volumes]\n", async (file) => {
      const { code, out, err } = await program("audit", file, host);
      assertEquals([code, err], [1, ""]);
      const [, row] = out.split("\n");
      assertEquals(
        row,
        "container  db    111111111111  [volumes]  volumes/container  1   " +
          "volumes are not allowed: container 111111111111 has volume " +
          '"data" at /x',
      );
      assertMatch(
        out,
        /\n1 finding in 2 containers, 0 services and 0 images; enforcing \[volumes\]\n$/,
      );
    });
    await withConfig("[images]\n", async (file) => {
      const { code, out } = await program("audit", "-config", file, host);
      assertEquals([code, out.slice(0, 10)], [0, "0 findings"]);
      const json = await program("audit", host, file, "--format=json");
      assertEquals([json.code, JSON.parse(json.out).findings], [0, []]);
    });
    assertEquals(asked.filter((each) => !each.startsWith("GET ")), []);
  });
});

Deno.test("audit: 2 if nobody can tell of all", async () => {
  const locked = { ...HOST, [`/containers/${idOf("2")}/json`]: 500 };
  await withEngine(locked, async (host) => {
    await withConfig("[volumes]\n[privileges]\n", async (file) => {
      const { code, out, err } = await program("audit", file, host);
      assertEquals(code, 2);
      assertMatch(out, /volumes\/container/);
      assertMatch(
        err,
        /^can't check container web \(2{64}\): GET .* gave HTTP 500: no such thing\n$/,
      );
    });
  });
});

Deno.test("audit: 2 if the engine or the settings can't be had", async () => {
  await withConfig("[volumes]\n", async (file) => {
    for (
      const [words, said] of [
        [
          ["--host=unix:///nowhere.sock"],
          /^unix:\/\/\/nowhere\.sock: .*\nis the engine running\? --host /,
        ],
        [
          ["--host=tcp://127.0.0.1:1"],
          /^tcp:\/\/127\.0\.0\.1:1: .*\nis the engine running\? --host /,
        ],
        [["--host=unix:///x", "--cert-path=/x"], /certificates only with tcp/],
      ] as [string[], RegExp][]
    ) {
      const { code, out, err } = await program("audit", file, ...words);
      assertEquals([code, out], [2, ""]);
      assertMatch(err, said);
    }
  });
  await withEngine({ ...HOST, "/images/json": 403 }, async (host) => {
    await withConfig("[volumes]\n", async (file) => {
      const { code, err } = await program("audit", file, host);
      assertEquals(code, 2);
      assertMatch(err, /^GET \/images\/json.* gave HTTP 403: no such thing\n/);
    });
  });
  await withConfig("[volume]\n", async (file) => {
    const { code, err } = await program("audit", file);
    assertEquals(code, 2);
    assertMatch(err, /\.toml:1:2: /);
  });
});

Deno.test("audit: what can't be followed", async () => {
  for (
    const [words, said] of [
      [["a", "--config=b"], "give one file"],
      [["--format=xml"], "--format xml: give table or json"],
      [["--format", "json", "--format=json"], "give one --format"],
      [["--host=x", "--host=y"], "--host is there twice: keep one of them"],
      [["--host", "frob"], "--host frob: give unix:///path or tcp://host:port"],
      [["--frob"], "unknown option --frob"],
    ] as [string[], string][]
  ) {
    const { code, out, err } = await program("audit", ...words);
    assertEquals([code, out], [2, ""]);
    const [first, second] = err.split("\n");
    assertEquals(first, `docker-policy-plugin: ${said}`);
    assertMatch(second, /^usage: docker-policy-plugin audit /);
  }
});
