import type { Json } from "../protocol/json.ts";

export interface EncodedMedia {
  bytes: Uint8Array;
  file_name: string;
  content_type: string;
}

export interface Encoded {
  /** The wire form; media stand in it as MediaRef whose `$media` is the index in `attachments`. */
  value: Json;
  attachments: EncodedMedia[];
}

/** What media classes answer under Symbol.for("athanor.media"). */
export interface MediaValue {
  bytes: Uint8Array;
  fileName: string;
  contentType: string;
}

/**
 * The wire form of a result or chunk: Date as ISO 8601, Uint8Array as base64, bigint as decimal string, media as MediaRef; `undefined` is
 * null, an undefined property is left out, toJSON is honoured. Throws `output_invalid` with the path for what JSON can't hold.
 */
export function encodeOutput(_value: unknown): Encoded {
  throw new Error("not implemented");
}
