import type { ScheduleSpec } from "../../../protocol/spec.ts";
import type { InsertedJob, NewJob } from "./job.ts";

/** Schedules; deploymentActivate makes them. */
export interface ScheduleVerbs {
  scheduleList(p: { app?: string }): Promise<ScheduleRecord[]>;
  /** D. Null where there is none. `nextAt` is kept where it is left out. */
  schedulePause(p: {
    app: string;
    function: string;
    paused: boolean;
    nextAt?: number;
    now: number;
  }): Promise<ScheduleRecord | null>;
  /** Not paused and due by `now`, the longest due first. */
  scheduleDue(p: { now: number; limit: number }): Promise<ScheduleRecord[]>;
  /** The earliest `nextAt` of those not paused; null: none. */
  scheduleNext(): Promise<number | null>;
  /**
   * D. One tick: moves the schedule from `from` on to `nextAt` and inserts the job, both or neither. `fired: false` where the schedule is not
   * at `from` any more (another server was first), is paused, or gone: nothing is changed. `job` null: the tick is skipped. A full queue
   * skips the tick too.
   */
  scheduleFire(p: {
    app: string;
    function: string;
    from: number;
    nextAt: number;
    job: NewJob | null;
    now: number;
  }): Promise<{ fired: boolean; inserted: InsertedJob | null }>;
}

export interface NewSchedule {
  function: string;
  spec: ScheduleSpec;
  nextAt: number;
}

export interface ScheduleRecord extends NewSchedule {
  app: string;
  paused: boolean;
  /** The last tick that made a job, and the job; null: none yet. */
  lastAt: number | null;
  lastJob: number | null;
}
