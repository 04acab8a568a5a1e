import { AthanorError } from "../../protocol/errors.ts";
import type { Json, JsonObject } from "../../protocol/json.ts";
import { MEDIA_INLINE_MAX_BYTES, type MediaJson, type MediaRef } from "../../protocol/media.ts";
import { formatId } from "../../protocol/names.ts";
import { isMediaRef } from "../../schema/media.ts";
import type { JobBlobs } from "./options.ts";

/** A ref in stored JSON text begins so; a text without it need not be walked. */
const MARK = '"$media"';

export function hasMedia(text: string): boolean {
  return text.includes(MARK);
}

/** Puts the attachments into blobs; the refs to them by index become refs by hash. Rejects with `invalid(detail)` for any other ref. */
export async function storeMedia(p: {
  value: Json;
  attachments: Uint8Array[];
  blobs: JobBlobs;
  invalid(detail: string): AthanorError;
}): Promise<{ text: string; hashes: string[] }> {
  const plain = JSON.stringify(p.value);
  if (p.attachments.length === 0 && !hasMedia(plain)) return { text: plain, hashes: [] };
  const hashes = await Promise.all(p.attachments.map((bytes) => p.blobs.put(bytes)));
  const stored = mapMedia(p.value, (ref) => {
    // A hash from outside would open any other job's file.
    const hash = typeof ref.$media === "number" ? hashes[ref.$media] : undefined;
    if (hash === undefined)
      throw p.invalid(
        `a $media reference must name an attachment of the same message, and is ${JSON.stringify(ref.$media)}`,
      );
    return { ...ref, $media: hash };
  });
  return { text: JSON.stringify(stored), hashes: [...new Set(hashes)] };
}

/** The other way: what a frame carries. Rejects with `internal` where a blob is gone. */
export async function loadMedia(text: string, blobs: JobBlobs): Promise<{ value: Json; media: Uint8Array[] }> {
  const hashes: string[] = [];
  const value = mapMedia(JSON.parse(text) as Json, (ref) => {
    const hash = String(ref.$media);
    if (!hashes.includes(hash)) hashes.push(hash);
    return { ...ref, $media: hashes.indexOf(hash) };
  });
  const media = await Promise.all(hashes.map((hash) => readBlob(hash, blobs)));
  return { value, media };
}

/** The blobs that a stored value names, each once. */
export function mediaHashes(value: Json): string[] {
  const hashes = new Set<string>();
  mapMedia(value, (ref) => {
    hashes.add(String(ref.$media));
    return null;
  });
  return [...hashes];
}

/** What the API shows: the content inline where it is small, and where it can be had. */
export async function expandMedia(job: number, value: Json, blobs: JobBlobs): Promise<Json> {
  const found = new Map<string, MediaJson>();
  const refs: MediaRef[] = [];
  mapMedia(value, (ref) => {
    refs.push(ref);
    return null;
  });
  for (const ref of refs) found.set(keyOf(ref), await toMediaJson(job, ref, blobs));
  return refs.length === 0 ? value : mapMedia(value, (ref) => ({ ...found.get(keyOf(ref)) }) as JsonObject);
}

async function toMediaJson(job: number, ref: MediaRef, blobs: JobBlobs): Promise<MediaJson> {
  const { file_name, content_type } = ref;
  const hash = String(ref.$media);
  const url = `/v1/jobs/${formatId("jobs", job)}/files/${hash}`;
  const size = await blobs.size(hash);
  if (size === null || size > MEDIA_INLINE_MAX_BYTES) return { file_name, content_type, url };
  const bytes = await blobs.get(hash);
  if (bytes === null) return { file_name, content_type, url };
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  return { file_name, content_type, content, url };
}

async function readBlob(hash: string, blobs: JobBlobs): Promise<Uint8Array> {
  const bytes = await blobs.get(hash);
  if (bytes === null) throw new AthanorError("internal", `The stored file ${hash} is gone from the data folder.`);
  return bytes;
}

function mapMedia(value: Json, replace: (ref: MediaRef) => Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => mapMedia(item, replace));
  if (isMediaRef(value)) return replace(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapMedia(item, replace)]));
}

const keyOf = (ref: MediaRef): string => JSON.stringify([ref.$media, ref.file_name, ref.content_type]);
