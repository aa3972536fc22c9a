import { assertEquals, assertRejects } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { http2Warning, Http2Watch } from "../../../lib/config/http2.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { engineEndpoint } from "../../../lib/engine/address.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import { openLog } from "../../../lib/log.ts";
import { withEngine } from "../engine_on_socket.ts";
import { FakeClock } from "../fake_clock.ts";
import { engineWith } from "../requests.ts";

const toml = (text: string) => parseConfig("x.toml", text);

Deno.test("http2: which sections depend on it", () => {
  const found = { version: "29.3.0", host: "unix:///a" };
  const sections: [text: string, sections: string][] = [
    ["[volumes]", ""],
    // Builds are closed there, too.
    ["[privileges]", "[privileges]"],
    ["[volumes]\n[privileges]", "[privileges]"],
    ["[privileges]\nallow-buildkit = true", ""],
    ["[images]", "[images]"],
    ["[images]\nenforce = false", "[images]"],
    // Pulls can be made to look like others.
    ["[images]\nallow-build = true", "[images]"],
    ["[images]\ndefault-allow = true", ""],
    ["[images]\ndefault-allow = true\nblacklist = ['^a:']", "[images]"],
    ["[images]\ndefault-allow = true\nallow-build = false", "[images]"],
    ["[push]", "[push]"],
    ["[push]\nblock-rhel = false", ""],
    // Builds that were closed reach the host's loopback.
    ["[images]\n[push]\n[privileges]", "[images] and [push] and [privileges]"],
    [
      "[images]\nallow-build = true\n[privileges]\nallow-buildkit = true",
      "[images]",
    ],
    [
      "[images]\nallow-build = true\n[privileges]",
      "[images] and [privileges]",
    ],
    [
      "[images]\nallow-build = false\n[privileges]\nallow-buildkit = true",
      "[images] and [privileges]",
    ],
  ];
  for (const [text, expected] of sections) {
    assertEquals(
      http2Warning(toml(text), found),
      expected === "" ? undefined : `${expected} can be got around on ` +
        "unix:///a: over HTTP/2, Docker Engine 29.3.0 takes " +
        "builds without asking any plugin; start dockerd with " +
        "GODEBUG=http2server=0 (docs/engine-29.md)",
      text,
    );
    assertEquals(http2Warning(toml(text), { version: "29.3.0" }), undefined);
  }
});

/** A watch over an engine that takes gRPC, and what it logs. */
function watch(
  host: string,
  { config = toml("[images]"), ...answers }: Partial<Engine> & {
    config?: Config;
  } = {},
) {
  const lines: string[] = [];
  const counts = { asked: 0 };
  const options = { debug: true, journal: false, format: "text" } as const;
  const settings = { config };
  const http2 = new Http2Watch({
    engine: engineWith({
      serverVersion() {
        counts.asked++;
        return Promise.resolve("29.3.0");
      },
      takesGrpc: () => Promise.resolve(true),
      ...answers,
    }),
    endpoint: () => engineEndpoint({ host, tlsVerify: false }),
    config: () => settings.config,
    log: openLog(options, (line) => lines.push(line)),
  });
  return { http2, lines, counts, settings };
}

const ENGINE = { apiVersion: "1.54", http2: true, answers: {} };

Deno.test("http2: a watch looks once for each start of the engine", async () => {
  const engine = { ...ENGINE };
  await withEngine(engine, async (host) => {
    const { http2, lines, counts, settings } = watch(host);
    assertEquals(http2.warning(), undefined);
    await http2.heard();
    await http2.heard();
    assertEquals(counts.asked, 1);
    const warning = http2.warning()!;
    assertEquals(warning.startsWith("[images] can be got around on "), true);
    assertEquals(warning.includes(` on ${host}: `), true, warning);
    assertEquals(lines, [`warning: ${warning}`]);

    // Other settings need no other look.
    settings.config = toml("[volumes]");
    assertEquals(http2.warning(), undefined);
    http2.logWarning();
    settings.config = toml("[push]");
    http2.logWarning();
    assertEquals(lines.length, 2);
    assertEquals(counts.asked, 1);

    engine.http2 = false;
    http2.engineStarts();
    await Promise.all([http2.heard(), http2.heard()]);
    assertEquals(counts.asked, 2);
    assertEquals(http2.warning(), undefined);
    assertEquals(lines.length, 2);
  });
});

Deno.test("http2: an engine before 29.2 may speak it", async () => {
  await withEngine(ENGINE, async (host) => {
    const { http2, lines } = watch(host, {
      takesGrpc: () => Promise.resolve(false),
    });
    await http2.heard();
    assertEquals([http2.warning(), lines], [undefined, []]);
  });
});

Deno.test("http2: an engine that gives no answer is asked again, later", async () => {
  await withEngine(ENGINE, async (host) => {
    let asked = 0;
    const { http2, lines } = watch(host, {
      serverVersion: () =>
        ++asked === 1
          ? Promise.reject(new EngineError("not up"))
          : Promise.resolve("29.3.0"),
    });
    using clock = new FakeClock();
    await http2.heard();
    await http2.heard();
    assertEquals([asked, http2.warning(), lines], [1, undefined, []]);
    clock.set(-86_400_000); // That makes nobody wait for a day.
    await clock.pass(9_000);
    await http2.heard();
    assertEquals([asked, lines.length], [1, 0]);
    await clock.pass(1_000);
    await http2.heard();
    assertEquals([asked, lines.length], [2, 1]);
  });
});

Deno.test("http2: what is no answer of an engine is not swallowed", async () => {
  const { http2 } = watch("tcp://localhost:1", {
    serverVersion: () => Promise.reject(new TypeError("x")),
  });
  await assertRejects(() => http2.heard(), TypeError);
});
