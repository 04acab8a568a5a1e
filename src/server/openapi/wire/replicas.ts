import { amount, integer, nullable, object, page, type Schemas, text, time } from "./words.ts";

const REPLICA_END_SCHEMA = object({
  replica_id: text,
  at: time,
  reason: { enum: ["start_failed", "exited", "out_of_memory", "frozen", "stopped"] },
  status: text,
  ready_s: nullable(amount),
  last_stderr: { type: "array", items: text },
});

const GROUP_REPLICA_SCHEMA = object({
  replica_id: text,
  status: { enum: ["starting", "ready", "draining"] },
  pid: nullable(integer),
  started_at: time,
  ready_at: nullable(time),
  running: integer,
  idle_since: nullable(time),
  timings: object({
    queued_ms: amount,
    process_ms: nullable(amount),
    from_pool: nullable({ type: "boolean" }),
    connect_ms: nullable(amount),
    load_ms: nullable(amount),
    enter_ms: nullable(amount),
    listen_ms: nullable(amount),
  }),
});

export const REPLICA_GROUP_SCHEMA = object({
  name: text,
  functions: { type: "array", items: text },
  scaling: object({
    min_replicas: integer,
    max_replicas: integer,
    concurrency: integer,
    keep_warm_s: amount,
    scale_up_delay_s: amount,
  }),
  wanted: integer,
  starting: integer,
  ready: integer,
  draining: integer,
  running: integer,
  waiting: integer,
  demand: nullable(
    object({ stable_average: amount, panic_average: amount, peak: integer, panic_until: nullable(time) }),
  ),
  last_failure: nullable(object({ code: text, message: text, failures: integer, at: time, next_try_at: time })),
  last_exits: { type: "array", items: REPLICA_END_SCHEMA },
  replicas: { type: "array", items: GROUP_REPLICA_SCHEMA },
});

const REPLICA_SCHEMA = object({
  replica_id: text,
  app: text,
  deployment_id: text,
  functions: { type: "array", items: text },
  status: { enum: ["starting", "ready", "draining"] },
  pid: nullable({ type: "integer" }),
  started_at: time,
  jobs: { type: "integer" },
  requests: { type: "integer" },
});

export const REPLICAS: Schemas = {
  ReplicaPage: page(REPLICA_SCHEMA),
};
