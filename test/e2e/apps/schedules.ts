/** Functions that run by the clock, for schedules.test.ts. */
import { App, type JobContext } from "athanor";

const app = new App("clock");

export const tick = app.function({ schedule: { everyS: 1 } }, async (context: JobContext, by = "the clock") => {
  return `${context.jobId}, by ${by}`;
});

export const nightly = app.function(
  { schedule: { cron: "30 2 * * *", timeZone: "Europe/Berlin" } },
  async () => "night",
);

export const skipped = app.function({ schedule: { everyS: 3600, missed: "skip" } }, async () => "hour");

export const echo = app.function(async (text: string) => text);

export const called = app.function(async () => "called");
