import { formatId } from "../../protocol/names.ts";
import type { ScheduleJson } from "../../protocol/wire.ts";
import type { ScheduleRecord } from "../store/store.ts";

/** The record as the API shows it. */
export function scheduleJson({ app, function: name, spec, ...record }: ScheduleRecord): ScheduleJson {
  return {
    app,
    function: name,
    schedule: spec.type === "cron" ? spec.cron : null,
    time_zone: spec.type === "cron" ? spec.timeZone : null,
    every_s: spec.type === "every" ? spec.everyS : null,
    missed: spec.missed,
    paused: record.paused,
    next_at: record.paused ? null : new Date(record.nextAt).toISOString(),
    last_at: record.lastAt === null ? null : new Date(record.lastAt).toISOString(),
    last_job_id: record.lastJob === null ? null : formatId("jobs", record.lastJob),
  };
}
