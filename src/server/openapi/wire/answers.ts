import { ERRORS } from "../../../protocol/errors.ts";
import type { JsonObject } from "../../../protocol/json.ts";
import { nullable, object, type Schemas, text } from "./words.ts";

export const MEDIA_SCHEMA: JsonObject = {
  ...object(
    {
      file_name: text,
      content_type: text,
      content: { type: "string", contentEncoding: "base64" },
      url: nullable(text),
    },
    ["content", "url"],
  ),
  description: "A file. Over 1 MiB, `content` is left out and `url` leads to the bytes.",
};

export const PROBLEM_SCHEMA: JsonObject = object(
  {
    type: text,
    title: text,
    status: { type: "integer" },
    code: { enum: Object.keys(ERRORS) },
    detail: text,
    hint: text,
    errors: { type: "array", items: object({ path: text, expected: text, actual: text }, ["actual"]) },
  },
  ["errors"],
);

export const ANSWERS: Schemas = { Problem: PROBLEM_SCHEMA };
