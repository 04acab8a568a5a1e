import { nullable, object, page, type Schemas, text } from "./words.ts";

const QUEUE_SCHEMA = object({
  app: text,
  function: text,
  paused: { type: "boolean" },
  queued: { type: "integer" },
  running: { type: "integer" },
  limits: nullable(
    object({
      size: { type: "integer" },
      concurrency: nullable({ type: "integer" }),
      key_concurrency: { type: "integer" },
      rate: nullable(object({ limit: { type: "integer" }, per_s: { type: "number" } })),
    }),
  ),
});

const KEY_SCHEMA = object({
  key: text,
  queued: { type: "integer" },
  running: { type: "integer" },
  limit: { type: "integer" },
});

export const QUEUES: Schemas = {
  Queue: QUEUE_SCHEMA,
  QueuePage: page(QUEUE_SCHEMA),
  KeyPage: page(KEY_SCHEMA),
};
