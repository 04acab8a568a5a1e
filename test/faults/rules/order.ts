import type { Call, History, Violation } from "../history.ts";
import { heldAttempts, intervalsOf } from "./attempts.ts";

interface Started {
  job: string;
  call: Call;
  /** Each deployment of an app has an order of its own. */
  deployment: string;
  ackAt: number;
  /** Of its first handler. */
  startAt: number;
  /** Its first attempt was never lost, so that its handler began right after its claim. */
  sure: boolean;
}

/**
 * Of a function that runs one job at a time: whoever was accepted before another was even sent starts before it; and whoever waited when a
 * place became free, with a higher priority, does too.
 */
export function order(history: History): Violation[] {
  return Object.entries(history.functions)
    .filter(([, promise]) => promise.ordered)
    .flatMap(([name]) => [...fifo(startsOf(history, name)), ...byPriority(history, name)]);
}

function startsOf(history: History, name: string): Started[] {
  const firstStart = new Map<string, number>();
  for (const { type, job, at } of history.records)
    if (type === "start") firstStart.set(job, Math.min(at, firstStart.get(job) ?? Number.POSITIVE_INFINITY));
  const final = new Map(history.final.map((job) => [job.job, job]));
  const sure = new Set(history.final.filter((job) => heldAttempts(job).includes(1)).map(({ job }) => job));
  return history.calls
    .filter((call) => call.function === name)
    .flatMap((call) => {
      const [answer] = call.answers;
      const startAt = answer === undefined ? undefined : firstStart.get(answer.job);
      if (answer === undefined || startAt === undefined) return [];
      const deployment = final.get(answer.job)?.deployment ?? "";
      return [{ job: answer.job, call, deployment, ackAt: answer.at, startAt, sure: sure.has(answer.job) }];
    });
}

function fifo(started: Started[]): Violation[] {
  const found: Violation[] = [];
  const byAck = started.toSorted((a, b) => a.ackAt - b.ackAt);
  /** The job that started last of those acknowledged so far. */
  const latest = new Map<string, Started>();
  const line = ({ call, deployment }: Started): string => `${deployment} ${call.priority}`;
  let next = 0;
  for (const later of started.toSorted((a, b) => a.call.sentAt - b.call.sentAt)) {
    for (let job = byAck[next]; job !== undefined && job.ackAt < later.call.sentAt; job = byAck[++next]) {
      const known = latest.get(line(job));
      if (known === undefined || known.startAt < job.startAt) latest.set(line(job), job);
    }
    const earlier = latest.get(line(later));
    if (later.sure && earlier !== undefined && earlier.startAt > later.startAt) {
      const what = `started before ${earlier.job}, which was accepted before it was sent`;
      found.push({ rule: "first in, first out", job: later.job, what });
    }
  }
  return found;
}

/** What was sent to a paused queue does not start before it is resumed. */
export function pauses(history: History): Violation[] {
  return history.pauses.flatMap(({ function: name, from, to }) =>
    startsOf(history, name)
      .filter(({ call, startAt }) => call.sentAt > from && startAt < to)
      .map(({ job }) => ({ rule: "a paused queue starts nothing", job, what: `started while ${name} was paused` })),
  );
}

/** A place becomes free when the handler before has ended, and no sooner is the next job chosen. */
function byPriority(history: History, name: string): Violation[] {
  const found: Violation[] = [];
  const started = startsOf(history, name);
  const ends = intervalsOf(history, name)
    .map(({ to }) => to)
    .toSorted((a, b) => a - b);
  for (const chosen of started) {
    if (!chosen.sure) continue;
    const freeAt = ends.findLast((at) => at <= chosen.startAt);
    if (freeAt === undefined) continue;
    const better = started.find(
      (other) =>
        other.deployment === chosen.deployment &&
        other.call.priority > chosen.call.priority &&
        other.ackAt < freeAt &&
        other.startAt > chosen.startAt,
    );
    if (better === undefined) continue;
    const what = `started with priority ${chosen.call.priority} while ${better.job} waited with ${better.call.priority}`;
    found.push({ rule: "higher priority first", job: chosen.job, what });
  }
  return found;
}
