import path from "node:path";
import { digestUpload } from "../protocol/digest.ts";
import type { DeploymentUpload } from "../protocol/spec.ts";
import { bundle } from "./bundle.ts";
import { makeDependencies } from "./dependencies.ts";
import { importBundle } from "./import-bundle.ts";
import { makeSpec } from "./manifest.ts";
import { forgetPackages } from "./packages.ts";
import { readProjectFile } from "./project-file.ts";
import { analyze } from "./schema/index.ts";

/**
 * Turns an entry file into what `POST /v1/deployments` takes. The same input gives the same bytes, and so the same digest, in any
 * folder and at any time. Throws AthanorError with file and line: `build_failed`, `type_not_serialisable`, `option_invalid`,
 * `name_invalid`, `name_collision`, `no_app`, `import_failed`.
 */
export async function build(p: { entry: string }): Promise<DeploymentUpload> {
  forgetPackages();
  const entry = path.resolve(p.entry);
  const { external, project } = readProjectFile(path.dirname(entry));
  const analysis = analyze({ entry });
  const { root } = analysis;
  const bundled = await bundle({ entry, analysis, external });
  const answer = await importBundle({ bundle: bundled, root, project });
  const spec = makeSpec({ answer, analysis, entry: path.relative(root, entry) });
  const upload = {
    spec,
    bundle: bundled.code,
    sourceMap: bundled.map,
    dependencies: makeDependencies(bundled.externals, root),
  };
  return { ...upload, digest: digestUpload(upload) };
}
