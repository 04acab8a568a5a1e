import { Backoff, delay } from "./backoff.ts";
import { isPassing } from "./request.ts";

export interface PersistOptions {
  /** The server has answered before: when it cannot be reached it is waited for, not given up at once. Default false. */
  reached?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Repeats what may be repeated through failures that may pass: a restart of the server, a broken connection. */
export async function persist<T>(work: () => Promise<T>, options: PersistOptions = {}): Promise<T> {
  const backoff = new Backoff();
  for (let reached = options.reached ?? false; ; ) {
    try {
      return await work();
    } catch (error) {
      reached ||= wasReached(error);
      if (!isPassing(error) || !reached) throw error;
      const waitMs = backoff.failed(Date.now());
      if (waitMs === null) throw error;
      await delay(waitMs, options.signal);
    }
  }
}

/** How Node says that a connection which had been made is broken; other hosts do not tell. */
const BROKEN: ReadonlySet<unknown> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** True for an answer, and for a connection that broke off. */
function wasReached(error: unknown): boolean {
  if (!isPassing(error)) return false;
  const failure = error.cause instanceof Error ? error.cause.cause : undefined;
  return error.code !== "server_unreachable" || BROKEN.has((failure as { code?: unknown } | undefined)?.code);
}
