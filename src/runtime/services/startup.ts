import { AthanorError } from "../../protocol/errors.ts";

/** What `start` comes to. @throws AthanorError `startup_timeout` with what was seen by then, where it takes longer than a service may. */
export async function inTime<T>(
  timeoutS: number,
  start: () => Promise<T>,
  seen: () => string | Promise<string>,
): Promise<T> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(timeoutS * 1000, MAX_TIMER_MS));
  try {
    return await Promise.race([start(), over.then(async () => Promise.reject(await timedOut(timeoutS, seen)))]);
  } finally {
    clearTimeout(timer);
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

async function timedOut(timeoutS: number, seen: () => string | Promise<string>): Promise<AthanorError> {
  return new AthanorError("startup_timeout", `after startupTimeoutS, ${timeoutS} s, ${await seen()}`, {
    hint: "Do less at the start, or raise the service's startupTimeoutS.",
  });
}
