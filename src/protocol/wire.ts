/** What the API takes and answers, by subject. Times are ISO 8601. */
export type * from "./wire/answers.ts";
export type * from "./wire/deployments.ts";
export type * from "./wire/jobs.ts";
export type * from "./wire/queues.ts";
export type * from "./wire/replicas.ts";
export type * from "./wire/schedules.ts";
export type * from "./wire/server.ts";
export type * from "./wire/webhooks.ts";
