/**
 * Compares two API versions as the engine does (daemon/internal/versions):
 * number by number, an empty or missing part counting as 0.
 *
 * @param version An API version such as `1.41`.
 * @param other Another one.
 * @returns Whether the first is older than the second.
 */
export function olderThan(version: string, other: string): boolean {
  const a = version.split(".").map(Number);
  const b = other.split(".").map(Number);
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
