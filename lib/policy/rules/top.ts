import { shown } from "../../text.ts";
import { type Denial, deny } from "../decision.ts";

/**
 * Options of ps(1) that select processes, or put one-word columns in front of
 * `PID`. `Z` and `M` (labels can have spaces), `h` (no header) and those with a
 * value are not among them.
 */
const LETTERS = /^(-?[AaeTwcHfFjlLmyd]+|[axujlvsfrewcHTmSg]+|-aux[wf]*)$/;

/** Letters before `o` that leave the columns alone. */
const COLUMNS = /^-?[Aaedxw]*o(.*)$/;

/** Columns that a user chose: names, or with a width, and no other header. */
const COLUMN = "(?:[a-z_]+|%cpu|%mem)(?::[0-9]+)?";
const NAMES = new RegExp(`^${COLUMN}(?:,${COLUMN})*$`);

/**
 * Checks the options that `docker top` gives to ps(1).
 *
 * The engine runs ps on the host, and shows those rows that have a process of
 * the container in the column where the header says `PID` (`ContainerTop` and
 * `parsePSOutput` in moby's daemon/top_unix.go). A column before it with no
 * header, or with spaces in it, makes that another column: then rows of any
 * process of the host come out, with its environment if the user likes.
 *
 * @param psArgs The query's `ps_args`; empty for the engine's own `-ef`.
 * @returns The denial, unless `PID` is sure to be the column that it seems.
 */
export function checkTop(psArgs: string): Denial | undefined {
  // `fieldsASCII` there.
  const words = psArgs.split(/[\t\n\f\r ]+/).filter((word) => word !== "");
  let columns = "";
  while (words.length > 0) {
    const word = words.shift()!;
    const [, rest] = COLUMNS.exec(word) ?? [];
    if (rest === undefined) {
      if (LETTERS.test(word)) continue;
      return denyTop(word);
    }
    const names = rest || (words.shift() ?? "");
    if (!NAMES.test(names)) return denyTop(word);
    columns += `,${names}`;
  }
  if (columns === "") return undefined;
  const [, first, ...others] = columns.split(",")
    .map((name) => name.replace(/:.*/, ""));
  return first === "pid" && !others.includes("pid") ? undefined : denyTop("-o");
}

function denyTop(word: string): Denial {
  return deny(
    "privileges/top",
    `privileges: docker top with ${
      shown(word)
    } is not allowed, since it could ` +
      "show the host's processes: take options such as aux, or -o with pid as " +
      "the first column",
  );
}
