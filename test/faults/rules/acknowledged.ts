import type { Call, History, Violation } from "../history.ts";

/** Nothing that was acknowledged is lost, and one call is one job, however often it was sent. */
export function acknowledged(history: History): Violation[] {
  const found: Violation[] = [];
  const say = (job: string | null, what: string) => found.push({ rule: "acknowledged jobs are kept", job, what });
  const final = new Map<string, string>();
  for (const { job, function: name } of history.final) {
    if (final.has(job)) say(job, "is listed twice");
    final.set(job, name);
  }
  const callOf = new Map<string, Call>();
  for (const call of history.calls) {
    for (const job of new Set(call.answers.map(({ job }) => job))) {
      const other = callOf.get(job);
      if (other !== undefined) say(job, `was acknowledged for two calls, ${other.n} and ${call.n}`);
      callOf.set(job, call);
      if (!final.has(job)) say(job, `was acknowledged for call ${call.n} and is lost`);
      else if (final.get(job) !== call.function) say(job, `is of ${final.get(job)} and was sent to ${call.function}`);
    }
    const jobs = new Set(call.answers.map(({ job }) => job));
    if (jobs.size > 1) say(null, `call ${call.n} with one idempotency key became ${[...jobs].join(" and ")}`);
  }
  found.push(...strangers(history, callOf));
  return found;
}

/** A job that nobody was told of may be there, since the answer may have been lost: one for each call without an answer. */
function strangers(history: History, callOf: Map<string, Call>): Violation[] {
  const unanswered = new Map<string, number>();
  const made = new Set(history.calls.flatMap(({ allowed }) => allowed.children ?? []));
  for (const { function: name, answers, n } of history.calls)
    if (answers.length === 0 && !made.has(n)) unanswered.set(name, (unanswered.get(name) ?? 0) + 1);
  const found: Violation[] = [];
  for (const { job, function: name, parent } of history.final) {
    if (callOf.has(job) || parent !== null) continue;
    const left = unanswered.get(name) ?? 0;
    if (left === 0) found.push({ rule: "no job comes from nowhere", job, what: `no call to ${name} explains it` });
    unanswered.set(name, left - 1);
  }
  return found;
}
