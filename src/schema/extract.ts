import { FUNCTION_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { Json, JsonSchema } from "../protocol/json.ts";
import { sniffImage } from "../protocol/media.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { MEDIA_REF_KEY } from "./media.ts";
import { inputPlan, type Plan, planHas } from "./plan.ts";
import { brief, pointer } from "./words.ts";

const MIB = 1024 * 1024;
const IMAGES: ReadonlySet<"image"> = new Set(["image"]);
const MAX_FILE_NAME = 200;

/** A body whose media have been taken out: they stand in it as MediaRef whose `$media` is the index in `attachments`. */
export interface ReadBody {
  body: Json;
  attachments: Uint8Array[];
}

interface Extraction {
  attachments: Uint8Array[];
  /** MediaRefs made here. Any other object that looks like one came from the wire, and is refused. */
  made: Set<object>;
  maxFileBytes: number;
}

/**
 * Takes media that stand inline in a body (data URI, base64, MediaJson) out of it, in place. Throws `media_invalid`, `body_too_large`.
 * For a function without media this costs nothing.
 */
export function extractMedia(fn: FunctionSpec, $defs: { [name: string]: JsonSchema }, body: Json): ReadBody {
  return extractInto(startExtraction(fn), fn, $defs, body);
}

export function startExtraction(fn: FunctionSpec): Extraction {
  return { attachments: [], made: new Set(), maxFileBytes: maxFileBytes(fn) };
}

export function extractInto(
  extraction: Extraction,
  fn: FunctionSpec,
  $defs: { [name: string]: JsonSchema },
  body: Json,
): ReadBody {
  const plan = inputPlan(fn, $defs);
  const extracted = takesImages(fn, $defs) && plan ? extract(body, plan, extraction, "") : body;
  return { body: extracted, attachments: extraction.attachments };
}

const imageTakers = new WeakMap<FunctionSpec, boolean>();

function takesImages(fn: FunctionSpec, $defs: { [name: string]: JsonSchema }): boolean {
  const takes = imageTakers.get(fn) ?? planHas(inputPlan(fn, $defs), IMAGES);
  imageTakers.set(fn, takes);
  return takes;
}

export function maxFileBytes(fn: FunctionSpec): number {
  return (fn.endpoint?.maxUploadFileSizeMb ?? FUNCTION_DEFAULTS.maxUploadFileSizeMb) * MIB;
}

function extract(value: Json, plan: Plan, extraction: Extraction, path: string): Json {
  switch (plan.kind) {
    case "image":
      return extractImage(value, extraction, path);
    case "ref": {
      const target = plan.plan();
      return target === null ? value : extract(value, target, extraction, path);
    }
    case "all":
      return plan.plans.reduce((current, sub) => extract(current, sub, extraction, path), value);
    case "union":
      return extractUnion(value, plan, extraction, path);
    case "array":
      if (!Array.isArray(value)) return value;
      for (const [i, item] of value.entries()) {
        const sub = i < plan.prefix.length ? plan.prefix[i] : plan.items;
        if (sub) value[i] = extract(item, sub, extraction, `${path}/${i}`);
      }
      return value;
    case "object":
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      for (const name of Object.keys(value)) {
        const sub = plan.properties.get(name) ?? plan.additional;
        if (sub) value[name] = extract(value[name] ?? null, sub, extraction, `${path}/${pointer(name)}`);
      }
      return value;
    default:
      return value;
  }
}

/** The schema cannot be asked before media are out, so a value that looks like media is media, unless it may be plain text. */
function extractUnion(value: Json, plan: Plan & { kind: "union" }, extraction: Extraction, path: string): Json {
  const plans = plan.branches.flatMap((branch) => (branch.plan ? [branch.plan] : []));
  const plainText = plan.plainString && typeof value === "string" && !/^data:image\//i.test(value);
  const isImage = plans.some(isImagePlan) && looksLikeMedia(value) && !plainText;
  if (isImage) return extractImage(value, extraction, path);
  return plans
    .filter((sub) => !isImagePlan(sub))
    .reduce((current, sub) => extract(current, sub, extraction, path), value);
}

function isImagePlan(plan: Plan): boolean {
  return plan.kind === "image" || (plan.kind === "ref" && plan.plan()?.kind === "image");
}

function looksLikeMedia(value: Json): boolean {
  if (typeof value === "string") return true;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return typeof value.content === "string" || MEDIA_REF_KEY in value || typeof value.url === "string";
}

/** A value at an image's place; what is no form of an image at all is left for the validator to name. */
function extractImage(value: Json, extraction: Extraction, path: string): Json {
  if (typeof value === "string") return addImage(bytesOf(value, extraction, path), null, extraction, path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (extraction.made.has(value)) return value;
  if (MEDIA_REF_KEY in value) throw invalidMedia(path, `"${MEDIA_REF_KEY}" cannot be sent`);
  if (typeof value.content !== "string") {
    if (typeof value.url === "string") throw invalidMedia(path, "a media value without `content` cannot be sent");
    return value;
  }
  const name = typeof value.file_name === "string" ? value.file_name : null;
  return addImage(bytesOf(value.content, extraction, `${path}/content`), name, extraction, path);
}

/** Adds the bytes of an image as an attachment, and returns the MediaRef that stands for it. */
export function addImage(bytes: Uint8Array, fileName: string | null, extraction: Extraction, path: string): Json {
  if (bytes.length > extraction.maxFileBytes) throw tooLarge(extraction.maxFileBytes, path);
  const kind = sniffImage(bytes);
  if (kind === null) throw invalidMedia(path, `its ${bytes.length} bytes are no image of a known kind`);
  const ref = {
    [MEDIA_REF_KEY]: extraction.attachments.length,
    file_name: cleanFileName(fileName) ?? `image.${kind.extension}`,
    content_type: kind.contentType,
  };
  extraction.attachments.push(bytes);
  extraction.made.add(ref);
  return ref;
}

function bytesOf(text: string, extraction: Extraction, path: string): Uint8Array {
  const data = /^data:[^,]{0,200},/i.exec(text)?.[0];
  const payload = data === undefined ? text : text.slice(data.length);
  if ((payload.length / 4) * 3 > extraction.maxFileBytes + 3) throw tooLarge(extraction.maxFileBytes, path);
  if (data !== undefined && !/;\s*base64\s*,$/i.test(data)) return percentDecoded(payload, path);
  if (/^[A-Za-z0-9+/_\s-]*={0,2}\s*$/.test(payload)) {
    const bytes = Buffer.from(payload, "base64");
    // What could be both, such as `/etc/hosts`, is only base64 if it is an image.
    if (data !== undefined || sniffImage(bytes) !== null) return bytes;
  }
  throw invalidMedia(path, data === undefined ? whatText(text) : "its base64 is malformed");
}

function percentDecoded(payload: string, path: string): Uint8Array {
  try {
    return Buffer.from(decodeURIComponent(payload), "utf8");
  } catch {
    throw invalidMedia(path, "its percent-encoding is malformed");
  }
}

function whatText(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `a URL is not fetched (${brief(text)}); send the bytes`;
  if (/^(?:\.{0,2}[/\\]|~|[a-z]:[/\\])|\.[a-z0-9]{2,5}$/i.test(text))
    return `a path is refused (${brief(text)}); send the bytes`;
  return `the text is no data URI and no base64 of an image (${brief(text)})`;
}

/** The last step of a name that a stranger gave, with nothing in it that a file system or a header could trip over. */
function cleanFileName(name: string | null): string | null {
  const last = (name ?? "").split(/[/\\]/).at(-1) ?? "";
  const clean = [...last].filter((c) => c > "\x1f" && c !== "\x7f" && !'"<>|:*?'.includes(c)).join("");
  const kept = clean.trim().slice(-MAX_FILE_NAME);
  return kept === "" || /^\.+$/.test(kept) ? null : kept;
}

function invalidMedia(path: string, why: string): AthanorError {
  const at = path === "" ? "The body" : path;
  return new AthanorError("media_invalid", `${at} is not an image: ${why}.`, {
    errors: [{ path, expected: "image: a file part, a data URI, base64, or {file_name?, content_type?, content}" }],
  });
}

export function tooLarge(limitBytes: number, path: string): AthanorError {
  const what = path === "" ? "The body" : `The file at ${path}`;
  return new AthanorError("body_too_large", `${what} is larger than the ${limitBytes} bytes that are allowed.`);
}
