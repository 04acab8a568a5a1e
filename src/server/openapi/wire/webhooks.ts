import { nullable, object, type Schemas, text, time } from "./words.ts";

const WEBHOOK_SCHEMA = object({
  url: text,
  state: { enum: ["waiting", "due", "delivered", "failed"] },
  attempts: { type: "integer" },
  max_attempts: { type: "integer" },
  last_error: nullable(text),
  next_at: nullable(time),
});

export const WEBHOOKS: Schemas = {
  Webhook: WEBHOOK_SCHEMA,
};
