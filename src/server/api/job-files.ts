import { pipeline } from "node:stream/promises";
import { AthanorError } from "../../protocol/errors.ts";
import { sendEmpty } from "../http/answer.ts";
import type { ApiCall } from "./route.ts";

/** Sends a blob, or the part of it that a Range header asks for. The bytes never change, so caches may keep them. */
export async function sendBlob(
  call: ApiCall,
  sha256: string,
  names: { file_name: string; content_type: string },
): Promise<void> {
  const { x, context } = call;
  const etag = `"${sha256}"`;
  if (x.header("if-none-match") === etag) {
    sendEmpty(x, 304, { etag });
    return;
  }
  const sizeBytes = await context.blobs.size(sha256);
  if (sizeBytes === null) throw new AthanorError("not_found", `the file ${sha256} is gone`);
  const range = rangeOf(x.header("range"), sizeBytes);
  const blob = await context.blobs.open(sha256, range ?? undefined);
  if (!blob) throw new AthanorError("not_found", `the file ${sha256} is gone`);
  x.res.writeHead(range ? 206 : 200, {
    "content-type": /^[\w.+-]+\/[\w.+-]+$/.test(names.content_type) ? names.content_type : "application/octet-stream",
    "content-length": range ? range.end - range.start + 1 : sizeBytes,
    "content-disposition": `inline; filename*=UTF-8''${encodeURIComponent(names.file_name.toWellFormed())}`,
    // An SVG or HTML file must not run as a page of this server.
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
    "cache-control": "private, immutable, max-age=3600",
    "x-request-id": x.requestId,
    etag,
    ...(range ? { "content-range": `bytes ${range.start}-${range.end}/${sizeBytes}` } : {}),
  });
  if (x.method === "HEAD") {
    blob.body.destroy();
    x.res.end();
    return;
  }
  // A client that leaves halfway is no fault.
  await pipeline(blob.body, x.res).catch(() => x.res.destroy());
}

/** One range of bytes, both ends included; null where there is none, or one that is answered with the whole. */
function rangeOf(header: string | undefined, sizeBytes: number): { start: number; end: number } | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "") || sizeBytes === 0) return null;
  const last = sizeBytes - 1;
  const range =
    match[1] === ""
      ? { start: Math.max(0, sizeBytes - Number(match[2])), end: last }
      : { start: Number(match[1]), end: match[2] === "" ? last : Math.min(last, Number(match[2])) };
  return range.start <= range.end ? range : null;
}
