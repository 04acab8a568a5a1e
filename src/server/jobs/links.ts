/** The value with `?key=` in each of the job's own links, those of its files included; whole URLs where an origin is given. */
export function withKey<T>(value: T, jobId: string, key: string, origin = ""): T {
  const base = `/v1/jobs/${jobId}`;
  const text = JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "string" && isLink(part, base) ? `${origin}${part}?key=${key}` : part,
  );
  return JSON.parse(text) as T;
}

/** A result that spells out such a link gets the key too; whoever reads it could add it anyway. */
function isLink(text: string, base: string): boolean {
  if (!text.startsWith(base)) return false;
  return /^(?:|\/events|\/result|\/cancel|\/files\/[0-9a-f]{64})$/.test(text.slice(base.length));
}
