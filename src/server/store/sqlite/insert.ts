import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import type { InsertedJob, JobRecord, JobStart, NewJob } from "../store.ts";
import { endQueued } from "./cancel.ts";
import { startJob } from "./claim.ts";
import type { Connection } from "./connection.ts";
import { jobGet, jobPosition } from "./job-reads.ts";
import type { JobRow } from "./job-row.ts";
import { holdOf } from "./keys.ts";
import { toLines } from "./log.ts";
import { CANCELLED_WITH_PARENT } from "./reasons.ts";

/** The way of jobs into their queues. */

const IDEMPOTENCY_WINDOW_MS = SERVER_DEFAULTS.idempotencyWindowS * 1000;
/** Longer ones have a table of their own, since every event and transition rewrites the job's row. */
const INPUT_INLINE_MAX_BYTES = 1024;

/** What one step knows of a queue, read once and kept up to date with what the step inserts. */
interface QueueState {
  /** Null: the function has none yet. */
  queue: number | null;
  paused: boolean;
  queued: number;
  running: number;
  /** How many are ready, of each priority. */
  ready: Map<number, number>;
}

interface HeadRow {
  queue: number | null;
  paused: 0 | 1 | null;
  priority: number | null;
  queued: number;
  ready: number;
  running: number;
  app: string | null;
  newest: number | null;
}

export function jobInsertMany(
  db: Connection,
  p: { jobs: NewJob[]; start?: JobStart | null; now: number },
): InsertedJob[] {
  const insertion = new Insertion(db, p.now, p.start ?? null);
  return p.jobs.map((job) => insertion.insert(job));
}

class Insertion {
  readonly #db: Connection;
  readonly #now: number;
  readonly #queues = new Map<string, QueueState>();
  /** Their apps; null: there is no such deployment. */
  readonly #deployments = new Map<number, string | null>();
  #newest: number | null = null;
  readonly #start: JobStart | null;
  #mayStart: number;

  constructor(db: Connection, now: number, start: JobStart | null) {
    this.#db = db;
    this.#now = now;
    this.#start = start;
    this.#mayStart = start?.limit ?? 0;
  }

  insert(p: NewJob): InsertedJob {
    const state = this.#look(p);
    const earlier = state.queue === null ? null : earlierJob(this.#db, state.queue, p, this.#now);
    if (earlier !== null) return earlier;
    this.#requireDeployment(p);
    if (state.queued >= p.queueSize) {
      const detail = `${state.queued} jobs of ${p.app}/${p.function} are queued, and its queue takes ${p.queueSize}.`;
      throw new AthanorError("queue_full", detail, { headers: { "retry-after": "1" } });
    }
    state.queue ??= this.#makeQueue(p);
    return this.#store(p, state, state.queue);
  }

  #store(p: NewJob, state: QueueState, queue: number): InsertedJob {
    const db = this.#db;
    const now = this.#now;
    const job = (this.#newest ?? 0) + 1;
    this.#newest = job;
    const { priority } = p;
    const runAfter = p.runAfter === null || p.runAfter <= now ? null : Math.ceil(p.runAfter);
    const key = p.concurrencyKey?.key ?? null;
    const limit = p.concurrencyKey?.limit ?? null;
    const hold = runAfter === null ? holdOf(db, { job, queue, priority, key, limit: limit ?? 1 }) : "delay";
    const position = readyAhead(state, priority) + 1;
    const short = Buffer.byteLength(p.input) <= INPUT_INLINE_MAX_BYTES;
    db.run("jobInsert", {
      ...{ job, queue, deployment: p.deployment, hold, priority, maxAttempts: p.maxAttempts, runAfter },
      ...{ expiresAt: p.expiresAt === null ? null : Math.ceil(p.expiresAt), now, ttlS: p.ttlS, key, keyLimit: limit },
      ...{ parent: p.parent, retryOf: p.retryOf, webhook: p.webhook === null ? 0 : 1, eventsWindow: p.eventsWindow },
      ...{ eventsWindowBytes: p.eventsWindowBytes, input: short ? p.input : null, traceparent: p.traceparent },
      log: toLines([{ event: "job.queued", data: { position } }]),
    });
    if (!short) db.run("jobInputInsert", { job, input: p.input });
    for (const sha256 of p.inputBlobs) db.run("jobBlobInsert", { job, sha256 });
    if (p.idempotency !== null) db.run("jobKeySet", { queue, ...p.idempotency, job, now });
    if (p.webhook !== null) db.run("webhookInsert", { job, host: new URL(p.webhook.url).host, ...p.webhook });
    if (p.parent !== null && isCancelled(db, p.parent)) return this.#cancel(job);
    const record = newRecord(job, p, { now, runAfter, keyWaits: hold === "key" });
    const started = hold === null && position === 1 ? this.#startAtOnce(record, state) : null;
    if (started === null) {
      state.queued++;
      if (hold === null) state.ready.set(priority, (state.ready.get(priority) ?? 0) + 1);
    }
    return { job: record, existing: false, position, started };
  }

  #cancel(job: number): InsertedJob {
    const { change } = endQueued(this.#db, job, { type: "cancel", error: CANCELLED_WITH_PARENT }, this.#now);
    return { job: change.job, existing: false, position: 0, started: null };
  }

  /** Of a job that nothing stands before. */
  #startAtOnce({ job, expiresAt }: JobRecord, state: QueueState): JobRecord | null {
    if (this.#start === null || this.#mayStart <= 0 || state.paused) return null;
    if (state.running >= (this.#start.concurrency ?? Number.POSITIVE_INFINITY)) return null;
    if (expiresAt !== null && expiresAt <= this.#now) return null;
    this.#mayStart--;
    state.running++;
    return startJob(this.#db, job, { ...this.#start, now: this.#now });
  }

  #look(p: NewJob): QueueState {
    const name = `${p.app}/${p.function}`;
    const known = this.#queues.get(name);
    if (known !== undefined) {
      if (!this.#deployments.has(p.deployment))
        this.#know(p, this.#db.get("deploymentApp", { deployment: p.deployment }));
      return known;
    }
    const { app, function: fn, deployment } = p;
    const rows = this.#db.all<HeadRow>("queueHead", { app, function: fn, deployment });
    const [head] = rows;
    const state: QueueState = {
      ...{ queue: head?.queue ?? null, paused: head?.paused === 1, queued: 0, running: 0, ready: new Map() },
    };
    for (const { priority, queued, ready, running } of rows) {
      if (priority === null) continue;
      state.queued += queued;
      state.running += running;
      state.ready.set(priority, (state.ready.get(priority) ?? 0) + ready);
    }
    this.#know(p, head);
    this.#newest ??= head?.newest ?? 0;
    this.#queues.set(name, state);
    return state;
  }

  #know({ deployment }: NewJob, found: { app: string | null } | undefined): void {
    this.#deployments.set(deployment, found?.app ?? null);
  }

  #makeQueue({ app, function: name }: NewJob): number {
    return (this.#db.get("queueInsert", { app, function: name }) as { queue: number }).queue;
  }

  #requireDeployment({ app, deployment }: NewJob): void {
    if (this.#deployments.get(deployment) === app) return;
    const detail = `${formatId("deployments", deployment)} of ${app} does not exist any more.`;
    throw new AthanorError("deployment_not_found", detail);
  }
}

/** The job that the same idempotency key made, or null where there was none. */
function earlierJob(db: Connection, queue: number, p: NewJob, now: number): InsertedJob | null {
  if (p.idempotency === null) return null;
  const { key, inputHash } = p.idempotency;
  const used = db.get<{ job: number; input_hash: string; created_at: number }>("jobKeyGet", { queue, key });
  if (used === undefined || used.created_at <= now - IDEMPOTENCY_WINDOW_MS) return null;
  const id = formatId("jobs", used.job);
  const whose = `${p.app}/${p.function}`;
  if (used.input_hash !== inputHash) {
    throw new AthanorError("idempotency_conflict", `The key made ${id} of ${whose} with a different input.`);
  }
  const job = jobGet(db, { job: used.job });
  if (job === null) {
    // To make another would break the promise of the key: one job within the window.
    const detail = `The key made ${id} of ${whose}, which has been deleted since it ended.`;
    throw new AthanorError("job_not_found", detail, { hint: "Use a new Idempotency-Key to run it again." });
  }
  return { job, existing: true, position: jobPosition(db, { job: used.job }) ?? 0, started: null };
}

function readyAhead(state: QueueState, priority: number): number {
  let ahead = 0;
  for (const [other, ready] of state.ready) if (other >= priority) ahead += ready;
  return ahead;
}

function isCancelled(db: Connection, job: number): boolean {
  const row = db.get<Pick<JobRow, "status" | "cancel_requested_at">>("jobParent", { job });
  return row !== undefined && (row.status === "cancelled" || row.cancel_requested_at !== null);
}

/** What jobGet would read back. */
function newRecord(
  job: number,
  p: NewJob,
  { now, runAfter, keyWaits }: { now: number; runAfter: number | null; keyWaits: boolean },
): JobRecord {
  const { app, function: name, deployment, input, maxAttempts, ttlS, eventsWindow, eventsWindowBytes } = p;
  return {
    ...{ job, app, function: name, deployment, status: "queued", input, result: null, error: null },
    ...{ progress: 0, message: null, attempt: 0, maxAttempts, lostCount: 0, crashCount: 0, fence: 0, replica: null },
    ...{ runAfter, expiresAt: p.expiresAt === null ? null : Math.ceil(p.expiresAt), cancelRequestedAt: null },
    ...{ createdAt: now, startedAt: null, finishedAt: null, statusSince: now, ttlS, eventsWindow, eventsWindowBytes },
    ...{ lastEvent: 1, priority: p.priority, concurrencyKey: p.concurrencyKey, keyWaits, parent: p.parent },
    ...{ retryOf: p.retryOf, traceparent: p.traceparent, hasWebhook: p.webhook !== null },
  };
}
