import { assertEquals, assertMatch } from "@std/assert";
import { type EngineOnSocket, withEngine } from "../engine_on_socket.ts";
import { program, withConfig } from "../program.ts";

const CLOSED = "[images]\ndefault-allow = true\nallow-build = false\n[push]\n";

/** An engine of today that asks the plugin. */
const OPEN: EngineOnSocket = {
  apiVersion: "1.54",
  http2: true,
  answers: {
    "/version": { Version: "29.3.0" },
    "/info": { Plugins: { Authorization: ["docker-policy-plugin"] } },
  },
};

/** What check-config says of a host. */
async function checked(engine: EngineOnSocket, text: string) {
  let result = { code: -1, said: "", warnings: [] as string[] };
  await withEngine(engine, (host) =>
    withConfig(text, async (file) => {
      const { code, out, err } = await program(
        ...["check-config", file, "--host", host],
      );
      result = {
        code,
        said: out.trimEnd().split("\n").at(-1)!.replace(host, "HOST"),
        warnings: err.trimEnd().split("\n").filter(Boolean)
          .map((line) => line.replace(host, "HOST")),
      };
    }));
  return result;
}

Deno.test("check-config --host: an engine that takes HTTP/2", async () => {
  assertEquals(await checked(OPEN, CLOSED), {
    code: 1,
    said: "# HOST: Docker Engine 29.3.0; who speaks HTTP/2 gets past plugins",
    warnings: [
      "warning: [images] and [push] can be got around on HOST: over HTTP/2, " +
      "Docker Engine 29.3.0 takes builds without asking any plugin; start " +
      "dockerd with GODEBUG=http2server=0 (docs/engine-29.md)",
    ],
  });
});

Deno.test("check-config --host: no section depends on it", async () => {
  assertEquals(await checked(OPEN, "[volumes]"), {
    code: 0,
    said: "# HOST: Docker Engine 29.3.0; who speaks HTTP/2 gets past plugins",
    warnings: [],
  });
});

Deno.test("check-config --host: HTTP/2 is refused, or is nothing special yet", async () => {
  for (
    const engine of [{ ...OPEN, http2: false }, {
      ...OPEN,
      apiVersion: "1.52",
    }]
  ) {
    assertEquals(await checked(engine, CLOSED), {
      code: 0,
      said: "# HOST: Docker Engine 29.3.0; nobody gets past plugins by HTTP/2",
      warnings: [],
    });
  }
});

Deno.test("check-config --host: whom the engine asks, and where else it listens", async () => {
  const none = { ...OPEN.answers, "/info": { Plugins: {} } };
  const nobody = await checked({ ...OPEN, answers: none }, "[volumes]");
  const notUs = (others: string) =>
    `warning: the engine was started to ask ${others}, and not ` +
    "docker-policy-plugin: unless it was reloaded since, name that under " +
    '"authorization-plugins" in /etc/docker/daemon.json';
  assertEquals([nobody.code, nobody.warnings], [0, [notUs("no plugin")]]);
  const other = {
    ...OPEN.answers,
    "/info": {
      Plugins: { Authorization: ["a", "b"] },
      Warnings: [
        "WARNING: No swap limit support",
        "[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 " +
        "without encryption.\n         Access to the remote API is …",
        "WARNING: API is accessible on https://[::]:2376 without TLS client " +
        "verification.\n         Access to the remote API is …",
      ],
    },
  };
  const another = await checked({ ...OPEN, answers: other }, "[volumes]");
  const covers = "whoever reaches that may use Docker, and no proxy before " +
    "the socket covers it";
  assertEquals([another.code, another.warnings], [0, [
    notUs("a and b"),
    "warning: the engine also listens on http://0.0.0.0:2375 without " +
    `encryption: ${covers}`,
    "warning: the engine also listens on https://[::]:2376 without TLS client " +
    `verification: ${covers}`,
  ]]);
});

Deno.test("check-config --host: what it prints can be the settings file", async () => {
  await withEngine(
    OPEN,
    (host) =>
      withConfig("[push]", async (file) => {
        const words = ["check-config", file, `--host=${host}`];
        const first = await program(...words);
        await Deno.writeTextFile(file, first.out.replace(/^ok\n/, ""));
        assertEquals(await program(...words), first);
      }),
  );
});

Deno.test("check-config --host: an engine that can't be asked", async () => {
  await withConfig("[push]", async (file) => {
    const host = "unix:///nonexistent/docker.sock";
    const nobody = await program("check-config", file, "-host", host);
    assertEquals(nobody.code, 2);
    assertMatch(nobody.out, /^ok\n/);
    assertMatch(nobody.err, /^[^\n]*\/nonexistent\/docker\.sock[^\n]*\n$/);
    for (
      const [words, message] of [
        [["--host="], "--host needs a value"],
        [["--host", "x://y"], "--host x://y: give unix:///path or tcp://"],
        [["--host", host, "--host", host], "--host is there twice"],
        [["--cert-path", "/certs"], "--cert-path needs a --host"],
        [["--tls-verify"], "--tls-verify needs a --host"],
      ] as const
    ) {
      const { code, out, err } = await program("check-config", file, ...words);
      assertEquals([code, out], [2, ""], words.join(" "));
      assertEquals(
        err.startsWith(`docker-policy-plugin: ${message}`),
        true,
        err,
      );
    }
  });
});

Deno.test("check-config --host: the usual socket, if none is named", async () => {
  await withConfig("[pusch]", async (file) => {
    for (const words of [[file, "--host"], ["--host", file], ["-host", file]]) {
      const { code, err } = await program("check-config", ...words);
      // The file was read as the settings.
      assertEquals(code, 1);
      assertMatch(err, /unknown section or key pusch/);
    }
  });
});
