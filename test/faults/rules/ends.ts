import { isDeepStrictEqual } from "node:util";
import { isFinal } from "../../../src/protocol/job.ts";
import type { Allowed, FinalJob, History, Violation } from "../history.ts";
import { entriesOf } from "./attempts.ts";

/** Every job has ended, as its call allows, with one result, which is of the attempt that held it; and no end has ever changed. */
export function ends(history: History): Violation[] {
  const found: Violation[] = [];
  const allowed = new Map(history.calls.flatMap((call) => call.answers.map(({ job }) => [job, call] as const)));
  const started = new Set(history.records.map(({ job }) => job));
  const hurt = new Set(history.hurtReplicas);
  for (const job of history.final) {
    const say = (what: string) => found.push({ rule: "jobs end as they must", job: job.job, what });
    if (!isFinal(job.status)) say(`has not ended: it is ${job.status}`);
    if (job.status === "expired" && started.has(job.job)) say("expired, and its handler had started");
    if (job.attempt === 1 && job.runAt !== null && job.startedAt !== null && job.startedAt < job.runAt)
      say(`started ${job.runAt - job.startedAt} ms before its time`);
    const call = allowed.get(job.job);
    if (call !== undefined && isFinal(job.status))
      for (const what of wrongEnd(job, call.allowed, call.n, hurt)) say(what);
  }
  return [...found, ...changedEnds(history), ...lostCancels(history)];
}

function wrongEnd(job: FinalJob, allowed: Allowed, n: number, hurt: Set<string>): string[] {
  const crashed = job.code === "replica_crashed" && job.status === "failed";
  if (crashed) return crashIsExplained(job, hurt) ? [] : ["failed with a replica that nothing was done to"];
  if (!allowed.statuses.includes(job.status)) {
    return [`is ${job.status} (${job.code}) instead of ${allowed.statuses.join(" or ")}`];
  }
  if (job.status !== "succeeded") {
    return job.code === null || allowed.codes.includes(job.code) ? [] : [`ended with the code ${job.code}`];
  }
  const found: string[] = [];
  const result = allowed.value === undefined ? null : { n, attempt: job.attempt, value: allowed.value };
  if (!isDeepStrictEqual(job.result, result))
    found.push(`has the result ${short(job.result)} instead of ${short(result)}`);
  if (allowed.progress !== undefined && job.progress !== allowed.progress)
    found.push(`ended with a progress of ${job.progress} instead of ${allowed.progress}`);
  if (allowed.chunks !== undefined) found.push(...wrongChunks(job, allowed.chunks));
  return found;
}

/** Killing a replica under a job is a crash like any other. */
function crashIsExplained(job: FinalJob, hurt: Set<string>): boolean {
  const last = entriesOf(job).findLast((event) => event.event === "job.running");
  return last?.event === "job.running" && hurt.has(last.data.replica_id);
}

function wrongChunks(job: FinalJob, count: number): string[] {
  const entries = entriesOf(job);
  const from = entries.findLastIndex((event) => event.event === "job.running");
  // The window has moved past the attempt's first chunks.
  const whole = from !== -1;
  const indexes = entries.slice(from + 1).flatMap((event) => (event.event === "job.chunk" ? [event.data.index] : []));
  const first = whole ? 0 : (indexes[0] ?? count);
  const expected = Array.from({ length: count - first }, (_, index) => first + index);
  return isDeepStrictEqual(indexes, expected)
    ? []
    : [`has the chunks ${indexes.join(" ") || "(none)"} instead of ${first} to ${count - 1}`];
}

/** What one client was shown as a job's end, no later look may contradict. */
function changedEnds(history: History): Violation[] {
  const final = new Map(history.final.map((job) => [job.job, job]));
  const found: Violation[] = [];
  for (const { job, status, result } of history.observed) {
    const say = (what: string) => found.push({ rule: "an end never changes", job, what });
    const kept = final.get(job);
    if (kept === undefined) say(`was seen ${status} and is gone`);
    else if (kept.status !== status || !isDeepStrictEqual(kept.result, result))
      say(`was seen ${status} with ${short(result)} and is ${kept.status} with ${short(kept.result)}`);
  }
  return found;
}

/** A job whose cancellation was acknowledged does not begin again: it ends as cancelled, or as the attempt under way ends it. */
function lostCancels(history: History): Violation[] {
  const final = new Map(history.final.map((job) => [job.job, job]));
  const found: Violation[] = [];
  for (const { at, job } of history.cancels) {
    const say = (what: string) => found.push({ rule: "a cancel is never lost", job, what });
    if (final.get(job)?.status === "expired") say("expired after its cancel was acknowledged");
    // One attempt may have been claimed before the cancel and have reached its handler after.
    const later = history.records.filter((record) => record.job === job && record.type === "start" && record.at > at);
    if (later.length > 1) say(`attempt ${later[1]?.attempt} started after its cancel was acknowledged`);
  }
  return found;
}

const short = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
};
