import type { History, Violation } from "../history.ts";
import { type Interval, intervalsOf } from "./attempts.ts";

/** No more handlers than allowed ran at a time, of those whose attempts held their jobs; nor more starts than allowed in any window. */
export function limits(history: History): Violation[] {
  const found: Violation[] = [];
  for (const [name, { concurrency, perKey, rate }] of Object.entries(history.functions)) {
    const intervals = intervalsOf(history, name);
    if (concurrency !== undefined) found.push(...tooMany("concurrency is held", name, intervals, concurrency));
    if (perKey !== undefined) {
      const byKey = Map.groupBy(intervals, ({ key }) => key);
      for (const [key, ofKey] of byKey)
        if (key !== null) found.push(...tooMany("concurrency of keys is held", `key ${key} of ${name}`, ofKey, perKey));
    }
    if (rate !== undefined) found.push(...tooFast(history, name, rate));
  }
  return found;
}

/** `intervals` by their start. */
function tooMany(rule: string, what: string, intervals: Interval[], limit: number): Violation[] {
  let running: Interval[] = [];
  for (const interval of intervals) {
    running = [...running.filter(({ to }) => to > interval.from), interval];
    if (running.length <= limit) continue;
    const names = running.map(({ job, attempt }) => `${job} (attempt ${attempt})`).join(", ");
    return [
      {
        rule,
        job: interval.job,
        what: `${running.length} of ${what} ran at once, over the limit of ${limit}: ${names}`,
      },
    ];
  }
  return [];
}

/**
 * Of jobs that started once: the start that the store noted is the one that the rate counts. Where the clock was set in between, the
 * notes are of two times that look like one, so such a pair is not held to a rate.
 */
function tooFast(history: History, name: string, { limit, perMs }: { limit: number; perMs: number }): Violation[] {
  const starts = history.final
    .filter((job) => job.function === name && job.attempt === 1 && job.startedAt !== null)
    .map(({ job, startedAt }) => ({ job, at: startedAt ?? 0 }))
    .toSorted((a, b) => a.at - b.at);
  for (const [index, { job, at }] of starts.entries()) {
    const first = starts[index - limit];
    if (first === undefined || at - first.at >= perMs || wasSetBetween(history, first.job, job)) continue;
    const what = `${limit + 1} jobs of ${name} started within ${at - first.at} ms, over the limit of ${limit} in ${perMs} ms`;
    return [{ rule: "rates are held", job, what }];
  }
  return [];
}

/** A clock was wrong for a while between the handlers of two jobs, by the harness's own clock. */
function wasSetBetween(history: History, one: string, other: string): boolean {
  const starts = history.records.filter(({ job, type }) => type === "start" && (job === one || job === other));
  const times = starts.map(({ at }) => at);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  return history.faults.some((struck) => struck.fault.includes("skew clock") && struck.at < to && struck.until > from);
}
