import { createHash } from "node:crypto";
import type { DeploymentUpload } from "./spec.ts";

/**
 * SHA-256, as hex, over all that an upload holds; the build writes it and the server recomputes it. The order of object keys counts and survives
 * JSON, so a build that is to be reproducible makes its objects in a fixed order.
 */
export function digestUpload(upload: Omit<DeploymentUpload, "digest">): string {
  const { spec, bundle, sourceMap, dependencies, files } = upload;
  return createHash("sha256")
    .update(JSON.stringify([spec, bundle, sourceMap, dependencies, files]))
    .digest("hex");
}
