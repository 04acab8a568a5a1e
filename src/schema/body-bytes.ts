import { AthanorError } from "../protocol/errors.ts";
import { tooLarge } from "./extract.ts";
import { brief } from "./words.ts";

const UTF_8 = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a body. */
export interface BodyBytes {
  /** As they come, or whole. */
  body: AsyncIterable<Uint8Array> | Uint8Array | null;
  /** See bodyLimitBytes. */
  maxBodyBytes: number;
}

export function contentTypeOf(header: string | null): { name: string; charset: string | null } {
  const [name = "", ...params] = (header ?? "").split(";");
  const charset = params.map((param) => /^\s*charset\s*=\s*"?([^"]*?)"?\s*$/i.exec(param)?.[1]).find((found) => found);
  return { name: name.trim().toLowerCase(), charset: charset ?? null };
}

export function decodeText(
  bytes: Uint8Array,
  charset: string | null,
  code: "malformed_json" | "malformed_form",
): string {
  let decoder = UTF_8;
  try {
    if (charset !== null && !/^utf-?8$/i.test(charset)) decoder = new TextDecoder(charset, { fatal: true });
  } catch {
    throw new AthanorError("unsupported_media_type", `The body's charset ${brief(charset)} is not known; send UTF-8.`);
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw new AthanorError(
      code,
      `The body is not valid ${decoder.encoding} from byte ${firstBadByte(bytes, decoder.encoding)} on.`,
    );
  }
}

/** How many bytes from the start decode without a fault, by halving. */
function firstBadByte(bytes: Uint8Array, encoding: string): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return good;
}

/** The request's bytes, up to the limit; one more and it throws, before it is kept. */
export async function* limited(p: BodyBytes): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of p.body instanceof Uint8Array ? [p.body] : (p.body ?? [])) {
    total += chunk.length;
    if (total > p.maxBodyBytes) throw tooLarge(p.maxBodyBytes, "");
    yield chunk;
  }
}

export async function readAll(p: BodyBytes): Promise<Uint8Array> {
  if (p.body instanceof Uint8Array) {
    if (p.body.length > p.maxBodyBytes) throw tooLarge(p.maxBodyBytes, "");
    return p.body;
  }
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of p.body ?? []) {
    total += chunk.length;
    if (total > p.maxBodyBytes) throw tooLarge(p.maxBodyBytes, "");
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}
