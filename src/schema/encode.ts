import { AthanorError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import { MEDIA_REF_KEY } from "./media.ts";
import { brief, pointer } from "./words.ts";

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

export const MEDIA_SYMBOL: unique symbol = Symbol.for("athanor.media") as never;

const MAX_DEPTH = 500;

interface Encoding {
  path: (string | number)[];
  parents: object[];
  attachments: EncodedMedia[];
}

/**
 * The wire form of a result or chunk: Date as ISO 8601, Uint8Array as base64, bigint as decimal string, media as MediaRef; `undefined` is
 * null, an undefined property is left out, toJSON is honoured. Throws `output_invalid` with the path for what JSON can't hold.
 * What needs no change is passed on as it is, not copied.
 */
export function encodeOutput(value: unknown): Encoded {
  const encoding: Encoding = { path: [], parents: [], attachments: [] };
  return { value: encode(value, encoding), attachments: encoding.attachments };
}

function encode(value: unknown, encoding: Encoding): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw unfit(encoding, `the number ${value}`, "Return null or a string instead.");
      return value;
    case "bigint":
      return value.toString();
    case "undefined":
      return null;
    case "object":
      return value === null ? null : encodeObject(value, encoding);
    default:
      throw unfit(encoding, `a ${typeof value}`, "Return plain data.");
  }
}

function encodeObject(value: object, encoding: Encoding): Json {
  if (Array.isArray(value)) return nested(value, encoding, encodeArray);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const special = encodeInstance(value, encoding);
    if (special !== undefined) return special;
  } else if (typeof (value as { toJSON?: unknown }).toJSON === "function") return encodeToJson(value, encoding);
  return nested(value as Record<string, unknown>, encoding, encodeRecord);
}

/** The wire form of an instance of a class, or undefined where it is its own properties. */
function encodeInstance(value: object, encoding: Encoding): Json | undefined {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw unfit(encoding, "an invalid Date", "Return null instead.");
    return value.toISOString();
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  }
  const toMedia = (value as { [MEDIA_SYMBOL]?: () => MediaValue })[MEDIA_SYMBOL];
  if (typeof toMedia === "function") return encodeMedia(toMedia.call(value), encoding);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return encodeToJson(value, encoding);
  const refused = REFUSED.find(([type]) => value instanceof type);
  if (refused) throw unfit(encoding, `a ${value.constructor?.name ?? refused[0].name}`, refused[1]);
  const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  if (typeof tag === "string" && Object.hasOwn(REFUSED_TAGS, tag))
    throw unfit(encoding, `a ${tag}`, REFUSED_TAGS[tag] ?? "");
  return undefined;
}

const REFUSED: [new (...args: never[]) => object, string][] = [
  [Map, "Return Object.fromEntries(map) instead."],
  [Set, "Return [...set] instead."],
  [WeakMap, "Return plain data."],
  [WeakSet, "Return plain data."],
  [Promise, "Await it first."],
  [RegExp, "Return its source instead."],
  [Error, "Throw it, or return its message."],
  [ArrayBuffer, "Return new Uint8Array(buffer) instead."],
  [DataView, "Return a Uint8Array instead."],
  [Object.getPrototypeOf(Uint8Array), "Return [...array], or a Uint8Array for bytes."],
];

/** By their tag: to name the class Response loads all of Node's fetch, which is 14 MB and 45 ms for every replica. */
const REFUSED_TAGS: { [tag: string]: string } = {
  Blob: "Return new Uint8Array(await blob.arrayBuffer()) or a media value instead.",
  File: "Return new Uint8Array(await file.arrayBuffer()) or a media value instead.",
  ReadableStream: "Read it first, or return a Response.",
  Response: "Return it by itself, not inside another value.",
};

function encodeMedia(media: MediaValue, encoding: Encoding): Json {
  const $media = encoding.attachments.length;
  const named = { file_name: media.fileName, content_type: media.contentType };
  encoding.attachments.push({ bytes: media.bytes, ...named });
  return { [MEDIA_REF_KEY]: $media, ...named };
}

function encodeToJson(value: object, encoding: Encoding): Json {
  const key = String(encoding.path.at(-1) ?? "");
  return nested(value, encoding, () => encode((value as { toJSON(key: string): unknown }).toJSON(key), encoding));
}

function nested<T extends object>(value: T, encoding: Encoding, inner: (value: T, encoding: Encoding) => Json): Json {
  if (encoding.parents.length >= MAX_DEPTH) {
    const cyclic = new Set(encoding.parents).size < encoding.parents.length;
    throw unfit(
      encoding,
      cyclic ? "a reference to what holds it" : `a value nested over ${MAX_DEPTH} deep`,
      "Return a tree.",
    );
  }
  encoding.parents.push(value);
  const encoded = inner(value, encoding);
  encoding.parents.pop();
  return encoded;
}

function encodeArray(values: unknown[], encoding: Encoding): Json {
  let copy: Json[] | null = null;
  for (let i = 0; i < values.length; i++) {
    encoding.path.push(i);
    const encoded = encode(values[i], encoding);
    encoding.path.pop();
    if (copy) copy.push(encoded);
    else if (encoded !== values[i]) copy = [...(values.slice(0, i) as Json[]), encoded];
  }
  return copy ?? (values as Json[]);
}

function encodeRecord(record: Record<string, unknown>, encoding: Encoding): Json {
  const names = Object.keys(record);
  let changed: Map<string, Json | undefined> | null = null;
  for (const name of names) {
    const value = record[name];
    if (name === MEDIA_REF_KEY)
      throw unfit(encoding, `a property named ${MEDIA_REF_KEY}`, "That name is reserved; rename it.");
    encoding.path.push(name);
    const encoded = value === undefined ? undefined : encode(value, encoding);
    encoding.path.pop();
    if (encoded === undefined || encoded !== value) {
      changed ??= new Map();
      changed.set(name, encoded);
    }
  }
  if (!changed) return record as { [key: string]: Json };
  const copy: { [key: string]: Json } = {};
  for (const name of names) {
    const value = changed.has(name) ? changed.get(name) : (record[name] as Json);
    if (value === undefined) continue;
    if (name === "__proto__")
      Object.defineProperty(copy, name, { value, enumerable: true, writable: true, configurable: true });
    else copy[name] = value;
  }
  return copy;
}

const MAX_PATH_STEPS = 12;

function unfit(encoding: Encoding, what: string, advice: string): AthanorError {
  const steps = encoding.path.slice(0, MAX_PATH_STEPS).map((step) => `/${pointer(String(step))}`);
  const path = steps.join("") + (encoding.path.length > MAX_PATH_STEPS ? "/…" : "");
  const at = path === "" ? "The result" : `The result at ${path}`;
  return new AthanorError("output_invalid", `${at} is ${what}, which JSON can't hold. ${advice}`, {
    errors: [{ path, expected: "what JSON can hold", actual: brief(what) }],
  });
}
