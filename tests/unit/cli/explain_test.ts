import { assertEquals, assertMatch } from "@std/assert";
import { base64 } from "../requests.ts";
import { program, programWith, withConfig } from "../program.ts";

const NOWHERE = "--host=unix:///nowhere.sock";

/** What the engine posts to plugins. */
function posted(uri: string, body?: unknown, user = ""): string {
  return JSON.stringify({
    User: user,
    RequestMethod: "POST",
    RequestUri: uri,
    RequestHeaders: body === undefined
      ? { "Content-Length": "0" }
      : { "Content-Type": "application/json" },
    ...body !== undefined && { RequestBody: base64(JSON.stringify(body)) },
  });
}

async function explained(
  config: string,
  request: string,
  ...options: string[]
) {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, request);
    const all = ["--config", config, NOWHERE, "--request", file, ...options];
    return await program("explain", ...all);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("explain: the verdict on a recorded request, and by which rule", async () => {
  const text = '[volumes]\nallow-user = ["dwalsh"]\n' +
    '[images]\nwhitelist = ["^alpine:"]\nblacklist = ["^docker:"]\n';
  const bind = (source: string) => ({
    Image: "b",
    HostConfig: { Binds: [`${source}:/x`] },
  });
  await withConfig(text, async (config) => {
    for (
      const [request, options, code, said] of [
        [
          posted("/v1.41/images/create?fromImage=alpine&tag=3"),
          [],
          0,
          /^allowed: whitelisted by \^alpine:\n$/,
        ],
        [
          posted("/images/create?fromImage=docker&tag=3"),
          [],
          1,
          /^refused by images\/blacklisted: image docker:3 is not allowed: /,
        ],
        [
          posted("/containers/create", bind("data")),
          [],
          1,
          /^refused by volumes\/named: .*"data"\n$/,
        ],
        [
          posted("/containers/create", bind("/data")),
          [],
          2,
          /^can't tell without unix:\/\/\/nowhere.sock: /,
        ],
        [
          posted("/services/create", bind("/data")),
          ["--user", "dwalsh"],
          0,
          /^allowed: dwalsh is exempt from \[volumes\]/,
        ],
        [
          posted("/containers/x/start", undefined, "dwalsh"),
          [],
          0,
          /^allowed: dwalsh is exempt from \[volumes\]\n$/,
        ],
        [posted("/containers/x/kill"), [], 0, /^allowed\n$/],
      ] as [string, string[], number, RegExp][]
    ) {
      const answer = await explained(config, request, ...options);
      assertMatch(code === 2 ? answer.err : answer.out, said);
      assertEquals(answer.code, code, answer.err);
    }
  });
});

Deno.test("explain: what can't be read, or told, ends with 2", async () => {
  const request = posted("/images/create?fromImage=alpine");
  await withConfig("[volume]", async (config) => {
    const { code, out, err } = await explained(config, request);
    assertEquals([code, out], [2, ""]);
    assertMatch(err, /:1:2: unknown section/);
  });
  await withConfig("[push]\n", async (config) => {
    for (
      const [text, said] of [
        ["", /^\S+ can't be read as an AuthZ request: it is empty\n$/],
        ["{", /: the message is not JSON\n$/],
        ["{}", /: RequestMethod or RequestUri is missing\n$/],
      ] as [string, RegExp][]
    ) {
      const { code, out, err } = await explained(config, text);
      assertEquals([code, out], [2, ""]);
      assertMatch(err, said);
    }
    const { code, err } = await program(
      ...["explain", "--config", config, "--request", "/nowhere.json"],
    );
    assertEquals(code, 2);
    assertMatch(err, /^\/nowhere.json can't be read as an AuthZ request: /);
  });
});

Deno.test("explain: a command without an engine, and one that asks for nothing", async () => {
  await withConfig("[push]\n", async (config) => {
    const options = ["explain", "--config", config, NOWHERE, "--"];
    const quiet = await program(...options, "true");
    assertEquals([quiet.code, quiet.out], [2, ""]);
    assertEquals(
      quiet.err,
      "can't tell: true asked for no change through DOCKER_HOST\n",
    );
    const missing = await program(...options, "no-such-program");
    assertEquals(missing.code, 2);
    assertMatch(missing.err, /no-such-program.*No such file/);
  });
});

Deno.test("explain: its help", async () => {
  const { code, out, err } = await program("explain", "--help");
  assertEquals([code, err], [0, ""]);
  assertMatch(out, /^usage: docker-policy-plugin explain /);
});

Deno.test("explain: words that say nothing", async () => {
  for (
    const words of [
      [],
      ["pull", "alpine"],
      ["run", "--", "-v", "d:/x", "b"],
      ["--frobnicate", "--", "docker", "ps"],
      ["--request"],
      ["--request", "x", "--", "docker", "ps"],
    ]
  ) {
    const { code, err } = await program("explain", ...words);
    assertEquals(code, 2, err);
    assertMatch(err, /\nusage: docker-policy-plugin explain /);
  }
  const { err } = await program("explain", "pull", "alpine");
  assertMatch(err, /explain -- docker run /);
});

Deno.test("explain: what is empty, or there twice, is no default", async () => {
  for (
    const [words, said] of [
      [["--config="], "--config needs a value"],
      [["--config", ""], "--config needs a value"],
      [["--host="], "--host needs a value"],
      [["--cert-path="], "--cert-path needs a value"],
      [["--user="], "--user needs a value"],
      [["--request="], "--request needs a file, or -"],
      [
        ["--config=a", "-config=b"],
        "--config is there twice: keep one of them",
      ],
      [["--host=x", "--host=y"], "--host is there twice: keep one of them"],
      [["--user=a", "--user=b"], "--user is there twice: keep one of them"],
      [
        ["--request=a", "--request=b"],
        "--request is there twice: keep one of them",
      ],
      [["--tls-verify=maybe"], "--tls-verify=maybe: give true or false"],
    ] as [string[], string][]
  ) {
    const isRequest = words[0].startsWith("--request");
    const command = isRequest ? [] : ["--", "true"];
    const { code, out, err } = await program("explain", ...words, ...command);
    assertEquals([code, out], [2, ""]);
    const [first, second] = err.split("\n");
    assertEquals(first, `docker-policy-plugin: ${said}`);
    assertMatch(second, /^usage: docker-policy-plugin explain /);
  }
});

Deno.test("explain: one dash will do, and the command keeps its own", async () => {
  const request = posted("/services/create", { Name: "x" });
  await withConfig('[volumes]\nallow-user = ["dwalsh"]\n', async (config) => {
    for (const options of [["-user", "dwalsh"], ["-user=dwalsh"]]) {
      const { code, out } = await explained(config, request, ...options);
      assertEquals(code, 0);
      assertMatch(out, /^allowed: dwalsh is exempt from \[volumes\]/);
    }
    const { code, out } = await program(
      ...["explain", "-config", config, NOWHERE, "-tls-verify=0", "--"],
      ...["echo", "-config", "--", "-user"],
    );
    assertEquals([code, out], [2, "-config -- -user\n"]);
  });
});

Deno.test("explain: a request may come by standard input", async () => {
  const request = posted("/containers/x/kill");
  await withConfig("[push]\n", async (config) => {
    for (const name of [["--request", "-"], ["-request=-"]]) {
      const words = ["explain", "--config", config, NOWHERE, ...name];
      const { code, out } = await programWith(request, ...words);
      assertEquals([code, out], [0, "allowed\n"]);
    }
  });
});

Deno.test("explain: it says whose settings decided, if there are several", async () => {
  const text = '[images]\nwhitelist = ["^alpine:"]\n' +
    '[for.ops]\nuser = ["olga"]\n[for.ops.images]\ndefault-allow = true\n' +
    'blacklist = ["^docker:"]\n';
  const pull = (image: string) =>
    posted(`/images/create?fromImage=${image}&tag=3`);
  await withConfig(text, async (config) => {
    for (
      const [image, user, code, said] of [
        ["alpine", "olga", 0, /^allowed: .* \(settings: \[for\.ops\]\)\n$/],
        ["busybox", "olga", 0, /^allowed.* \(settings: \[for\.ops\]\)\n$/],
        ["docker", "olga", 1, /^refused .* \(settings: \[for\.ops\]\)\n$/],
        ["busybox", "eve", 1, /^refused .* \(settings: everybody's\)\n$/],
        ["alpine", "", 0, /^allowed: .* \(settings: everybody's\)\n$/],
      ] as const
    ) {
      const { code: given, out: stdout } = await explained(
        config,
        pull(image),
        ...user === "" ? [] : ["--user", user],
      );
      assertMatch(stdout, said);
      assertEquals(given, code);
    }
  });
});
