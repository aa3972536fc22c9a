import { assertEquals, assertRejects } from "@std/assert";
import type { Config } from "../../../lib/config/config.ts";
import { parseConfig } from "../../../lib/config/load.ts";
import { parseOldImages } from "../../../lib/config/old_images.ts";
import { type Engine, EngineError } from "../../../lib/engine/engine.ts";
import { type Log, openLog } from "../../../lib/log.ts";
import {
  engineWarnings,
  reloadWarnings,
  startWarnings,
  warnOfUnseenBuilds,
} from "../../../lib/config/warnings.ts";
import { engineWith } from "../requests.ts";

const toml = (text: string) => parseConfig("x.toml", text);

const UNCOVERED = "[images] covers pulls, not what comes in by ";

Deno.test("warnings: doors that stand open beside lists", () => {
  const warnings: [config: Config, warnings: string[]][] = [
    [toml("enforce-nothing = true"), [
      "nothing is enforced: every policy is off",
    ]],
    [toml("[volumes]\n[push]"), []],
    [toml('[images]\nwhitelist = ["^alpine:"]'), []],
    // Nothing is refused, so that no door lets in what the lists keep out.
    [toml("[images]\ndefault-allow = true"), []],
    [
      toml('[images]\nblacklist = ["^docker:"]\ndefault-allow = true'),
      [
        `${UNCOVERED}build, load, import: allow-build = false, ` +
        "allow-load = false, allow-import = false closes that; an open " +
        "import also lets pulls by that are dressed up as one",
      ],
    ],
    [
      toml("[images]\nallow-load = true"),
      [`${UNCOVERED}load: allow-load = false closes that`],
    ],
    [
      parseOldImages("x.json", '{"whitelist":["^alpine:"]}'),
      [
        `${UNCOVERED}build, load: allow-build = false, allow-load = false ` +
        "closes that",
      ],
    ],
    [parseOldImages("x.json", '{"defaultAllow":true}'), []],
  ];
  for (const [config, expected] of warnings) {
    assertEquals(startWarnings(config), expected);
  }
});

/** A log that is kept. */
function kept(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const options = { debug: true, journal: false, format: "text" } as const;
  return { log: openLog(options, (line) => lines.push(line)), lines };
}

/** What is logged about an engine of this version. */
async function warned(config: Config, version: string): Promise<string[]> {
  const { log, lines } = kept();
  await warnOfUnseenBuilds(
    config,
    engineWith({ serverVersion: () => Promise.resolve(version) }),
    log,
  );
  return lines;
}

Deno.test("warnings: builds that no plugin sees", async () => {
  const closed = toml("[images]");
  for (const version of ["20.10.24+dfsg1", "28.5.2", "29.1.5", "29.1.9-rc.2"]) {
    assertEquals(await warned(closed, version), []);
  }
  for (const version of ["29.2.0", "29.2", "29.10.1", "30.0.0-rc.1+x"]) {
    assertEquals(await warned(closed, version), [
      `warning: allow-build = false does not hold on Docker Engine ${version}: ` +
      "from 29.2 on BuildKit can be reached without any authorization call; " +
      "keep its socket from users who must not build",
    ]);
  }
});

Deno.test("warnings: an engine is not asked where builds are open", async () => {
  const { log } = kept();
  for (const text of ["[push]", "[images]\nallow-build = true"]) {
    // An engine without answers: any question is an error.
    await warnOfUnseenBuilds(toml(text), engineWith({}), log);
  }
});

Deno.test("warnings: an engine that is not up yet is asked again", async () => {
  const { log, lines } = kept();
  let calls = 0;
  const engine: Partial<Engine> = {
    serverVersion: () =>
      ++calls === 1
        ? Promise.reject(new EngineError("not up"))
        : Promise.resolve("29.3.0"),
  };
  const { setTimeout: real } = globalThis;
  const waits: [callback: () => void, milliseconds?: number][] = [];
  globalThis.setTimeout = ((callback: () => void, milliseconds?: number) => {
    waits.push([callback, milliseconds]);
    return real(() => {}, 0);
  }) as typeof setTimeout;
  try {
    await warnOfUnseenBuilds(toml("[images]"), engineWith(engine), log);
  } finally {
    globalThis.setTimeout = real;
  }
  assertEquals(lines, []);
  const [[again, milliseconds]] = waits;
  assertEquals(milliseconds, 10_000);
  again();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(lines.length, 1);
  assertEquals(calls, 2);
});

Deno.test("warnings: what is no answer of an engine is not swallowed", async () => {
  const { log } = kept();
  await assertRejects(
    () =>
      warnOfUnseenBuilds(
        toml("[images]"),
        engineWith({ serverVersion: () => Promise.reject(new TypeError("x")) }),
        log,
      ),
    TypeError,
  );
});

Deno.test("warnings: a reload names each policy that does less than before", () => {
  const before = toml("[volumes]\n[push]\nenforce = false\n[images]");
  for (
    const [text, expected] of [
      ["[volumes]\n[push]\n[images]", []],
      ["[volumes]\n[push]\nenforce = false\n[images]\nenforce = false", [
        "[images] was enforced, and is tried out now",
      ]],
      ["enforce-nothing = true", [
        "[volumes] was enforced, and is off now",
        "[images] was enforced, and is off now",
        "[push] was tried out, and is off now",
      ]],
    ] as [string, string[]][]
  ) assertEquals(reloadWarnings(before, toml(text)), expected);
});

Deno.test("warnings: what makes [privileges] worth little", () => {
  const bind = "[volumes]\nallow-bind = []\n";
  const warnings: [text: string, beginning?: string][] = [
    [`${bind}[privileges]\n`],
    ["[privileges]\n", "[privileges] DOES NOT HOLD: bind mounts are open"],
    [
      "[volumes]\n[privileges]\n",
      "[privileges] DOES NOT HOLD: bind mounts are open",
    ],
    [
      `${bind}enforce = false\n[privileges]\n`,
      "[privileges] DOES NOT HOLD while enforce = false in [volumes]",
    ],
    [
      '[volumes]\nallow-bind = [{ path = "/a/*", below = false }, ' +
      '{ path = "/b/", read-only = true }]\n[privileges]\n',
    ],
    [
      '[volumes]\nallow-bind = ["/srv/data/"]\n[privileges]\n',
      "[privileges] does not hold against who can write below /srv/data/",
    ],
    ['[volumes]\nallow-bind = ["/srv/data/"]\n'],
    [
      `${bind}[privileges]\nallow-privileged = true\n`,
      "allow-privileged = true: whoever may run containers is root",
    ],
    [
      `${bind}[privileges]\nallow-classic-build = true\n`,
      "allow-classic-build = true in [privileges]: such a build can hide",
    ],
  ];
  for (const [text, beginning] of warnings) {
    const given = startWarnings(toml(text));
    assertEquals(
      given.map((warning) => warning.slice(0, beginning?.length)),
      beginning === undefined ? [] : [beginning],
      text,
    );
  }
});

Deno.test("warnings: what BuildKit's steps use", async () => {
  const file = await Deno.makeTempFile();
  const names = async (daemon: string, text: string) => {
    await Deno.writeTextFile(file, daemon);
    return engineWarnings(toml(text), file)
      .flatMap((warning) => warning.match(/"[a-z-]+": false/g) ?? []);
  };
  const closed = '{"builder":{"entitlements":{"network-host":false,' +
    '"device":false}}}';
  try {
    const [network, device] = ['"network-host": false', '"device": false'];
    assertEquals(await names("{}", "[privileges]"), [network, device]);
    assertEquals(await names("no JSON", "[privileges]"), [network, device]);
    assertEquals(await names(closed, "[privileges]"), []);
    assertEquals(await names("{}", "[volumes]"), []);
    assertEquals(await names("{}", "[privileges]\n[images]\n"), []);
    assertEquals(
      await names("{}", '[privileges]\nallow-host = ["network"]'),
      [device],
    );
  } finally {
    await Deno.remove(file);
  }
});
