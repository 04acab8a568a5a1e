/**
 * The one range that a Range header asks for, both ends included. Null: the whole is to be sent (no header, several ranges, another
 * unit, or nonsense, which RFC 9110 lets a server ignore).
 */
export function byteRange(header: string | null, size: number): { from: number; to: number } | "unsatisfiable" | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.replaceAll(" ", "") ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return null;
  const first = match[1] === "" ? null : Number(match[1]);
  const last = match[2] === "" ? null : Number(match[2]);
  if (first === null)
    return last === 0 || size === 0 ? "unsatisfiable" : { from: Math.max(0, size - (last as number)), to: size - 1 };
  if (last !== null && last < first) return null;
  return first >= size ? "unsatisfiable" : { from: first, to: Math.min(last ?? size - 1, size - 1) };
}
