import { isDeepStrictEqual } from "node:util";
import type { JobEvent } from "../../../src/protocol/event.ts";
import { isFinal } from "../../../src/protocol/job.ts";
import type { FinalJob, History, Violation } from "../history.ts";
import { entriesOf } from "./attempts.ts";

/**
 * Every log is whole: numbered without a gap from 1 (or from where the window begins) to exactly one `job.end`; attempts follow each other;
 * and all that stands in it between two of them was written by the attempt that held the job then.
 */
export function logs(history: History): Violation[] {
  return history.final.flatMap((job) => [
    ...say(job, "logs have no gap", numbering(job)),
    ...say(job, "logs end once", ending(job)),
    ...say(job, "attempts follow each other", sequence(job)),
    ...say(job, "nothing is written by a fenced attempt", writers(job)),
  ]);
}

const say = ({ job }: FinalJob, rule: string, found: string[]): Violation[] =>
  found.map((what) => ({ rule, job, what }));

function numbering(job: FinalJob): string[] {
  const found: string[] = [];
  const [first] = job.events;
  const entries = entriesOf(job);
  const from = first?.event === "stream.reset" ? first.data.earliest : 1;
  const gap = entries.findIndex(({ id }, index) => id !== from + index);
  if (gap !== -1) found.push(`the log has event ${entries[gap]?.id} in place ${from + gap}`);
  if (from === 1 && entries[0]?.event !== "job.queued") found.push(`the log begins with ${entries[0]?.event}`);
  return found;
}

function ending(job: FinalJob): string[] {
  const { status, result } = job;
  if (!isFinal(status)) return [];
  const found: string[] = [];
  const entries = entriesOf(job);
  const all = entries.filter((event) => event.event === "job.end");
  if (all.length !== 1) found.push(`the log has ${all.length} job.end`);
  const last = entries.at(-1);
  if (last?.event !== "job.end") found.push(`the log ends with ${last?.event}`);
  else if (last.data.status !== status) found.push(`is ${status}, and its log says ${last.data.status}`);
  const results = entries.filter((event) => event.event === "job.result");
  if (results.length !== (status === "succeeded" ? 1 : 0))
    found.push(`is ${status} and its log has ${results.length} job.result`);
  for (const event of results)
    if (!isDeepStrictEqual(event.data.value, result)) found.push("the log has another result than the job");
  return found;
}

/** `job.running` comes only after `job.queued`, each time with a higher attempt. */
function sequence(job: FinalJob): string[] {
  const found: string[] = [];
  const pruned = job.events[0]?.event === "stream.reset";
  let queued: boolean | null = pruned ? null : false;
  let attempt = 0;
  for (const event of entriesOf(job)) {
    if (event.event === "job.queued") {
      if (queued === true) found.push(`was queued twice with no attempt between (event ${event.id})`);
      queued = true;
    }
    if (event.event !== "job.running") continue;
    if (queued === false) found.push(`ran while it was not queued (event ${event.id})`);
    if (event.data.attempt <= attempt) found.push(`ran attempt ${event.data.attempt} after ${attempt}`);
    queued = false;
    attempt = event.data.attempt;
  }
  if (attempt > job.attempt) found.push(`ran attempt ${attempt} and says that it had ${job.attempt}`);
  return found;
}

function writers(job: FinalJob): string[] {
  const found: string[] = [];
  let current: number | null = null;
  for (const event of entriesOf(job)) {
    if (event.event === "job.running") current = event.data.attempt;
    const writer = writerOf(event);
    if (writer !== null && current !== null && writer !== current)
      found.push(`event ${event.id} (${event.event}) is attempt ${writer}'s, in the time of attempt ${current}`);
    if (writer !== null && event.event === "job.result" && writer !== job.attempt)
      found.push(`the result is attempt ${writer}'s, and the job had ${job.attempt}`);
  }
  return found;
}

/** The attempt that a handler of ours names in all that it writes. */
function writerOf(event: JobEvent): number | null {
  switch (event.event) {
    case "job.log":
      return named(event.data.line);
    case "job.progress":
      return named(event.data.message ?? "");
    case "job.chunk":
      return attemptIn(event.data.value);
    case "job.result":
      return attemptIn(event.data.value);
    default:
      return null;
  }
}

function named(text: string): number | null {
  const attempt = /\battempt=(\d+)\b/.exec(text)?.[1];
  return attempt === undefined ? null : Number(attempt);
}

function attemptIn(value: unknown): number | null {
  const attempt = (value as { attempt?: unknown } | null)?.attempt;
  return typeof attempt === "number" ? attempt : null;
}
