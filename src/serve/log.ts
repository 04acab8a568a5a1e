import type { Log } from "../server/log.ts";

/** What is wrong with the server itself, on stderr. */
export const stderrLog: Log = {
  debug() {},
  info() {},
  warn: (fields, message) => write(fields, message),
  error: (fields, message) => write(fields, message),
};

function write(fields: object, message: string): void {
  process.stderr.write(`athanor: ${message} ${JSON.stringify(fields)}\n`);
}
