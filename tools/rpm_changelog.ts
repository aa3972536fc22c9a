/**
 * CHANGELOG.md, as RPMs have it.
 *
 * @module
 */
import project from "../deno.json" with { type: "json" };

/** How long a line of it may be. */
const COLUMNS = 78;

/**
 * Rewrites the changelog for an RPM. What isn't released yet is left out.
 *
 * @param markdown The text of CHANGELOG.md.
 * @returns What stands below `%changelog` in a spec file.
 */
export function changelog(markdown: string): string {
  const versions = markdown.split(/^## /m).slice(1);
  return versions.flatMap((text) => {
    const head = /^\[(\d\S*)\] - (\d{4}-\d\d-\d\d)$/m.exec(text);
    if (!head) return [];
    const [, version, date] = head;
    // "Wed Nov 25 2026"
    const day = new Date(date).toUTCString().replace(
      /^(\w+), (\d+) (\w+) (\d+) .*$/,
      "$1 $3 $2 $4",
    );
    const entries = [...text.matchAll(/^- (.*(?:\n {2,}\S.*)*)/gm)]
      .map(([, entry]) => wrapped(plain(entry)));
    return [
      `* ${day} the authors of ${project.name} - ${version}-1`,
      ...entries,
      "",
    ];
  }).join("\n");
}

/** Text without Markdown, and without what rpm would read as a macro. */
function plain(entry: string): string {
  return entry.replace(/\s+/g, " ").replace(/\*\*|`/g, "")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("%", "%%");
}

function wrapped(entry: string): string {
  const lines = ["-"];
  for (const word of entry.split(" ")) {
    if (`${lines.at(-1)} ${word}`.length > COLUMNS) lines.push(" ");
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.join("\n");
}
