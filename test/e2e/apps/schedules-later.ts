/** The app of schedules.ts in a later version, for schedules.test.ts. */
import { App } from "athanor";

const app = new App("clock");

/** As it was. */
export const tick = app.function({ schedule: { everyS: 1 } }, async (by = "the clock") => `later, by ${by}`);

/** Another rhythm. */
export const nightly = app.function({ schedule: "0 12 1 1 *" }, async () => "day");

/** As it was. */
export const skipped = app.function({ schedule: { everyS: 3600, missed: "skip" } }, async () => "hour");

/** Had none. An endpoint that is not queued has jobs as well. */
export const called = app.endpoint({ schedule: "@yearly" }, async (name = "nobody") => `called by ${name}`);
