import { SERVER_DEFAULTS, SPAWN_LIMITS, WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { ERRORS } from "../../protocol/errors.ts";
import { JOB_STATUSES, WAITING_REASONS } from "../../protocol/job.ts";
import type { JsonObject } from "../../protocol/json.ts";

/** JSON Schemas of the shapes in protocol/wire.ts that OpenAPI documents speak of. */
const text = { type: "string" };
const time = { type: "string", format: "date-time" };
const nullable = (schema: JsonObject): JsonObject => ({ anyOf: [schema, { type: "null" }] });

/** An object with all of its properties required but the named ones. */
function object(properties: { [name: string]: JsonObject }, optional: string[] = []): JsonObject {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

const links = (...names: string[]): JsonObject => object(Object.fromEntries(names.map((name) => [name, text])));

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

export const MEDIA_SCHEMA: JsonObject = {
  ...object(
    {
      file_name: text,
      content_type: text,
      content: { type: "string", contentEncoding: "base64" },
      url: nullable(text),
    },
    ["content", "url"],
  ),
  description: "A file. Over 1 MiB, `content` is left out and `url` leads to the bytes.",
};

export const PROBLEM_SCHEMA: JsonObject = object(
  {
    type: text,
    title: text,
    status: { type: "integer" },
    code: { enum: Object.keys(ERRORS) },
    detail: text,
    hint: text,
    errors: { type: "array", items: object({ path: text, expected: text, actual: text }, ["actual"]) },
  },
  ["errors"],
);

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

const SPAWN_SCHEMA = object({ args: { type: "array" }, kwargs: { type: "object" }, options: SPAWN_OPTIONS_SCHEMA }, [
  "args",
  "kwargs",
  "options",
]);

const QUEUE_SCHEMA = object({
  app: text,
  function: text,
  paused: { type: "boolean" },
  queued: { type: "integer" },
  running: { type: "integer" },
  limits: nullable(
    object({
      size: { type: "integer" },
      concurrency: nullable({ type: "integer" }),
      key_concurrency: { type: "integer" },
      rate: nullable(object({ limit: { type: "integer" }, per_s: { type: "number" } })),
    }),
  ),
});

const KEY_SCHEMA = object({
  key: text,
  queued: { type: "integer" },
  running: { type: "integer" },
  limit: { type: "integer" },
});

const SCHEDULE_SCHEMA = object({
  app: text,
  function: text,
  schedule: nullable(text),
  time_zone: nullable(text),
  every_s: nullable({ type: "number" }),
  missed: { enum: ["run_once", "skip"] },
  paused: { type: "boolean" },
  next_at: nullable(time),
  last_at: nullable(time),
  last_job_id: nullable(text),
});

const WEBHOOK_SCHEMA = object({
  url: text,
  state: { enum: ["waiting", "due", "delivered", "failed"] },
  attempts: { type: "integer" },
  max_attempts: { type: "integer" },
  last_error: nullable(text),
  next_at: nullable(time),
});

const FUNCTION_SCHEMA = object({
  name: text,
  kind: { enum: ["function", "endpoint", "fetch", "node", "webServer", "asgi", "wsgi"] },
  url: nullable(text),
  methods: { type: "array", items: text },
  queued: { type: "boolean" },
  description: nullable(text),
});

const functions = { type: "array", items: FUNCTION_SCHEMA };

const DEPLOYMENT_SCHEMA = object({
  deployment_id: text,
  app: text,
  digest: text,
  status: { enum: ["live", "superseded", "failed"] },
  created_at: time,
  functions,
  error: nullable(object({ code: text, message: text, last_stderr: { type: "array", items: text } })),
  phases: {
    type: "array",
    items: object({
      phase: { enum: ["upload", "install", "trial", "prepare", "switch"] },
      duration_s: { type: "number" },
    }),
  },
});

const integer = { type: "integer", minimum: 0 };
const amount = { type: "number", minimum: 0 };

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

const REPLICA_GROUP_SCHEMA = object({
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

const DEPLOYMENT_DETAIL_SCHEMA = {
  allOf: [
    DEPLOYMENT_SCHEMA,
    {
      ...object({ replica_groups: { type: "array", items: REPLICA_GROUP_SCHEMA } }),
      description: "What runs of it on the server that answers; another server of the store has replicas of its own.",
    },
  ],
};

const APP_SCHEMA = object({
  app: text,
  deployment_id: text,
  created_at: time,
  functions,
  jobs: object({ queued: { type: "integer" }, running: { type: "integer" } }),
  links: links("self", "openapi", "docs"),
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

const LOG_LINE_SCHEMA = object({
  at: time,
  replica_id: text,
  function: nullable(text),
  job_id: nullable(text),
  stream: { enum: ["stdout", "stderr"] },
  line: text,
});

const page = (item: JsonObject): JsonObject =>
  object({ items: { type: "array", items: item }, next_cursor: nullable(text) });

/** By the names that the API's routes use. */
export const API_SCHEMAS: { [name: string]: JsonObject } = {
  Links: object({ name: text, links: { type: "object" } }),
  Status: object({ status: text }),
  Server: object({ version: text, node: text, data_dir: text, pid: { type: "integer" }, started_at: time }),
  Store: object({
    kind: { enum: ["sqlite", "postgres"] },
    place: text,
    version: text,
    schema: { type: "integer" },
    latency_ms: { type: "number" },
    servers: { type: "integer" },
    leads: { type: "boolean" },
  }),
  Check: object({ problems: { type: "array", items: text } }),
  OpenApi: { type: "object" },
  Result: {},
  Problem: PROBLEM_SCHEMA,
  Job: JOB_SCHEMA,
  JobPage: page(JOB_SCHEMA),
  App: APP_SCHEMA,
  AppPage: page(APP_SCHEMA),
  Deployment: DEPLOYMENT_SCHEMA,
  DeploymentDetail: DEPLOYMENT_DETAIL_SCHEMA,
  DeploymentPage: page(DEPLOYMENT_SCHEMA),
  DeployResult: object({
    deployment: DEPLOYMENT_SCHEMA,
    unchanged: { type: "boolean" },
    links: links("app", "openapi", "docs"),
  }),
  DeploymentDependencies: object({
    known: { type: "boolean" },
    dependencies: nullable(
      object({ packages: { type: "object", additionalProperties: text }, lockfile: nullable(text) }),
    ),
  }),
  AppSpec: object({
    specVersion: { const: 1 },
    name: text,
    compute: { enum: ["dedicated", "serverless"] },
    functions: { type: "array", items: { type: "object" } },
    $defs: { type: "object" },
  }),
  DeploymentUpload: object({
    spec: { type: "object" },
    bundle: text,
    sourceMap: text,
    dependencies: nullable({ type: "object" }),
    files: { type: "array", items: { type: "object" } },
    digest: text,
  }),
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
  Queue: QUEUE_SCHEMA,
  QueuePage: page(QUEUE_SCHEMA),
  KeyPage: page(KEY_SCHEMA),
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
          idempotency_key: text,
          wait: { type: "boolean" },
          stream: { type: "boolean" },
        },
        ["args", "kwargs", "options", "idempotency_key", "wait", "stream"],
      ),
    },
  }),
  Schedule: SCHEDULE_SCHEMA,
  SchedulePage: page(SCHEDULE_SCHEMA),
  Webhook: WEBHOOK_SCHEMA,
  ReplicaPage: page(REPLICA_SCHEMA),
  LogPage: page(LOG_LINE_SCHEMA),
};
