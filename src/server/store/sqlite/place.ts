import type { Connection } from "./connection.ts";

/** A job's place is its number times this: between two there are places for those whose concurrency keys get room in that time. */
export const PLACES_PER_JOB = 2 ** 20;

/** The newest number that was given to a job. */
export function newestJob(db: Connection): number {
  return db.get<{ seq: number }>("jobNewest")?.seq ?? 0;
}
