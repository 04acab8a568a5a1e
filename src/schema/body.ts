import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { Json, JsonObject, JsonSchema } from "../protocol/json.ts";
import type { CodeType, FunctionSpec } from "../protocol/spec.ts";
import { type BodyBytes, contentTypeOf, decodeText, limited, readAll } from "./body-bytes.ts";
import { invalid } from "./check.ts";
import { type Accepts, coerceField, emptyIsAbsent, fieldName, fieldsOf, itemAccepts } from "./coerce.ts";
import { addImage, extractInto, maxFileBytes, type ReadBody, startExtraction, tooLarge } from "./extract.ts";
import { parseJson } from "./json-text.ts";
import { checkFieldName, type Part, readMultipart } from "./multipart.ts";
import { inputPlan, planHas } from "./plan.ts";
import { brief, pointer } from "./words.ts";

const FILE_TYPES: ReadonlySet<CodeType> = new Set(["image", "bytes"]);

const QUERY_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

export interface BodyRequest extends BodyBytes {
  method: string;
  /** Absolute. */
  url: URL | string;
  contentType: string | null;
  contentLength: number | null;
  fn: FunctionSpec;
  $defs: { [name: string]: JsonSchema };
}

/**
 * The wire body of an HTTP request: from the query for GET, HEAD and DELETE, else from JSON, a urlencoded form or multipart/form-data.
 * It is not validated yet. No body at all counts as `{}`. Throws `malformed_json`, `malformed_form`, `unsupported_media_type`,
 * `body_too_large`, `media_invalid`, `input_invalid`.
 */
export async function readBody(p: BodyRequest): Promise<ReadBody> {
  if (QUERY_METHODS.has(p.method)) return fromPairs(p, new URL(p.url).searchParams);
  if (p.contentLength !== null && p.contentLength > p.maxBodyBytes) throw tooLarge(p.maxBodyBytes, "");
  const type = contentTypeOf(p.contentType);
  if (type.name === "multipart/form-data") return fromMultipart(p, limited(p));
  if (type.name === "application/x-www-form-urlencoded") {
    return fromPairs(p, new URLSearchParams(decodeText(await readAll(p), type.charset, "malformed_form")));
  }
  if (type.name === "application/json" || type.name.endsWith("+json")) {
    const text = decodeText(await readAll(p), type.charset, "malformed_json");
    return fromJson(p, text === "" ? {} : parseJson(text));
  }
  const bytes = type.name === "" ? await readAll(p) : null;
  if (bytes?.length === 0) return fromJson(p, {});
  const actual = type.name === "" ? "none" : brief(type.name);
  throw new AthanorError(
    "unsupported_media_type",
    `The body must be JSON or a form, but its content type is ${actual}.`,
  );
}

/** What readBody comes to, at once, of a JSON body that is there as a whole: the commonest of all. Null: it takes readBody. Throws as that does. */
export function readWholeJson(p: BodyRequest): ReadBody | null {
  if (!(p.body instanceof Uint8Array) || p.contentType !== "application/json" || QUERY_METHODS.has(p.method))
    return null;
  if (p.body.length > p.maxBodyBytes) throw tooLarge(p.maxBodyBytes, "");
  const text = decodeText(p.body, null, "malformed_json");
  return fromJson(p, text === "" ? {} : parseJson(text));
}

const bodyLimits = new WeakMap<FunctionSpec, number>();

/** The most bytes that a request body of the function may have: what to pass as `maxBodyBytes`. */
export function bodyLimitBytes(fn: FunctionSpec, $defs: { [name: string]: JsonSchema }): number {
  const known = bodyLimits.get(fn);
  if (known !== undefined) return known;
  const takesFiles = planHas(inputPlan(fn, $defs), FILE_TYPES);
  // A file may come as base64, which takes four characters for three bytes.
  const limit = SERVER_DEFAULTS.maxJsonBodyBytes + (takesFiles ? Math.ceil((maxFileBytes(fn) * 4) / 3) : 0);
  bodyLimits.set(fn, limit);
  return limit;
}

function fromJson(p: BodyRequest, body: Json): ReadBody {
  return extractInto(startExtraction(p.fn), p.fn, p.$defs, body);
}

function fromPairs(p: BodyRequest, pairs: URLSearchParams): ReadBody {
  const fields = fieldsOf(p.fn, p.$defs);
  const texts = new Map<string, string[]>();
  for (const [given, text] of pairs) {
    const name = fieldName(given, fields);
    checkFieldName(name, texts.size);
    const same = texts.get(name);
    if (same) same.push(text);
    else texts.set(name, [text]);
  }
  const body: JsonObject = {};
  for (const [name, given] of texts) {
    const accepts = fields.get(name);
    if (given.length === 1 && given[0] === "" && emptyIsAbsent(accepts)) continue;
    body[name] = coerceField(given, accepts);
  }
  return fromJson(p, body);
}

async function fromMultipart(p: BodyRequest, body: AsyncIterable<Uint8Array>): Promise<ReadBody> {
  const fields = fieldsOf(p.fn, p.$defs);
  const parts = await readMultipart({
    contentType: p.contentType ?? "",
    body,
    maxFileBytes: maxFileBytes(p.fn),
    maxFieldBytes: p.maxBodyBytes,
  });
  const extraction = startExtraction(p.fn);
  const made: JsonObject = {};
  for (const [given, same] of parts) {
    const name = fieldName(given, fields);
    const accepts = fields.get(name);
    const present = same.filter((part) => !isLeftOut(part, accepts));
    if (present.length > 0) made[name] = fieldValue(present, accepts, extraction, `/${pointer(name)}`, p.fn.name);
  }
  return extractInto(extraction, p.fn, p.$defs, made);
}

function isLeftOut(part: Part, accepts: Accepts | undefined): boolean {
  if (part.type === "file") return part.bytes.length === 0 && part.fileName === null;
  return part.type === "text" && part.text === "" && emptyIsAbsent(accepts);
}

type Extraction = ReturnType<typeof startExtraction>;

function fieldValue(
  parts: Part[],
  accepts: Accepts | undefined,
  extraction: Extraction,
  path: string,
  fn: string,
): Json {
  if (parts.every((part) => part.type === "text"))
    return coerceField(
      parts.map((part) => part.text),
      accepts,
    );
  const [only] = parts;
  const takesOne = !accepts?.array || accepts.image || accepts.bytes;
  if (only && parts.length === 1 && (takesOne || only.type === "json"))
    return partValue(only, accepts, extraction, path, fn);
  return parts.map((part, i) => {
    const item = accepts ? (itemAccepts(accepts, i) ?? undefined) : undefined;
    return partValue(part, item, extraction, `${path}/${i}`, fn);
  });
}

function partValue(part: Part, accepts: Accepts | undefined, extraction: Extraction, path: string, fn: string): Json {
  if (part.type === "json") return part.value;
  if (part.type === "text") return coerceField([part.text], accepts);
  if (accepts?.image) return addImage(part.bytes, part.fileName, extraction, path);
  if (accepts?.bytes) return Buffer.from(part.bytes).toString("base64");
  if (part.contentType === "application/json") return parseJson(decodeText(part.bytes, null, "malformed_json"));
  const actual = `file of ${part.bytes.length} bytes`;
  throw invalid("input_invalid", `The input of ${fn}`, [
    { path, expected: accepts ? "a value, not a file" : "nothing by this name", actual },
  ]);
}
