import type { JobError } from "../../../protocol/job.ts";

/** Why jobs ended, or were lost, where the store itself says it. */

export const CANCELLED_QUEUED: JobError = { code: "cancelled", message: "The job was cancelled before it started." };
export const CANCELLED_RUNNING: JobError = { code: "cancelled", message: "The job was cancelled." };
export const CANCELLED_WITH_PARENT: JobError = {
  code: "cancelled",
  message: "The job was cancelled before it started, since the job that made it was.",
};
export const EXPIRED: JobError = {
  code: "expired",
  message: "The job had not started when its time to start was over.",
};
export const SERVER_LOST: JobError = {
  code: "replica_crashed",
  message: "The server stopped while this attempt was running.",
};
