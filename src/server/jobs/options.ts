import type { JobEvent } from "../../protocol/event.ts";
import type { Log } from "../log.ts";
import type { RunnableDeployment } from "../scheduler/deployment.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { EventBatch, JobRecord, Store } from "../store/store.ts";
import type { AttemptAnswer } from "./outcome.ts";

/** What the jobs need of the EventLog. */
export interface JobEvents {
  append(batch: EventBatch, window?: { events: number; bytes: number }, dropped?: number): void;
  /** Issues its write to the store before it returns. `over`: what is over with this write, so that the last progress is not held back. */
  flush(job: number, over?: "attempt" | "job"): Promise<void>;
  publish(job: number, events: JobEvent[]): void;
  /** A chunk was stored: resolves once those who read it all are near enough for the next, or with `over`; null: at once. */
  roomForChunk(
    job: number,
    chunk: { index: number; bytes: number },
    window: { events: number; bytes: number },
    over: Promise<void>,
  ): Promise<void> | null;
}

/** What the jobs need of the Blobs. */
export interface JobBlobs {
  put(bytes: Uint8Array): Promise<string>;
  get(sha256: string): Promise<Uint8Array | null>;
  size(sha256: string): Promise<number | null>;
  /** Keeps it from being cleared away for a while, as if it had just been put; false where it is gone. */
  touch(sha256: string): Promise<boolean>;
}

export interface JobChaos {
  /** Runs the attempt, or not, or late, or its answer is lost. */
  attempt(record: JobRecord, run: () => Promise<AttemptAnswer>): Promise<AttemptAnswer>;
}

export interface JobsOptions {
  store: Store;
  scheduler: Scheduler;
  events: JobEvents;
  blobs: JobBlobs;
  /** Any deployment by number, live or not; rejects where it is gone. */
  deployments: { get(deployment: number): Promise<RunnableDeployment> };
  log: Pick<Log, "info" | "error">;
  /** This server among those of the store, which holds the lease of the jobs that it runs; asked at each claim. Default: a new name. */
  owner?(): string;
  /** Called once it is committed that a job was made or has changed its status. */
  changed?(record: JobRecord): void;
  /** Faults on purpose; left out: none. */
  chaos?: JobChaos | undefined;
  /** Time that running jobs have to end when the server stops; default 10 s. Then they go back to the queue. */
  drainMs?: number;
  /** Time that a job's code has to heed its abort signal; default SERVER_DEFAULTS.cancelGraceMs. */
  cancelGraceMs?: number;
  /** Default: the store's clock. */
  now?(): number;
}

export function clockOf({ now, store }: JobsOptions): () => number {
  return now ?? (() => store.clock());
}
