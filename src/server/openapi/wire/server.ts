import { object, type Schemas, text, time } from "./words.ts";

export const SERVER: Schemas = {
  Links: object({ name: text, links: { type: "object" } }),
  Status: object({ status: text }),
  Server: object({ version: text, node: text, data_dir: text, pid: { type: "integer" }, started_at: time }),
  Store: object({
    kind: { enum: ["sqlite", "postgres"] },
    place: text,
    version: text,
    schema: { type: "integer" },
    latency_ms: { type: "number" },
    servers: { type: "integer" },
    leads: { type: "boolean" },
  }),
  Check: object({ problems: { type: "array", items: text } }),
  OpenApi: { type: "object" },
};
