import type { Json, JsonObject, JsonSchema } from "../protocol/json.ts";
import type { MediaRef } from "../protocol/media.ts";

/** An image in a schema: what may be sent for one, and what stands for one inside the system. */
export const IMAGE_SCHEMA = {
  "x-athanor-type": "image",
  anyOf: [
    { type: "string", description: "A data URI or base64." },
    {
      type: "object",
      required: ["content"],
      properties: {
        file_name: { type: "string" },
        content_type: { type: "string" },
        content: { type: "string", contentEncoding: "base64" },
      },
    },
    {
      type: "object",
      required: ["$media", "file_name", "content_type"],
      properties: {
        $media: { type: ["integer", "string"] },
        file_name: { type: "string" },
        content_type: { type: "string" },
      },
    },
  ],
} as const satisfies JsonSchema;

/** The key that makes an object a MediaRef; reserved in every body and result. */
export const MEDIA_REF_KEY = "$media";

export function isMediaRef(value: unknown): value is MediaRef & JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const ref = value as Record<string, Json>;
  return (
    (typeof ref.$media === "number" || typeof ref.$media === "string") &&
    typeof ref.file_name === "string" &&
    typeof ref.content_type === "string"
  );
}
