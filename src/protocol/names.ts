/** The rule for names of apps and functions on the wire. Two hyphens in a row stand between the two in a host, `hello--demo.localhost`. */
export const NAME_PATTERN = /^(?!.*--)[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?$/;

/** First path segments that belong to the server itself, so no app may be called so. */
export const RESERVED_APP_NAMES: ReadonlySet<string> = new Set(["v1", "healthz", "readyz", "metrics"]);

/** `swapFace` becomes `swap-face`, `HTTPServer2` becomes `http-server2`; the result may still break NAME_PATTERN. */
export function toWireName(codeName: string): string {
  return codeName
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1-$2")
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/[_$.\s]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^-|-$/g, "")
    .toLowerCase();
}

export type IdTable = "jobs" | "deployments" | "replicas";

/** Ids are `table:number`, ascending, never reused. */
export function formatId(table: IdTable, number: number): string {
  return `${table}:${number}`;
}

/** The number in `table:number`, or null where the text is no such id. A bare number is taken too. */
export function parseId(table: IdTable, text: string): number | null {
  const match = /^(?:([a-z]+):)?([1-9][0-9]{0,15})$/.exec(text);
  if (!match || (match[1] !== undefined && match[1] !== table)) return null;
  const number = Number(match[2]);
  return Number.isSafeInteger(number) ? number : null;
}
