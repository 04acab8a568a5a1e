import { isDeepStrictEqual } from "node:util";
import type { FinalJob, History, Violation, Watch } from "../history.ts";
import { entriesOf } from "./attempts.ts";

/**
 * Every watcher saw the log itself: each event once, in order, with none left out that it was not told of by `stream.reset`, over all its
 * connections, to the end.
 */
export function streams(history: History): Violation[] {
  const final = new Map(history.final.map((job) => [job.job, job]));
  return history.watches.flatMap((watch) => {
    const found = [...wrongCursor(watch), ...wrongEvents(watch, final.get(watch.job))];
    return found.map((what) => ({ rule: "streams have no gap", job: watch.job, what }));
  });
}

function wrongCursor({ connections }: Watch): string[] {
  let cursor = 0;
  for (const [index, { after, events }] of connections.entries()) {
    const where = `connection ${index + 1} of a watcher, after ${after},`;
    if (after !== cursor) return [`${where} did not go on from ${cursor}`];
    for (const event of events) {
      if (event.event === "job.snapshot") continue;
      if (event.event === "stream.reset") {
        const { requested, earliest } = event.data;
        if (requested !== cursor) return [`${where} was reset for a request of ${requested} instead of ${cursor}`];
        if (event.id !== earliest - 1 || event.id <= cursor)
          return [`${where} was reset from ${cursor} to ${event.id}`];
      } else if (event.id !== cursor + 1) return [`${where} was sent ${event.id} (${event.event}) after ${cursor}`];
      cursor = event.id;
    }
  }
  const last = connections.at(-1)?.events.at(-1);
  return last?.event === "job.end" ? [] : [`a watcher's last event is ${last?.event} instead of job.end`];
}

function wrongEvents({ connections }: Watch, job: FinalJob | undefined): string[] {
  if (job === undefined) return [];
  const kept = new Map(entriesOf(job).map((event) => [event.id, event]));
  for (const event of connections.flatMap(({ events }) => events)) {
    if (event.event === "job.snapshot" || event.event === "stream.reset") continue;
    const stored = kept.get(event.id);
    if (stored !== undefined && !isDeepStrictEqual(event, stored))
      return [`a watcher was sent ${short(event)} where the log has ${short(stored)}`];
  }
  return [];
}

const short = (value: unknown): string => JSON.stringify(value).slice(0, 200);
