/** How `audit` shows what it found. */
import { assertEquals, assertMatch } from "@std/assert";
import { jsonOf, tableOf } from "../../../lib/cli/audit_report.ts";
import type { Found, Survey } from "../../../lib/cli/audit_survey.ts";
import { deny } from "../../../lib/policy/decision.ts";
import { idOf } from "../verdict/host.ts";

function foundOf(
  kind: Found["kind"],
  name: string,
  rule: string,
  message: string,
  more: Partial<Found> = {},
): Found {
  const section = rule.split("/")[0] as Found["section"];
  const id = kind === "image" ? `sha256:${idOf("a")}` : idOf("b");
  const denial = deny(rule, message);
  return { kind, name, id, section, denial, enforce: true, ...more };
}

function surveyOf(...found: Found[]): Survey {
  const checked = { container: 12, service: 0, image: 1 };
  return { found, unchecked: [], checked };
}

Deno.test("audit: a table with what to do", () => {
  const survey = surveyOf(
    foundOf("container", "db", "volumes/container", "no volumes"),
    foundOf("container", "a-long-name", "volumes/container", "no volumes"),
    foundOf("image", "off:1", "images/not-whitelisted", "no", {
      enforce: false,
    }),
  );
  assertEquals(
    tableOf(survey, "enforcing [volumes]").join("\n"),
    [
      "WHAT       NAME         ID            POLICY              " +
      "RULE                    DO  WHY",
      "container  db           bbbbbbbbbbbb  [volumes]           " +
      "volumes/container       1   no volumes",
      "container  a-long-name  bbbbbbbbbbbb  [volumes]           " +
      "volumes/container       1   no volumes",
      "image      off:1        aaaaaaaaaaaa  [images] tried out  " +
      "images/not-whitelisted  2   no",
      "",
      "What to do:",
      "  1  it can't be started again: make it anew with a bind mount or tmpfs " +
      "instead, or have a user of allow-user start it",
      "  2  it may still be run: remove it (docker rmi), or change the lists of " +
      "[images]",
      "",
      "3 findings in 12 containers, 0 services and 1 image; enforcing [volumes]",
    ].join("\n"),
  );
  assertEquals(tableOf(surveyOf(), "enforcing nothing"), [
    "0 findings in 12 containers, 0 services and 1 image; enforcing nothing",
  ]);
});

Deno.test("audit: each class of rules has an advice of its own", () => {
  const rules = [
    ...["volumes/container", "volumes/bind", "volumes/bind-read-only"],
    ...["privileges/privileged", "privileges/require-memory", "unreadable"],
  ];
  const image = "images/not-whitelisted";
  const found = [
    ...rules.map((rule) => foundOf("container", "x", rule, "no")),
    ...[...rules, image].map((rule) => foundOf("service", "x", rule, "no")),
    foundOf("image", "x", image, "no"),
  ];
  const { findings } = JSON.parse(jsonOf(surveyOf(...found)));
  const advices = new Set(
    findings.map(({ advice }: { advice: string }) => advice),
  );
  // The two rules of binds share one, and so do all that can't be read.
  assertEquals(advices.size, 4 + 5 + 1 + 1);
  const task = foundOf("container", "x", "volumes/container", "no", {
    service: "web",
  });
  assertMatch(
    tableOf(surveyOf(task), "").join("\n"),
    /^ {2}1 {2}it is a task of service web: /m,
  );
});

Deno.test("audit: nothing of a name reaches the terminal as it is", () => {
  const bad = "x\u001b[31m\n\u202e\u009b";
  const survey = {
    ...surveyOf(foundOf("image", bad, "images/blacklisted", bad)),
    unchecked: [{ kind: "service", name: bad, id: bad, reason: bad } as const],
  };
  const json = jsonOf(survey);
  for (const text of [json, tableOf(survey, "").join("\n")]) {
    assertEquals(/[\p{Cc}\u202e]/u.test(text.replaceAll("\n", "")), false);
    assertMatch(text, /x\\u001b\[31m/);
  }
  // For a program it is the name.
  const { findings: [{ name, reason }], unchecked } = JSON.parse(json);
  assertEquals([name, reason, unchecked[0].name], [bad, bad, bad]);
});

Deno.test("audit: what JSON has", () => {
  const task = foundOf("container", "web.1", "volumes/container", "no", {
    service: "web",
    enforce: false,
  });
  const unchecked = [
    { kind: "image", name: "x", id: "y", reason: "z" } as const,
  ];
  assertEquals(JSON.parse(jsonOf({ ...surveyOf(task), unchecked })), {
    findings: [{
      kind: "container",
      name: "web.1",
      id: idOf("b"),
      service: "web",
      policy: "volumes",
      enforced: false,
      rule: "volumes/container",
      reason: "no",
      advice: "it is a task of service web: see to the service",
    }],
    unchecked,
    checked: { container: 12, service: 0, image: 1 },
  });
});
