import type { DeploymentUpload } from "../protocol/spec.ts";
import { Builder } from "./builder.ts";

/**
 * Turns an entry file into what `POST /v1/deployments` takes. The same input gives the same bytes, and so the same digest, in any
 * folder and at any time. Throws AthanorError with file and line: `build_failed`, `type_not_serialisable`, `option_invalid`,
 * `name_invalid`, `name_collision`, `no_app`, `import_failed`.
 */
export async function build(p: { entry: string }): Promise<DeploymentUpload> {
  await using builder = new Builder(p);
  return await builder.build();
}
