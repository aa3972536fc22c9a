/**
 * `deno test` with several files at a time, and at its end one list of what was
 * skipped and why.
 *
 * @module
 */
const report = await Deno.makeTempFile({ suffix: ".xml" });
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--parallel", `--junit-path=${report}`, ...Deno.args],
}).spawn().status;
const skipped = skippedIn(await Deno.readTextFile(report));
await Deno.remove(report);
console.log(skipped.length === 0 ? "skipped: nothing" : "skipped:");
for (const line of skipped) console.log(`  ${line}`);
Deno.exit(code);

/** Reasons, each with the tests that it kept from running. */
function skippedIn(junit: string): string[] {
  const byReason = new Map<string, string[]>();
  for (
    const [, coded] of junit.matchAll(
      /<testcase name="([^"]*)"[^>]*>\s*<skipped/g,
    )
  ) {
    // `unless` puts the reason behind the name.
    const [, name, why] = /^(.*) \(skipped: (.*)\)$/.exec(decoded(coded)) ??
      [, decoded(coded), "its test says why"];
    byReason.set(why!, [...byReason.get(why!) ?? [], name!]);
  }
  return [...byReason].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([why, names]) => `${why}: ${names.join("; ")}`);
}

/** The text of an XML attribute. */
function decoded(text: string): string {
  const characters: Record<string, string> = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&apos;": "'",
    "&amp;": "&",
  };
  return text.replace(/&\w+;/g, (entity) => characters[entity] ?? entity);
}
