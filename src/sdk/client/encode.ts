import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { toBase64 } from "../base64.ts";
import { MEDIA, type MediaContent } from "../media.ts";

/**
 * An argument as the wire has it: Date as ISO 8601, bytes as base64, bigint as a decimal string, media as their object form.
 * @throws AthanorError `input_invalid`, naming the place, for what JSON cannot hold.
 */
export function encodeArgument(value: unknown, path: string): Json {
  return encode(value, path, []);
}

function encode(value: unknown, path: string, above: object[]): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refused(path, `${value}, which JSON does not have`);
    return value;
  }
  if (typeof value !== "object") throw refused(path, `a ${typeof value}, which cannot cross the wire`);
  if (above.includes(value)) throw refused(path, "a value that holds itself");
  return encodeObject(value, path, [...above, value]);
}

function encodeObject(value: object, path: string, above: object[]): Json {
  if (value instanceof Date) return encodeDate(value, path);
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof ArrayBuffer) return toBase64(new Uint8Array(value));
  if (MEDIA in value) return encodeMedia((value as { [MEDIA](): MediaContent })[MEDIA]());
  if (Array.isArray(value)) return value.map((item, index) => encode(item, `${path}[${index}]`, above));
  if ("toJSON" in value && typeof value.toJSON === "function") return encode(value.toJSON(), path, above);
  const prototype = Object.getPrototypeOf(value);
  if (value instanceof Map || value instanceof Set || value instanceof Promise || ArrayBuffer.isView(value)) {
    throw refused(path, `a ${prototype.constructor.name}, which cannot cross the wire`);
  }
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries.map(([key, entry]) => [key, encode(entry, `${path}.${key}`, above)]));
}

function encodeDate(value: Date, path: string): string {
  if (Number.isNaN(value.getTime())) throw refused(path, "an invalid Date");
  return value.toISOString();
}

function encodeMedia(content: MediaContent): Json {
  return { file_name: content.fileName, content_type: content.contentType, content: toBase64(content.bytes) };
}

function refused(path: string, what: string): AthanorError {
  return new AthanorError("input_invalid", `${path} is ${what}`, {
    hint: "Arguments may be what JSON holds, and Date, Uint8Array, bigint and media.",
  });
}
