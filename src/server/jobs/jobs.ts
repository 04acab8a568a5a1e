import type { JobEvent } from "../../protocol/event.ts";
import type { Json } from "../../protocol/json.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { RunnableDeployment } from "../scheduler/deployment.ts";
import type { Log, Scheduler } from "../scheduler/scheduler.ts";
import type { EventBatch, InsertedJob, JobRecord, Store } from "../store/store.ts";

/** What the jobs need of the EventLog. */
export interface JobEvents {
  append(batch: EventBatch): void;
  flush(job: number): Promise<void>;
  publish(job: number, events: JobEvent[]): void;
}

/** What the jobs need of the Blobs. */
export interface JobBlobs {
  put(bytes: Uint8Array): Promise<string>;
  get(sha256: string): Promise<Uint8Array | null>;
}

export interface JobsOptions {
  store: Store;
  scheduler: Scheduler;
  events: JobEvents;
  blobs: JobBlobs;
  /** Any deployment by number, live or not; rejects where it is gone. */
  deployments: { get(deployment: number): Promise<RunnableDeployment> };
  log: Log;
  /** Time that running jobs have to end when the server stops; default 10 s. Then they go back to the queue. */
  drainMs?: number;
  /** Time that a job's code has to heed its abort signal; default SERVER_DEFAULTS.cancelGraceMs. */
  cancelGraceMs?: number;
  now?(): number;
}

export interface SpawnJob {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  /** The wire body, validated; media stand in it as MediaRef whose `$media` is an index of `attachments`. */
  body: Json;
  attachments: Uint8Array[];
  idempotencyKey: string | null;
}

/** Jobs from their insertion to their end. */
export class Jobs implements AsyncDisposable {
  readonly options: JobsOptions;
  constructor(options: JobsOptions) {
    this.options = options;
  }
  /** Takes up what an earlier server left: requeues its running jobs, and starts to run what is queued. */
  async start(): Promise<void> {}
  /** Takes no more jobs, gives those that run `drainMs` to end, puts the rest back in the queue. Repeatable. Call before Scheduler.stop. */
  async stop(): Promise<void> {}
  /** Resolves once the job is on disk. Rejects with queue_full, idempotency_conflict, storage_full, shutting_down. */
  async spawn(_p: SpawnJob): Promise<InsertedJob> {
    throw new Error("not written yet");
  }
  /** A queued job ends at once; a running one is told to stop and ends soon after. Rejects with job_not_found, job_ended. */
  async cancel(_job: number): Promise<JobRecord> {
    throw new Error("not written yet");
  }
  /** The job once it has ended, or as it is after `timeoutMs` or when the signal aborts. Rejects with job_not_found. */
  async wait(_p: { job: number; timeoutMs: number; signal: AbortSignal }): Promise<JobRecord> {
    throw new Error("not written yet");
  }
  async toJson(_record: JobRecord): Promise<JobJson> {
    throw new Error("not written yet");
  }
  /** A value of the job as the API shows it: each MediaRef becomes a MediaJson. For `job.result` events. */
  async expand(_job: number, _value: Json): Promise<Json> {
    throw new Error("not written yet");
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
