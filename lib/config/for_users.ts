/**
 * `[for.NAME]`: settings for some users alone. They are put together with
 * everybody's when the file is read, so that no call has to.
 *
 * @module
 */
import {
  type Config,
  type ForUsers,
  POLICIES,
  type Sections,
} from "./config.ts";
import {
  type Document,
  formatProblem,
  type Place,
  type Problem,
  type Table,
} from "./document.ts";
import { SectionReader } from "./section_reader.ts";
import { OLD_VOLUMES_SECTION, readSection, showSection } from "./sections.ts";

/** The table that holds them. */
export const FOR = "for";

/**
 * Names stand in the log, and in what the plugin keeps. JavaScript would move
 * numbers to the front, and the order decides.
 */
const NAME = /^[A-Za-z][\w-]{0,63}$/;

/** Keys of the sections for everybody that have no meaning for some users. */
function whyNot(key: string, name: string, policy: string): string | undefined {
  switch (key) {
    case "allow-user":
    case "allow-group":
      return `write ${key.slice("allow-".length)} in [for.${name}], or, for ` +
        `who is exempt, ${key} in [${policy}]`;
    case "allow-service":
      return `it is about services, whoever made them: write it in [${policy}]`;
  }
}

/**
 * Reads what a file says for some users.
 *
 * @param document The file; what is wrong with it is added to its problems.
 * @param everybody The sections for everybody.
 * @returns The settings for some users, in the file's order, and what in them
 *   is without effect. They are worth something only if there are no problems.
 */
export function readForUsers(
  document: Document,
  everybody: Sections,
): Pick<Config, "forUsers" | "remarks"> {
  const { file, problems } = document;
  const entry = document.table.get(FOR);
  if (!entry) return {};
  const report = (place: Place, message: string) =>
    problems.push({ file, place, message });
  const { content } = entry.value;
  if (!(content instanceof Map) || content.size === 0) {
    report(entry.place, "expected tables [for.NAME]");
    return {};
  }
  const tables: Table = content;
  const forUsers: ForUsers[] = [];
  const remarks: string[] = [];
  for (const [name, { place, value }] of tables) {
    if (!NAME.test(name) || !(value.content instanceof Map)) {
      report(
        place,
        "expected a table [for.NAME], with a NAME of up to 64 letters, digits, " +
          '"-" and "_" that begins with a letter',
      );
      continue;
    }
    const isLast = name === [...tables.keys()].at(-1);
    readOne(name, place, value.content, isLast);
  }
  return { forUsers, ...(remarks.length > 0 && { remarks }) };

  function readOne(
    name: string,
    place: Place,
    table: Table,
    isLast: boolean,
  ): void {
    const head = new SectionReader(document, `for.${name}`, table);
    const mistakes = problems.length;
    const user = head.strings("user", [], checkName);
    const group = head.strings("group", [], checkName);
    if (problems.length === mistakes) checkReach(name, place, user, group);
    const given = POLICIES.filter((policy) => head.has(policy));
    head.done();
    if (given.length === 0 && isLast) {
      remark(place, `[for.${name}] changes nothing: it has no section`);
    }
    let sections = everybody;
    for (const policy of given) {
      sections = { ...sections, ...readPolicy(name, policy, table) };
    }
    forUsers.push({ name, user, group, sections });
  }

  /** Whether anybody is left for it. */
  function checkReach(
    name: string,
    place: Place,
    user: readonly string[],
    group: readonly string[],
  ): void {
    if (user.length + group.length === 0) {
      return void report(
        place,
        `[for.${name}] is for nobody: give it user = [...] or group = [...]`,
      );
    }
    const earlier = forUsers.filter((each) =>
      each.user.some((one) => user.includes(one)) ||
      each.group.some((one) => group.includes(one))
    );
    if (
      user.every((one) => earlier.some((each) => each.user.includes(one))) &&
      group.every((one) => earlier.some((each) => each.group.includes(one)))
    ) {
      report(
        place,
        `[for.${name}] can never apply: all that it names is named before, in ` +
          earlier.map((each) => `[for.${each.name}]`).join(", "),
      );
    }
  }

  /** A section for some users: their keys, and everybody's for all others. */
  function readPolicy(
    name: string,
    policy: keyof Sections,
    table: Table,
  ): Sections {
    const { place, value } = table.get(policy)!;
    const title = `for.${name}.${policy}`;
    if (!(value.content instanceof Map)) {
      report(place, `expected a table [${title}]`);
      return {};
    }
    const own = new Map(value.content as Table);
    for (const [key, { place }] of own) {
      const why = whyNot(key, name, policy);
      if (why === undefined) continue;
      report(place, `${key} does not belong in [${title}]: ${why}`);
      own.delete(key);
    }
    const merged = new Map([...tableOf(policy), ...own]);
    const found: Problem[] = [];
    const sections = readSection(
      { file, table: merged, problems: found },
      policy,
      merged,
      title,
    );
    // Mistakes in everybody's keys are reported already.
    const isNew = ({ place }: Problem) =>
      !problems.some((known) => isSamePlace(known.place, place));
    problems.push(...found.filter(isNew));
    if (showText(policy, sections) === showText(policy, everybody)) {
      remark(place, `[${title}] changes nothing: [${policy}] says the same`);
    }
    return sections;
  }

  /** What the file says for everybody. */
  function tableOf(policy: keyof Sections): Table {
    const { table } = document;
    const entry = table.get(policy) ??
      (policy === "volumes" ? table.get(OLD_VOLUMES_SECTION) : undefined);
    const content = entry?.value.content;
    return content instanceof Map ? content : new Map();
  }

  function remark(place: Place, message: string): void {
    remarks.push(formatProblem({ file, place, message }));
  }
}

function checkName(name: string): string | undefined {
  return name === "" ? "nobody has that name" : undefined;
}

function showText(policy: keyof Sections, sections: Sections): string {
  return JSON.stringify(showSection(policy, sections)) ?? "";
}

function isSamePlace(a: Place | undefined, b: Place | undefined): boolean {
  return a?.line === b?.line && a?.column === b?.column;
}
