import type { Waiting } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { JobRecord } from "../store/store.ts";

/** The record as the API shows it. */
export function jobJson(record: JobRecord, result: Json, waiting: Waiting | null): JobJson {
  const id = formatId("jobs", record.job);
  const self = `/v1/jobs/${id}`;
  const { startedAt, finishedAt } = record;
  return {
    job_id: id,
    app: record.app,
    function: record.function,
    deployment_id: formatId("deployments", record.deployment),
    status: record.status,
    progress: record.progress,
    message: record.message,
    attempt: record.attempt,
    created_at: iso(record.createdAt),
    started_at: startedAt === null ? null : iso(startedAt),
    finished_at: finishedAt === null ? null : iso(finishedAt),
    execution_time_s: startedAt === null || finishedAt === null ? null : (finishedAt - startedAt) / 1000,
    result,
    error: record.error,
    waiting,
    priority: record.priority,
    concurrency_key: record.concurrencyKey?.key ?? null,
    parent_id: record.parent === null ? null : formatId("jobs", record.parent),
    retry_of: record.retryOf === null ? null : formatId("jobs", record.retryOf),
    run_at: record.runAfter === null ? null : iso(record.runAfter),
    expires_at: record.expiresAt === null ? null : iso(record.expiresAt),
    links: { self, events: `${self}/events`, result: `${self}/result`, cancel: `${self}/cancel` },
  };
}

const iso = (at: number): string => new Date(at).toISOString();
