import { Busboy, type BusboyInstance } from "@fastify/busboy";
import { AthanorError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import { tooLarge } from "./extract.ts";
import { parseJson, refuseName } from "./json-text.ts";

export type Part =
  | { type: "text"; text: string }
  | { type: "json"; value: Json }
  | { type: "file"; bytes: Uint8Array; fileName: string | null; contentType: string };

const MAX_PARTS = 1000;
const MAX_NAME_LENGTH = 200;

/** The parts of a multipart/form-data body by name, in order. Throws `malformed_form`, `body_too_large`, `malformed_json`. */
export async function readMultipart(p: {
  contentType: string;
  /** Bounded already by what may be read of the request as a whole. */
  body: AsyncIterable<Uint8Array>;
  maxFileBytes: number;
  maxFieldBytes: number;
}): Promise<Map<string, Part[]>> {
  const parts = new Map<string, Part[]>();
  const parser = startParser(p);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const fail = (error: unknown): void =>
    failed.reject(error instanceof AthanorError ? error : malformed((error as Error).message));
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      fail(error);
    }
  };
  parser.on("field", (name, text, _nameCut, textCut, _encoding, contentType) =>
    attempt(() => {
      checkName(name, parts);
      if (textCut) throw tooLarge(p.maxFieldBytes, `/${name}`);
      addPart(
        parts,
        name,
        contentType === "application/json" ? { type: "json", value: parseJson(text) } : { type: "text", text },
      );
    }),
  );
  parser.on("file", (name, stream, fileName, _encoding, contentType) => {
    attempt(() => checkName(name, parts));
    const chunks: Uint8Array[] = [];
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    stream.on("limit", () => fail(tooLarge(p.maxFileBytes, `/${name}`)));
    stream.on("error", fail);
    stream.on("end", () =>
      attempt(() =>
        addPart(parts, name, { type: "file", bytes: Buffer.concat(chunks), fileName: fileName || null, contentType }),
      ),
    );
  });
  parser.on("partsLimit", () => fail(malformed(`it has more than ${MAX_PARTS} parts`)));
  parser.on("error", fail);
  const finished = new Promise<void>((resolve) => parser.on("finish", resolve));
  await feed(parser, p.body, failed.promise);
  parser.end();
  await Promise.race([finished, failed.promise]);
  return parts;
}

function startParser(p: { contentType: string; maxFileBytes: number; maxFieldBytes: number }): BusboyInstance {
  try {
    return new Busboy({
      headers: { "content-type": p.contentType },
      limits: {
        parts: MAX_PARTS,
        fileSize: p.maxFileBytes,
        fieldSize: p.maxFieldBytes,
        headerPairs: 32,
        headerSize: 16 * 1024,
      },
      isPartAFile: (_name, contentType, fileName) =>
        fileName !== undefined ||
        contentType === "application/octet-stream" ||
        /^(?:image|audio|video)\//.test(contentType ?? ""),
    });
  } catch (error) {
    throw malformed((error as Error).message);
  }
}

async function feed(parser: BusboyInstance, body: AsyncIterable<Uint8Array>, failed: Promise<never>): Promise<void> {
  let isEmpty = true;
  for await (const chunk of body) {
    if (chunk.length === 0) continue;
    isEmpty = false;
    const written = new Promise<void>((resolve) => parser.write(chunk, () => resolve()));
    await Promise.race([written, failed]);
  }
  if (isEmpty) throw malformed("it is empty");
}

function checkName(name: string | undefined, parts: Map<string, Part[]>): void {
  if (name === undefined || name === "") throw malformed("a part has no name");
  checkFieldName(name, parts.size);
}

/** A name of a field as a stranger may give it. */
export function checkFieldName(name: string, count: number): void {
  if (name.length > MAX_NAME_LENGTH) throw malformed(`a name is longer than ${MAX_NAME_LENGTH} characters`);
  if (count > MAX_PARTS) throw malformed(`it has more than ${MAX_PARTS} fields`);
  refuseName(name, null);
  if (name === "constructor" || name === "prototype") refuseName("__proto__", null);
}

function addPart(parts: Map<string, Part[]>, name: string, part: Part): void {
  const same = parts.get(name);
  if (same) same.push(part);
  else parts.set(name, [part]);
}

function malformed(why: string): AthanorError {
  return new AthanorError("malformed_form", `The form is malformed: ${why}.`);
}
