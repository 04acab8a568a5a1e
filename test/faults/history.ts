import type { WatchEvent } from "../../src/protocol/event.ts";
import type { JobStatus } from "../../src/protocol/job.ts";
import type { Json } from "../../src/protocol/json.ts";

/**
 * What a run saw, from outside the servers. All times are milliseconds of the machine's monotonic clock, which every process on it reads
 * alike and which no fault moves: `at` of two records can be compared wherever they were made.
 */
export interface History {
  functions: { [name: string]: FunctionPromise };
  calls: Call[];
  /** Acknowledged requests to cancel. */
  cancels: { at: number; job: string }[];
  /** Ended states that clients were shown on the way, in any order. */
  observed: { at: number; job: string; status: JobStatus; result: Json }[];
  /** Times in which the function's queue was paused: from the answer that it is, to the request to go on. */
  pauses: { function: string; from: number; to: number }[];
  watches: Watch[];
  /** What the handlers themselves wrote down, outside any server. */
  records: HandlerRecord[];
  /** All jobs as they are when all is over. */
  final: FinalJob[];
  faults: Struck[];
  /** Replicas that were killed or held on purpose. */
  hurtReplicas: string[];
  /** Answers that no fault explains. */
  refusals: { at: number; asked: string; answer: string }[];
  /** Processes of a killed or stopped server that were still there when their time was up. */
  orphans: { pid: number; command: string }[];
  /** Exit codes of servers that were stopped in order. */
  exits: (number | null)[];
  /** What the store's own check found at the end. */
  storeFaults: string[];
}

/** What the checker holds a function to. */
export interface FunctionPromise {
  /** Jobs at a time, over all servers. */
  concurrency?: number;
  /** Jobs of one key at a time. */
  perKey?: number;
  /** Starts in any window, by the store's clock. */
  rate?: { limit: number; perMs: number };
  /** Jobs start in order: the higher priority first, then the earlier accepted. Needs `concurrency: 1`. */
  ordered?: boolean;
}

/** One call, however often its client had to send it. */
export interface Call {
  n: number;
  function: string;
  /** What it is about, for the report. */
  kind: string;
  /** Sent with this idempotency key, which makes it safe to send again; null: sent once. */
  key: string | null;
  concurrencyKey: string | null;
  priority: number;
  sentAt: number;
  /** Acknowledgements, each with the job it named. */
  answers: { at: number; job: string }[];
  allowed: Allowed;
}

/** What a job may come to. */
export interface Allowed {
  statuses: JobStatus[];
  /** Codes that a job which is not `succeeded` may have. `replica_crashed` needs a replica that was hurt. */
  codes: string[];
  /** `value` of the result, which is `{n, attempt, value}`; absent: the result is null. */
  value?: Json;
  /** Chunks of the last attempt of a job that succeeded. */
  chunks?: number;
  /** The last progress that it reports. */
  progress?: number;
  /** Numbers of the calls that its code makes, if it gets so far. */
  children?: number[];
}

/** One watcher's streams of a job, from the first connection to the last. */
export interface Watch {
  job: string;
  connections: { at: number; after: number; events: WatchEvent[] }[];
}

export interface HandlerRecord {
  at: number;
  type: "start" | "end";
  job: string;
  attempt: number;
  function: string;
  n: number;
  key: string | null;
  pid: number;
}

export interface FinalJob {
  job: string;
  function: string;
  deployment: string;
  status: JobStatus;
  result: Json;
  code: string | null;
  attempt: number;
  progress: number;
  parent: string | null;
  /** By the store's clock. */
  startedAt: number | null;
  /** It is not to start before; by the store's clock. Of a job that was retried, what it was last delayed to. */
  runAt: number | null;
  /** Its log as a watcher from the beginning is shown it: where the window has moved on, `stream.reset` comes first. */
  events: WatchEvent[];
}

export interface Struck {
  at: number;
  until: number;
  fault: string;
}

/** One thing that a promise does not allow. */
export interface Violation {
  rule: string;
  /** Null where it is not about one job. */
  job: string | null;
  what: string;
}
