import { assertEquals } from "@std/assert";
import {
  LineWriter,
  type Log,
  type LogOptions,
  openLog,
} from "../../lib/log.ts";

/** What is written while a log is used. */
function written(options: Partial<LogOptions>, use: (log: Log) => void) {
  const lines: string[] = [];
  use(
    openLog(
      { debug: false, journal: false, format: "text", ...options },
      (line) => lines.push(line),
    ),
  );
  return lines;
}

function everything(log: Log): void {
  log.error("it broke");
  log.warning("denied", { user: "-", reason: "no volumes" });
  log.info("listening");
  log.debug?.("allowed", { path: "/v1.41/info?a=b&c=%7B%7D" });
}

Deno.test("log: plain on a terminal", () => {
  assertEquals(written({ debug: true }, everything), [
    "error: it broke",
    'warning: denied user=- reason="no volumes"',
    "info: listening",
    "debug: allowed path=/v1.41/info?a=b&c=%7B%7D",
  ]);
});

Deno.test("log: with priorities for the journal", () => {
  assertEquals(written({ debug: true, journal: true }, everything), [
    "<3>it broke",
    '<4>denied user=- reason="no volumes"',
    "<6>listening",
    "<7>allowed path=/v1.41/info?a=b&c=%7B%7D",
  ]);
});

Deno.test("log: debug events only where they are wanted", () => {
  assertEquals(written({}, everything).length, 3);
  assertEquals(written({ format: "json" }, everything).length, 3);
});

Deno.test("log: an event is one line", () => {
  assertEquals(
    written({ journal: true }, (log) => {
      log.error("bug: TypeError\n    at judge\n<0>forged\n");
      log.warning("denied", { user: "x\n<0>forged" });
    }),
    [
      "<3>bug: TypeError\\u000a    at judge\\u000a<0>forged\\u000a",
      '<4>denied user="x\\n<0>forged"',
    ],
  );
});

Deno.test("log: a full disk stops nobody", () => {
  const log = openLog(
    { debug: false, journal: false, format: "text" },
    () => {
      throw new Error("No space left on device");
    },
  );
  log.error("x");
});

Deno.test("log: control characters are escaped once, in JSON too", () => {
  assertEquals(
    written({ format: "json" }, (log) => log.info("a\u009b", { b: "\u001b" }))
      .map((line) => line.replace(/"time":"[^"]*",/, "")),
    [`{"level":"info","message":"a\\u009b","b":"\\u001b"}`],
  );
});

Deno.test("log: no field can pass for another", () => {
  for (
    const [value, expected] of [
      ["plain-text_1.2:3,4;5%6&7?8=9/@+", "plain-text_1.2:3,4;5%6&7?8=9/@+"],
      ["", '""'],
      ["a b", '"a b"'],
      ["a user=root", '"a user=root"'],
      ['a" user="root', '"a\\" user=\\"root"'],
      ["\\", '"\\\\"'],
      ["\r\u001b[2J", '"\\r\\u001b[2J"'],
      ["ü", '"ü"'],
      [7, "7"],
    ] as const
  ) {
    assertEquals(
      written({}, (log) => log.info("x", { user: value, last: 1 })),
      [`info: x user=${expected} last=1`],
    );
  }
});

Deno.test("log: JSON, an object an event", () => {
  const started = Date.now();
  for (const journal of [false, true]) {
    const lines = written(
      { debug: true, journal, format: "json" },
      everything,
    );
    assertEquals(
      lines.map((line) => /^(<\d>)?/.exec(line)?.[0]),
      journal ? ["<3>", "<4>", "<6>", "<7>"] : ["", "", "", ""],
    );
    const events = lines.map((line) => JSON.parse(line.replace(/^<\d>/, "")));
    for (const event of events) {
      const time = Date.parse(event.time);
      assertEquals(time >= started && time <= Date.now(), true);
      delete event.time;
    }
    assertEquals(events, [
      { level: "error", message: "it broke" },
      {
        level: "warning",
        message: "denied",
        user: "-",
        reason: "no volumes",
      },
      { level: "info", message: "listening" },
      {
        level: "debug",
        message: "allowed",
        path: "/v1.41/info?a=b&c=%7B%7D",
      },
    ]);
  }
  assertEquals(
    written({ format: "json" }, (log) => log.info("a\nb", { c: "d\ne" }))
      .join("").includes("\n"),
    false,
  );
});

/** What takes no line until somebody reads. */
class Pipe {
  text = "";
  #reader = Promise.withResolvers<void>();

  read(): void {
    this.#reader.resolve();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#reader.promise;
    // Not more than that at once.
    const part = bytes.subarray(0, 100);
    this.text += new TextDecoder().decode(part);
    return part.length;
  }
}

Deno.test("log: whoever does not read it stops nobody", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter(pipe);
  const log = openLog(
    { debug: false, journal: true, format: "text" },
    writer.write,
  );
  const line = "x".repeat(1020);
  for (let count = 0; count < 1030; count++) log.info(line);
  await writer.written();
  assertEquals(pipe.text, "");
  pipe.read();
  await writer.written();
  log.info("at last");
  await writer.written();
  const lines = pipe.text.split("\n");
  assertEquals(lines.filter((each) => each === `<6>${line}`).length, 1024);
  assertEquals(lines.slice(1024), [
    "<4>6 lines of the log were lost",
    "<6>at last",
    "",
  ]);
});

Deno.test("log: a disk that is full for a while loses no other line", async () => {
  const written: string[] = [];
  let isFull = true;
  const writer = new LineWriter({
    write(bytes) {
      if (isFull) return Promise.reject(new Error("No space left on device"));
      written.push(new TextDecoder().decode(bytes));
      return Promise.resolve(bytes.length);
    },
  });
  writer.write("lost");
  await writer.written();
  isFull = false;
  writer.write("a");
  writer.write("b");
  await writer.written();
  assertEquals(written, ["a\n", "b\n"]);
});
