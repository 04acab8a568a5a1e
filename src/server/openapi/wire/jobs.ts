import { SERVER_DEFAULTS, SPAWN_LIMITS, WEBHOOK_DEFAULTS } from "../../../protocol/defaults.ts";
import { JOB_STATUSES, WAITING_REASONS } from "../../../protocol/job.ts";
import type { JsonObject } from "../../../protocol/json.ts";
import { links, nullable, object, page, type Schemas, text, time } from "./words.ts";

const ERROR_SCHEMA = object({ code: text, message: text, stack: text }, ["stack"]);

export const JOB_SCHEMA: JsonObject = object({
  job_id: text,
  app: text,
  function: text,
  deployment_id: text,
  status: { enum: [...JOB_STATUSES] },
  progress: { type: "number", minimum: 0, maximum: 1 },
  message: nullable(text),
  attempt: { type: "integer" },
  created_at: time,
  started_at: nullable(time),
  finished_at: nullable(time),
  execution_time_s: nullable({ type: "number" }),
  result: {},
  error: nullable(ERROR_SCHEMA),
  waiting: nullable(
    object(
      {
        reason: { enum: [...WAITING_REASONS] },
        position: { type: "integer" },
        since: time,
        detail: text,
        estimated_wait_s: { type: "number" },
      },
      ["position", "detail", "estimated_wait_s"],
    ),
  ),
  priority: { type: "integer" },
  concurrency_key: nullable(text),
  parent_id: nullable(text),
  retry_of: nullable(text),
  run_at: nullable(time),
  expires_at: nullable(time),
  links: links("self", "events", "result", "cancel"),
});

const SPAWN_OPTIONS_SCHEMA = object(
  {
    priority: { type: "integer", minimum: SPAWN_LIMITS.minPriority, maximum: SPAWN_LIMITS.maxPriority },
    delay_s: { type: "number", minimum: 0, maximum: SPAWN_LIMITS.maxDelayS },
    run_at: { ...time, description: "In place of delay_s." },
    ttl_s: { type: "number", minimum: 0, maximum: SPAWN_LIMITS.maxTtlS },
    expire_s: { type: "number", exclusiveMinimum: 0, maximum: SPAWN_LIMITS.maxExpireS },
    concurrency_key: { type: "string", minLength: 1, maxLength: SPAWN_LIMITS.maxKeyChars },
    webhook: object({
      url: { type: "string", format: "uri", maxLength: WEBHOOK_DEFAULTS.maxUrlChars },
      secret: {
        type: "string",
        minLength: WEBHOOK_DEFAULTS.minSecretChars,
        maxLength: WEBHOOK_DEFAULTS.maxSecretChars,
        description: "Text, or `whsec_` and base64.",
      },
    }),
  },
  ["priority", "delay_s", "run_at", "ttl_s", "expire_s", "concurrency_key", "webhook"],
);

const TRACEPARENT = { type: "string", description: "Of W3C Trace Context; in place of the header." };
const SPAWN_SCHEMA = object(
  {
    args: { type: "array" },
    kwargs: { type: "object" },
    options: SPAWN_OPTIONS_SCHEMA,
    traceparent: TRACEPARENT,
  },
  ["args", "kwargs", "options", "traceparent"],
);

export const JOBS: Schemas = {
  Job: JOB_SCHEMA,
  JobPage: page(JOB_SCHEMA),
  Result: {},
  SpawnRequest: SPAWN_SCHEMA,
  SpawnManyRequest: object({
    calls: { type: "array", minItems: 1, maxItems: SERVER_DEFAULTS.maxSpawnMany, items: SPAWN_SCHEMA },
  }),
  SpawnManyResult: object({ job_ids: { type: "array", items: text } }),
  CancelManyRequest: object(
    {
      app: text,
      function: text,
      status: { type: "array", items: { enum: ["queued", "running"] } },
      concurrency_key: text,
      parent_id: text,
      all: { type: "boolean" },
    },
    ["app", "function", "status", "concurrency_key", "parent_id", "all"],
  ),
  CancelManyResult: object({ cancelled: { type: "integer" }, stopping: { type: "integer" } }),
  CallsRequest: object({
    calls: {
      type: "array",
      maxItems: SERVER_DEFAULTS.maxCallsPerRequest,
      items: object(
        {
          app: text,
          function: text,
          args: { type: "array" },
          kwargs: { type: "object" },
          options: SPAWN_OPTIONS_SCHEMA,
          traceparent: TRACEPARENT,
          idempotency_key: text,
          wait: { type: "boolean" },
          stream: { type: "boolean" },
        },
        ["args", "kwargs", "options", "traceparent", "idempotency_key", "wait", "stream"],
      ),
    },
  }),
};
