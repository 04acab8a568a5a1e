import { createHash } from "node:crypto";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Payload } from "../store/store.ts";
import { hasMedia, mediaHashes, storeMedia } from "./media.ts";
import type { JobBlobs } from "./options.ts";

/** A job's input or result as the store keeps it, with the blobs that it needs. */
export interface StoredPayload {
  payload: Payload;
  blobs: string[];
}

const MAX_INLINE_BYTES = SERVER_DEFAULTS.payloadInlineMaxBytes;
/** No character of a string takes more bytes in UTF-8. */
const MAX_CHAR_BYTES = 3;
const MARK = "@";

/**
 * Puts the attachments into blobs, and the whole JSON where it is large. At once, where there is nothing to write. Rejects with
 * `invalid(detail)` for a reference to media that is not of the same message.
 */
export function storePayload(p: {
  value: Json;
  attachments: Uint8Array[];
  blobs: JobBlobs;
  invalid(detail: string): AthanorError;
  /** Default: any length. */
  maxBytes?: number;
}): StoredPayload | Promise<StoredPayload> {
  const text = JSON.stringify(p.value);
  if (p.attachments.length > 0 || hasMedia(text))
    return storeMedia(p).then((stored) => outOfLine(stored.text, stored.hashes, p));
  return outOfLine(text, [], p);
}

function outOfLine(
  text: string,
  hashes: string[],
  { blobs, maxBytes = Number.POSITIVE_INFINITY }: { blobs: JobBlobs; maxBytes?: number },
): StoredPayload | Promise<StoredPayload> {
  if (text.length * MAX_CHAR_BYTES <= MAX_INLINE_BYTES) return { payload: text, blobs: hashes };
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_INLINE_BYTES) return { payload: text, blobs: hashes };
  if (bytes > maxBytes)
    throw new AthanorError("body_too_large", `The call's JSON has ${bytes} bytes; ${maxBytes} are allowed.`, {
      hint: "Send large data as a file: an ImageFile parameter, or where the function can fetch it.",
    });
  return blobs.put(Buffer.from(text)).then((hash) => ({ payload: MARK + hash, blobs: [...hashes, hash] }));
}

/** The blob that holds the JSON; null where the payload is the JSON itself. */
export function payloadBlob(payload: Payload): string | null {
  return payload.startsWith(MARK) ? payload.slice(MARK.length) : null;
}

/** The JSON text. Rejects with `internal` where its blob is gone. */
export async function payloadText(payload: Payload, blobs: JobBlobs): Promise<string> {
  const hash = payloadBlob(payload);
  if (hash === null) return payload;
  const bytes = await blobs.get(hash);
  if (bytes === null) throw new AthanorError("internal", `The stored file ${hash} is gone from the data folder.`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Every blob that another job with the same payload needs. */
export async function blobsOf(payload: Payload, blobs: JobBlobs): Promise<string[]> {
  const hash = payloadBlob(payload);
  const text = await payloadText(payload, blobs);
  return [...(hasMedia(text) ? mediaHashes(JSON.parse(text) as Json) : []), ...(hash === null ? [] : [hash])];
}

/** What tells whether two calls are the same: their input, and how they are to be queued. */
export function callHash(payload: Payload, options: string): string {
  return createHash("sha256").update(payload).update(options).digest("hex");
}
