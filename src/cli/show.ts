import type { FunctionJson, JobJson } from "../protocol/wire.ts";
import { fields, printable, table } from "./output.ts";

export function showJob(job: JobJson): string {
  return fields([
    ["job", job.job_id],
    ["function", `${job.app}/${job.function} (${job.deployment_id})`],
    ["status", statusText(job)],
    ["progress", `${percent(job.progress)}${job.message ? `  ${printable(job.message)}` : ""}`],
    ["attempt", String(job.attempt)],
    ["created", job.created_at],
    ["started", job.started_at],
    ["finished", job.finished_at],
    ["ran for", job.execution_time_s === null ? null : `${job.execution_time_s.toFixed(3)} s`],
    ["result", job.status === "succeeded" ? shorten(JSON.stringify(job.result)) : null],
    ["error", job.error ? `${job.error.code}: ${printable(job.error.message)}` : null],
    ["stack", job.error?.stack ? `\n${job.error.stack.split("\n").map(printable).join("\n")}` : null],
  ]);
}

/** With why it is not running yet. */
function statusText(job: JobJson): string {
  if (!job.waiting) return job.status;
  const position = job.waiting.position === undefined ? "" : `, position ${job.waiting.position}`;
  return `${job.status} (${job.waiting.reason}${position}, since ${job.waiting.since})`;
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
