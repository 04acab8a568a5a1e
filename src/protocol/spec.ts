import type { Json, JsonSchema } from "./json.ts";

/**
 * What a build makes of an entry file, as data: the contract between the build, which writes it, and the server and the
 * runtime, which read it. It holds no code and no absolute path, so that the same input gives the same bytes.
 */
export interface AppSpec {
  specVersion: 1;
  name: string;
  compute: "dedicated" | "serverless";
  functions: FunctionSpec[];
  /** Shared schemas; `#/$defs/Name` in any schema of the functions points here. */
  $defs: { [name: string]: JsonSchema };
}

export interface FunctionSpec {
  /** The wire name, `swap-face`; unique in the app. */
  name: string;
  /** The name in code, `swapFace`. */
  codeName: string;
  /** The class whose method this is; one instance lives in each replica. */
  className: string | null;
  kind: FunctionKind;
  description: string | null;
  deprecated: boolean;
  /** Where the function is written, relative to the project's root. */
  source: { file: string; line: number };
  endpoint: EndpointSpec | null;
  /** Of a service that answers HTTP in its own way; null for functions and endpoints. */
  service: ServiceSpec | null;
  /** Null: a synchronous endpoint, or a service. Every plain function has one. */
  queue: QueueSpec | null;
  placement: PlacementSpec;
  timeoutS: number;
  /** Requests or jobs at a time in one replica. Where calls are queued this is the queue's `maxWorkers`. */
  concurrency: number;
  minReplicas: number;
  maxReplicas: number;
  keepWarmS: number;
  /** Seconds for which there must be more calls than places before one more replica is started; the first is never delayed. */
  scaleUpDelayS: number;
  retries: RetrySpec;
  limits: LimitsSpec;
  /** Of jobs that are spawned without one; higher starts sooner. */
  priority: number;
  /** Seconds within which a job must start, else it expires; null: no limit. */
  expireS: number | null;
  /** The handler takes arrays, gathered from several jobs; null: one job a call. */
  batch: BatchSpec | null;
  schedule: ScheduleSpec | null;
  events: EventsSpec;
  input: InputSpec;
  output: OutputSpec;
}

/** What a service is written as. `fetch` is called in frames as endpoints are; the others bind an address that the gateway connects to. */
export type ServiceKind = "fetch" | "node" | "webServer" | "asgi" | "wsgi";
export type FunctionKind = "function" | "endpoint" | ServiceKind;

export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What everything with an HTTP face has. */
export interface HttpFaceSpec {
  access: "public" | "token";
  cors: CorsSpec | null;
  serviceStartupTimeoutS: number;
  drainTimeoutS: number;
}

export interface EndpointSpec extends HttpFaceSpec {
  /** Begins with `/`; matched exactly below the app's prefix. */
  path: string;
  methods: HttpMethod[];
  summary: string | null;
  tags: string[];
  maxUploadFileSizeMb: number;
}

/** A service owns every path below its own, and answers there with whatever it likes. */
export interface ServiceSpec extends HttpFaceSpec {
  /** Where it sits below its app, `/api`; `/` is the app's root. Requests come to it without this prefix. */
  path: string;
  /** A replica is ready once a GET of this path answers 2xx or 3xx; null: once its port is open. Not for `fetch`. */
  healthPath: string | null;
  /** Seconds from the start of its code until it must have bound its address; of `fetch`, until its handler is made. */
  startupTimeoutS: number;
  /** Of a `webServer`. */
  server: WebServerSpec | null;
  /** Of `asgi` and `wsgi`. */
  python: PythonSpec | null;
}

export interface WebServerSpec {
  /** The port that the code binds where it does not heed `PORT`. */
  port: number;
  /** The program and its arguments; null: the start function in the bundle. */
  command: string[] | null;
}

export interface PythonSpec {
  /** `module:attribute`, as uvicorn and gunicorn take it. */
  target: string;
  /** Folders that modules are imported from, relative to that of the files which ship: `.`, `src`. The first is the working folder. */
  paths: string[];
  /** Requirements as pip reads them, one a line: options such as `--extra-index-url` first, then sorted. The environment is kept by their hash. */
  requirements: string[];
  /** Which Python it needs, `3.12` or `>=3.10,<3.14`; null: any that Athanor can use. */
  pythonVersion: string | null;
  /** Of `wsgi`: processes that share the replica's calls. */
  workers: number;
}

export interface CorsSpec {
  /** `["*"]` is any origin. */
  origins: string[];
  headers: string[];
  credentials: boolean;
}

export interface QueueSpec {
  /** Jobs that may wait; one more is refused with 429. */
  size: number;
  /** Jobs at a time per replica. */
  maxWorkers: number;
  /** Seconds after its end for which a job and its events are kept. */
  ttlS: number;
}

/** What bounds the jobs of a function over all its replicas and servers. */
export interface LimitsSpec {
  /** Jobs at a time; null: as many as its replicas have places. */
  concurrency: number | null;
  /** Jobs of one concurrency key at a time. */
  keyConcurrency: number;
  /** At most `limit` starts of attempts in any `perS` seconds. */
  rate: { limit: number; perS: number } | null;
}

export interface BatchSpec {
  /** Jobs in one call of the handler. */
  maxSize: number;
  /** Milliseconds that the first job of a batch waits for others. */
  waitMs: number;
}

export type ScheduleSpec = (
  | { type: "cron"; cron: string /** An IANA name, `Europe/Berlin`. */; timeZone: string }
  | { type: "every"; everyS: number }
) & {
  /** Of ticks that passed while no server ran: one run for all of them, or none. */
  missed: "run_once" | "skip";
};

/** How much of the newest of a job's log is kept: whichever limit is reached first. */
export interface EventsSpec {
  window: number;
  windowBytes: number;
}

/** What decides where a replica runs. Functions of one app with equal placement may share a replica. */
export interface PlacementSpec {
  cpu: number;
  memoryMb: number;
  diskGb: number | null;
  gpu: string[];
  gpuCount: number;
  minVramGb: number | null;
  geolocation: string[];
  offerFilters: { [field: string]: { [op: string]: Json } };
  env: { [name: string]: string };
}

export interface RetrySpec {
  /** Attempts after the first. */
  max: number;
  delayS: number;
  /** The factor by which the delay grows after each attempt; 1 keeps it even. */
  backoff: number;
  maxDelayS: number;
  /** Share of the delay, 0 to 1, that is random. */
  jitter: number;
}

/** How the wire body becomes the arguments of a call. */
export type InputSpec =
  /** The body is an object of the wire parameters by name; unknown names are refused. */
  | { mode: "params"; params: ParamSpec[]; schema: JsonSchema }
  /** The body is the one wire parameter's own value. */
  | { mode: "object"; params: ParamSpec[]; schema: JsonSchema }
  /** The handler takes (parsed value, JobContext); the user's own Standard Schema parses. `schema` where it can be had as JSON Schema. */
  | { mode: "standard"; schema: JsonSchema | null }
  /** The handler takes the untouched Web `Request`. */
  | { mode: "request"; params: ParamSpec[] };

export interface ParamSpec {
  name: string;
  /** Injected by the runtime, and so absent from the schema and the wire. */
  inject: "progress" | "context" | "request" | null;
  optional: boolean;
  rest: boolean;
}

export interface OutputSpec {
  /** Of the result, or of one chunk where `stream` is true; null: anything that JSON can hold. */
  schema: JsonSchema | null;
  /** An async generator: each yield is a chunk. */
  stream: boolean;
  /** The result is parsed by the user's own Standard Schema before it is encoded. */
  standard: boolean;
}

/**
 * Marks in a schema, beside ordinary keywords, that say what the value is in code. The wire value is always plain JSON.
 * `date`: ISO 8601 string; `bytes`: base64 string; `bigint`: decimal string; `image`: a media value (see media.ts).
 */
export const CODE_TYPE_KEYWORD = "x-athanor-type";
export type CodeType = "date" | "bytes" | "bigint" | "image";

/** A package that the bundle leaves out and the server installs, with the lock that pins it and all it needs. */
export interface DependencySet {
  /** Name to exact version. */
  packages: { [name: string]: string };
  /** A package-lock.json (version 3) of just these packages and what they need, as text; null: the project has none. */
  lockfile: string | null;
}

/** A file of the project that ships as it is: of Python apps, and of what a command needs. */
export interface ShippedFile {
  /** Relative to the entry file's folder, with forward slashes; no `.` or `..` in it. */
  path: string;
  executable: boolean;
  /** Text where it is UTF-8, else base64. */
  encoding: "utf8" | "base64";
  content: string;
}

/** The name of the file with what a bundle takes from packages, which it imports from beside itself; its source map is `vendor.mjs.map`. */
export const VENDOR_FILE = "vendor.mjs";

/** What a bundle takes from packages. It stays the same while the app's own code changes. */
export interface VendorUpload {
  /** Over its content; see digest.ts. */
  sha256: string;
  /** Null: the server has it from an earlier deployment of the app. */
  content: VendorContent | null;
}

export interface VendorContent {
  code: string;
  sourceMap: string;
}

/** What `POST /v1/deployments` takes. */
export interface DeploymentUpload {
  spec: AppSpec;
  /** ESM source of the bundle. */
  bundle: string;
  /** Its source map, whose sources are relative to the project's root. */
  sourceMap: string;
  /** Absent: all is in the bundle. */
  vendor?: VendorUpload;
  dependencies: DependencySet | null;
  /** Sorted by path. Empty where no function runs a program of the project. */
  files: ShippedFile[];
  /** SHA-256 over all of the above; see digest.ts. */
  digest: string;
}
