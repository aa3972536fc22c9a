/**
 * What `audit` prints: a table for people, JSON for tools.
 *
 * @module
 */
import type { Section } from "../call/endpoints.ts";
import { printable, shown } from "../text.ts";
import { type Found, KINDS, type Survey, type Thing } from "./audit_survey.ts";

/**
 * Writes what was found as a table, with what to do below it.
 *
 * @param survey What was found.
 * @param enforced What the settings enforce, in a few words.
 * @returns The lines.
 */
export function tableOf(survey: Survey, enforced: string): string[] {
  const { found, checked } = survey;
  const advices = [...new Set(found.map(adviceFor))];
  const rows = found.map((each) => [
    each.kind,
    shown(each.name, NAME_LIMIT),
    shortId(each),
    each.enforce ? `[${each.section}]` : `[${each.section}] tried out`,
    each.denial.rule,
    String(advices.indexOf(adviceFor(each)) + 1),
    printable(each.denial.message),
  ]);
  const counts = KINDS.map((kind) => count(checked[kind], kind));
  return [
    ...(rows.length > 0 ? align([HEAD, ...rows]) : []),
    ...(rows.length > 0 ? ["", "What to do:"] : []),
    ...advices.map((advice, at) =>
      `${String(at + 1).padStart(3)}  ${printable(advice)}`
    ),
    ...(rows.length > 0 ? [""] : []),
    `${count(found.length, "finding")} in ${counts.slice(0, -1).join(", ")} ` +
    `and ${counts.at(-1)}; ${enforced}`,
  ];
}

const HEAD = ["WHAT", "NAME", "ID", "POLICY", "RULE", "DO", "WHY"];

/** The longest name in a table; the longest digest fits in. */
const NAME_LIMIT = 120;

/** As `docker ps`, `docker images` and `docker service ls` shorten it. */
function shortId({ id }: Thing): string {
  return shown(id.replace(/^sha256:/, "").slice(0, 12));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** Columns stand two spaces apart; the last one is as long as it is. */
function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, at) =>
    Math.max(...rows.map((row) => row[at].length))
  );
  return rows.map((row) =>
    row.map((cell, at) => cell.padEnd(widths[at])).join("  ").trimEnd()
  );
}

/**
 * Writes what was found as JSON.
 *
 * @param survey What was found.
 * @returns The text. Names are in it as they are; what must not reach a
 *   terminal is escaped the way JSON does.
 */
export function jsonOf({ found, unchecked, checked }: Survey): string {
  const findings = found.map((each) => ({
    kind: each.kind,
    name: each.name,
    id: each.id,
    ...(each.service !== undefined && { service: each.service }),
    policy: each.section,
    enforced: each.enforce,
    rule: each.denial.rule,
    reason: each.denial.message,
    advice: adviceFor(each),
  }));
  return JSON.stringify({ findings, unchecked, checked }, null, 2)
    .split("\n").map(printable).join("\n");
}

/** What to do about a finding, and what becomes of the thing otherwise. */
function adviceFor(
  { kind, section, denial: { rule }, service }: Found,
): string {
  if (kind === "image") {
    return "it may still be run: remove it (docker rmi), or change the lists " +
      "of [images]";
  }
  if (service !== undefined) {
    return `it is a task of service ${shown(service)}: see to the service`;
  }
  if (rule === "unreadable") {
    return "it can't be made or changed as it is: change what the reason names";
  }
  return kind === "service"
    ? `its tasks are removed as they start: ${serviceAdvice(section, rule)}`
    : containerAdvice(section, rule);
}

function serviceAdvice(section: Section, rule: string): string {
  if (BIND.test(rule)) {
    return "mount from the directories of allow-bind, or add its own there";
  }
  if (REQUIRE.test(rule)) {
    return "give it what is missing, or take that out of require";
  }
  switch (section) {
    case "volumes":
      return "have it mount directories instead, or name it in allow-service";
    case "images":
      return "change its image, or the lists of [images]";
    default:
      return "take that away from it, or allow it in [privileges]";
  }
}

function containerAdvice(section: Section, rule: string): string {
  const fate = "it can't be started again";
  if (BIND.test(rule)) {
    return `${fate}: make it anew with a mount from the directories of ` +
      "allow-bind, or add its own there";
  }
  if (REQUIRE.test(rule)) {
    return `${fate}: make it anew with what is missing, or take that out of ` +
      "require";
  }
  return section === "volumes"
    ? `${fate}: make it anew with a bind mount or tmpfs instead, or have a ` +
      "user of allow-user start it"
    : `${fate}, nor be entered (docker exec, attach, cp): make it anew without ` +
      "that, or allow it in [privileges]";
}

const BIND = /^volumes\/bind/;
const REQUIRE = /^privileges\/require-/;
