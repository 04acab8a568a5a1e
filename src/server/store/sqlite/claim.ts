import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { ClaimedJobs, ClaimFunction, JobClaim, JobRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import type { JobRow } from "./job-row.ts";
import { releaseDue } from "./keys.ts";
import { tidyLog } from "./log.ts";
import { toJob } from "./rows.ts";

/** The way of jobs to a replica: from the head of the index of ready jobs, within the limits of their functions. */

type Rate = NonNullable<ClaimFunction["rate"]>;

/** One function's queue, and what may start of it. */
interface Source {
  queue: number;
  rate: Rate | null;
  rateKeptMs: number;
  /** How many more may run, and may start by the rate. */
  room: number;
  starts: number;
  started: number;
  /** The rate has kept back one that would have started. */
  heldBack: boolean;
}

interface Candidate {
  job: number;
  priority: number;
  place: number;
  from: Source;
}

export function jobClaim(db: Connection, p: JobClaim): ClaimedJobs {
  if (p.limit <= 0) return { jobs: [], retryAt: null };
  releaseDue(db, p.now);
  const functions = new Map(p.functions.map((fn) => [fn.name, fn]));
  const sources = [...functions.values()].map((fn) => openSource(db, fn, p)).filter((source) => source !== null);
  const taken = choose(candidates(db, sources, p), p.limit);
  const jobs = taken.map(({ job }) => startJob(db, job, p));
  const retries = sources.flatMap((source) => countStarts(db, source, p.now) ?? []);
  return { jobs, retryAt: retries.length === 0 ? null : Math.min(...retries) };
}

/** Null where nothing can be taken of it. */
function openSource(db: Connection, { name, concurrency, rate }: ClaimFunction, p: JobClaim): Source | null {
  const row = db.get<{ queue: number; paused: number; rate_per_ms: number; running: number }>("queueClaim", {
    deployment: p.deployment,
    function: name,
  });
  if (row === undefined || row.paused === 1) return null;
  const { queue } = row;
  const room = concurrency === null ? Number.POSITIVE_INFINITY : concurrency - row.running;
  if (room <= 0) return null;
  const starts = rate === null ? Number.POSITIVE_INFINITY : rate.limit - startsWithin(db, queue, p.now - rate.perMs);
  return { queue, rate, rateKeptMs: row.rate_per_ms, room, starts, started: 0, heldBack: false };
}

function candidates(db: Connection, sources: Source[], p: JobClaim): Candidate[] {
  const { deployment, now, limit } = p;
  const all = sources.flatMap((from) => {
    // One beyond what may start shows whether the rate keeps any back.
    const count = Math.min(limit, from.room, Math.max(0, from.starts) + 1);
    const rows = db.all<Omit<Candidate, "from">>("jobDue", { queue: from.queue, deployment, now, limit: count });
    return rows.map(({ job, priority, place }) => ({ job, priority, place, from }));
  });
  if (sources.length < 2) return all;
  return all.sort((a, b) => b.priority - a.priority || a.place - b.place || a.job - b.job);
}

function choose(inOrder: Candidate[], limit: number): Candidate[] {
  const taken: Candidate[] = [];
  for (const candidate of inOrder) {
    if (taken.length === limit) break;
    const { from } = candidate;
    if (from.started >= from.room) continue;
    if (from.started >= from.starts) from.heldBack = true;
    else {
      from.started++;
      taken.push(candidate);
    }
  }
  return taken;
}

export function startJob(
  db: Connection,
  job: number,
  { replica, owner, now }: Pick<JobClaim, "replica" | "owner" | "now">,
): JobRecord {
  const row = db.get("jobStart", { job, replica, replicaJson: JSON.stringify(replica), owner, now }) as JobRow;
  tidyLog(db, row);
  return toJob(db, row);
}

/** Keeps when they were started, for as long as any rate of the queue needs. Returns when the rate lets the next start. */
function countStarts(
  db: Connection,
  { queue, rate, rateKeptMs, started, heldBack }: Source,
  now: number,
): number | null {
  if (rate === null) return null;
  if (started > 0) {
    if (rateKeptMs < rate.perMs) db.run("rateGrow", { queue, perMs: rate.perMs });
    db.run("ratePrune", { queue, before: now - Math.max(rateKeptMs, rate.perMs) - SERVER_DEFAULTS.rateSlackMs });
    db.run("rateStart", { queue, now, starts: started });
  }
  if (!heldBack) return null;
  // The start that has to leave the span for another: the one `limit` before the next.
  let newer = 0;
  for (const { at, starts } of db.all<{ at: number; starts: number }>("rateStarts", {
    queue,
    after: now - rate.perMs,
  })) {
    newer += starts;
    if (newer >= rate.limit) return at + rate.perMs;
  }
  return null;
}

function startsWithin(db: Connection, queue: number, after: number): number {
  return (db.get("rateStarted", { queue, after }) as { started: number }).started;
}
