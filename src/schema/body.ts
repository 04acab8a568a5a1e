import type { Json, JsonSchema } from "../protocol/json.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import type { SpawnRequest } from "../protocol/wire.ts";

export interface ReadBody {
  /** The wire body, not validated yet; media stand in it as MediaRef whose `$media` is the index in `attachments`. */
  body: Json;
  attachments: Uint8Array[];
}

/**
 * The wire body of an HTTP request: from the query for GET, HEAD and DELETE, else from JSON, a urlencoded form or multipart/form-data.
 * Throws `malformed_json`, `malformed_form`, `unsupported_media_type`, `body_too_large`, `media_invalid`, `input_invalid`.
 */
export async function readBody(_p: {
  method: string;
  url: URL;
  contentType: string | null;
  contentLength: number | null;
  body: AsyncIterable<Uint8Array> | null;
  fn: FunctionSpec;
  $defs: { [name: string]: JsonSchema };
  maxBodyBytes: number;
}): Promise<ReadBody> {
  throw new Error("not implemented");
}

/** `{args, kwargs}` as the wire body by name. Throws `input_invalid` for too many args, an unknown name, or one given twice. */
export function bodyFromCall(_fn: FunctionSpec, _call: SpawnRequest): Json {
  throw new Error("not implemented");
}

/** Media given inline in a body (data URI, base64, MediaJson) as attachments. Throws `media_invalid`, `body_too_large`. */
export function extractMedia(_fn: FunctionSpec, _$defs: { [name: string]: JsonSchema }, _body: Json): ReadBody {
  throw new Error("not implemented");
}

/** The most bytes that a request body of the function may have: what to pass as `maxBodyBytes`. */
export function bodyLimitBytes(_fn: FunctionSpec, _$defs: { [name: string]: JsonSchema }): number {
  throw new Error("not implemented");
}
