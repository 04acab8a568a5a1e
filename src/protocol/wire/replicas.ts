/** How one server keeps the replicas of one group. */
export interface ReplicaGroupJson {
  /** The function's name, or `endpoints.1` of endpoints that share replicas. */
  name: string;
  functions: string[];
  scaling: {
    min_replicas: number;
    max_replicas: number;
    concurrency: number;
    keep_warm_s: number;
    scale_up_delay_s: number;
  };
  /** Replicas that there are to be now. */
  wanted: number;
  starting: number;
  ready: number;
  draining: number;
  /** Calls that its replicas hold. */
  running: number;
  /** Requests that are held, and jobs that could start. */
  waiting: number;
  /** Calls at a time, running and waiting, of late; null where one replica is the most, since nothing hangs on it. */
  demand: {
    stable_average: number;
    panic_average: number;
    peak: number;
    /** A burst: until then no replica is taken away. */
    panic_until: string | null;
  } | null;
  /** Why the last start failed; null once a replica has worked since. */
  last_failure: {
    code: string;
    message: string;
    /** In a row. */
    failures: number;
    at: string;
    next_try_at: string;
  } | null;
  /** Replicas that have ended, newest first. */
  last_exits: ReplicaEndJson[];
  replicas: GroupReplicaJson[];
}

export interface ReplicaEndJson {
  replica_id: string;
  at: string;
  /** `stopped`: on request, for idleness, a deploy or a call that did not end in time. `exited`: by itself, in whatever way. `frozen`: held by a signal. */
  reason: "start_failed" | "exited" | "out_of_memory" | "frozen" | "stopped";
  /** `exit code 3`, `signal SIGKILL`. */
  status: string;
  /** Seconds for which it was ready; null: it never was. */
  ready_s: number | null;
  /** Newest last. */
  last_stderr: string[];
}

export interface GroupReplicaJson {
  replica_id: string;
  status: "starting" | "ready" | "draining";
  pid: number | null;
  started_at: string;
  ready_at: string | null;
  /** Calls that it holds. */
  running: number;
  /** Since when it has had none. */
  idle_since: string | null;
  timings: StartTimingsJson;
}

/** Milliseconds of the phases of a start, in their order; null: it has not come so far. */
export interface StartTimingsJson {
  /** Waiting for its turn: so many replicas start at once and no more. */
  queued_ms: number;
  /** Until there was a process: one of the waiting ones, or a new one. */
  process_ms: number | null;
  /** The process was one of those that wait with the runtime loaded. */
  from_pool: boolean | null;
  /** Until the process had connected: of a new one, Node's start. */
  connect_ms: number | null;
  /** The bundle was imported. */
  load_ms: number | null;
  /** `@app.enter()`. */
  enter_ms: number | null;
  /** All else until it was ready: of a service, until it was made and listened. */
  listen_ms: number | null;
}

export interface ReplicaJson {
  replica_id: string;
  app: string;
  deployment_id: string;
  functions: string[];
  status: "starting" | "ready" | "draining";
  pid: number | null;
  started_at: string;
  jobs: number;
  requests: number;
}
