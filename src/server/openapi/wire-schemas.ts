import { ANSWERS } from "./wire/answers.ts";
import { DEPLOYMENTS } from "./wire/deployments.ts";
import { JOBS } from "./wire/jobs.ts";
import { QUEUES } from "./wire/queues.ts";
import { REPLICAS } from "./wire/replicas.ts";
import { SCHEDULES } from "./wire/schedules.ts";
import { SERVER } from "./wire/server.ts";
import { WEBHOOKS } from "./wire/webhooks.ts";
import type { Schemas } from "./wire/words.ts";

/** JSON Schemas of the shapes in protocol/wire.ts that the API's OpenAPI document speaks of, by the names that its routes use. */
export const API_SCHEMAS: Schemas = {
  ...ANSWERS,
  ...DEPLOYMENTS,
  ...JOBS,
  ...QUEUES,
  ...REPLICAS,
  ...SCHEDULES,
  ...SERVER,
  ...WEBHOOKS,
};
