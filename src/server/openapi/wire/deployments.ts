import { REPLICA_GROUP_SCHEMA } from "./replicas.ts";
import { links, nullable, object, page, type Schemas, text, time } from "./words.ts";

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

const LOG_LINE_SCHEMA = object({
  at: time,
  replica_id: text,
  function: nullable(text),
  job_id: nullable(text),
  stream: { enum: ["stdout", "stderr"] },
  line: text,
});

export const DEPLOYMENTS: Schemas = {
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
  DeploymentUpload: object(
    {
      spec: { type: "object" },
      bundle: text,
      sourceMap: text,
      vendor: object({ sha256: text, content: nullable(object({ code: text, sourceMap: text })) }),
      dependencies: nullable({ type: "object" }),
      files: { type: "array", items: { type: "object" } },
      digest: text,
    },
    ["vendor"],
  ),
  LogPage: page(LOG_LINE_SCHEMA),
};
