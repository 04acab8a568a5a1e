import { isDeepStrictEqual } from "node:util";
import type { JobEvent } from "../../src/protocol/event.ts";
import { isFinal, type JobStatus } from "../../src/protocol/job.ts";
import type { Json } from "../../src/protocol/json.ts";

/** What a fault test saw, from outside the server. */
export interface History {
  /** Jobs that were answered with 202, each with what it was asked. */
  acknowledged: { job: string; input: number }[];
  /** Every input that was sent, answered or not. */
  sent: number[];
  /** Ended states that clients were shown on the way, in any order. */
  observed: { job: string; status: JobStatus; result: Json }[];
  /** All jobs as they are when all is over. */
  final: FinalJob[];
  /** Processes of a killed server that were still there when their time was up. */
  orphans: { pid: number; command: string }[];
}

export interface FinalJob {
  job: string;
  input: number;
  status: JobStatus;
  result: Json;
  events: JobEvent[];
}

/** What the job of an input must come to. */
export interface Expected {
  status: JobStatus;
  result: Json;
}

/**
 * Everything in the history that the promises about jobs do not allow; empty where all hold: no acknowledged job is lost, none has two results,
 * every log runs from 1 without a gap to exactly one `job.end`, and nothing outlives its server.
 */
export function violations(history: History, expected: (input: number) => Expected): string[] {
  const found: string[] = [];
  const final = new Map<string, FinalJob>();
  for (const job of history.final) {
    if (final.has(job.job)) found.push(`${job.job} is listed twice`);
    final.set(job.job, job);
  }
  found.push(...lostJobs(history, final));
  found.push(...strangers(history));
  for (const job of history.final) found.push(...wrongEnd(job, expected(job.input)), ...wrongLog(job));
  found.push(...changedEnds(history, final));
  for (const { pid, command } of history.orphans) found.push(`process ${pid} outlived its server: ${command}`);
  return found;
}

function lostJobs(history: History, final: Map<string, FinalJob>): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const { job, input } of history.acknowledged) {
    if (seen.has(job)) found.push(`${job} was acknowledged for two requests`);
    seen.add(job);
    const kept = final.get(job);
    if (kept === undefined) found.push(`${job} was acknowledged and is lost`);
    else if (kept.input !== input) found.push(`${job} was acknowledged for input ${input} and has ${kept.input}`);
  }
  return found;
}

/** Unacknowledged jobs may be there, since the answer may have been lost; but only those that were sent, and each once. */
function strangers(history: History): string[] {
  const sent = new Map<number, number>();
  for (const input of history.sent) sent.set(input, (sent.get(input) ?? 0) + 1);
  const found: string[] = [];
  for (const { job, input } of history.final) {
    const left = sent.get(input) ?? 0;
    if (left === 0) found.push(`${job} has input ${input}, which was not sent, or not so often`);
    sent.set(input, left - 1);
  }
  return found;
}

function wrongEnd({ job, status, result }: FinalJob, expected: Expected): string[] {
  if (!isFinal(status)) return [`${job} has not ended: it is ${status}`];
  if (status !== expected.status) return [`${job} is ${status} instead of ${expected.status}`];
  return isDeepStrictEqual(result, expected.result)
    ? []
    : [`${job} has the result ${JSON.stringify(result)} instead of ${JSON.stringify(expected.result)}`];
}

function wrongLog({ job, status, result, events }: FinalJob): string[] {
  const found: string[] = [];
  const gap = events.findIndex(({ id }, index) => id !== index + 1);
  if (gap !== -1) found.push(`${job}'s log has event ${events[gap]?.id} in place ${gap + 1}`);
  if (events[0]?.event !== "job.queued") found.push(`${job}'s log begins with ${events[0]?.event}`);
  const ends = events.filter((event) => event.event === "job.end");
  if (ends.length !== 1) found.push(`${job}'s log has ${ends.length} job.end`);
  const last = events.at(-1);
  if (last?.event !== "job.end") found.push(`${job}'s log ends with ${last?.event}`);
  else if (last.data.status !== status) found.push(`${job} is ${status}, and its log says ${last.data.status}`);
  const results = events.filter((event) => event.event === "job.result");
  if (results.length !== (status === "succeeded" ? 1 : 0))
    found.push(`${job} is ${status} and its log has ${results.length} job.result`);
  for (const event of results)
    if (!isDeepStrictEqual(event.data.value, result)) found.push(`${job}'s log has another result than the job`);
  found.push(...wrongAttempts(job, events));
  return found;
}

/** `job.running` comes only after `job.queued`, each time with a higher attempt. */
function wrongAttempts(job: string, events: JobEvent[]): string[] {
  const found: string[] = [];
  let queued = false;
  let attempt = 0;
  for (const event of events) {
    if (event.event === "job.queued") {
      if (queued) found.push(`${job} was queued twice with no attempt between (event ${event.id})`);
      queued = true;
    }
    if (event.event !== "job.running") continue;
    if (!queued) found.push(`${job} ran while it was not queued (event ${event.id})`);
    if (event.data.attempt <= attempt) found.push(`${job} ran attempt ${event.data.attempt} after ${attempt}`);
    queued = false;
    attempt = event.data.attempt;
  }
  return found;
}

/** What one client was shown as a job's end, no later look may contradict. */
function changedEnds(history: History, final: Map<string, FinalJob>): string[] {
  const found: string[] = [];
  for (const { job, status, result } of history.observed) {
    const kept = final.get(job);
    if (kept === undefined) found.push(`${job} was seen ${status} and is gone`);
    else if (kept.status !== status || !isDeepStrictEqual(kept.result, result)) {
      found.push(
        `${job} was seen ${status} with ${JSON.stringify(result)} and is ${kept.status} with ${JSON.stringify(kept.result)}`,
      );
    }
  }
  return found;
}
