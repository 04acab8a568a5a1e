import { createHash } from "node:crypto";
import type { DeploymentUpload, VendorContent } from "./spec.ts";

/**
 * SHA-256, as hex, over all that an upload holds; the build writes it and the server recomputes it. The order of object keys counts and survives
 * JSON, so a build that is to be reproducible makes its objects in a fixed order.
 */
export function digestUpload(upload: Omit<DeploymentUpload, "digest">): string {
  const { spec, bundle, sourceMap, vendor, dependencies, files } = upload;
  const parts = [spec, bundle, sourceMap, dependencies, files, ...(vendor === undefined ? [] : [vendor.sha256])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** SHA-256, as hex; it stands for the content in the digest of an upload. */
export function digestVendor({ code, sourceMap }: VendorContent): string {
  return createHash("sha256").update(`${code.length}\n`).update(code).update(sourceMap).digest("hex");
}
