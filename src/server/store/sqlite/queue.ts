import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import type { ClaimedJobs, InsertedJob, JobClaim, JobRecord, NewJob } from "../store.ts";
import type { Connection } from "./connection.ts";
import { insertEvent } from "./events.ts";
import { FOREIGN_KEY, sqliteCode } from "./faults.ts";
import { jobGet, jobInput, jobPosition } from "./job-reads.ts";
import { type JobRow, NOT_STORED_YET, toJob } from "./rows.ts";

/** The way of a job into its queue and out of it to a replica. */

const IDEMPOTENCY_WINDOW_MS = SERVER_DEFAULTS.idempotencyWindowS * 1000;

export function jobInsertMany(db: Connection, p: { jobs: NewJob[]; now: number }): InsertedJob[] {
  return p.jobs.map((job) => earlierJob(db, job, p.now) ?? insertJob(db, job, p.now));
}

/** The job that the same idempotency key made, or null where there was none. */
function earlierJob(db: Connection, { app, function: name, idempotency }: NewJob, now: number): InsertedJob | null {
  if (idempotency === null) return null;
  const { key, inputHash } = idempotency;
  const used = db.get<{ job: number; input_hash: string; created_at: number }>("jobKeyGet", {
    app,
    function: name,
    key,
  });
  if (used === undefined || used.created_at <= now - IDEMPOTENCY_WINDOW_MS) return null;
  const id = formatId("jobs", used.job);
  if (used.input_hash !== inputHash) {
    throw new AthanorError("idempotency_conflict", `The key made ${id} of ${app}/${name} with a different input.`);
  }
  const job = jobGet(db, { job: used.job });
  if (job === null) {
    // To make another would break the promise of the key: one job within the window.
    throw new AthanorError(
      "job_not_found",
      `The key made ${id} of ${app}/${name}, which has been deleted since it ended.`,
      {
        hint: "Use a new Idempotency-Key to run it again.",
      },
    );
  }
  return { job, existing: true, position: jobPosition(db, { job: used.job }) ?? 0 };
}

function insertJob(db: Connection, p: NewJob, now: number): InsertedJob {
  const { app, function: name, deployment } = p;
  const { queued } = db.get("jobQueued", { app, function: name }) as { queued: number };
  if (queued >= p.queueSize) {
    const detail = `${queued} jobs of ${app}/${name} are queued, and its queue takes ${p.queueSize}.`;
    throw new AthanorError("queue_full", detail, { headers: { "retry-after": "1" } });
  }
  const job = insertRow(db, p, now);
  db.run("jobInputInsert", { job, input: p.input });
  for (const sha256 of p.inputBlobs) db.run("jobBlobInsert", { job, sha256 });
  if (p.idempotency !== null) db.run("jobKeySet", { app, function: name, ...p.idempotency, job, now });
  insertEvent(db, job, { id: 1, event: "job.queued", data: { position: queued + 1 } });
  return { job: newRecord(job, { ...p, deployment }, now), existing: false, position: queued + 1 };
}

function insertRow(db: Connection, p: NewJob, now: number): number {
  const { app, function: name, deployment, maxAttempts, ttlS, eventsWindow } = p;
  try {
    const row = db.get<{ job: number }>("jobInsert", {
      app,
      function: name,
      deployment,
      maxAttempts,
      ttlS,
      eventsWindow,
      now,
    });
    return (row as { job: number }).job;
  } catch (error) {
    if (sqliteCode(error) !== FOREIGN_KEY) throw error;
    throw new AthanorError(
      "deployment_not_found",
      `${formatId("deployments", deployment)} of ${app} does not exist any more.`,
    );
  }
}

/** What jobGet would read back. */
function newRecord(job: number, p: NewJob, now: number): JobRecord {
  const { app, function: name, deployment, input, maxAttempts, ttlS, eventsWindow } = p;
  return {
    ...{ job, app, function: name, deployment, status: "queued", input, result: null, error: null },
    ...{ progress: 0, message: null, attempt: 0, maxAttempts, lostCount: 0, fence: 0, replica: null },
    ...{ runAfter: null, cancelRequestedAt: null, createdAt: now, startedAt: null, finishedAt: null, statusSince: now },
    ...{ ttlS, eventsWindow, lastEvent: 1, ...NOT_STORED_YET },
  };
}

export function jobClaim(db: Connection, p: JobClaim): ClaimedJobs {
  const { deployment, limit, now } = p;
  if (limit <= 0) return { jobs: [], retryAt: null };
  const due = p.functions.flatMap(({ name }) =>
    db.all<{ job: number }>("jobDue", { deployment, function: name, now, limit }),
  );
  const oldest = due.map(({ job }) => job).sort((a, b) => a - b);
  return { jobs: [...new Set(oldest)].slice(0, limit).map((job) => startJob(db, job, p)), retryAt: null };
}

function startJob(db: Connection, job: number, { replica, owner, now }: JobClaim): JobRecord {
  const row = db.get("jobStart", { job, replica, owner, now }) as JobRow;
  const data = { attempt: row.attempt, replica_id: replica };
  insertEvent(db, job, { id: row.last_event, event: "job.running", data });
  if (row.first_event > 1) db.run("eventPrune", { job, first: row.first_event });
  return toJob({ ...row, input: jobInput(db, job), result: null });
}
