import { assertEquals } from "@std/assert";
import { foldKey } from "../../../../lib/call/fold.ts";
import {
  CONFIG,
  type FieldAnswer,
  HOST_CONFIG,
  TASK,
} from "../../../../lib/policy/rules/host_config.ts";
import { API_FIELDS } from "./api_fields.ts";

function names(...tables: (readonly FieldAnswer[])[]): string[] {
  return tables.flat().map(({ field }) => foldKey(field));
}

Deno.test("host config: every field of the engine's API has an answer", () => {
  for (
    const [fields, answers] of [
      [API_FIELDS.HostConfig, names(HOST_CONFIG)],
      [API_FIELDS.ContainerConfig, names(CONFIG)],
      [
        [...API_FIELDS.TaskSpec, ...API_FIELDS.ContainerSpec],
        names(TASK, CONFIG, HOST_CONFIG),
      ],
    ] as const
  ) {
    const unanswered = fields.filter((field) =>
      !answers.includes(foldKey(field))
    );
    assertEquals(unanswered, []);
  }
});

Deno.test("host config: no table has a field that is none", () => {
  // Clients send these; the engine's descriptions have dropped or never had
  // them.
  const more = ["lxcconf", "name", "platform", "cpuset", "hostconfig"];
  const known = Object.values(API_FIELDS).flat().map(foldKey);
  assertEquals(
    names(HOST_CONFIG, CONFIG, TASK)
      .filter((name) => !known.includes(name) && !more.includes(name)),
    ["networkingconfig"],
  );
});

Deno.test("host config: a field stands in its table once, by the alphabet", () => {
  for (const table of [HOST_CONFIG, CONFIG]) {
    const fields = names(table);
    assertEquals(new Set(fields).size, fields.length);
  }
  const fields = HOST_CONFIG.map(({ field }) => field);
  assertEquals(fields, fields.toSorted());
});
