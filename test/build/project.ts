import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "../../src/build/index.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import { type DeploymentUpload, VENDOR_FILE } from "../../src/protocol/spec.ts";

const OWN_MODULES = path.resolve(import.meta.dirname, "../../node_modules");

export interface Project extends AsyncDisposable {
  dir: string;
  build(entry?: string): Promise<DeploymentUpload>;
}

/** A project in a temporary folder. `packages` are linked from this repository's own node_modules. */
export async function makeProject(files: Record<string, string>, packages: string[] = []): Promise<Project> {
  const dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-project-")));
  const all = { "package.json": '{ "name": "project", "type": "module" }', ...files };
  for (const [name, text] of Object.entries(all)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  for (const name of [...packages, "@types/node"]) {
    const link = path.join(dir, "node_modules", name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(OWN_MODULES, name), link);
  }
  return {
    dir,
    build: (entry = "app.ts") => build({ entry: path.join(dir, entry) }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

/** The error with which the build of the files ends. */
export async function buildError(files: Record<string, string>, packages: string[] = []): Promise<AthanorError> {
  await using project = await makeProject(files, packages);
  try {
    await project.build();
  } catch (error) {
    if (error instanceof AthanorError) return error;
    throw error;
  }
  throw new Error("the build succeeded");
}

/** Writes what can be imported into the folder, with source maps as Node finds them, and returns the path of the bundle. */
export async function writeBundle(upload: DeploymentUpload, dir: string): Promise<string> {
  const vendor = upload.vendor?.content;
  const files = [{ name: "bundle.mjs", code: upload.bundle, sourceMap: upload.sourceMap }];
  if (vendor) files.push({ name: VENDOR_FILE, ...vendor });
  await mkdir(dir, { recursive: true });
  for (const { name, code, sourceMap } of files) {
    await writeFile(path.join(dir, name), `${code}\n//# sourceMappingURL=${name}.map\n`);
    await writeFile(path.join(dir, `${name}.map`), sourceMap);
  }
  return path.join(dir, "bundle.mjs");
}
