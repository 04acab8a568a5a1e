import { AthanorError } from "../../protocol/errors.ts";

/**
 * What `start` comes to. @throws AthanorError `startup_timeout` with what was seen by then, where it takes longer than a service may; `usedS` of that
 * time is over already.
 */
export async function inTime<T>(
  timeoutS: number,
  start: () => Promise<T>,
  seen: () => string | Promise<string>,
  usedS = 0,
): Promise<T> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min((timeoutS - usedS) * 1000, MAX_TIMER_MS));
  try {
    return await Promise.race([start(), over.then(async () => Promise.reject(timedOut(timeoutS, await seen())))]);
  } finally {
    clearTimeout(timer);
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

function timedOut(timeoutS: number, seen: string): AthanorError {
  return new AthanorError("startup_timeout", `after startupTimeoutS, ${timeoutS} s, ${seen}`, {
    hint: "Do less at the start, or raise the service's startupTimeoutS.",
  });
}
