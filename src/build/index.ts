import type { DeploymentUpload } from "../protocol/spec.ts";

/**
 * Turns an entry file into what `POST /v1/deployments` takes. Throws AthanorError with file and line: `build_failed`,
 * `type_not_serialisable`, `option_invalid`, `name_invalid`, `name_collision`, `no_app`, `import_failed`.
 */
export async function build(_p: { entry: string }): Promise<DeploymentUpload> {
  throw new Error("not implemented");
}
