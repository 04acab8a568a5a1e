import type { Json } from "../protocol/json.ts";
import type { MediaJson } from "../protocol/media.ts";
import type { Encoded } from "../schema/encode.ts";
import { isMediaRef } from "../schema/media.ts";

/** The wire form with each media value's content in it, for where no bytes travel apart. */
export function withInlineMedia({ value, attachments }: Encoded): Json {
  if (attachments.length === 0) return value;
  const expand = (node: Json): Json => {
    if (typeof node !== "object" || node === null) return node;
    if (Array.isArray(node)) return node.map(expand);
    const media = isMediaRef(node) && typeof node.$media === "number" ? attachments[node.$media] : undefined;
    if (!media) return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, expand(child)]));
    const json: MediaJson = {
      file_name: media.file_name,
      content_type: media.content_type,
      content: Buffer.from(media.bytes.buffer, media.bytes.byteOffset, media.bytes.byteLength).toString("base64"),
      url: null,
    };
    return json as unknown as Json;
  };
  return expand(value);
}
