import type { Waiting, WaitingReason } from "../protocol/job.ts";
import type { FunctionJson, JobJson } from "../protocol/wire.ts";
import { fields, printable, table } from "./output.ts";

export function showJob(job: JobJson): string {
  return fields([
    ["job", job.job_id],
    ["function", `${job.app}/${job.function} (${job.deployment_id})`],
    ["status", job.status],
    ["waits", job.waiting === null ? null : waitingText(job.waiting)],
    ["progress", `${percent(job.progress)}${job.message ? `  ${printable(job.message)}` : ""}`],
    ["attempt", String(job.attempt)],
    ["priority", job.priority === 0 ? null : String(job.priority)],
    ["key", job.concurrency_key === null ? null : printable(job.concurrency_key)],
    ["made by", job.parent_id],
    ["again of", job.retry_of],
    ["expires", job.status === "queued" ? job.expires_at : null],
    ["created", job.created_at],
    ["started", job.started_at],
    ["finished", job.finished_at],
    ["ran for", job.execution_time_s === null ? null : `${job.execution_time_s.toFixed(3)} s`],
    ["result", job.status === "succeeded" ? shorten(JSON.stringify(job.result)) : null],
    ["error", job.error ? `${job.error.code}: ${printable(job.error.message)}` : null],
    ["stack", job.error?.stack ? `\n${job.error.stack.split("\n").map(printable).join("\n")}` : null],
  ]);
}

const REASONS: Record<WaitingReason, string> = {
  position: "others of its function are ahead",
  concurrency: "all places are taken",
  cold_start: "a replica is starting",
  no_capacity: "no replica can be started",
  retry_delay: "an attempt has failed, and the next is not due yet",
  delayed: "it was queued for later",
  concurrency_key: "others with its concurrency key go first",
  rate_limit: "the function's rate limit lets no more start just now",
  paused: "the queue is paused; go on with `athanor queue resume`",
};

/** Why it is not running yet, in words. */
function waitingText(waiting: Waiting): string {
  const { reason, position, detail, since, estimated_wait_s: estimate } = waiting;
  const place = position === undefined ? "" : `, position ${position}`;
  const left = estimate === undefined ? "" : `, about ${estimate} s more`;
  const more = detail === undefined ? "" : `\n${printable(detail)}`;
  // A reason of a newer server has no words here.
  return `${REASONS[reason] ?? reason} (${reason}${place}, since ${since}${left})${more}`;
}

export function showJobs(jobs: readonly JobJson[]): string {
  if (jobs.length === 0) return "No jobs.";
  const rows = jobs.map((job) => [
    job.job_id,
    `${job.app}/${job.function}`,
    job.status,
    percent(job.progress),
    job.created_at,
    shorten(printable(job.error?.message ?? job.message ?? job.waiting?.reason ?? ""), 60),
  ]);
  return table(["JOB", "FUNCTION", "STATUS", "DONE", "CREATED", ""], rows);
}

export function showFunctions(functions: readonly FunctionJson[], server: string): string {
  const rows = functions.map((fn) => [
    fn.name,
    fn.kind === "endpoint" ? fn.methods.join(",") : "-",
    fn.queued ? "queued" : "at once",
    fn.url === null ? "-" : new URL(fn.url, server).href,
    shorten((fn.description ?? "").split("\n")[0] ?? "", 50),
  ]);
  return table(["FUNCTION", "METHODS", "RUNS", "URL", ""], rows);
}

/** How a job ended: its status, and the error's code where that says more. */
export function ending(status: string, code: string): string {
  return status === code ? status : `${status}: ${code}`;
}

export function percent(fraction: number): string {
  return `${Math.round(fraction * 100)}%`;
}

const SHOWN_CHARS = 2000;

export function shorten(text: string, chars = SHOWN_CHARS): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}
