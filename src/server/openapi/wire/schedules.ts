import { nullable, object, page, type Schemas, text, time } from "./words.ts";

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

export const SCHEDULES: Schemas = {
  Schedule: SCHEDULE_SCHEMA,
  SchedulePage: page(SCHEDULE_SCHEMA),
};
