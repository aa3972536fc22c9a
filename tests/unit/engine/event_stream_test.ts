import { assertEquals } from "@std/assert";
import {
  type ContainerEvent,
  EVENTS_PATH,
  readEvents,
} from "../../../lib/engine/event_stream.ts";

const A = "a1".repeat(32);
const B = "b2".repeat(32);
const LOST: ContainerEvent = { action: "lost", id: "" };

/** An event as the engine writes it. */
function line(Action: string, ID: string, Attributes = {}): string {
  return JSON.stringify({
    status: Action,
    id: ID,
    from: "b:1",
    Type: "container",
    Action,
    Actor: { ID, Attributes },
    scope: "local",
    time: 1767323045,
    timeNano: 1767323045678912345n.toString(),
  });
}

async function read(...pieces: string[]): Promise<ContainerEvent[]> {
  return await Array.fromAsync(readEvents(ReadableStream.from(pieces)));
}

Deno.test("events: those of containers, filtered by the engine", () => {
  const { pathname, searchParams } = new URL(EVENTS_PATH, "http://engine");
  assertEquals(pathname, "/events");
  assertEquals(JSON.parse(searchParams.get("filters")!), {
    type: ["container"],
    event: ["create", "start", "destroy"],
  });
});

Deno.test("events: one a line, however the stream is split", async () => {
  const text = `${line("create", A)}\n${line("start", A)}\n` +
    `${line("destroy", B, { name: "Grüße 😀\n" })}\n`;
  const expected: ContainerEvent[] = [
    { action: "create", id: A },
    { action: "start", id: A },
    { action: "destroy", id: B },
  ];
  assertEquals(await read(text), expected);
  assertEquals(await read(...text), expected);
  for (let at = 1; at < text.length; at += 7) {
    assertEquals(await read(text.slice(0, at), text.slice(at)), expected);
  }
  assertEquals(await read("", text, "", "\n\n"), expected);
  assertEquals(await read(), []);
});

Deno.test("events: a line without its end is none yet", async () => {
  assertEquals(await read(line("create", A)), []);
  assertEquals(await read(`${line("create", A)}\n{"Action":`), [
    { action: "create", id: A },
  ]);
});

Deno.test("events: what can't be read is a lost one, and ends nothing", async () => {
  for (
    const garbage of [
      "{",
      "null",
      "7",
      '"create"',
      "[]",
      "{}",
      '{"Action":"create"}',
      '{"Action":"create","Actor":null}',
      '{"Action":"create","Actor":{"ID":7}}',
      line("create", ""),
      line("create", A.slice(1)),
      line("create", `${A}0`),
      line("create", A.toUpperCase()),
      line("create", `${A}/../info`),
      line("rename", A),
      line("start ", A),
      "\u0000",
    ]
  ) {
    assertEquals(
      await read(`${garbage}\n${line("start", B)}\n`),
      [LOST, { action: "start", id: B }],
      garbage,
    );
  }
});

Deno.test("events: labels can't pretend to be another event", async () => {
  const attributes = {
    name: `"}}\n${line("destroy", B)}\n`,
    Action: "destroy",
  };
  assertEquals(await read(`${line("create", A, attributes)}\n`), [
    { action: "create", id: A },
  ]);
});

Deno.test("events: one that is too long is lost, at the cost of no memory", async () => {
  const mebibyte = "x".repeat(1024 * 1024);
  const next = `\n${line("start", B)}\n`;
  const after: ContainerEvent = { action: "start", id: B };
  const long = (count: number) => Array<string>(count).fill(mebibyte);
  assertEquals(await read(...long(100), next), [LOST, after]);
  // The longest that is read is one that is no longer.
  const event = line("create", A, { label: "" });
  const padded = (length: number) =>
    line("create", A, { label: "x".repeat(length - event.length) });
  const limit = 16 * 1024 * 1024;
  assertEquals(await read(padded(limit), next), [
    { action: "create", id: A },
    after,
  ]);
  assertEquals(await read(padded(limit + 1), next), [LOST, after]);
});
