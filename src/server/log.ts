import { pino } from "pino";
import type { LogLevel } from "./config-values.ts";
import { readableLine } from "./readable-log.ts";

/** The smallest log that any part of the server needs. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ServerLog extends Log {
  flush(): void;
}

const terminal = {
  write: (json: string) => void process.stderr.write(readableLine(json)),
  flushSync: () => {},
};

/** JSON lines on stderr, readable ones where that is a terminal; stdout stays the CLI's. Secrets have no business here; the headers that bear them are cut in any case. */
export function createLog(level: LogLevel): ServerLog {
  // Asynchronous, so that a reader of stderr who stalls does not stall the server.
  const destination = process.stderr.isTTY ? terminal : pino.destination({ dest: 2, sync: false });
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: ["*.authorization", "*.cookie", "token", "*.token"],
    },
    destination,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // stderr is closed or not open yet: there is nowhere to say so.
      }
    },
  };
}
