import { assertEquals, assertMatch } from "@std/assert";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** Runs the program as `deno task start` does. */
async function program(...words: string[]) {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  const [, ...args] = (tasks.start as string).split(" ");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args, ...words],
    cwd: ROOT,
  }).output();
  return {
    code,
    out: new TextDecoder().decode(stdout),
    err: new TextDecoder().decode(stderr),
  };
}

async function withConfig(
  text: string,
  test: (file: string) => Promise<void>,
): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(file, text);
    await test(file);
  } finally {
    await Deno.remove(file);
  }
}

const NOWHERE = "--host=unix:///nowhere.sock";

Deno.test("check-config: ok, and what would be enforced", async () => {
  await withConfig('[images]\nwhitelist = ["^a:"]', async (file) => {
    const { code, out } = await program("check-config", "--config", file);
    assertEquals(code, 0);
    assertMatch(out, /^ok\n\{[^]*"whitelist": \[\n\s*"\^a:"/);
  });
});

Deno.test("check-config: every mistake, with line and column", async () => {
  const text = '[volumes]\nenforce = 1\n\n[images]\n  whitelist = ["a("]\n';
  await withConfig(text, async (file) => {
    const { code, out } = await program("check-config", "--config", file);
    assertEquals(code, 1);
    const [first, second] = out.split("\n");
    assertEquals(first.startsWith(`${file}:2:1: enforce is 1: `), true, first);
    assertEquals(second.startsWith(`${file}:5:16: whitelist: `), true, second);
  });
});

Deno.test("explain: the verdict, by which rule, and whether the engine is needed", async () => {
  const text = '[volumes]\nallow-user = ["dwalsh"]\n' +
    '[images]\nwhitelist = ["^alpine:"]\nblacklist = ["^docker:"]\n';
  await withConfig(text, async (file) => {
    for (
      const [words, code, said] of [
        [["pull", "alpine:3"], 0, /^allowed: whitelisted by \^alpine:$/m],
        [["pull", "library/docker"], 1, /^refused by images\/blacklisted: /],
        [["run", "--", "-v", "d:/x", "b"], 1, /^refused by volumes\/named: /],
        [
          ["run", "--", "-v", "/d:/x", "b"],
          1,
          /^can't tell .*inspectImage b/,
        ],
        [
          ["--user", "dwalsh", "run", "--", "-v", "d:/x", "b"],
          0,
          /^allowed: dwalsh is exempt from \[volumes\]$/m,
        ],
      ] as [string[], number, RegExp][]
    ) {
      const answer = await program(
        "explain",
        "--config",
        file,
        NOWHERE,
        ...words,
      );
      assertMatch(answer.out, said);
      assertEquals(answer.code, code, answer.err);
    }
  });
});

Deno.test("commands: a mistyped one prints its usage, and exits 2", async () => {
  for (const words of [["explain"], ["check-config", "--frob"], ["--frob"]]) {
    const { code, err } = await program(...words);
    assertEquals(code, 2);
    assertMatch(err, /^docker-policy-plugin: .*\nusage: docker-policy-plugin/);
  }
});
