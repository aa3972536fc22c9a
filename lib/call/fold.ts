/**
 * Folds an object key as Go's `encoding/json` does when it looks for the struct
 * field of that name: `foldName` in encoding/json/fold.go. That is Unicode's
 * simple folding, by which three kinds of characters equal a lower-case ASCII
 * letter: A–Z, `ſ` (U+017F) and `K` (U+212A). All field names of the engine's
 * API are ASCII.
 *
 * @param key An object key as sent.
 * @returns The name to compare by.
 */
export function foldKey(key: string): string {
  return key
    .replaceAll("\u017f", "s")
    .replaceAll("\u212a", "k")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
