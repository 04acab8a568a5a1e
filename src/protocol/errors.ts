import type { InvalidPath, Problem } from "./wire.ts";

interface ErrorKind {
  /** HTTP status where the error reaches an HTTP caller. */
  status: number;
  /** Whose fault: `user` errors are answered and not logged as faults; `system` ones are. */
  cause: "user" | "system";
  title: string;
  /** The next step, for whoever meets it. */
  hint: string;
}

/** Every error that Athanor itself raises. The key is the stable code. docs/errors.md is held against this table by a test. */
export const ERRORS = {
  // The caller's request
  not_found: { status: 404, cause: "user", title: "Not found", hint: "Check the URL; `athanor app show APP` lists an app's endpoints." },
  app_not_found: { status: 404, cause: "user", title: "No such app", hint: "List the apps with `athanor app list`, or deploy it with `athanor deploy ENTRY`." },
  function_not_found: { status: 404, cause: "user", title: "No such function", hint: "List the app's functions with `athanor app show APP`." },
  job_not_found: { status: 404, cause: "user", title: "No such job", hint: "List jobs with `athanor job list`; ended jobs are deleted after their queue's ttlS." },
  deployment_not_found: { status: 404, cause: "user", title: "No such deployment", hint: "List deployments with `athanor deployment list`." },
  schedule_not_found: { status: 404, cause: "user", title: "No such schedule", hint: "List the schedules with `athanor schedule list`; a function has one where its `schedule` option says so." },
  method_not_allowed: { status: 405, cause: "user", title: "Method not allowed", hint: "Use a method that the `Allow` header names." },
  malformed_json: { status: 400, cause: "user", title: "Malformed JSON", hint: "Send valid JSON; the detail gives the position of the fault." },
  malformed_form: { status: 400, cause: "user", title: "Malformed form", hint: "Send a complete multipart/form-data or urlencoded body." },
  bad_request: { status: 400, cause: "user", title: "Bad request", hint: "Correct the part of the request that the detail names." },
  unsupported_media_type: { status: 415, cause: "user", title: "Unsupported media type", hint: "Send application/json, multipart/form-data or application/x-www-form-urlencoded." },
  body_too_large: { status: 413, cause: "user", title: "Body too large", hint: "Send less, or raise the endpoint's maxUploadFileSizeMb." },
  input_invalid: { status: 422, cause: "user", title: "Invalid input", hint: "Correct the paths listed in `errors`; the app's /docs page shows the schema." },
  media_invalid: { status: 422, cause: "user", title: "Invalid media", hint: "Send the file as a multipart part, a data URI, or base64 of the right kind of file." },
  unauthorized: { status: 401, cause: "user", title: "Unauthorized", hint: "Send `Authorization: Bearer TOKEN`, as the CLI does with ATHANOR_TOKEN; the server's token is in the file `token` in its data folder." },
  queue_full: { status: 429, cause: "user", title: "Queue full", hint: "Try again after the `Retry-After` seconds, or raise the queue's size." },
  job_ended: { status: 409, cause: "user", title: "Job has ended", hint: "A job that has ended cannot be cancelled; read its result instead." },
  job_succeeded: { status: 409, cause: "user", title: "Job has succeeded", hint: "Run its input again, on the latest code, with `athanor job replay ID`." },
  job_not_ended: { status: 409, cause: "user", title: "Job has not ended", hint: "Wait for it with `?wait=SECONDS`, or watch its events." },
  idempotency_conflict: { status: 409, cause: "user", title: "Idempotency key reused", hint: "Use a new Idempotency-Key for a different request." },
  rollback_impossible: { status: 409, cause: "user", title: "Cannot be made live again", hint: "List deployments with `athanor deployment list`; one that was live before and is still kept can be." },
  webhook_invalid: { status: 401, cause: "user", title: "Not a webhook of this secret", hint: "Check that the secret is the one that the job was spawned with, and that the body is verified as it was received, before anything parses it." },
  header_too_large: { status: 431, cause: "user", title: "Headers too large", hint: "Send smaller headers." },
  uri_too_long: { status: 414, cause: "user", title: "URI too long", hint: "Send long parameters in a body: an endpoint whose `methods` have POST takes them there." },
  request_timeout: { status: 408, cause: "user", title: "Request too slow", hint: "Send the request, body included, without long pauses." },
  expectation_failed: { status: 417, cause: "user", title: "Expectation failed", hint: "The one expectation that is known is `100-continue`; leave others out." },

  // The deployer's app
  deployment_invalid: { status: 422, cause: "user", title: "Invalid deployment", hint: "Deploy with the same version of athanor as the server's." },
  vendor_missing: { status: 409, cause: "user", title: "The vendor file is not on the server", hint: "Send the upload with its vendor's content." },
  build_failed: { status: 422, cause: "user", title: "Build failed", hint: "Correct the place that the detail names and deploy again." },
  type_not_serialisable: { status: 422, cause: "user", title: "Type cannot cross the wire", hint: "Use a type that JSON can hold, or a media type, Date, Uint8Array or bigint." },
  option_invalid: { status: 422, cause: "user", title: "Invalid option", hint: "See the options in the documentation of App." },
  name_invalid: { status: 422, cause: "user", title: "Invalid name", hint: "Names are 1 to 30 of a-z, 0-9 and inner hyphens, never two in a row." },
  name_collision: { status: 422, cause: "user", title: "Name used twice", hint: "Rename one of the two." },
  no_app: { status: 422, cause: "user", title: "No app", hint: 'Export functions of one `new App("name")` from the entry file.' },
  import_failed: { status: 422, cause: "user", title: "Entry file failed to load", hint: "The entry file must import without throwing; the detail has the place." },
  dependency_install_failed: { status: 422, cause: "user", title: "Dependencies failed to install", hint: "Check that the lock file installs with `npm ci`." },

  uv_not_found: { status: 422, cause: "user", title: "uv not found", hint: "Install uv where the server runs, with `pip install uv` or as https://docs.astral.sh/uv says, so that it is on the server's PATH; or set ATHANOR_UV to its path." },
  python_not_found: { status: 422, cause: "user", title: "Python not found", hint: "Install such a Python where the server runs, from the system's packages or python.org, so that it is on the server's PATH; or change the function's pythonVersion." },

  // The deployer's code at work
  handler_error: { status: 500, cause: "user", title: "The function threw", hint: "See the function's logs with `athanor deployment logs ID`." },
  output_invalid: { status: 500, cause: "user", title: "The function's result is not of its declared type", hint: "Correct the function; the log names the path." },
  replica_crashed: { status: 502, cause: "user", title: "The replica died", hint: "See its last lines of stderr in the detail and in the logs." },
  out_of_memory: { status: 502, cause: "user", title: "Out of memory", hint: "Raise the function's memoryMb or use less." },
  startup_failed: { status: 503, cause: "user", title: "The replica did not start", hint: "See the logs with `athanor deployment logs ID`." },
  startup_timeout: { status: 503, cause: "user", title: "The replica did not start in time", hint: "Do less in @app.enter(), or raise serviceStartupTimeoutS." },
  service_unreachable: { status: 502, cause: "user", title: "The service takes no connections", hint: "The service must listen where its replica says for as long as it lives; see its logs with `athanor deployment logs ID`." },
  answer_invalid: { status: 502, cause: "user", title: "The service's answer is not valid HTTP", hint: "Correct what the detail names; a service answers as RFC 9112 (HTTP/1.1) says." },
  answer_incomplete: { status: 502, cause: "user", title: "The service closed the connection before its answer was complete", hint: "See the service's logs with `athanor deployment logs ID`." },
  timeout: { status: 504, cause: "user", title: "Timed out", hint: "Raise the function's timeoutS or make it faster." },
  cancelled: { status: 499, cause: "user", title: "Cancelled", hint: "It was stopped on request." },
  expired: { status: 410, cause: "user", title: "Expired", hint: "It was not started in time; spawn it again." },

  // The server
  overloaded: { status: 503, cause: "system", title: "Overloaded", hint: "Try again after the `Retry-After` seconds, or raise maxReplicas or concurrency." },
  deployment_unavailable: { status: 503, cause: "system", title: "Deployment unavailable", hint: "Deploy the app again." },
  shutting_down: { status: 503, cause: "system", title: "Shutting down", hint: "Try again when the server is back." },
  storage_full: { status: 507, cause: "system", title: "Storage full", hint: "Free space on the disk that holds the data folder." },
  backup_unsupported: { status: 501, cause: "user", title: "Backup unsupported", hint: "Use the database's own tools; docs/stores.md says how." },
  jobs_unavailable: { status: 501, cause: "user", title: "Jobs need a server", hint: "Run the app with `athanor dev` or on a server; in a test, call its code with `invoke` of athanor/testing." },
  service_unsupported: { status: 501, cause: "user", title: "Service needs a server", hint: "Run the app with `athanor dev` or on a server: app.serve() has endpoints and fetch services alone." },
  backup_invalid: { status: 422, cause: "user", title: "Not a backup", hint: "Give a whole file that `athanor backup` wrote." },
  data_dir_not_empty: { status: 409, cause: "user", title: "Data folder not empty", hint: "Give an empty folder with --data, or --force: what is there is then moved aside." },
  store_unreachable: { status: 503, cause: "system", title: "Store unreachable", hint: "Check that the database runs and accepts the server's connections; work goes on by itself when it is back. A change may have been stored all the same." },
  internal: { status: 500, cause: "system", title: "Internal error", hint: "This is a fault of the server; see its log." },
  data_dir_locked: { status: 500, cause: "system", title: "Data folder in use", hint: "Stop the other server, or give this one its own folder with --data." },
  blobs_not_shared: { status: 500, cause: "system", title: "Blob folder of another store", hint: "Point --blobs at the folder that the other servers of the database use." },
  no_token: { status: 500, cause: "system", title: "No token configured", hint: "Set ATHANOR_TOKEN, or bind to 127.0.0.1." },
  config_invalid: { status: 500, cause: "system", title: "Invalid configuration", hint: "Correct the option or variable that the detail names." },
  schema_newer: { status: 500, cause: "system", title: "Data folder from a newer version", hint: "Use the version of athanor that wrote it, or a newer one." },

  // The client's side
  server_unreachable: { status: 503, cause: "system", title: "Server unreachable", hint: "Start one with `athanor up`, or give its address with --url or ATHANOR_URL." },
  chunks_lost: { status: 500, cause: "user", title: "Chunks were lost", hint: "Read faster than the function yields, or raise its events.window." },
  usage: { status: 400, cause: "user", title: "Bad usage", hint: "See --help." },
  node_too_old: { status: 500, cause: "user", title: "Node is too old", hint: "Athanor needs Node 24 or newer: `npm i -D node@24`, or https://nodejs.org." },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorExtras {
  /** Replaces the table's hint where a better one is known. */
  hint?: string;
  /** Paths of an invalid body. */
  errors?: InvalidPath[];
  /** Response headers that belong to the error: `allow`, `retry-after`. */
  headers?: Record<string, string>;
  /** Where in the source a build failed. */
  places?: SourcePlace[];
  cause?: unknown;
}

/** A place in a file of the project that something is wrong at. Lines and columns count from 1. */
export interface SourcePlace {
  /** Relative to the project's root. */
  file: string;
  line: number;
  /** Null: the line is all that is known. */
  column: number | null;
  message: string;
}

/** The one error type that crosses modules: `detail` says what failed, why, and the actual value. */
export class AthanorError extends Error {
  override readonly name = "AthanorError";
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint: string;
  readonly status: number;
  readonly errors: InvalidPath[] | undefined;
  readonly headers: Record<string, string>;
  /** Not sent: whoever is elsewhere has no such files. */
  readonly places: readonly SourcePlace[];

  constructor(code: ErrorCode, detail: string, extras: ErrorExtras = {}) {
    super(detail, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.code = code;
    this.detail = detail;
    this.hint = extras.hint ?? ERRORS[code].hint;
    this.status = ERRORS[code].status;
    this.errors = extras.errors;
    this.headers = extras.headers ?? {};
    this.places = extras.places ?? [];
  }

  toProblem(): Problem {
    return {
      type: `urn:athanor:error:${this.code}`,
      title: ERRORS[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.detail,
      hint: this.hint,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    };
  }

  /** The error that a problem document describes; an unknown code (a newer server's) becomes `internal` with the detail kept. */
  static fromProblem(problem: Problem): AthanorError {
    return errorOf(problem);
  }
}

// Not in the class: where a class names itself, bundlers rename it, and uncaught it is reported as "_AthanorError".
function errorOf(problem: Problem): AthanorError {
  const code = problem.code in ERRORS ? (problem.code as ErrorCode) : "internal";
  const { hint, errors } = problem;
  return new AthanorError(code, problem.detail, { hint, ...(errors === undefined ? {} : { errors }) });
}

export const PROBLEM_CONTENT_TYPE = "application/problem+json";
