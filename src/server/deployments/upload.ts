import { SCHEDULE_LIMITS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { digestUpload, digestVendor } from "../../protocol/digest.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { NAME_PATTERN, RESERVED_APP_NAMES } from "../../protocol/names.ts";
import { PYTHON_TARGET, PYTHON_VERSION } from "../../protocol/python.ts";
import type {
  AppSpec,
  BatchSpec,
  CorsSpec,
  DependencySet,
  DeploymentUpload,
  EndpointSpec,
  EventsSpec,
  FunctionSpec,
  InputSpec,
  LimitsSpec,
  OutputSpec,
  ParamSpec,
  PlacementSpec,
  PythonSpec,
  QueueSpec,
  RetrySpec,
  ScheduleSpec,
  ServiceSpec,
  VendorContent,
  VendorUpload,
  WebServerSpec,
} from "../../protocol/spec.ts";
import { scheduleFault } from "../../schedule/ticks.ts";
import {
  array,
  bool,
  type Check,
  invalid,
  json,
  nullable,
  number,
  object,
  oneOf,
  optional,
  record,
  text,
} from "./shape.ts";
import { checkFiles, relativePath, requirement, shippedFile } from "./shipped.ts";

const MAX_FUNCTIONS = 500;
const MAX_SCHEMA_DEPTH = 100;
const DAY_S = 86_400;

const name = text({ max: 30, pattern: NAME_PATTERN, what: "a name of 1 to 30 of a-z, 0-9 and single inner hyphens" });
const identifier = text({
  max: 200,
  pattern: /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u,
  what: "a JavaScript identifier",
});
const prose = text({ max: 20_000 });
const seconds = (min: number, max: number): Check => number({ min, max });
const count = (min: number, max: number): Check => number({ min, max, whole: true });

// A schema is an object or a boolean; what is in it is checked by compiling it.
const schema: Check = (value, path) => {
  if (typeof value !== "boolean" && (typeof value !== "object" || value === null || Array.isArray(value)))
    throw invalid(path, "a JSON Schema", value);
  json(MAX_SCHEMA_DEPTH)(value, path);
};

const params = array(
  object<ParamSpec>({
    name: identifier,
    inject: oneOf("progress", "context", "request", null),
    optional: bool,
    rest: bool,
  }),
  200,
);

const inputByMode = {
  params: object<Extract<InputSpec, { mode: "params" }>>({ mode: oneOf("params"), params, schema }),
  object: object<Extract<InputSpec, { mode: "object" }>>({ mode: oneOf("object"), params, schema }),
  standard: object<Extract<InputSpec, { mode: "standard" }>>({ mode: oneOf("standard"), schema: nullable(schema) }),
  request: object<Extract<InputSpec, { mode: "request" }>>({ mode: oneOf("request"), params }),
} satisfies Record<InputSpec["mode"], Check>;

const input: Check = (value, path) => {
  const mode = (value as InputSpec | null | undefined)?.mode;
  if (mode === undefined || !Object.hasOwn(inputByMode, mode))
    throw invalid(`${path}.mode`, "params, object, standard or request", mode);
  inputByMode[mode](value, path);
};

const cors = object<CorsSpec>({
  origins: array(text({ max: 300, pattern: /^(?:\*|[\x21-\x7e]+)$/ }), 100),
  headers: array(text({ max: 100, pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, what: "a header's name" }), 100),
  credentials: bool,
});

// Visible ASCII without what would be a query, a fragment, an escape or a second reading of the path.
const path = text({
  max: 500,
  pattern: /^(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))\/[!$&'()*+,\-./0-9:;=@A-Z_a-z~]*$/,
  what: "a path such as /hello",
});

const face = {
  access: oneOf("public", "token"),
  cors: nullable(cors),
  serviceStartupTimeoutS: seconds(0, DAY_S),
  drainTimeoutS: seconds(0, DAY_S),
};

const endpoint = object<EndpointSpec>({
  path,
  methods: array(oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), 6, 1),
  summary: nullable(prose),
  tags: array(text({ max: 200 }), 50),
  maxUploadFileSizeMb: number({ min: 0, max: 100_000 }),
  ...face,
});

const service = object<ServiceSpec>({
  path,
  healthPath: nullable(path),
  startupTimeoutS: number({ min: 0.001, max: DAY_S }),
  server: nullable(
    object<WebServerSpec>({ port: count(1, 65_535), command: nullable(array(text({ max: 10_000 }), 1000, 1)) }),
  ),
  python: nullable(
    object<PythonSpec>({
      target: text({ max: 500, pattern: PYTHON_TARGET, what: "module:attribute" }),
      paths: array(relativePath, 10, 1),
      requirements: array(requirement, 10_000),
      pythonVersion: nullable(text({ max: 100, pattern: PYTHON_VERSION, what: "a version or a range of them" })),
      workers: count(1, 100),
    }),
  ),
  ...face,
});

const placement = object<PlacementSpec>({
  cpu: number({ min: 0, max: 1024 }),
  memoryMb: number({ min: 1, max: 16_777_216 }),
  diskGb: nullable(number({ min: 0, max: 1_000_000 })),
  gpu: array(text({ max: 100 }), 50),
  gpuCount: count(0, 64),
  minVramGb: nullable(number({ min: 0, max: 10_000 })),
  geolocation: array(text({ max: 100 }), 50),
  offerFilters: record(record(json(10), { max: 20 }), { max: 100 }),
  env: record(text({ max: 32_768, pattern: /^[^\0]*$/, what: "text of at most 32768 characters without NUL" }), {
    max: 200,
    key: /^[A-Za-z_][A-Za-z0-9_]{0,199}$/,
  }),
});

const missed = oneOf("run_once", "skip");
const scheduleByType = {
  cron: object<Extract<ScheduleSpec, { type: "cron" }>>({
    type: oneOf("cron"),
    cron: text({ max: SCHEDULE_LIMITS.maxCronChars }),
    timeZone: text({ max: 100 }),
    missed,
  }),
  every: object<Extract<ScheduleSpec, { type: "every" }>>({
    type: oneOf("every"),
    everyS: number({ min: SCHEDULE_LIMITS.minEveryS, max: SCHEDULE_LIMITS.maxEveryS }),
    missed,
  }),
} satisfies Record<ScheduleSpec["type"], Check>;

const schedule: Check = (value, path) => {
  const type = (value as ScheduleSpec | null | undefined)?.type;
  if (type === undefined || !Object.hasOwn(scheduleByType, type)) throw invalid(`${path}.type`, "cron or every", type);
  scheduleByType[type](value, path);
  const fault = scheduleFault(value as ScheduleSpec);
  if (fault !== null) throw new AthanorError("deployment_invalid", `${path}: ${fault}`);
};

const fn = object<FunctionSpec>({
  name,
  codeName: identifier,
  className: nullable(identifier),
  kind: oneOf("function", "endpoint", "fetch", "node", "webServer", "asgi", "wsgi"),
  description: nullable(prose),
  deprecated: bool,
  source: object<FunctionSpec["source"]>({ file: text({ max: 1000 }), line: count(0, 10_000_000) }),
  endpoint: nullable(endpoint),
  service: nullable(service),
  queue: nullable(
    object<QueueSpec>({ size: count(1, 10_000_000), maxWorkers: count(1, 10_000), ttlS: seconds(0, 3650 * DAY_S) }),
  ),
  placement,
  timeoutS: number({ min: 0.001, max: 30 * DAY_S }),
  concurrency: count(1, 100_000),
  minReplicas: count(0, 1000),
  maxReplicas: count(1, 1000),
  keepWarmS: seconds(0, 30 * DAY_S),
  scaleUpDelayS: seconds(0, DAY_S),
  retries: object<RetrySpec>({
    max: count(0, 1000),
    delayS: seconds(0, DAY_S),
    backoff: number({ min: 1, max: 100 }),
    maxDelayS: seconds(0, 30 * DAY_S),
    jitter: number({ min: 0, max: 1 }),
  }),
  limits: object<LimitsSpec>({
    concurrency: nullable(count(1, 1_000_000)),
    keyConcurrency: count(1, 1_000_000),
    rate: nullable(
      object<NonNullable<LimitsSpec["rate"]>>({ limit: count(1, 1_000_000), perS: number({ min: 0.001, max: DAY_S }) }),
    ),
  }),
  priority: number({ min: -1000, max: 1000 }),
  expireS: nullable(seconds(0, 3650 * DAY_S)),
  batch: nullable(object<BatchSpec>({ maxSize: count(1, 10_000), waitMs: number({ min: 0, max: 60_000 }) })),
  schedule: nullable(schedule),
  events: object<EventsSpec>({ window: count(1, 1_000_000), windowBytes: count(1024, 1024 * 1024 * 1024) }),
  input,
  output: object<OutputSpec>({ schema: nullable(schema), stream: bool, standard: bool }),
});

const sha256 = text({ max: 64, pattern: /^[0-9a-f]{64}$/, what: "a SHA-256 in hex" });

const upload = object<DeploymentUpload>({
  spec: object<AppSpec>({
    specVersion: oneOf(1),
    name,
    compute: oneOf("dedicated", "serverless"),
    functions: array(fn, MAX_FUNCTIONS, 1),
    $defs: record(schema, { max: 10_000 }),
  }),
  bundle: text({ max: SERVER_DEFAULTS.maxDeploymentBytes }),
  sourceMap: text({ max: SERVER_DEFAULTS.maxDeploymentBytes }),
  vendor: optional(
    object<VendorUpload>({
      sha256,
      content: nullable(
        object<VendorContent>({
          code: text({ max: SERVER_DEFAULTS.maxDeploymentBytes }),
          sourceMap: text({ max: SERVER_DEFAULTS.maxDeploymentBytes }),
        }),
      ),
    }),
  ),
  dependencies: nullable(
    object<DependencySet>({
      packages: record(text({ max: 500, pattern: /^[0-9A-Za-z.+-]+$/, what: "an exact version" }), {
        max: 1000,
        key: /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i,
      }),
      lockfile: nullable(text({ max: SERVER_DEFAULTS.maxDeploymentBytes })),
    }),
  ),
  files: array(shippedFile, SERVER_DEFAULTS.maxShippedFiles),
  digest: sha256,
});

/** Throws deployment_invalid naming the first path that is wrong. The upload itself is returned unchanged. */
export function checkUpload(value: unknown): DeploymentUpload {
  upload(value, "");
  const checked = value as DeploymentUpload;
  checkFunctions(checked.spec);
  checkFiles(checked.files);
  const { vendor } = checked;
  if (vendor?.content) checkDigest("vendor.sha256", vendor.sha256, digestVendor(vendor.content));
  checkDigest("digest", checked.digest, digestUpload(checked));
  return checked;
}

function checkDigest(name: string, given: string, own: string): void {
  if (given === own) return;
  throw new AthanorError(
    "deployment_invalid",
    `${name} is ${given}, and the upload's own is ${own}: it was changed on its way, or built by another version`,
  );
}
/** What one function's fields cannot show: names and paths that must differ, and parts that must go together. */
function checkFunctions(spec: AppSpec): void {
  if (RESERVED_APP_NAMES.has(spec.name)) {
    throw new AthanorError(
      "name_invalid",
      `an app cannot be called ${JSON.stringify(spec.name)}: the server's own URLs begin so`,
    );
  }
  const names = new Set<string>();
  const paths = new Map<string, string>();
  for (const { name, kind, endpoint, service, queue } of spec.functions) {
    if (names.has(name)) throw new AthanorError("name_collision", `two functions are called ${JSON.stringify(name)}`);
    names.add(name);
    if ((kind === "endpoint") !== (endpoint !== null))
      throw invalid(`function ${name}`, "an endpoint with its `endpoint`, or a function without", kind);
    if ((kind !== "endpoint" && kind !== "function") !== (service !== null))
      throw invalid(`function ${name}`, "a service with its `service`, or another function without", kind);
    if (service !== null && queue !== null) throw invalid(`function ${name}.queue`, "null: a service has none", queue);
    if (kind === "function" && queue === null)
      throw invalid(`function ${name}.queue`, "there: a plain function has one", null);
    const path = endpoint?.path ?? service?.path;
    if (path === undefined) continue;
    const other = paths.get(path);
    if (other !== undefined)
      throw new AthanorError("name_collision", `the path ${path} is that of both ${other} and ${name}`);
    if (RESERVED_PATHS.has(path))
      throw new AthanorError("name_collision", `the path ${path} of ${name} is the gateway's own`);
    paths.set(path, name);
  }
}

/** Below each app's prefix. */
const RESERVED_PATHS: ReadonlySet<string> = new Set(["/openapi.json", "/docs"]);
