import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { escape } from "@std/regexp";
import {
  type Args,
  HELP,
  readArgs,
  USAGE,
  UsageError,
} from "../../../lib/cli/args.ts";

const DEFAULTS = readArgs([]);

Deno.test("args: defaults", () => {
  assertEquals(DEFAULTS.host, "unix:///var/run/docker.sock");
  assertEquals(
    DEFAULTS.socket,
    "/run/docker/plugins/docker-policy-plugin.sock",
  );
  assertEquals(DEFAULTS.addr, [{
    text: "127.0.0.1:5006",
    to: { transport: "tcp", hostname: "127.0.0.1", port: 5006 },
  }]);
  assertEquals(readArgs([], "/run/x:/run/y").addr, [{
    text: "unix:/run/x/monitor.sock",
    to: { transport: "unix", path: "/run/x/monitor.sock" },
  }]);
  assertEquals(DEFAULTS.auditLog, undefined);
  assertEquals(DEFAULTS.logFormat, "text");
  assertEquals(DEFAULTS.certPath, undefined);
  assertEquals(DEFAULTS.config, undefined);
  for (const name of ["tlsVerify", "debug", "version", "help"] as const) {
    assertEquals(DEFAULTS[name], false, name);
  }
});

Deno.test("args: every flag, as Go's flag package spells it", () => {
  const texts: [string, keyof Args, string][] = [
    ["host", "host", "tcp://10.0.0.1:2376"],
    ["cert-path", "certPath", "/etc/docker/tls"],
    ["config", "config", "/etc/a=b.toml"],
    ["socket", "socket", "/run/x.sock"],
    ["log-format", "logFormat", "json"],
    ["audit-log", "auditLog", "/var/log/x"],
  ];
  for (const [flag, name, value] of texts) {
    for (
      const spelling of [
        [`-${flag}`, value],
        [`--${flag}`, value],
        [`-${flag}=${value}`],
        [`--${flag}=${value}`],
      ]
    ) {
      assertEquals(
        readArgs(spelling),
        { ...DEFAULTS, [name]: value },
        spelling.join(" "),
      );
    }
  }
  const switches: [string, keyof Args][] = [
    ["tls-verify", "tlsVerify"],
    ["debug", "debug"],
    ["version", "version"],
    ["help", "help"],
  ];
  assertEquals(readArgs(["-h"]), { ...DEFAULTS, help: true });
  for (const [flag, name] of switches) {
    for (const spelling of [`-${flag}`, `--${flag}`]) {
      assertEquals(readArgs([spelling]), { ...DEFAULTS, [name]: true });
      for (const value of ["1", "t", "T", "true", "TRUE", "True"]) {
        assertEquals(
          readArgs([`${spelling}=${value}`]),
          { ...DEFAULTS, [name]: true },
          value,
        );
      }
      for (const value of ["0", "f", "F", "false", "FALSE", "False"]) {
        assertEquals(readArgs([`${spelling}=${value}`]), DEFAULTS, value);
      }
    }
  }
});

Deno.test("args: where the monitor API is served, in several places or nowhere", () => {
  const addresses = (...args: string[]) =>
    readArgs(args, "/run/x").addr.map(({ to }) =>
      to.transport === "unix" ? to.path : `${to.hostname} ${to.port}`
    );
  assertEquals(addresses("-addr", "[::1]:80"), ["::1 80"]);
  assertEquals(addresses("--addr=unix:/a/b.sock", "--addr", "localhost:1"), [
    "/a/b.sock",
    "localhost 1",
  ]);
  assertEquals(addresses("--addr=unix:///a"), ["/a"]);
  assertEquals(addresses("--addr=off"), []);
  for (
    const text of [
      ...["5006", ":5006", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536"],
      ...["127.0.0.1:http", "127.0.0.1:5006/", "unix:", "unix:a", "unix:/"],
    ]
  ) {
    assertEquals(
      assertThrows(() => readArgs(["--addr", text]), UsageError).message,
      `--addr ${text}: give HOST:PORT, such as 127.0.0.1:5006, or unix:/path, ` +
        "or off",
    );
  }
});

Deno.test("args: several flags", () => {
  assertEquals(
    readArgs([
      "--tls-verify",
      "-cert-path=/c",
      "--debug",
      "--host=tcp://b:2",
    ]),
    {
      ...DEFAULTS,
      host: "tcp://b:2",
      tlsVerify: true,
      certPath: "/c",
      debug: true,
    },
  );
  assertEquals(readArgs(["--debug", "--debug=false"]).debug, false);
  // A value that looks like something else is still a text.
  assertEquals(readArgs(["--socket", "1"]).socket, "1");
  assertEquals(readArgs(["--config=-x"]).config, "-x");
  assertEquals(readArgs(["--cert-path=false"]).certPath, "false");
});

Deno.test("args: mistakes", () => {
  for (
    const [args, problem] of [
      [["--bogus"], "unknown option --bogus"],
      [["--bogus=1"], "unknown option --bogus=1"],
      [["-bogus", "1"], "unknown option --bogus"],
      [["--Host=x"], "unknown option --Host=x"],
      [["---host=x"], "unknown option ---host=x"],
      [["--hos=x"], "unknown option --hos=x"],
      [["--no-tls-verify"], "unknown option --no-tls-verify"],
      [["--host.a=x"], "unknown option --host.a=x"],
      [["--__proto__=x"], "unknown option --__proto__=x"],
      [["-x"], "unknown option -x"],
      [["--host", "a"], "--host a: give unix:///path or tcp://host:port"],
      [
        ["--host=tcp://a:65536"],
        "--host tcp://a:65536: give unix:///path or tcp://host:port",
      ],
      [
        ["--socket=/a", "--socket", "/b"],
        "--socket is there twice: keep one of them",
      ],
      [
        ["-config=/a", "--config=/a"],
        "--config is there twice: keep one of them",
      ],
      [
        ["--addr=off", "--addr=[::1]:80"],
        "--addr off: give HOST:PORT, such as 127.0.0.1:5006, or unix:/path, or " +
        "off",
      ],
      [["serve"], "what is serve?"],
      [["--debug", "serve"], "what is serve?"],
      [["--host"], "--host needs a value"],
      [["--host="], "--host needs a value"],
      [["-cert-path"], "--cert-path needs a value"],
      [["--config="], "--config needs a value"],
      [["--config", ""], "--config needs a value"],
      [["xxconfig", ""], "what is xxconfig?"],
      [["--socket", "--debug"], "--socket needs a value"],
      [["--addr="], "--addr needs a value"],
      [["--log-format=xml"], "--log-format=xml: give text or json"],
      [["--log-format=JSON"], "--log-format=JSON: give text or json"],
      [["--debug=maybe"], "--debug=maybe: give true or false"],
      [["--debug="], "--debug=: give true or false"],
      [["-tls-verify=yes"], "--tls-verify=yes: give true or false"],
      [["--help=constructor"], "--help=constructor: give true or false"],
    ] as [string[], string][]
  ) {
    assertEquals(
      assertThrows(() => readArgs(args), UsageError).message,
      problem,
      args.join(" "),
    );
  }
});

Deno.test("args: usage and help name every flag", () => {
  assertEquals(USAGE.includes("\n"), false);
  for (
    const flag of [
      "--host",
      "--cert-path",
      "--tls-verify",
      "--config",
      "--socket",
      "--addr",
      "--log-format",
      "--audit-log",
      "--debug",
      "--version",
      "--help",
    ]
  ) {
    assertMatch(USAGE, new RegExp(`\\[${escape(flag)}( [A-Z:|a-z]+)?\\]`));
    assertMatch(HELP, new RegExp(`^  ${escape(flag)} `, "m"));
  }
});
