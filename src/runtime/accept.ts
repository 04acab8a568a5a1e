/**
 * How much the client wants an answer of this type, 0 to 1, by its Accept header (RFC 9110, 12.5.1): the most specific range that
 * takes the type in says it. No header takes everything.
 */
function quality(accept: string | null, contentType: string): number {
  if (accept === null || accept.trim() === "") return 1;
  const [type] = contentType.toLowerCase().split("/");
  let best = { specificity: -1, q: 0 };
  for (const part of accept.toLowerCase().split(",")) {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    const specificity = range === contentType.toLowerCase() ? 2 : range === `${type}/*` ? 1 : range === "*/*" ? 0 : -1;
    if (specificity > best.specificity) best = { specificity, q: qOf(parameters) };
  }
  return best.q;
}

function qOf(parameters: string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith("q="));
  const value = q === undefined ? 1 : Number(q.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}

/** The type that the client wants most; of equal ones the first. Where it wants none of them, the first. */
export function preferred<T extends string>(accept: string | null, types: readonly [T, ...T[]]): T {
  let best = types[0];
  for (const type of types) if (quality(accept, type) > quality(accept, best)) best = type;
  return best;
}
