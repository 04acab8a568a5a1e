import type { JobEvent, NewJobEvent } from "../../../protocol/event.ts";
import { isFinal, type JobStatus, transition } from "../../../protocol/job.ts";
import type { JobChange, JobOutcome } from "../store.ts";
import type { Connection } from "./connection.ts";
import { positionOf } from "./job-reads.ts";
import type { JobRow } from "./job-row.ts";
import { settleKeys } from "./keys.ts";
import { dropSegments, resultData, tidyLog, toLines } from "./log.ts";
import { CANCELLED_RUNNING, SERVER_LOST } from "./reasons.ts";
import { toJob } from "./rows.ts";

/**
 * The end of an attempt. Each change of a status asks `transition` of protocol/job.ts, and the triggers of the schema refuse what that table
 * does not have. Starts are in claim.ts, what ends a job that does not run in cancel.ts.
 */

type EndOutcome = Exclude<JobOutcome, { type: "retry" | "lose" }>;
type AgainOutcome = Extract<JobOutcome, { type: "retry" | "lose" }>;

/** A change, and the row as it is then. */
export interface Step {
  change: JobChange;
  row: JobRow;
}

export function jobFinish(
  db: Connection,
  p: { job: number; fence: number; outcome: JobOutcome; now: number },
): JobChange | null {
  const step = finish(db, p);
  if (step === null) return null;
  if (step.row.status !== "queued" || step.row.hold !== null) settleKeys(db, [step.row]);
  return step.change;
}

function finish(db: Connection, p: { job: number; fence: number; outcome: JobOutcome; now: number }): Step | null {
  const { job, fence, outcome, now } = p;
  if (outcome.type !== "retry" && outcome.type !== "lose") return endRunning(db, { job, fence }, outcome, now);
  const row = db.get<JobRow>("jobHead", { job });
  if (row === undefined || row.status !== "running" || row.fence !== fence) return null;
  return endOrRequeue(db, row, outcome, now);
}

export function jobRescue(
  db: Connection,
  p: { server: string; owners: "expired" | "all"; now: number; limit: number },
): JobChange[] {
  const { server, now, limit } = p;
  const orphans = db.all<{ job: number }>("jobOrphans", { server, all: p.owners === "all" ? 1 : 0, now, limit });
  const steps = orphans.map(({ job }) => {
    const lost: AgainOutcome = { type: "lose", error: SERVER_LOST, crashed: false };
    return endOrRequeue(db, db.get("jobHead", { job }) as JobRow, lost, now);
  });
  settleKeys(
    db,
    steps.filter(({ row }) => row.status !== "queued").map(({ row }) => row),
  );
  return steps.map(({ change }) => change);
}

/** An attempt whose cancellation was requested is not repeated. */
function endOrRequeue(db: Connection, row: JobRow, outcome: AgainOutcome, now: number): Step {
  if (row.cancel_requested_at === null) return requeue(db, row, outcome, now);
  const step = endRunning(db, row, { type: "cancel", error: CANCELLED_RUNNING }, now);
  if (step === null) throw new Error(`jobs:${row.job} was running a moment ago`);
  return step;
}

function endRunning(
  db: Connection,
  { job, fence }: { job: number; fence: number },
  outcome: EndOutcome,
  now: number,
): Step | null {
  const status = target("running", outcome);
  const result = outcome.type === "succeed" ? outcome.result : null;
  const error = outcome.type === "succeed" ? null : JSON.stringify(outcome.error);
  const events = endEvents(outcome, status);
  const lines = toLines(events);
  const added = events.length;
  const row = db.get<JobRow>("jobEndRunning", { job, fence, status, result, error, lines, added, now });
  if (row === undefined) return null;
  if (outcome.type === "succeed") for (const sha256 of outcome.resultBlobs) db.run("jobBlobInsert", { job, sha256 });
  return ended(db, row, events, now);
}

/** What follows from any end. */
export function ended(db: Connection, row: JobRow, events: NewJobEvent[], now: number): Step {
  if (row.webhook === 1) db.run("webhookDue", { job: row.job, now });
  dropSegments(db, row);
  return { row, change: { job: toJob(db, row), events: newestEvents(row, events) } };
}

function requeue(db: Connection, row: JobRow, outcome: AgainOutcome, now: number): Step {
  target("running", outcome);
  const { job } = row;
  const due = outcome.type === "lose" || outcome.runAfter <= now ? null : Math.ceil(outcome.runAfter);
  const delayS = outcome.type === "retry" ? Math.max(0, (outcome.runAfter - now) / 1000) : 0;
  const events: NewJobEvent[] = [
    { event: "job.retrying", data: { attempt: row.attempt, delay_s: delayS, error: outcome.error } },
    { event: "job.queued", data: { position: positionOf(db, { ...row, hold: due === null ? null : "delay" }) } },
  ];
  const lost = outcome.type === "lose";
  const changed = db.get("jobRequeue", {
    ...{ job, hold: due === null ? null : "delay", runAfter: due, lines: toLines(events), now },
    ...{ lost: lost ? 1 : 0, crashed: lost && outcome.crashed ? 1 : 0 },
  }) as JobRow;
  tidyLog(db, changed);
  return { row: changed, change: { job: toJob(db, changed), events: newestEvents(changed, events) } };
}

/** The status after the outcome. Throws where the table of transitions has none. */
export function target(from: JobStatus, outcome: { type: JobOutcome["type"] | "expire" }): JobStatus {
  const to = transition(from, outcome.type);
  if (to === null) throw new Error(`a job that is ${from} has no transition ${outcome.type}`);
  return to;
}

function endEvents(outcome: EndOutcome, status: JobStatus): NewJobEvent[] {
  if (!isFinal(status)) throw new Error(`${status} ends no job`);
  if (outcome.type !== "succeed") return [{ event: "job.end", data: { status, error: outcome.error } }];
  return [
    { event: "job.result", data: resultData(outcome.result) },
    { event: "job.end", data: { status } },
  ];
}

/** These, which are the newest of the row's log, with their numbers. */
function newestEvents(row: JobRow, events: NewJobEvent[]): JobEvent[] {
  const before = row.last_event - events.length;
  return events.map(({ event, data }, index) => ({ id: before + 1 + index, event, data }) as JobEvent);
}
