import type { WatchEvent } from "../../src/protocol/event.ts";
import type { EventLog, WatchParams } from "../../src/server/events/event-log.ts";

/** A watcher that takes the next event whenever it is asked for one, and only then. Throws what the watch ends with. */
export async function* watching(
  log: EventLog,
  params: Omit<WatchParams, "only"> & Partial<Pick<WatchParams, "only">>,
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<WatchEvent> {
  let woken = Promise.withResolvers<void>();
  const watch = log.watch({ only: null, ...params }, () => woken.resolve());
  const abort = (): void => {
    watch.close();
    woken.resolve();
  };
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      woken = Promise.withResolvers<void>();
      const event = watch.take();
      if (event !== null) yield event;
      else if (watch.error !== null) throw watch.error;
      else if (watch.over) return;
      else await woken.promise;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    watch.close();
  }
}
