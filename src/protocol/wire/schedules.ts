/** A function's schedule, of `GET /v1/schedules`. */
export interface ScheduleJson {
  app: string;
  function: string;
  /** The cron expression; null where it is `every_s`. */
  schedule: string | null;
  time_zone: string | null;
  every_s: number | null;
  /** Of ticks that passed while no server ran: one run for all of them, or none. */
  missed: "run_once" | "skip";
  paused: boolean;
  /** Null while it is paused. */
  next_at: string | null;
  /** The last tick that made a job, and the job. */
  last_at: string | null;
  last_job_id: string | null;
}
