/** A JSON line of the log as a person at a terminal reads it: `12:30:05 warn  replica did not start  app=demo code=startup_failed`. */
export function readableLine(json: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
  const head = [String(time).slice(11, 19), String(level).padEnd(5), msg, ...(pairs.length > 0 ? ["", ...pairs] : [])];
  const stack = (err as { stack?: string } | undefined)?.stack;
  return `${head.join(" ")}${stack === undefined ? "" : `\n${stack}`}\n`;
}

const shown = (value: unknown): string =>
  typeof value === "string" && /^\S+$/.test(value) ? value : JSON.stringify(value);
