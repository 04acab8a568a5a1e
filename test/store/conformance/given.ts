import assert from "node:assert/strict";
import { AthanorError, type ErrorCode } from "../../../src/protocol/errors.ts";
import type { JobStatus } from "../../../src/protocol/job.ts";
import type { AppSpec } from "../../../src/protocol/spec.ts";
import type {
  ClaimFunction,
  InsertedJob,
  JobOutcome,
  JobRecord,
  NewJob,
  Store,
} from "../../../src/server/store/store.ts";

/** Opens an empty store; disposing of it removes its data. */
export type Open = () => Promise<TestStore>;

export interface TestStore extends Store {
  /** Another server's way to the same data, for races between servers. It is closed before the store itself, by whoever asked for it. */
  another(): Promise<Store>;
}

/** A time to count from. */
export const T0 = Date.UTC(2026, 0, 1);
export const HOUR_MS = 3_600_000;
export const ERROR = { code: "handler_error", message: "it threw" };

export function spec(name: string): AppSpec {
  return { specVersion: 1, name, compute: "dedicated", functions: [], $defs: {} };
}

/** A live deployment. */
export async function givenDeployment(store: Store, app = "demo", now = T0): Promise<number> {
  const { deployment } = await store.deploymentInsert({
    app,
    digest: "d".repeat(64),
    spec: spec(app),
    uploadBlob: null,
    now,
  });
  await store.deploymentActivate({ deployment, schedules: [], now });
  return deployment;
}

export function newJob(deployment: number, p: Partial<NewJob> = {}): NewJob {
  return {
    ...{ app: "demo", function: "infer", deployment, input: '{"text":"hello"}', inputBlobs: [], queueSize: 500 },
    ...{ ttlS: 3600, eventsWindow: 1000, eventsWindowBytes: 16 * 1024 * 1024, maxAttempts: 3, idempotency: null },
    ...{
      priority: 0,
      runAfter: null,
      expiresAt: null,
      concurrencyKey: null,
      parent: null,
      retryOf: null,
      traceparent: null,
      webhook: null,
    },
    ...p,
  };
}

export async function insertOne(store: Store, job: NewJob, now = T0): Promise<InsertedJob> {
  const [inserted] = await store.jobInsertMany({ jobs: [job], now });
  assert(inserted);
  return inserted;
}

export async function insertJobs(store: Store, deployment: number, count: number, p: Partial<NewJob> = {}) {
  const jobs = Array.from({ length: count }, () => newJob(deployment, p));
  return (await store.jobInsertMany({ jobs, now: T0 })).map(({ job }) => job.job);
}

export function unlimited(...names: string[]): ClaimFunction[] {
  return names.map((name) => ({ name, concurrency: null, rate: null }));
}

export async function claim(
  store: Store,
  deployment: number,
  p: { functions?: string[]; limit?: number; now?: number; owner?: string } = {},
): Promise<JobRecord[]> {
  const { functions = ["infer"], limit = 1, now = T0, owner = "server-1" } = p;
  const claims = { deployment, functions: unlimited(...functions), limit, replica: "replicas:1", owner, now };
  return (await store.jobClaim(claims)).jobs;
}

export async function claimOne(store: Store, deployment: number, now = T0): Promise<JobRecord> {
  const [job] = await claim(store, deployment, { now });
  assert(job, "a due job");
  return job;
}

export function outcome(type: JobOutcome["type"], now = T0): JobOutcome {
  if (type === "succeed") return { type, result: '{"ok":true}', resultBlobs: [] };
  if (type === "retry") return { type, error: ERROR, runAfter: now };
  if (type === "lose") return { type, error: ERROR, crashed: false };
  return { type, error: ERROR };
}

export async function finish(store: Store, job: JobRecord, type: JobOutcome["type"], now = T0) {
  const change = await store.jobFinish({ job: job.job, fence: job.fence, outcome: outcome(type, now), now });
  assert(change, "the attempt holds the job");
  return change;
}

const WAYS: Partial<Record<JobStatus, JobOutcome["type"]>> = {
  succeeded: "succeed",
  failed: "fail",
  cancelled: "cancel",
  timed_out: "timeOut",
};

/** A job in that status, brought there by verbs; null for a status that no verb leads to. */
export async function givenJobIn(store: Store, deployment: number, status: JobStatus): Promise<JobRecord | null> {
  const { job } = await insertOne(store, newJob(deployment));
  if (status === "queued") return job;
  const running = await claimOne(store, deployment);
  if (status === "running") return running;
  const way = WAYS[status];
  return way === undefined ? null : (await finish(store, running, way)).job;
}

export function rejectsWith(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert(error instanceof AthanorError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}

export async function eventsOf(store: Store, job: number, after = 0) {
  const range = await store.eventRange({ job, after, limit: 10_000 });
  assert(range);
  return range.events;
}

export async function assertSound(store: Store): Promise<void> {
  assert.deepEqual(await store.check(), []);
}

/** A job that was started and has succeeded. */
export async function givenEnded(store: Store, deployment: number, p: Partial<NewJob>, now = T0): Promise<JobRecord> {
  await insertOne(store, newJob(deployment, p), now);
  return (await finish(store, await claimOne(store, deployment, now), "succeed", now)).job;
}
